"""The overhead of a sweep: CPU time and memory of its driver at many runs, with a stub in place of training.

python -m implicit_inference.sweeps.overhead        10^4 and 10^5 runs, each in a process of its own, as Markdown
"""

import argparse
import hashlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from implicit_inference.config.changes import PRESETS
from implicit_inference.config.errors import refuse
from implicit_inference.config.flags import Parser, whole
from implicit_inference.config.identity import run_id
from implicit_inference.engines.processes import Ended
from implicit_inference.runs import process
from implicit_inference.runs.store import FORMAT
from implicit_inference.sweeps import page, table
from implicit_inference.sweeps.axes import MOST_RUNS, Sweep
from implicit_inference.sweeps.driver import drive
from implicit_inference.sweeps.plan import Plan

SIZES = (10**4, 10**5)
REPLAYS = 10
"""Values of the second axis; the first has as many as make up the runs."""
COLUMNS = (
    "runs",
    "plan, ms a run",
    "driver",
    "table",
    "page, s",
    "again, ms a run",
    "peak memory, MB",
    "CSV, MB",
)
ESTIMATE = {"mean": 0.5, "stderr": 0.1}
SUMMARY = {section: {} for section in table.SECTIONS} | {
    "forgetting": {"early": ESTIMATE},
    "recovery": {"early": {"net_of_pretrained": ESTIMATE}},
    "excess": {f"number_{i}": ESTIMATE for i in range(28)},
}
RESULT = json.dumps({"summary": SUMMARY}).encode()
"""The made-up result of every run: 30 rows of the table."""


@dataclass
class Stub:
    """An engine that does every job at once: it writes finished runs with a made-up summary."""

    plan: Plan
    places: int = 16
    seconds: float = 0.0
    """Seconds that it took itself."""
    _ended: list[Ended] = field(default_factory=list)

    def submit(self, id: str, text: str) -> None:
        """Writes the finished runs of a job."""
        began, job = time.process_time(), self.plan.jobs[id]
        config = self.plan.config(job)
        for stage in job.stages:
            folder = self.plan.runs / (id if stage == "probe" else run_id(stage, config))
            folder.mkdir()
            files = {}
            if stage == "probe":
                (folder / "result.json").write_bytes(RESULT)
                files["result.json"] = hashlib.sha256(RESULT).hexdigest()
            info = {"format": FORMAT, "stage": stage, "parents": [], "finished": True, "files": files}
            (folder / "run.json").write_text(json.dumps(info))
        self._ended.append(Ended(id))
        self.seconds += time.process_time() - began

    def gather(self) -> list[Ended]:
        """Tells of all jobs that were handed over."""
        found, self._ended = self._ended, []
        return found

    def close(self) -> None:
        """Has nothing to end."""


def measured(n_runs: int) -> list[str]:
    """Performs a sweep of so many runs, part by part; returns the values of COLUMNS."""
    rates = {"start": 1e-4, "stop": 1e-2, "num": n_runs // REPLAYS}
    replays = {"start": 0, "stop": 0.9, "num": REPLAYS}
    took: dict[str, float] = {}

    @contextmanager
    def timed(part: str) -> Iterator[None]:
        began = time.process_time()
        yield
        took[part] = time.process_time() - began

    with tempfile.TemporaryDirectory() as directory:
        runs = Path(directory)
        with timed("plan"):
            axes = {"finetune.learning_rate": rates, "finetune.replay": replays}
            sweep = Sweep.of(PRESETS["smoke"], axes, measure="summary")
            plan = Plan.of(sweep, runs)
        engine = Stub(plan)
        with timed("driver"):
            drive(plan, engine, lambda fraction, text: None)
        with timed("table"):
            points, _ = table.write(sweep, runs, runs)
        with timed("page"):
            page.write(runs / "report.html", list(sweep.paths), table.drawn_of(sweep), points, {}, "")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        with timed("again"):
            assert Plan.of(sweep, runs).existing == n_runs
        size = (runs / "table.csv").stat().st_size / 1e6
    took["driver"] -= engine.seconds
    parts = [f"{took[part] / n_runs * 1e3:.2f}" for part in ("plan", "driver", "table")]
    again = f"{took['again'] / n_runs * 1e3:.2f}"
    return [f"{n_runs:,}", *parts, f"{took['page']:.1f}", again, f"{peak:.0f}", f"{size:.3g}"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints one row for each size; several sizes are measured in a process each, so that memory is theirs alone."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", nargs="*", type=whole("RUNS"), metavar="RUNS", default=SIZES, help="how many")
    sizes = parser.parse_args(arguments).sizes
    for size in sizes:
        if size % REPLAYS or not 2 * REPLAYS <= size <= MOST_RUNS:
            refuse("RUNS", size, f"a multiple of {REPLAYS} from {2 * REPLAYS} to {MOST_RUNS}")
    if len(sizes) == 1:
        print(f"| {' | '.join(measured(sizes[0]))} |", flush=True)
        return 0
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}", flush=True)
    for size in sizes:
        subprocess.run([sys.executable, "-m", "implicit_inference.sweeps.overhead", str(size)], check=True)
    return 0


if __name__ == "__main__":
    sys.exit(process.run("implicit_inference.sweeps.overhead", main))
