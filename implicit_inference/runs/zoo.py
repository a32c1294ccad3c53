"""The zoo: the finished runs of a few presets, which come with the package and are read like any others.

python -m implicit_inference.runs.zoo [--runs runs]     (make zoo)

copies the files that count of the finished runs of KEPT into the package, instead of those that lie there.
"""

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from implicit_inference.config.changes import PRESETS
from implicit_inference.config.flags import Parser
from implicit_inference.config.identity import run_id
from implicit_inference.runs import process, store
from implicit_inference.runs.files import write_whole
from implicit_inference.runs.store import Run, StoreError

ZOO = Path(__file__).parent.parent / "zoo"
PREFIX = "zoo/"
KEPT = ("demo", "language-demo")
"""The presets whose runs come with the package"""
INDEX = "presets.json"
"""preset -> the id of its probe, which stays when presets get further fields"""


def find(runs: Path, id: str, stage: str | None = None, unfinished: bool = False) -> Run:
    """Finds a run as `store.find` does; one named like `zoo/demo` is the probe of that preset, from the zoo."""
    if not id.startswith(PREFIX) or stage not in (None, "probe"):
        return store.find(runs, id, stage, unfinished)
    return probe_of(id)


def probe_of(name: str) -> Run:
    """Gives the probe of a preset, named like `zoo/demo`. Raises StoreError for one that the zoo does not have."""
    known = {f"{PREFIX}{preset}": id for preset, id in json.loads((ZOO / INDEX).read_text()).items()}
    if name not in known:
        raise StoreError(f"{name}: is not in the zoo; allowed: {', '.join(known)}")
    return Run(ZOO / known[name])


def fill(runs: Path, presets: Sequence[str] = KEPT) -> list[Run]:
    """Replaces all that is in the zoo by the finished runs of presets, from a directory of runs; returns their probes.

    Raises StoreError, before anything is removed, if one of them is missing or unfinished.
    """
    probes = [Run(runs / run_id("probe", PRESETS[preset])) for preset in presets]
    if missing := [preset for preset, run in zip(presets, probes, strict=True) if not run.finished]:
        raise StoreError(f"{runs}: holds no finished probe of {', '.join(missing)}; run each preset first")
    kept = {run.id: run for probe in probes for run in (*probe.parents(), probe)}
    shutil.rmtree(ZOO, ignore_errors=True)
    for run in kept.values():
        (ZOO / run.id).mkdir(parents=True)
        for name in ("run.json", *run.info()["files"]):
            shutil.copyfile(run.path(name), ZOO / run.id / name)
    index = {preset: probe.id for preset, probe in zip(presets, probes, strict=True)}
    write_whole(ZOO / INDEX, (json.dumps(index, indent=2) + "\n").encode())
    return probes


def main() -> int:
    parser = Parser(prog="python -m implicit_inference.runs.zoo", allow_abbrev=False)
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="directory of all runs")

    def command() -> int:
        for run in fill(parser.parse_args().runs):
            print(ZOO / run.id)
        return 0

    return process.run("zoo", command)


if __name__ == "__main__":
    sys.exit(main())
