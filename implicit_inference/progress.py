"""What a person sees in the terminal while work goes on, and at its end."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from implicit_inference import run as stages
from implicit_inference.report import estimate
from implicit_inference.store import Run

console = Console()


@contextmanager
def training_progress(run: Run) -> Iterator[stages.Report]:
    """A bar with time left and the loss of the network against exact Bayes; plain lines where there is no terminal."""
    with _bar(run.id, run.finished) as update:

        def report(progress: stages.Progress) -> None:
            losses = [f"{family} {loss:.3f} (Bayes {exact:.3f})" for family, (loss, exact) in progress.losses.items()]
            update(progress.step, progress.steps, "loss " + ", ".join(losses))

        yield report


@contextmanager
def counting_progress(run: Run) -> Iterator[Callable[[int, int], None]]:
    """A bar with time left."""
    with _bar(run.id, run.finished) as update:
        yield lambda done, total: update(done, total, "")


@contextmanager
def sweep_progress(name: str) -> Iterator[Callable[[float, str], None]]:
    """One bar with time left for many runs, in percent of the training that is left to do."""
    with _bar(name) as update:
        yield lambda fraction, text: update(int(100 * fraction), 100, text)


@contextmanager
def _bar(name: str, finished: bool = False) -> Iterator[Callable[[int, int, str], None]]:
    if finished:
        console.print(f"{name}: is there already", highlight=False)
        yield lambda done, total, text: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.completed}/{task.total}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[text]}"),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar, _interrupts() as check_interrupt:
        task = bar.add_task(name, total=1, text="compiling")
        quarters = -1

        def update(done: int, total: int, text: str) -> None:
            nonlocal quarters
            check_interrupt()
            bar.update(task, completed=done, total=total, text=text)
            if not console.is_terminal and done * 4 // total > quarters:
                quarters = done * 4 // total
                print(f"{name}: {done}/{total} {text}", flush=True)

        yield update


@contextmanager
def _interrupts() -> Iterator[Callable[[], None]]:
    """Ctrl-C at once, or, where it lands in a callback whose exceptions are dropped, at the next check."""
    interrupted = False

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        interrupted = True
        raise KeyboardInterrupt

    def check() -> None:
        if interrupted:
            raise KeyboardInterrupt

    previous = signal.signal(signal.SIGINT, interrupt)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, previous)


def summary_table(summary: dict[str, Any]) -> Table:
    """The numbers to look at first."""
    table = Table(title="noise-free squared error, mean ± standard error over seeds", title_justify="left")
    for column in ("prompts", "predictor", "early", "late"):
        table.add_column(column, justify="left" if column in ("prompts", "predictor") else "right")
    for family, predictors in summary["loss"].items():
        for name, loss in predictors.items():
            table.add_row(family, name, estimate(loss["early"]), estimate(loss["late"]))
        table.add_section()
    recovery, controls = summary["recovery"], summary["controls"]
    for label, early, late in (
        ("forgetting (finetuned - pretrained)", summary["forgetting"]["early"], summary["forgetting"]["late"]),
        ("recovered fraction, best label scale", recovery["early"], recovery["late"]),
        ("- above shrinking alone", recovery["early"]["above_shrink_only"], recovery["late"]["above_shrink_only"]),
        ("- net of the pretrained", recovery["early"]["net_of_pretrained"], recovery["late"]["net_of_pretrained"]),
        ("share of a pure prior shift", recovery["early"]["inference_shift"], recovery["late"]["inference_shift"]),
        *(
            (f"{name} under that scale", controls[name]["early"]["conjugated"], controls[name]["late"]["conjugated"])
            for name in ("pretrained", "finetuned", "scratch")
        ),
    ):
        table.add_row("gaussian", label, estimate(early), estimate(late))
    table.caption = f"early: {summary['positions']['early']}; late: {summary['positions']['late']}; "
    table.caption += f"label scales chosen on other prompts: early {recovery['early']['strength']:g}, "
    table.caption += f"late {recovery['late']['strength']:g}"
    return table
