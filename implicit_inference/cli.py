"""The command line. Heavy imports stay inside the commands, so that help and errors are instant."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from implicit_inference import config as configs
from implicit_inference import memory, process
from implicit_inference.arguments import joined, value_of
from implicit_inference.config import Config
from implicit_inference.errors import ConfigError, UserError, quoted
from implicit_inference.meeting import hosts_from

if TYPE_CHECKING:
    from implicit_inference.run import Lab
    from implicit_inference.store import Run

NAME = "implicit-inference"
SIZES = ("S", "M", "G")
CHILDREN = {
    "finetune": ("pretrain", ("finetune", "adapt"), "fine-tune a pretrain run"),
    "student": ("finetune", ("lesson", "student"), "train the network before fine-tuning on a teacher's answers"),
    "tune": ("pretrain", ("control", "tune"), "tune one control for each preference on the frozen network"),
    "steer": ("tune", ("steer",), "train tuned controls and their network together"),
}
"""command -> (the stage of its parent, the sections that are free, what it does)"""


class Parser(argparse.ArgumentParser):
    """argparse with one-line errors and exit code 2."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(message)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command and returns its exit code; mistakes are one line on stderr and exit code 2."""

    def command() -> int:
        options = parser().parse_args(joined(sys.argv[1:] if arguments is None else arguments))
        return options.command(options)

    return process.run(NAME, command)


def parser() -> Parser:
    """All commands and flags."""
    top = Parser(prog=NAME, description="A simulator of implicit task inference.", allow_abbrev=False)
    commands = top.add_subparsers(metavar="COMMAND", required=True, parser_class=Parser)

    def command(name: str, function: Any, about: str) -> Parser:
        sub = commands.add_parser(name, help=about, description=about, allow_abbrev=False)
        sub.set_defaults(command=function)
        sub.add_argument("--runs", type=Path, default=Path("runs"), help="directory of all runs (default: runs)")
        return sub

    for name, function, about in (
        ("run", run, "pretrain, fine-tune, probe, draw the figures and the report; finished stages are skipped"),
        ("pretrain", pretrain, "only the pretraining stage"),
    ):
        sub = command(name, function, about)
        if name == "pretrain":
            _add_hosts(sub)
        _add_fields(sub, "demo", "demo")
    for name, (parent, _, about) in CHILDREN.items():
        sub = command(name, child, about)
        sub.set_defaults(stage=name)
        sub.add_argument("--parent", required=True, metavar="ID", help=f"a {parent} run")
        _add_hosts(sub)
        _add_fields(sub, None, "the one nearest to the parent")
    sub = command("probe", probe, "measure a fine-tuning run (trains its scratch control if need be)")
    sub.add_argument("id", metavar="ID", help="a fine-tuning run")
    _add_fields(sub, None, "the one nearest to the run")
    command("figures", figures, "draw the figures of a probe from its table").add_argument(
        "id", metavar="ID", help="a probe"
    )
    sub = command("report", report, "write one report page about one probe or many")
    sub.add_argument("ids", metavar="ID", nargs="*", help="probes (default: all finished ones)")
    sub.add_argument(
        "--out", type=Path, metavar="FILE.html", help="(default: report.html in the probe, or in --runs for many)"
    )
    command("show", show, "print a run: its configuration, parents and numbers").add_argument("id", metavar="ID")
    command("presets", presets, "print the presets")
    sub = command("bench", bench, "measure speed, side by side: training, its parts, compilation, inference")
    sub.add_argument("--sizes", nargs="+", choices=SIZES, default=SIZES, help="the sizes to measure (default: all)")
    return top


def _add_fields(sub: Parser, preset: str | None, which: str) -> None:
    presets = list(configs.PRESETS)
    sub.add_argument("--preset", choices=presets, default=preset, help=f"where to start (default: {which})")
    sub.add_argument("--config", type=Path, metavar="FILE.toml", help="fields that differ from the preset")
    group = sub.add_argument_group("fields (see `presets` for each preset's; lists with commas: 1,2)")
    for path, _, field in configs.fields_of(Config):
        flag = "--" + path.replace("_", "-")
        group.add_argument(flag, dest=path, metavar="VALUE", default=argparse.SUPPRESS, help=field.metadata["about"])


def _add_hosts(sub: Parser) -> None:
    sub.add_argument(
        "--hosts",
        type=hosts_from,
        metavar="ADDRESS:PORT,COUNT,INDEX",
        default=argparse.SUPPRESS,
        help="share the work: the same command on every host, with one directory of runs; `auto` on a known cluster",
    )


def _changes(options: argparse.Namespace) -> dict[str, Any]:
    """{path: value} of the fields given in --config and, rather, as flags."""
    from_file = configs.changes_in(options.config) if options.config else {}
    given = {path: getattr(options, path) for path in configs.FIELDS if hasattr(options, path)}
    as_flags = {path: value_of(configs.FIELDS[path][0], text) for path, text in given.items()}
    return from_file | configs.changed_fields(as_flags)


def run(options: argparse.Namespace) -> int:
    lab = _lab(_new_config(options), options, "pretrain", "scratch", "finetune", "probe")
    _train(lab, "pretrain", "scratch", "finetune")
    return _probe_and_show(lab)


def pretrain(options: argparse.Namespace) -> int:
    _train(_lab(_new_config(options), options, "pretrain"), "pretrain")
    return 0


