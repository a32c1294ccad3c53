"""A finished probe, opened: its table, its summary, its predictors and prompts, its figures and its page.

No jax, pandas or matplotlib here until they are needed: a wrong name is told at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from implicit_inference.config.errors import refuse
from implicit_inference.config.fields import Config
from implicit_inference.config.identity import parents_of
from implicit_inference.runs import runtime
from implicit_inference.worlds import Predictor

if TYPE_CHECKING:
    import pandas as pd

    from implicit_inference.runs.store import Run
    from implicit_inference.training.loop import Trained

RUNS = "runs"
"""The directory of runs unless another is named."""


@dataclass(frozen=True)
class Probe:
    """Opens a finished probe: its table, its summary, the predictors that it measured, its figures and its page.

    Two are equal if their directories are. Whatever reads a file raises StoreError, which names it, if it is damaged.
    """

    directory: Path

    @property
    def id(self) -> str:
        """The name of the directory: `probe-` and a hash of all that the numbers depend on."""
        return self.directory.name

    @cached_property
    def config(self) -> Config:
        """The configuration; a field that the probe does not depend on is at its default."""
        return self._run.config()

    @cached_property
    def table(self) -> pd.DataFrame:
        """All that was measured, one row for each seed, quantity, family of prompts, predictor, conjugation, place."""
        import pandas as pd

        return pd.DataFrame(self._run.read_table("table.parquet"))

    @cached_property
    def summary(self) -> dict[str, Any]:
        """The headline numbers as nested dicts, each with `mean` and `stderr` over seeds."""
        from implicit_inference.measure.summary import summary_of

        return summary_of(self._run)

    def predictor(self, name: str, seed: int | None = None) -> Predictor:
        """Gives a predictor of the table for one seed: a function of prompts [..., K], and a pytree.

        Networks are `pretrained`, `scratch`, and `finetuned`, `student` or `steered`; controls without training
        `damaged_norm`, `damaged_rise` and `uninformed` (for prompts [N, K]); exact predictors those that the
        table names, such as `bayes_pretraining`. The seed is the first one unless it is given. Raises ConfigError for
        another name or seed, and StoreError for a network whose training is not in the directory of runs.
        """
        place = self._place(seed)
        from implicit_inference.measure.damage import untrained
        from implicit_inference.measure.held_out import HeldOut
        from implicit_inference.measure.lookup import STAGE_NAMES, UNTRAINED
        from implicit_inference.measure.probe import exact_tasks

        networks = {STAGE_NAMES[stage]: stage for stage in parents_of("probe", self.config)}
        ideals = {f"bayes_effective_{name}": name for name in list(networks)[:2]}
        priors = exact_tasks(self.config)
        if name not in (known := [*networks, *UNTRAINED, *priors, *ideals]):
            refuse("predictor", name, ", ".join(known))
        runtime.prepare()
        with runtime.pinned():
            if name in networks:
                return _of_seed(self._trained.network(networks[name]), place)
            if name in UNTRAINED:
                return _of_seed(untrained(HeldOut(self._trained))[name], place)
            from implicit_inference.worlds import world_of

            chosen = self.config.seeds[place]
            tasks = priors[name](chosen) if name in priors else self._ideal_prior(ideals[name], place)
            return world_of(self.config).exact(tasks)

    def held_out(self, family: str, seed: int | None = None) -> Any:
        """Draws the very prompts of a family that the table reports on, of one seed: a batch with their truth.

        The seed is the first one unless it is given. Raises ConfigError for another family or seed.
        """
        place = self._place(seed)
        if family not in self.config.families:
            refuse("family", family, ", ".join(self.config.families))
        runtime.prepare()
        from implicit_inference.keys import Stream
        from implicit_inference.training.batches import held_out

        with runtime.pinned():
            return held_out(self.config, self.config.seeds[place], Stream.REPORT, family, self.config.probe.prompts)

    def figures(self, folder: str | Path | None = None) -> list[Path]:
        """Draws every figure, as PNG and SVG, in `folder`, else in the probe's own directory; returns their paths."""
        from implicit_inference.show import plots

        return plots.draw_all(self._run, None if folder is None else Path(folder))

    def report(self, path: str | Path | None = None) -> Path:
        """Writes the page about the probe to `path`, else into the probe's own directory; returns where it lies."""
        from implicit_inference.show import report as page

        probe = page.content_of(self._run)
        return page.write_beside(probe) if path is None else page.write([probe], Path(path))

    @property
    def _run(self) -> Run:
        from implicit_inference.runs.store import Run

        return Run(self.directory)

    @cached_property
    def _trained(self) -> Trained:
        from implicit_inference.training.loop import Trained

        return Trained.of(self.config, self.directory.parent)

    def _place(self, seed: int | None) -> int:
        """The place of a seed among those of the configuration."""
        seeds = self.config.seeds
        if seed is not None and seed not in seeds:
            refuse("seed", seed, ", ".join(map(str, seeds)))
        return 0 if seed is None else seeds.index(seed)

    def _ideal_prior(self, network: str, place: int) -> Any:
        """The tasks with the prior odds under which exact Bayes imitates a network best, as the table has them."""
        from implicit_inference.bayes.effective import shifted_weights
        from implicit_inference.measure.lookup import Table
        from implicit_inference.runs.store import interpreted
        from implicit_inference.training.batches import prior

        records = self._run.read_table("table.parquet")
        with interpreted(self._run.path("table.parquet")):
            logit = Table(records, self.config).values(quantity="prior_logit", predictor=network)[place]
        return prior(self.config, self.config.seeds[place], shifted_weights(logit))


def load(id: str, runs: str | Path = RUNS) -> Probe:
    """Opens the finished probe whose id starts with `id` in the directory `runs`; trains and writes nothing.

    `zoo/demo` and `zoo/language-demo` come with the package. Raises StoreError unless there is exactly one.
    """
    if not isinstance(id, str):
        refuse("id", id, "the id of a finished probe, or its beginning")
    from implicit_inference.runs import zoo

    return Probe(zoo.find(Path(runs), id, "probe").directory)


def _of_seed(packed: Predictor, place: int) -> Predictor:
    """The predictor of one seed, as plain arrays, from one that is packed over seeds."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    predictor: Predictor = jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf)[place]), packed)
    return predictor
