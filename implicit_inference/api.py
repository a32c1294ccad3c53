"""The main job from Python: runs an experiment or finds it, sweeps over many, opens what a finished one holds.

No jax, pandas or matplotlib here until they are needed: a wrong name is told at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from implicit_inference.config import memory
from implicit_inference.config.changes import PRESETS, base, changed, changed_fields, changes_in, override
from implicit_inference.config.errors import UserError, quoted, refuse
from implicit_inference.config.fields import Config
from implicit_inference.config.identity import STAGES, parents_of, run_id
from implicit_inference.runs import runtime
from implicit_inference.worlds import WORLDS, Predictor

if TYPE_CHECKING:
    import pandas as pd

    from implicit_inference.runs.store import Run
    from implicit_inference.training.loop import Trained

DEFAULT = "demo"
"""The preset that a run starts from unless another is named."""

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

        Networks are `pretrained`, `scratch`, and `finetuned`, `student` or `steered`; exact predictors those that the
        table names, such as `bayes_pretraining`. The seed is the first one unless it is given. Raises ConfigError for
        another name or seed, and StoreError for a network whose training is not in the directory of runs.
        """
        place = self._place(seed)
        from implicit_inference.measure.lookup import STAGE_NAMES
        from implicit_inference.measure.probe import exact_tasks

        networks = {STAGE_NAMES[stage]: stage for stage in parents_of("probe", self.config)}
        ideals = {f"bayes_effective_{name}": name for name in list(networks)[:2]}
        priors = exact_tasks(self.config)
        if name not in (known := [*networks, *priors, *ideals]):
            refuse("predictor", name, ", ".join(known))
        runtime.prepare()
        with runtime.pinned():
            if name in networks:
                return _of_one(self._trained.network(networks[name]), place)
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
        from implicit_inference.training.batches import held_out

        with runtime.pinned():
            return held_out(self.config, self.config.seeds[place], "probe report", family, self.config.probe.prompts)

    def figures(self, folder: str | Path | None = None) -> list[Path]:
        """Draws every figure, as PNG and SVG, in `folder`, else in the probe's own directory; returns their paths."""
        from implicit_inference.show import plots

        return plots.draw_all(self._run, None if folder is None else Path(folder))

    def report(self, path: str | Path | None = None) -> Path:
        """Writes the page about the probe to `path`, else into the probe's own directory; returns where it lies."""
        from implicit_inference.show import report as page

        probe = page.told(self._run)
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

        rows = self._run.read_table("table.parquet")
        with interpreted(self._run.path("table.parquet")):
            logit = Table(rows, self.config).values(quantity="prior_logit", predictor=network)[place]
        return prior(self.config, self.config.seeds[place], shifted_weights(logit))


def run(
    source: str | Path | Config = DEFAULT,
    changes: Mapping[str, Any] | None = None,
    *,
    seeds: Iterable[int] | None = None,
    runs: str | Path = RUNS,
    progress: bool = True,
) -> Probe:
    """Trains and measures an experiment, or finds it: what is finished is skipped, what was interrupted resumes.

    `source`: a preset, a TOML file with the fields that differ from `demo`, or a configuration. `changes`: fields by
    dotted path, or nested. `runs`: the directory of all runs. `progress`: whether to show how far training is.
    Raises ConfigError for a name or a value that is not allowed, before anything is trained; UserError for a
    directory that cannot be made, and for a machine on which JAX does not start.
    """
    config, directory = configured(source, changes, seeds), Path(runs)
    found = Probe(directory / run_id("probe", config))
    if all(_finished(directory, stage, config) for stage in (*stages_of(config), "probe")):
        return found
    return measured(prepared(config, directory, (*stages_of(config), "probe")), stages_of(config), progress)


def load(id: str, runs: str | Path = RUNS) -> Probe:
    """Opens the finished probe whose id starts with `id` in the directory `runs`; trains and writes nothing.

    Raises StoreError unless there is exactly one.
    """
    from implicit_inference.runs import store

    return Probe(store.find(Path(runs), id, "probe").directory)


def sweep(
    source: str | Path | Config,
    axes: Mapping[str, Iterable[Any]],
    changes: Mapping[str, Any] | None = None,
    *,
    seeds: Iterable[int] | None = None,
    runs: str | Path = RUNS,
    progress: bool = True,
) -> pd.DataFrame:
    """Runs an experiment for every combination of values; one table of all probes, with the axes as columns.

    `axes`: the values of each field that varies, by dotted path. Everything else is as for `run`. Runs share what they
    have in common. Raises ConfigError for any wrong field or value before anything is trained.
    """
    start, directory = configured(source, changes, seeds), Path(runs)
    values = {path: _axis(path, given) for path, given in axes.items()}
    variants = [dict(zip(values, chosen, strict=True)) for chosen in product(*values.values())]
    configs = [override(start, variant) for variant in variants]
    needed = {stage for config in configs for stage in stages_of(config)}
    stages = [stage for stage in STAGES if stage in needed]
    for config in configs:
        memory.check(config, (*stages, "probe"))
    _start(directory, "runs")
    import pandas as pd

    from implicit_inference.measure.probe import probe
    from implicit_inference.show.terminal import sweep_progress
    from implicit_inference.training.sweep import sweep

    def rows(trained: Trained) -> list[dict[str, Any]]:
        return probe(trained, lambda done, total: None).read_table("table.parquet")

    with sweep_progress("sweep") if progress else nullcontext(lambda fraction, text: None) as report:
        return pd.DataFrame(sweep(start, variants, stages, rows, directory, report))


