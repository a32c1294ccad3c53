"""The command line. Heavy imports stay inside the commands, so that help and errors are instant."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from implicit_inference import api
from implicit_inference.config import changes as configs
from implicit_inference.config import identity
from implicit_inference.config.errors import ConfigError, UserError, one_line, quoted
from implicit_inference.config.fields import Config
from implicit_inference.config.flags import FieldParser, Parser, add_fields, changes, joined, number
from implicit_inference.config.stages import PROBED, STAGES
from implicit_inference.engines.engine import ENGINES
from implicit_inference.lm import command as language_models
from implicit_inference.runs import process
from implicit_inference.runs.meeting import hosts_from

if TYPE_CHECKING:
    from implicit_inference.runs.store import Run
    from implicit_inference.training.loop import Trained

NAME = "implicit-inference"
SIZES = ("S", "M", "G")
CHILDREN = {name: plan for name, plan in STAGES.items() if plan.command}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command and returns its exit code; mistakes are one line on stderr and exit code 2."""

    def command() -> int:
        if "_ARGCOMPLETE" in os.environ:  # a shell asks how the line goes on
            import argcomplete

            argcomplete.autocomplete(parser())
        options = parser().parse_args(joined(sys.argv[1:] if arguments is None else arguments))
        return options.command(options)

    return process.run(NAME, command)


def parser() -> Parser:
    """All commands and flags."""
    top = FieldParser(prog=NAME, description="A simulator of implicit task inference.", allow_abbrev=False)
    top.add_argument("--version", action=Version, nargs=0, help="print the version and exit")
    commands = top.add_subparsers(metavar="COMMAND", required=True, parser_class=Parser)

    def command(name: str, function: Any, text: str) -> Parser:
        sub = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        sub.set_defaults(command=function)
        sub.add_argument("--runs", type=Path, default=Path("runs"), help="directory of all runs (default: runs)")
        return sub

    for name, function, text in (
        ("run", run, "pretrain, fine-tune, probe, draw the figures and the report; finished stages are skipped"),
        ("pretrain", pretrain, "only the pretraining stage"),
    ):
        sub = command(name, function, text)
        if name == "pretrain":
            add_hosts(sub)
        add_fields(sub, "demo", "demo")
    sub = command("sweep", sweep, "run a sweep: every combination of values in a file; finished runs are skipped")
    sub.add_argument("file", type=Path, metavar="FILE.toml", help="the sweep (docs/sweeps.md)")
    sub.add_argument("--on", default="local", metavar="ENGINE", help=f"{ENGINES} (default: local)")
    for name, plan in CHILDREN.items():
        sub = command(name, child, plan.command)
        sub.set_defaults(stage=name)
        sub.add_argument("--parent", required=True, metavar="ID", help=f"a {plan.parents[-1]} run")
        add_hosts(sub)
        add_fields(sub, None, "the one nearest to the parent")
    sub = command("probe", probe, "measure a fine-tuned, taught or steered network (trains scratch if need be)")
    sub.add_argument("id", metavar="ID", help="a finetune, student or steer run")
    add_fields(sub, None, "the one nearest to the run")
    sub = command("figures", figures, "draw the figures of a probe from its table")
    sub.add_argument("id", metavar="ID", help="a probe")
    sub.add_argument("--out", type=Path, metavar="DIR", help="(default: figures in the probe)")
    sub = command("report", report, "write one report page about one probe or many")
    sub.add_argument("ids", metavar="ID", nargs="*", help="probes (default: all finished ones)")
    sub.add_argument(
        "--out", type=Path, metavar="FILE.html", help="(default: report.html in the probe, or in --runs for many)"
    )
    command("show", show, "print a run: its configuration, parents and numbers").add_argument("id", metavar="ID")
    command("presets", presets, "print the presets")
    sub = command("bench", bench, "measure speed, side by side: training, its parts, compilation, inference")
    sub.add_argument("--sizes", nargs="+", choices=SIZES, help="the sizes to measure (default: all; quick: S)")
    bound = sub.add_mutually_exclusive_group()
    bound.add_argument("--minutes", type=number("minutes", 1440.0), default=6.0, help="cuts rounds to fit (default: 6)")
    bound.add_argument("--quick", action="store_true", help="fewer sizes and rounds, in about a minute")
    language_models.add(commands, Parser)
    return top


