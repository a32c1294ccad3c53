"""The command line. Heavy imports stay inside the commands, so that help and errors are instant."""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, get_origin

from implicit_inference import config as configs
from implicit_inference.config import Config, ConfigError, UserError

if TYPE_CHECKING:
    from implicit_inference.run import Lab

INTERRUPTED = 130


class Parser(argparse.ArgumentParser):
    """argparse with one-line errors and exit code 2."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(message)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; mistakes are one line on stderr and exit code 2."""
    try:
        options = parser().parse_args(_joined(sys.argv[1:] if arguments is None else arguments))
        return options.command(options)
    except OSError as error:
        return _complain(str(error), UserError.exit_code)
    except UserError as error:
        return _complain(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _complain("interrupted; the same command resumes", INTERRUPTED)


def _complain(message: str, code: int) -> int:
    print(f"implicit-inference: {message}", file=sys.stderr)
    return code


def _joined(arguments: Sequence[str]) -> list[str]:
    """`--flag -1,2` as `--flag=-1,2`: argparse takes a list that begins with a minus for another flag."""
    joined: list[str] = []
    for argument in arguments:
        if re.match(r"-[\d.]", argument) and joined and joined[-1].startswith("--") and "=" not in joined[-1]:
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


def parser() -> Parser:
    """All commands and flags."""
    top = Parser(prog="implicit-inference", description="A simulator of implicit task inference.", allow_abbrev=False)
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
        sub.add_argument(
            "--preset", choices=list(configs.PRESETS), default="demo", help="where to start (default: demo)"
        )
        sub.add_argument("--config", type=Path, metavar="FILE.toml", help="fields that differ from the preset")
        _add_fields(sub)
    sub = command("finetune", finetune, "fine-tune a pretraining run")
    sub.add_argument("--parent", required=True, metavar="ID", help="a pretraining run")
    _add_fields(sub)
    sub = command("probe", probe, "measure a fine-tuning run (trains its scratch control if need be)")
    sub.add_argument("id", metavar="ID", help="a fine-tuning run")
    _add_fields(sub)
    for name, function, about in (
        ("figures", figures, "draw the figures of a probe from its table"),
        ("report", report, "write the report page of a probe"),
    ):
        command(name, function, about).add_argument("id", metavar="ID", help="a probe")
    command("show", show, "print a run: its configuration, parents and numbers").add_argument("id", metavar="ID")
    command("presets", presets, "print the presets")
    sub = command("bench", bench, "measure speed, side by side: training, its parts, compilation, inference")
    sub.add_argument("--sizes", default="S,M,G", help="of S, M and G, the sizes to measure (default: all)")
    return top


def _add_fields(sub: Parser) -> None:
    group = sub.add_argument_group("fields (TOML values; see `presets` for each preset's)")
    for path, _, field in configs.fields_of(Config):
        flag = "--" + path.replace("_", "-")
        group.add_argument(flag, dest=path, metavar="VALUE", default=argparse.SUPPRESS, help=field.metadata["about"])


def _changes(options: argparse.Namespace) -> dict[str, Any]:
    """The fields given as flags: TOML values, lists with or without brackets, and other text as it is."""
    changes = {}
    for path, kind, _ in configs.fields_of(Config):
        text = getattr(options, path, None)
        if text is not None:
            in_brackets = get_origin(kind) is tuple and not text.strip().startswith("[")
            try:
                changes[path] = tomllib.loads(f"x = [{text}]" if in_brackets else f"x = {text}")["x"]
            except tomllib.TOMLDecodeError:
                changes[path] = text
    return changes


def run(options: argparse.Namespace) -> int:
    lab = _lab(_new_config(options), options)
    _train(lab, "pretrain", "scratch", "finetune")
    return _probe_and_show(lab)


def pretrain(options: argparse.Namespace) -> int:
    _train(_lab(_new_config(options), options), "pretrain")
    return 0


def finetune(options: argparse.Namespace) -> int:
    _train(_lab(_child_config(options, options.parent, "pretrain", ("finetune", "probe")), options), "finetune")
    return 0


def probe(options: argparse.Namespace) -> int:
    lab = _lab(_child_config(options, options.id, "finetune", ("probe",)), options)
    _train(lab, "scratch")
    return _probe_and_show(lab)


def figures(options: argparse.Namespace) -> int:
    from implicit_inference import plots, store

    for path in plots.draw_all(store.find(options.runs, options.id, "probe")):
        print(path)
    return 0


def report(options: argparse.Namespace) -> int:
    from implicit_inference import plots, store
    from implicit_inference import report as page

    found = store.find(options.runs, options.id, "probe")
    plots.draw_all(found)
    print(page.write(found))
    return 0


def show(options: argparse.Namespace) -> int:
    from implicit_inference import store
    from implicit_inference.progress import console, summary_table

    found = store.find(options.runs, options.id)
    print(f"# {found.directory}\n# {found.info()}\n")
    print(configs.to_toml(found.config()))
    if found.stage == "probe":
        console.print(summary_table(found.read_json("result.json")["summary"]))
    return 0


def presets(options: argparse.Namespace) -> int:
    for name, preset in configs.PRESETS.items():
        print(f"# {name}\n\n{configs.to_toml(preset)}")
    return 0


def bench(options: argparse.Namespace) -> int:
    from implicit_inference import runtime
    from implicit_inference.bench import suite

    runtime.prepare()
    suite.run(options.sizes.split(","))
    return 0


def _new_config(options: argparse.Namespace) -> Config:
    base = configs.PRESETS[options.preset]
    if options.config:
        base = configs.load(options.config, base)
    return configs.override(base, _changes(options))


def _child_config(options: argparse.Namespace, parent_id: str, stage: str, free: tuple[str, ...]) -> Config:
    """The parent's configuration with changes that do not touch what the parent was made with."""
    changes = _changes(options)
    for path, value in changes.items():
        if path.split(".")[0] not in free:
            allowed = " and ".join(f"{section}.*" for section in free)
            raise ConfigError(f"{path} = {value!r}: is fixed by {parent_id}; allowed here: {allowed}")
    configs.override(Config(), changes)
    from implicit_inference import store

    return configs.override(store.find(options.runs, parent_id, stage).config(), changes)


def _lab(config: Config, options: argparse.Namespace) -> Lab:
    from implicit_inference import runtime
    from implicit_inference.run import Lab

    runtime.prepare()
    return Lab(config, options.runs)


def _train(lab: Lab, *stages: str) -> None:
    from implicit_inference.progress import training_progress
    from implicit_inference.run import train_stage

    for stage in stages:
        with training_progress(lab.run_of(stage)) as report:
            train_stage(lab, stage, report)


def _probe_and_show(lab: Lab) -> int:
    from implicit_inference import plots
    from implicit_inference import report as page
    from implicit_inference.probe import probe
    from implicit_inference.progress import console, counting_progress, summary_table

    with counting_progress(lab.run_of("probe")) as count:
        done = probe(lab, count)
    pictures = plots.draw_all(done)
    console.print(summary_table(done.read_json("result.json")["summary"]))
    print(f"result   {done.path('result.json')}\ntable    {done.path('table.parquet')}")
    print(f"figures  {pictures[0].parent}\nreport   {page.write(done)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