def child(options: argparse.Namespace) -> int:
    parent, free, _ = CHILDREN[options.stage]
    config = _child_config(options, options.parent, parent, free)
    _train(_lab(config, options, options.stage), options.stage)
    return 0


def probe(options: argparse.Namespace) -> int:
    lab = _lab(_child_config(options, options.id, "finetune", ("probe",)), options, "scratch", "probe")
    _train(lab, "scratch")
    return _probe_and_show(lab)


def figures(options: argparse.Namespace) -> int:
    from implicit_inference import store

    found = store.find(options.runs, options.id, "probe")
    from implicit_inference import plots

    for path in plots.draw_all(found):
        print(path)
    return 0


def report(options: argparse.Namespace) -> int:
    from implicit_inference import store

    found = [store.find(options.runs, id, "probe") for id in dict.fromkeys(options.ids)]
    found = found or store.finished_runs(options.runs, "probe")
    if not found:
        raise store.StoreError(f"no finished probe run in {options.runs} yet; make one with: implicit-inference run")
    from implicit_inference import report as page

    print(
        page.write(
            found, options.out or (found[0].path("report.html") if len(found) == 1 else options.runs / "report.html")
        )
    )
    return 0


def show(options: argparse.Namespace) -> int:
    from implicit_inference import store

    found = store.find(options.runs, options.id, unfinished=True)
    print(f"# {found.directory}\n# {found.info()}\n")
    print(configs.stored_text(found.stage, found.config()))
    if not found.finished:
        print(_how_far(found))
    elif found.stage == "probe":
        from implicit_inference.progress import console, summary_table
        from implicit_inference.summary import summary_of

        console.print(summary_table(summary_of(found)))
    return 0


def _how_far(unfinished: Run) -> str:
    """How far a stage had got when its state was last saved."""
    resume = "the command that began it resumes it"
    if not unfinished.path("checkpoint.safetensors").exists():
        return f"unfinished; nothing of it is kept yet; {resume}"
    step = max(row["step"] for row in unfinished.read_table("training.parquet"))
    return f"unfinished; step {step} of {getattr(unfinished.config(), unfinished.stage).steps} is kept; {resume}"


def presets(options: argparse.Namespace) -> int:
    for name, preset in configs.PRESETS.items():
        print(f"# {name}\n\n{configs.to_toml(preset)}")
    return 0


def bench(options: argparse.Namespace) -> int:
    from implicit_inference import runtime

    runtime.prepare()
    from implicit_inference.bench import suite

    suite.run(options.sizes)
    return 0


def _new_config(options: argparse.Namespace) -> Config:
    return configs.changed(configs.PRESETS[options.preset], _changes(options))


def _child_config(options: argparse.Namespace, parent_id: str, parent_stage: str, free: tuple[str, ...]) -> Config:
    """The parent's configuration with free sections: those of the preset given or nearest, and the changes to them."""
    from implicit_inference import store

    changes = _changes(options)
    own = {path: value for path, value in changes.items() if path.split(".")[0] in free}
    configs.changed(configs.PRESETS[options.preset or "demo"], own, set(free))  # what no parent can mend
    parent = store.find(options.runs, parent_id, parent_stage)
    base = parent.config()
    preset = configs.PRESETS[options.preset or configs.nearest_preset(parent_stage, base)]
    base = replace(base, **{section: getattr(preset, section) for section in free})
    for path, value in changes.items():
        if path not in own and (fixed := configs.value_of(base, path)) != value:
            allowed = " and ".join(f"{section}.*" for section in free)
            fault = f"is fixed by {parent.id} ({quoted(fixed)})"
            raise ConfigError(f"{path} = {quoted(value)}: {fault}; allowed here: {allowed}")
    return configs.changed(base, own, configs.sections_of(parent_stage) | set(free))


def _lab(config: Config, options: argparse.Namespace, *stages: str) -> Lab:
    """The lab of a configuration, once it is known that the machine has the memory for its stages."""
    if "hosts" not in options:
        memory.check(config, stages)
    from implicit_inference import runtime

    _make(options.runs)
    runtime.prepare(lambda: _join(options))
    from implicit_inference.run import Lab

    return Lab(config, options.runs)


def _make(runs: Path) -> None:
    """Makes the directory of runs before anything slow begins."""
    try:
        runs.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        allowed = "allowed: a directory that is there or can be made"
        raise UserError(f"--runs {quoted(str(runs))}: {error.strerror}; {allowed}") from error


def _join(options: argparse.Namespace) -> None:
    if "hosts" in options:
        from implicit_inference import hosts

        hosts.join(options.hosts)


def _train(lab: Lab, *stages: str) -> None:
    from implicit_inference import hosts
    from implicit_inference.progress import training_progress
    from implicit_inference.run import train_stage

    for stage in stages:
        with hosts.together(), training_progress(lab.run_of(stage)) as report:
            train_stage(lab, stage, report)


def _probe_and_show(lab: Lab) -> int:
    from implicit_inference import report as page
    from implicit_inference.probe import probe
    from implicit_inference.progress import console, counting_progress, summary_table
    from implicit_inference.summary import summary_of

    with counting_progress(lab.run_of("probe")) as count:
        done = probe(lab, count)
    console.print(summary_table(summary_of(done)))
    print(f"result   {done.path('result.json')}\ntable    {done.path('table.parquet')}")
    print(f"figures  {done.path('figures')}\nreport   {page.write([done], done.path('report.html'))}")
    return 0


if __name__ == "__main__":
    process.begin(NAME)
    process.leave(main)