class Version(argparse.Action):
    """Prints the version of the installed package, and ends the process."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from importlib.metadata import version

        print(f"{NAME} {version(NAME)}")
        parser.exit()


def add_hosts(sub: Parser) -> None:
    """Adds --hosts."""
    sub.add_argument(
        "--hosts",
        type=hosts_from,
        metavar="ADDRESS:PORT,COUNT,INDEX",
        default=argparse.SUPPRESS,
        help="share the work: the same command on every host, with one directory of runs; `auto` on a known cluster",
    )


def run(options: argparse.Namespace) -> int:
    config = _new_config(options)
    stages = api.stages_of(config)
    return _tell(api.measured(_trained(config, options, *stages, "probe"), stages))


def pretrain(options: argparse.Namespace) -> int:
    api.train(_trained(_new_config(options), options, "pretrain"), ["pretrain"])
    return 0


def sweep(options: argparse.Namespace) -> int:
    asked = api.sweep_of(options.file)
    from implicit_inference.sweeps.perform import perform

    outcome = perform(asked, options.runs, options.on, True, "--runs")
    print(f"table    {outcome.folder / 'table.parquet'}\ntable    {outcome.folder / 'table.csv'}")
    print(f"report   {outcome.folder / 'report.html'}", flush=True)
    for run, reason in outcome.failed.items():
        print(one_line(f"failed: {run}: {reason}"), file=sys.stderr)
    return 1 if outcome.failed else 0


def child(options: argparse.Namespace) -> int:
    plan = CHILDREN[options.stage]
    config = _child_config(options, options.parent, plan.parents[-1], plan.reads)
    api.train(_trained(config, options, options.stage), [options.stage])
    return 0


def probe(options: argparse.Namespace) -> int:
    stage = _probed(options)
    config = configs.changed(_child_config(options, options.id, stage, ("probe",)), {"probe.stage": stage})
    return _tell(api.measured(_trained(config, options, "scratch", "probe"), ["scratch"]))


def _probed(options: argparse.Namespace) -> str:
    """The stage of the run that is to be measured; `finetune` unless it is another one that can be."""
    try:
        stage = _find(options, options.id).stage
    except UserError:
        return "finetune"
    return stage if stage in PROBED else "finetune"


def figures(options: argparse.Namespace) -> int:
    for path in api.Probe(_find(options, options.id, "probe").directory).figures(options.out):
        print(path)
    return 0


def report(options: argparse.Namespace) -> int:
    from implicit_inference.runs import drafts, store

    named = [_find(options, id, "probe") for id in dict.fromkeys(options.ids)]
    probes = []
    if runs := named or store.runs_of(options.runs, "probe"):
        from implicit_inference.show import report as page

        probes = [page.content_of(run) for run in named] or page.readable(runs)
    if not probes:
        raise store.StoreError(f"no finished probe run in {options.runs} yet; make one with: implicit-inference run")
    for probe in probes:
        drafts.tidy(probe.run)
    if options.out or len(probes) > 1:
        print(page.write(probes, options.out or options.runs / "report.html"))
    else:
        print(page.write_beside(probes[0]))
    return 0


def show(options: argparse.Namespace) -> int:
    found = _find(options, options.id, unfinished=True)
    from implicit_inference.show.terminal import console, first_results

    config, info = found.config(), found.info()
    state = "finished" if info["finished"] else "unfinished"
    print(f"# {found.directory}\n# {state}; parents: {', '.join(info['parents']) or 'none'}\n")
    print(identity.stored_text(found.stage, config))
    if not found.finished:
        print(_how_far(found))
    elif found.stage == "probe":
        console.print(first_results(found))
    return 0


def _find(options: argparse.Namespace, prefix: str, stage: str | None = None, unfinished: bool = False) -> Run:
    """The run of this id; what a killed process left beside a finished one is removed where that is allowed."""
    from implicit_inference.runs import drafts, zoo

    found = zoo.find(options.runs, prefix, stage, unfinished)
    if found.finished:
        drafts.tidy(found)
    return found


def _how_far(unfinished: Run) -> str:
    """How far a stage had got when its state was last saved."""
    resume = "the command that began it resumes it"
    if (step := unfinished.checkpoint) is None:
        return f"unfinished; nothing of it is kept yet; {resume}"
    return f"unfinished; step {step} of {getattr(unfinished.config(), unfinished.stage).steps} is kept; {resume}"


def presets(options: argparse.Namespace) -> int:
    for name, preset in configs.PRESETS.items():
        print(f"# {name}\n\n{configs.to_toml(preset)}")
    return 0


def bench(options: argparse.Namespace) -> int:
    from implicit_inference.runs import runtime

    runtime.prepare()
    from implicit_inference.bench import suite

    sizes = options.sizes or (SIZES[:1] if options.quick else SIZES)
    suite.run(tuple(dict.fromkeys(sizes)), 1.0 if options.quick else options.minutes, options.quick)
    return 0


def _new_config(options: argparse.Namespace) -> Config:
    preset = configs.PRESETS[options.preset]
    start = configs.start_of(options.config, preset) if options.config else preset
    return configs.changed(start, changes(options, start.world))


def _child_config(options: argparse.Namespace, parent_id: str, parent_stage: str, free: tuple[str, ...]) -> Config:
    """The parent's configuration with free sections: those of the preset given or nearest, and the changes to them."""
    try:
        parent = _find(options, parent_id, parent_stage)
    except UserError:
        preset = configs.PRESETS[options.preset or "demo"]
        given = changes(options, preset.world)  # what no parent can mend is told first
        configs.changed(preset, {path: given[path] for path in given if path.split(".")[0] in free}, set(free))
        raise
    base = parent.config()
    given = changes(options, base.world)
    free_changes = {path: value for path, value in given.items() if path.split(".")[0] in free}
    preset = configs.PRESETS[options.preset or identity.nearest_preset(parent_stage, base)]
    base = replace(base, **{section: getattr(preset, section) for section in free})
    for path, value in given.items():
        if path not in free_changes and (fixed := configs.value_of(base, path)) != value:
            allowed = " and ".join(f"{section}.*" for section in free)
            fault = f"is fixed by {parent.id} ({quoted(fixed)})"
            raise ConfigError(f"{path} = {quoted(value)}: {fault}; allowed here: {allowed}")
    return configs.changed(base, free_changes, identity.sections_of(parent_stage) | set(free))


def _trained(config: Config, options: argparse.Namespace, *stages: str) -> Trained:
    """The stages of a configuration, on this host or on several."""
    join = partial(_join, options) if "hosts" in options else None
    return api.prepared(config, options.runs, stages, join, "--runs")


def _join(options: argparse.Namespace) -> None:
    """Joins the other hosts."""
    from implicit_inference.runs import hosts

    process.end_at_once(NAME)
    hosts.join(options.hosts)


def _tell(probe: api.Probe) -> int:
    """Prints the numbers of a probe, draws its figures and writes its page."""
    from implicit_inference.runs.store import Run
    from implicit_inference.show.terminal import console, first_results

    console.print(first_results(Run(probe.directory)))
    print(f"result   {probe.directory / 'result.json'}\ntable    {probe.directory / 'table.parquet'}")
    probe.figures()
    print(f"figures  {probe.directory / 'figures'}\nreport   {probe.report()}")
    return 0


if __name__ == "__main__":
    process.begin(NAME)
    process.leave(main)
