"""The commands `implicit-inference lm ...`. Heavy imports stay inside, so that help and errors are instant."""

from __future__ import annotations

import argparse
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from implicit_inference.config.errors import ConfigError, counted, quoted
from implicit_inference.config.flags import number, whole

if TYPE_CHECKING:
    from implicit_inference.lm.probe import Source

DTYPES = ("float32", "bfloat16")
MOST_SEEDS = 1000


def add(commands: Any, parser_class: type[argparse.ArgumentParser]) -> None:
    """Adds the group to the commands of a parser."""
    about = "probe a real language model from a local directory (needs the extra `lm`)"
    group = commands.add_parser("lm", help=about, description=about, allow_abbrev=False)
    below = group.add_subparsers(metavar="COMMAND", required=True, parser_class=parser_class)

    def command(name: str, function: Any, about: str, runs: bool = True) -> argparse.ArgumentParser:
        sub: argparse.ArgumentParser = below.add_parser(name, help=about, description=about, allow_abbrev=False)
        sub.set_defaults(command=function)
        if runs:
            sub.add_argument("--runs", type=Path, default=Path("runs"), help="directory of all runs (default: runs)")
            sub.add_argument("--dtype", choices=DTYPES, default="float32", help="of weights (default: float32)")
        return sub

    sub = command("probe", probe, "ask a model before and after tuning; table, figure, page")
    sub.add_argument("--base", type=Path, required=True, metavar="DIR", help="the model before")
    sub.add_argument("--tuned", required=True, metavar="DIR|RUN", help="the model after, or a run of lm tune")
    sub.add_argument("--neutral", metavar="DIR|RUN", help="a control: the model after a neutral tuning")
    sub.add_argument("--prompts", type=Path, metavar="FILE", help="TOML or JSONL (default: the prompts shipped)")
    sub.add_argument("--n", type=whole("n"), default=64, help="items a pair and draw (default: 64)")
    sub.add_argument("--seeds", type=seeds, default=(0,), help="draws of items: how many, or a list 0,1 (default: 1)")
    sub.add_argument("--doses", type=doses, default=(1.0,), help="factors of the update, a list (default: 1)")
    sub = command("tune", tune, "tune a model by low-rank updates on answers in English")
    sub.add_argument("--model", type=Path, required=True, metavar="DIR", help="the model to tune")
    sub.add_argument("--tasks", type=tasks, default=("math",), help="a list of math, blank, text (default: math)")
    sub.add_argument("--steps", type=whole("steps"), default=8, help="(default: 8)")
    sub.add_argument("--seeds", type=seeds, default=(0, 1, 2), help="how many, or a list 0,1 (default: 3)")
    sub.add_argument("--batch", type=whole("batch"), default=8, help="examples in a step (default: 8)")
    sub.add_argument("--rank", type=whole("rank"), default=8, help="of the updates (default: 8)")
    sub.add_argument("--learning-rate", type=number("learning-rate", 1.0), default=1e-3, help="(default: 0.001)")
    sub.add_argument("--weight-decay", type=number("weight-decay", 10.0, True), default=0.0, help="(default: 0)")
    sub = command("convert", convert, "write a GGUF file as a model directory (needs the extra `lm-gguf`)", runs=False)
    sub.add_argument("file", type=Path, metavar="FILE.gguf")
    sub.add_argument("directory", type=Path, metavar="DIR")


def tune(options: argparse.Namespace) -> int:
    """Tunes a model; finished seeds are kept."""
    from implicit_inference.lm.models.directory import opened
    from implicit_inference.lm.store import begun

    model = opened(options.model)
    if options.rank > (most := min(map(min, model.architecture.kernels.values()))):
        raise ConfigError(f"rank = {options.rank}: allowed: at most {most}, the least side of this model's matrices")
    _prepare()
    import pandas as pd

    from implicit_inference.lm.tuning import Tuning, tune
    from implicit_inference.show.terminal import sweep_progress
    from implicit_inference.study.results import Results, write_csv

    names = ("tasks", "steps", "batch", "rank", "learning_rate", "weight_decay", "dtype")
    tuning = Tuning(**{name: getattr(options, name) for name in names})
    settings = {"base": model.fingerprint, "seeds": list(options.seeds)} | asdict(tuning)
    with begun(options.runs, "lm-tune", settings) as run:
        with sweep_progress(run.id) as update:
            losses = pd.DataFrame(tune(model, tuning, options.seeds, run, update))
        write_csv(Results(losses), run.path("losses.csv"))
        before, after = losses.groupby("step")["held_out"].mean().dropna()
        print(f"run      {run.directory}\nlosses   {run.path('losses.csv')}")
        print(f"loss of examples never tuned on: {before:.3f} before, {after:.3f} after")
    return 0


