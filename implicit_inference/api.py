"""The main job from Python: runs an experiment or finds it, and sweeps over many.

No jax, pandas or matplotlib here until they are needed: a wrong name is told at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from implicit_inference.config import memory
from implicit_inference.config.changes import PRESETS, base, changed, changed_fields, changes_in, start_of
from implicit_inference.config.errors import refuse
from implicit_inference.config.fields import Config
from implicit_inference.config.identity import rests_on, run_id
from implicit_inference.finished import RUNS, Probe
from implicit_inference.runs import runtime
from implicit_inference.runs.files import make
from implicit_inference.sweeps.axes import Sweep, of_file, read
from implicit_inference.worlds import WORLDS

if TYPE_CHECKING:
    import pandas as pd

    from implicit_inference.training.loop import Trained

DEFAULT = "demo"
"""The preset that a run starts from unless another is named."""


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


def sweep(
    source: str | Path | Config,
    axes: Mapping[str, Any] | None = None,
    changes: Mapping[str, Any] | None = None,
    *,
    zip: Mapping[str, Any] | None = None,
    seeds: Iterable[int] | None = None,
    stages: Iterable[str] | None = None,
    measure: str | None = None,
    on: str | None = None,
    runs: str | Path = RUNS,
    progress: bool = True,
) -> pd.DataFrame:
    """Runs an experiment for every combination of values; one table of all probes, with the axes as columns.

    `axes`: the values of each field that varies, by dotted path: a list, or a range such as {"start": 1, "stop": 8,
    "num": 4}. `zip`: fields whose values go side by side. Without either, `source` is the file of a sweep, which says
    all but `on` and `runs`. `stages`: those to bring to their end, with all that they rest on. `measure`: probe (all
    rows), summary (headline numbers), training (losses). `on`: local, local:PROCESSES, ray, ray:ADDRESS or slurm;
    None: in this process, one run after the other. Everything else is as for `run`.

    Runs share what they have in common. The table, as Parquet and CSV, and a page lie in the folder `sweep-…` of
    `runs`. On an engine, runs that fail are left out; `attrs["failed"]` of the table has the reason of each. Raises
    ConfigError for any wrong field or value before anything is trained.
    """
    if axes is None and zip is None:
        given = {"changes": changes, "seeds": seeds, "stages": stages, "measure": measure}
        for name, value in given.items():
            if value is not None:
                refuse(name, value, "None where the file of a sweep says it, or axes")
        asked = sweep_of(source)
    else:
        axes = _fields("axes", {} if axes is None else axes)
        listed = list(stages) if isinstance(stages, Iterable) and not isinstance(stages, str) else stages
        start = configured(source, changes, seeds)
        asked = Sweep.of(start, axes, zip, listed, measure, _given(changes, seeds, start))
    from implicit_inference.sweeps.perform import perform
    from implicit_inference.sweeps.table import frame

    outcome = perform(asked, Path(runs), on, progress)

    found = frame(asked, outcome.folder)
    if outcome.failed:
        found.attrs["failed"] = outcome.failed
    return found


def sweep_of(source: Any) -> Sweep:
    """Reads the file of a sweep; raises ConfigError, which names it, for anything that is wrong."""
    if not isinstance(source, Path) and not (isinstance(source, str) and source.endswith(".toml")):
        refuse("axes", None, "a mapping of fields, such as {'tasks.dim': ...}, unless source is the file of a sweep")
    path = Path(source)
    given = read(path)
    with of_file(path):
        source = given.get("config", given.get("preset", DEFAULT))
        changes, seeds = given.get("changes"), given.get("seeds")
        start = configured(source, changes, seeds)
        axes, together = given.get("product"), given.get("zip")
        fixed = _given(changes, seeds, start)
        return Sweep.of(start, axes, together, given.get("stages"), given.get("measure"), fixed)


def _given(changes: Mapping[str, Any] | None, seeds: Any, start: Config) -> set[str]:
    """The fields that changes and seeds have given a value."""
    return {*changed_fields(changes or {}, start.world), *(() if seeds is None else ("seeds",))}


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
        start = start_of(Path(source), PRESETS[DEFAULT])
        values = changes_in(Path(source), start.world)
    else:
        refuse("source", source, f"{', '.join(PRESETS)}, a file FILE.toml, or a configuration")
    given = _fields("changes", {} if changes is None else changes)
    if seeds is not None:
        if "seeds" in given:
            refuse("seeds", seeds, "one value; it is given twice")
        given["seeds"] = list(seeds) if isinstance(seeds, Iterable) else seeds
    return changed(start, values | changed_fields(given, start.world))


def stages_of(config: Config) -> tuple[str, ...]:
    """Names the stages that the probe of a configuration rests on, in the order in which they train."""
    return rests_on(("probe",), config)[:-1]


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
        progress_bar: AbstractContextManager[Any] = nullcontext(lambda progress: None)
        if progress:
            progress_bar = training_progress(trained.run_of(stage), hosts.alone())
        with hosts.together(), progress_bar as report:
            train_stage(trained, stage, report)


def measured(trained: Trained, stages: Iterable[str], progress: bool = True) -> Probe:
    """Brings these stages of a probe to their end and measures it, or finds it measured."""
    train(trained, stages, progress)
    from implicit_inference.measure.probe import probe
    from implicit_inference.show.terminal import counting_progress

    progress_bar = counting_progress(trained.run_of("probe")) if progress else nullcontext(lambda done, total: None)
    with progress_bar as count:
        return Probe(probe(trained, count).directory)


def _finished(runs: Path, stage: str, config: Config) -> bool:
    from implicit_inference.runs.store import Run

    return Run(runs / run_id(stage, config)).finished


def _fields(argument: str, given: Any) -> dict[str, Any]:
    """The fields that an argument names; raises ConfigError for anything but a mapping."""
    if not isinstance(given, Mapping):
        refuse(argument, given, "a mapping of fields, such as {'tasks.dim': ...}")
    return dict(given)


def _start(runs: Path, called: str, join: Callable[[], None] | None = None) -> None:
    """Makes the directory of runs, then starts JAX; raises UserError where one of them cannot be."""
    make(runs, called)
    runtime.prepare(join or (lambda: None))
