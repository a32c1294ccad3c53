"""The scales of every experiment, and its command line.

Trained runs lie in one directory and are shared by all experiments; the small table goes to
figures/data/SCALE/NAME.csv, for the figure.
"""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from implicit_inference.runs import process, runtime

PROGRAM = Path(sys.argv[0])
if PROGRAM.resolve().parent == Path(__file__).resolve().parent:  # an experiment is what runs
    process.begin(f"experiments/{PROGRAM.name}")
    if code := process.run(f"experiments/{PROGRAM.name}", runtime.import_jax):
        sys.exit(code)

from implicit_inference.config.changes import PRESETS, override
from implicit_inference.config.fields import Config
from implicit_inference.config.flags import Parser
from implicit_inference.study.experiment import Experiment
from implicit_inference.worlds import described

ROOT = Path(__file__).parent.parent
FAMILIES = described("regression").families
MOVES = {"labels times 2": ("label_scale", 2.0), "chosen rotations": ("choice", None)}
"""The conjugations of which it is claimed that they bring back more than the null"""

SCALES: dict[str, Config] = {
    "smoke": override(
        PRESETS["smoke"],
        {"seeds": [0, 1, 2, 3], "finetune.keep_every": 5},
    ),
    "laptop": override(PRESETS["demo"], {"seeds": list(range(8)), "finetune.keep_every": 1}),
    "workstation": override(
        PRESETS["demo"],
        {
            "seeds": list(range(6)),
            "tasks": {"dim": 8, "n_discrete": 16},
            "prompts.length": 24,
            "model.width": 64,
            "pretrain.steps": 8000,
            "finetune.keep_every": 4,
            "probe.scratch_steps": 2000,
        },
    ),
    # scratch as long as pretraining would double the time; the page of this scale says how long it was
    "paper": override(PRESETS["paper"], {"finetune.keep_every": 4, "probe.scratch_steps": 1000}),
}

LANGUAGES: dict[str, Config] = {
    "smoke": override(PRESETS["language-smoke"], {"seeds": [0, 1, 2, 3]}),
    "laptop": PRESETS["language-demo"],
    "paper": PRESETS["language-paper"],
}
TRANSLATED = {"translations into the second language": ("translation", 2.0), "chosen permutations": ("choice", None)}
"""Those of languages"""


def base_of(experiment: Experiment, scale: str) -> Config:
    """The configuration that a scale starts from, in the world of an experiment and with its seeds."""
    base = (LANGUAGES if experiment.world == "language" else SCALES)[scale]
    return replace(base, seeds=tuple(range(experiment.seeds)) or base.seeds)


def main(experiment: Experiment, arguments: Sequence[str] | None = None) -> int:
    """The command line; the answer is printed, the table and the findings are stored."""
    name = f"experiments/{experiment.name}.py"
    parser = Parser(prog=name, allow_abbrev=False)
    parser.add_argument("--scale", choices=list(SCALES), default="smoke", help="default: smoke")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs", help="directory of all runs")
    parser.add_argument("--data", type=Path, default=ROOT / "figures" / "data", help="where the table goes")

    def command() -> int:
        options = parser.parse_args(arguments)
        if options.scale not in experiment.variants:
            print(f"{name}: asks nothing at scale {options.scale}")
            return 0
        runtime.prepare()
        folder = options.data / options.scale
        for finding in experiment.run(base_of(experiment, options.scale), options.scale, options.runs, folder):
            among = f", one of {finding.comparisons} primary claims" if finding.comparisons > 1 else ""
            print(f"{finding.verdict}{among}: {finding.claim}\n    {finding.numbers}")
        print(f"table: {folder / experiment.name}.csv")
        return 0

    return process.run(name, command)
