"""The road to a result: seconds until four networks are near exact Bayes, from the published recipe to the package's.

Question: how much sooner is a network within an excess over exact Bayes, and what makes it so?
Command: python -m implicit_inference.bench.road --world S    (then W)
It takes at most eight times `--minutes` and a tenth more, and writes, below the working directory, figures/data/
road_S.csv (when each seed is within each excess) and road_S_curves.csv (excess against time); figures/road.py draws.

Every arm of `recipes.ARMS` trains the same four seeds from the same fresh parameters on all cores, in processes of its
own, one arm after the other. Seconds count from the launch of the processes: imports, compilation (nothing is cached
from before), data and steps. Evaluation on held-out prompts is not counted, nor is making these prompts. Excess is the
noise-free squared error above that of exact Bayes, the mean over both families, 512 prompts each, at every 50 steps.

The time to an excess is that until the last of the four seeds is within it for the first time, if a seed, or a pack of
seeds, makes room for the next as soon as it is. Training ends when all are within the smallest excess, or when
`--minutes` are over: what is printed is then a lower bound. Arms that `--arms` leaves out keep their rows in the
tables, so that one of them can be given longer.

The published recipe has one constant rate, so that one run tells the time to every excess. The preset's rate decays
over its number of steps, which is a part of the recipe: it is chosen for each excess, and has a run for each. The
choice is made on other seeds: `--choose` prints what it is made from, and `recipes` holds it. Adam's rates are compared
in packed seeds, which take the same steps as PyTorch.

PyTorch runs as two processes of one thread, with a seed each. That layout was measured against one process of two
threads (2 cores, milliseconds a step and seed): 9.1 against 12.2 in world S, 31 against 38 in world W.
"""

import sys
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from implicit_inference.bench.road.arms import train
from implicit_inference.bench.road.curves import arrivals
from implicit_inference.bench.road.recipes import ARMS, CHOOSING, ENDLESS, RATES, SEEDS, STEPS, TRIED, WORLDS
from implicit_inference.bench.road.table import Row, arrival_rows, curve_rows, last, side_by_side
from implicit_inference.config.changes import override
from implicit_inference.config.flags import Parser, number
from implicit_inference.runs import process
from implicit_inference.study.results import Results, read_csv, write_csv


def choose(world: str, arms: Sequence[str], minutes: float) -> Iterable[str]:
    """Tells how rates of packed seeds and steps of muon do on other seeds: when the last is within each excess."""
    rates = {f"rate {rate:g}": ("packed-seeds", {"learning_rate": rate, "steps": ENDLESS}) for rate in RATES}
    budgets = {f"{steps} steps": ("muon", {"steps": steps}) for steps in TRIED[world]}
    goals = [*STEPS[world]]
    yield f"| recipe | steps | excess at the end | {' | '.join(f'steps to {goal:.2f}' for goal in goals)} |"
    yield "|---|---|---|" + "---|" * len(goals)
    for name, (arm, chosen) in (budgets | rates).items():
        if arm in arms:
            config = override(ARMS[arm].config(world, goals[0]), {"pretrain": chosen})
            lanes = train(ARMS[arm], config, CHOOSING, min(goals), minutes)
            points = [curve for lane in lanes for group in lane.groups for curve in group.values()]
            ends = ", ".join(f"{curve[-1][2]:.3f}" for curve in points)
            found = [arrivals(lanes, goal).values() for goal in goals]
            steps = [str(max(at.steps for at in of)) if all(at.reached for at in of) else "-" for of in found]
            yield f"| {arm}, {name} | {points[0][-1][0]} | {ends} | {' | '.join(steps)} |"


def with_others(rows: Sequence[Row], path: Path, goals: Collection[float]) -> list[Row]:
    """The rows, and those in the table at `path` of other arms and these excesses, in the order of the arms."""
    new = {row["arm"] for row in rows}
    old = read_csv(path).frame.to_dict("records") if path.exists() else []
    kept = [row for row in old if row["arm"] not in new and row["excess"] in goals]
    return [row for arm in ARMS for row in (*kept, *rows) if row["arm"] == arm]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the arms of a world; prints and writes the tables."""
    parser = Parser(prog="implicit_inference.bench.road", description=__doc__.splitlines()[0])
    parser.add_argument("--world", choices=WORLDS, default="S")
    parser.add_argument("--arms", choices=ARMS, nargs="+", default=[*ARMS], metavar="ARM")
    parser.add_argument(
        "--minutes", type=number("minutes", 1440.0), default=6.0, help="the most that one arm trains for each excess"
    )
    parser.add_argument("--choose", action="store_true", help="print what rate and steps are chosen from, instead")
    parser.add_argument("--into", type=Path, default=Path("figures", "data"), help="where tables are written")
    options = parser.parse_args(arguments)
    if options.choose:
        for line in choose(options.world, options.arms, options.minutes):
            print(line, flush=True)
        return 0
    path = options.into / f"road_{options.world}.csv"
    for arm in options.arms:
        label = {"world": options.world, "arm": arm}
        found: list[Row] = []
        curves: list[Row] = []
        for goals in ARMS[arm].runs(options.world):
            lanes = train(ARMS[arm], ARMS[arm].config(options.world, goals[0]), SEEDS, min(goals), options.minutes)
            found += [label | row for goal in goals for row in arrival_rows(lanes, goal)]
            curves += [label | {"excess": min(goals)} | row for row in curve_rows(lanes)]
            print(f"{arm}, to {min(goals):.2f}: {last(found[-len(SEEDS) :]):.0f} s", file=sys.stderr, flush=True)
        for table, new in ((path, found), (path.with_name(f"{path.stem}_curves.csv"), curves)):
            write_csv(Results(with_others(new, table, STEPS[options.world])), table)
    print("\n".join(side_by_side(read_csv(path).frame.to_dict("records"))))
    return 0


if __name__ == "__main__":
    sys.exit(process.run("implicit_inference.bench.road", main))