def configured(
    source: str | Path | Config, changes: Mapping[str, Any] | None = None, seeds: Iterable[int] | None = None
) -> Config:
    """Makes a configuration of what `run` takes; raises ConfigError for a name or a value that is not allowed."""
    if isinstance(source, Config):
        if source.world not in WORLDS:
            refuse("world", source.world, ", ".join(WORLDS))
        start, values = base(source.world), changed_fields(asdict(source), source.world)
    elif isinstance(source, str) and source in PRESETS:
        start, values = PRESETS[source], {}
    elif isinstance(source, Path) or (isinstance(source, str) and source.endswith(".toml")):
        start = PRESETS[DEFAULT]
        values = changes_in(Path(source), start.world)
    else:
        refuse("source", source, f"{', '.join(PRESETS)}, a file FILE.toml, or a configuration")
    given = dict(changes or {})
    if seeds is not None:
        if "seeds" in given:
            refuse("seeds", seeds, "one value; it is given twice")
        given["seeds"] = list(seeds) if isinstance(seeds, Iterable) else seeds
    return changed(start, values | changed_fields(given, start.world))


def stages_of(config: Config) -> tuple[str, ...]:
    """Names the stages that the probe of a configuration rests on, in the order in which they train."""

    def rests_on(stage: str) -> set[str]:
        return {stage}.union(*(rests_on(parent) for parent in parents_of(stage, config)))

    needed = rests_on("probe") - {"probe"}
    return tuple(stage for stage in STAGES if stage in needed)


def prepared(
    config: Config,
    runs: Path,
    stages: Iterable[str],
    join: Callable[[], None] | None = None,
    called: str = "runs",
) -> Trained:
    """Starts JAX for the stages of a configuration, once it is known that the machine has the memory for them.

    `join` brings in other hosts, whose memory is not asked. `called`: the name that the user knows `runs` by. Raises
    UserError.
    """
    if join is None:
        memory.check(config, tuple(stages))
    _start(runs, called, join)
    from implicit_inference.training.loop import Trained

    return Trained.of(config, runs)


def train(trained: Trained, stages: Iterable[str], progress: bool = True) -> None:
    """Brings stages to their end, one after the other, and shows how far they are."""
    from implicit_inference.runs import hosts
    from implicit_inference.show.terminal import training_progress
    from implicit_inference.training.loop import train_stage

    for stage in stages:
        shown: AbstractContextManager[Any] = nullcontext(lambda progress: None)
        if progress:
            shown = training_progress(trained.run_of(stage), hosts.alone())
        with hosts.together(), shown as report:
            train_stage(trained, stage, report)


def measured(trained: Trained, stages: Iterable[str], progress: bool = True) -> Probe:
    """Brings these stages of a probe to their end and measures it, or finds it measured."""
    train(trained, stages, progress)
    from implicit_inference.measure.probe import probe
    from implicit_inference.show.terminal import counting_progress

    shown = counting_progress(trained.run_of("probe")) if progress else nullcontext(lambda done, total: None)
    with shown as count:
        return Probe(probe(trained, count).directory)


def _finished(runs: Path, stage: str, config: Config) -> bool:
    from implicit_inference.runs.store import Run

    return Run(runs / run_id(stage, config)).finished


def _axis(path: str, values: Any) -> list[Any]:
    """The values of an axis; raises ConfigError unless there is at least one, each once."""
    found = list(values) if isinstance(values, Iterable) and not isinstance(values, str | Mapping) else []
    if not found or len({repr(value) for value in found}) < len(found):
        refuse(path, values, "in axes, a list of at least one value, each once")
    return found


def _start(runs: Path, called: str, join: Callable[[], None] | None = None) -> None:
    """Makes the directory of runs, then starts JAX; raises UserError where one of them cannot be."""
    try:
        runs.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        allowed = "allowed: a directory that is there or can be made"
        raise UserError(f"{called} {quoted(str(runs))}: {error.strerror}; {allowed}") from error
    runtime.prepare(join or (lambda: None))


def _of_one(packed: Predictor, place: int) -> Predictor:
    """The predictor of one seed, as plain arrays, from one that is packed over seeds."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    one: Predictor = jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf)[place]), packed)
    return one
