"""The terminal: progress while work goes on, and the numbers at its end."""

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table

from implicit_inference.config.errors import Terminated
from implicit_inference.runs.store import Run
from implicit_inference.show import notation
from implicit_inference.training.reports import Progress, Report


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leaves it to the command's door: rich would end the process with an exit code of its own."""
        raise BrokenPipeError


console = _Console()

LONGEST_SILENCE = 60.0
"""Seconds between two lines of a log file."""


@contextmanager
def training_progress(run: Run, alone: bool = True) -> Iterator[Report]:
    """A bar with time left and the loss of the network against exact Bayes; plain lines where there is no terminal.

    `alone`: SIGTERM stops between two chunks; a host among several, which may be waiting for others, ends at once.
    """
    with _bar(run.id, run.finished, alone) as update:

        def report(progress: Progress) -> None:
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
def _bar(name: str, finished: bool = False, alone: bool = True) -> Iterator[Callable[[int, int, str], None]]:
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
    with Bar(*columns, console=console, disable=not console.is_terminal) as bar, _interrupts(alone) as check_interrupt:
        task = bar.add_task(name, total=1, text="compiling")
        quarters, began, said = -1, time.monotonic(), 0.0

        def update(done: int, total: int, text: str) -> None:
            nonlocal quarters, said
            check_interrupt()
            bar.update(task, completed=done, total=total, text=text)
            now = time.monotonic()
            if not console.is_terminal and (done * 4 // total > quarters or now - said >= LONGEST_SILENCE):
                quarters, said = done * 4 // total, now
                left = f"{(now - began) * (total - done) / done:.0f} s left, " if 0 < done < total else ""
                print(f"{name}: {done}/{total} {left}{text}", flush=True)

        yield update


@contextmanager
def _interrupts(alone: bool) -> Iterator[Callable[[], None]]:
    """Takes Ctrl-C, and SIGTERM where `alone`: at once, or at the next check where a callback dropped the exception."""
    if threading.current_thread() is not threading.main_thread():  # signals go to the main thread alone
        yield lambda: None
        return
    interrupted: list[type[KeyboardInterrupt]] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)[: 1 + alone]}

    def interrupt(number: int, frame: FrameType | None) -> None:
        interrupted.append(Terminated if number == signal.SIGTERM else KeyboardInterrupt)
        raise interrupted[0]

    def check() -> None:
        if interrupted:
            raise interrupted[0]

    def drop(unraisable: Any) -> None:
        if not issubclass(unraisable.exc_type, KeyboardInterrupt):
            previous_hook(unraisable)

    previous_hook = sys.unraisablehook
    sys.unraisablehook = drop
    for number in before:
        signal.signal(number, interrupt)
    try:
        yield check
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
        sys.unraisablehook = previous_hook


def summary_table(summary: dict[str, Any]) -> Table:
    """The numbers to look at first, in 80 columns."""
    table = Table(title="noise-free squared error, mean ± standard error over seeds", title_justify="left")
    for column in ("", "early", "late"):
        table.add_column(column, justify="right" if column else "left")

    def section(title: str, entries: Iterable[tuple[str, Any, Any]], *heads: str) -> None:
        table.add_section()
        table.add_row(f"[bold]{title}[/bold]", *heads)
        for label, early, late in entries:
            table.add_row(f"  {label}", notation.estimate(early), notation.estimate(late))

    for family, predictors in summary["loss"].items():
        entries = [(notation.predictor(name), loss["early"], loss["late"]) for name, loss in predictors.items()]
        section(f"{notation.family(family)} prompts", entries)
    recovery, controls, attribution = summary["recovery"], summary["controls"], summary["attribution"]
    section(
        "Gaussian prompts, labels scaled",
        [
            ("recovered fraction", recovery["early"], recovery["late"]),
            *(
                (label, recovery["early"][name], recovery["late"][name])
                for label, name in (
                    ("- above shrinking alone", "above_shrink_only"),
                    ("- net of the pretrained", "net_of_pretrained"),
                )
            ),
            *(
                (
                    f"loss, {notation.predictor(name)}",
                    *(controls[name][where]["conjugated"] for where in ("early", "late")),
                )
                for name in ("pretrained", "finetuned", "scratch")
            ),
        ],
        *(f"× {recovery[where]['strength']:g}" for where in ("early", "late")),
    )
    section(
        "where the capability went, Gaussian prompts",
        [
            (label, attribution["early"][name], attribution["late"][name])
            for label, name in (
                ("forgetting (distance to ridge)", "forgetting"),
                ("- inference shift", "inference_shift"),
                ("- capability loss", "capability_loss"),
                ("inference shift / forgetting", "share"),
            )
        ],
    )
    ranking = (summary["ranking"][where]["by_loss"]["kendall"] for where in ("early", "late"))
    table.add_row("  theory's ranking, Kendall's τ", *(notation.estimate(value) for value in ranking))
    before, after = (
        notation.estimate(summary["effective_prior"][name]["logit"]) for name in ("pretrained", "finetuned")
    )
    table.caption = f"effective prior, log odds, median (range over seeds): {before} before, {after} after\n"
    table.caption += f"early: {summary['positions']['early']}; late: {summary['positions']['late']}; "
    table.caption += "label scales are chosen on other prompts"
    table.caption_justify = "left"
    return table