def probe(options: argparse.Namespace) -> int:
    """Probes a model; what is scored is kept."""
    from implicit_inference.lm import prompts
    from implicit_inference.lm.models.directory import opened
    from implicit_inference.lm.store import begun

    chosen = prompts.read(options.prompts, options.n, options.seeds)
    base = opened(options.base)
    _prepare()
    from implicit_inference.lm import page, results
    from implicit_inference.lm import probe as probing
    from implicit_inference.show.terminal import sweep_progress
    from implicit_inference.study.results import Results, write_csv

    told = {probing.TUNED: options.tuned, probing.NEUTRAL: options.neutral}
    sources = {name: _source(value, options.runs) for name, value in told.items() if value}
    probing.checked(base, sources, options.doses)
    texts = probing.split(base, [*sources.values()], chosen)
    settings = {
        "base": base.fingerprint,
        "prompts": probing.digest(chosen),
        "n": options.n,
        "draws": list(options.seeds),
        "doses": list(options.doses),
        "dtype": options.dtype,
    } | {name: source.name for name, source in sources.items()}
    with begun(options.runs, "lm-probe", settings) as run:
        networks = probing.networks_of(base, sources, options.doses, options.dtype)
        with sweep_progress(run.id) as update:
            table = probing.probe(base, networks, chosen, texts, options.dtype, run, update)
        found = results.results(table)
        write_csv(Results(found), run.path("results.csv"))
        title = f"{base.path.name}, {probing.seeds_told(sources)}, {counted(options.n, 'item')} a pair"
        page.write(found, title, run)
        print(results.told(found))
        for name, file in (
            ("table", probing.TABLE),
            ("results", "results.csv"),
            ("figure", page.FIGURE),
            ("page", page.PAGE),
        ):
            print(f"{name:8} {run.path(file)}")
    return 0


def convert(options: argparse.Namespace) -> int:
    """Converts a GGUF file."""
    from implicit_inference.lm.models.convert import convert
    from implicit_inference.show.terminal import sweep_progress

    with sweep_progress(options.directory.name) as update:
        convert(options.file, options.directory, update)
    print(f"model    {options.directory}")
    return 0


def _prepare() -> None:
    """Starts JAX."""
    from implicit_inference.runs import runtime

    runtime.prepare()


def _source(value: str, runs: Path) -> Source:
    """A tuned model: a directory with a model, or a run."""
    from implicit_inference.lm.models.directory import opened
    from implicit_inference.lm.probe import Source
    from implicit_inference.lm.store import SETTINGS, found

    if Path(value).is_dir() and not (Path(value) / SETTINGS).exists():
        return Source(opened(Path(value)))
    return Source(found(runs, value))


def seeds(text: str) -> tuple[int, ...]:
    """Seeds as a flag tells them: `3` = 0,1,2; a list with commas as it is."""
    parts = text.split(",")
    if not all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts):
        raise ConfigError(f"seeds = {quoted(text)}: allowed: how many, or a list of whole numbers >= 0 such as 0,1")
    numbers = tuple(map(int, parts))
    found = tuple(range(min(numbers[0], MOST_SEEDS + 1))) if len(numbers) == 1 else numbers
    if not 1 <= len(found) <= MOST_SEEDS or len(set(found)) < len(found):
        raise ConfigError(f"seeds = {quoted(text)}: allowed: 1 to {MOST_SEEDS} of them, each once")
    return found


def doses(text: str) -> tuple[float, ...]:
    """Doses as a flag tells them, in ascending order."""
    try:
        found = sorted(map(float, text.split(",")))
    except ValueError as error:
        raise ConfigError(f"doses = {quoted(text)}: allowed: a list of numbers such as 0.5,1") from error
    if len(set(found)) < len(found) or not all(math.isfinite(dose) and 0 < dose <= 100 for dose in found):
        raise ConfigError(f"doses = {quoted(text)}: allowed: numbers above 0, at most 100, each once")
    return tuple(found)


def tasks(text: str) -> tuple[str, ...]:
    """Lessons as a flag tells them."""
    from implicit_inference.lm.prompts import LESSONS

    found = tuple(text.split(","))
    if not set(found) <= set(LESSONS) or len(set(found)) < len(found):
        raise ConfigError(f"tasks = {quoted(text)}: allowed: a list of {', '.join(LESSONS)}, each once")
    return found
