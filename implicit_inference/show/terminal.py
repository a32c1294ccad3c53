"""The terminal: progress while work goes on, and the numbers at its end. No jax here."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import groupby

from rich import progress as bars
from rich.console import Console
from rich.table import Table

from implicit_inference.measure.summary import summary_of
from implicit_inference.runs.process import interruptible
from implicit_inference.runs.store import Run
from implicit_inference.show.notation import Notation, estimate
from implicit_inference.show.results import results_of
from implicit_inference.training.watching import Progress, Report

LONGEST_SILENCE = 60.0
"""Seconds between two lines where there is no terminal."""


class _Console(Console):
    """A console that leaves a broken pipe to whoever runs the command."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


console = _Console()


Update = Callable[[int, int, str], None]
"""(done, all, what there is to say)"""


@contextmanager
def training_progress(run: Run, alone: bool = True) -> Iterator[Report]:
    """Shows a bar with time left and the losses of the network and of exact Bayes; lines where there is no terminal.

    `alone`: signals are raised as exceptions, so that the state is kept; a host among several has ended by then.
    """
    with _progress(run.id, run.finished, alone) as update:

        def report(progress: Progress) -> None:
            losses = [f"{family} {loss:.3f} (Bayes {exact:.3f})" for family, (loss, exact) in progress.losses.items()]
            update(progress.step, progress.steps, "loss " + ", ".join(losses))

        yield report


@contextmanager
def counting_progress(run: Run) -> Iterator[Callable[[int, int], None]]:
    """A bar with time left."""
    with _progress(run.id, run.finished) as update:
        yield lambda done, total: update(done, total, "")


@contextmanager
def sweep_progress(name: str) -> Iterator[Callable[[float, str], None]]:
    """One bar with time left for many runs, in percent of the training that is left to do."""
    with _progress(name) as update:
        yield lambda fraction, text: update(int(100 * fraction), 100, text)


@contextmanager
def _progress(name: str, finished: bool = False, alone: bool = True) -> Iterator[Update]:
    """Shows work that keeps its state when it is interrupted, and lets every update raise a dropped interrupt."""
    if finished:
        console.print(f"{name}: is there already", highlight=False)
        yield lambda done, total, text: None
        return
    writer = _bar if console.is_terminal and not console.is_dumb_terminal else _lines
    with interruptible() if alone else contextlib.nullcontext(lambda: None) as check_interrupt, writer(name) as show:

        def update(done: int, total: int, text: str) -> None:
            check_interrupt()
            show(done, total, text)

        yield update


@contextmanager
def _bar(name: str) -> Iterator[Update]:
    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(bar_width=24),
        bars.TextColumn("{task.completed}/{task.total}"),
        bars.TimeElapsedColumn(),
        bars.TextColumn("left"),
        bars.TimeRemainingColumn(),
        bars.TextColumn("{task.fields[text]}"),
    )
    with bars.Progress(*columns, console=console) as bar:
        task = bar.add_task(name, total=1, text="compiling")
        yield lambda done, total, text: bar.update(task, completed=done, total=total, text=text)


@contextmanager
def _lines(name: str) -> Iterator[Update]:
    """Lines: the first update, every quarter, and one in LONGEST_SILENCE seconds, which a thread says in mid-step."""
    log, ended = _Log(name), threading.Event()

    def watch() -> None:
        with contextlib.suppress(OSError):  # the next update meets it, too
            while not ended.wait(log.silence_left()):
                log.break_silence()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield log.update
    finally:
        ended.set()
        watcher.join()


class _Log:
    """Keeps the state of the work, and when it was last told."""

    def __init__(self, name: str):
        self.name, self.lock = name, threading.Lock()
        self.done, self.total, self.text, self.quarter = 0, 0, "compiling", -1
        self.first: tuple[int, float] | None = None
        self.updated = self.printed = time.monotonic()

    def update(self, done: int, total: int, text: str) -> None:
        with self.lock:
            self.done, self.total, self.text, self.updated = done, total, text, time.monotonic()
            self.first = self.first or (done, self.updated)
            if (quarter := done * 4 // total) > self.quarter or self.silence_left() == 0:
                self.quarter = quarter
                self._say()

    def silence_left(self) -> float:
        """Seconds until something must be as_text."""
        return max(0.0, self.printed + LONGEST_SILENCE - time.monotonic())

    def break_silence(self) -> None:
        with self.lock:
            if self.silence_left() == 0:
                self._say()

    def _say(self) -> None:
        self.printed = time.monotonic()
        counts = f"{self.done}/{self.total} " if self.total else ""
        print(f"{self.name}: {counts}{self.text}{self._time_left()}", flush=True)

    def _time_left(self) -> str:
        """The time that the rest takes at the rate so far, as text, once there is a rate."""
        if self.first is None or not self.first[0] < self.done < self.total:
            return ""
        done, began = self.first
        left = (self.updated - began) / (self.done - done) * (self.total - self.done) - (self.printed - self.updated)
        return f", {timedelta(seconds=round(max(0.0, left)))} left"


def first_results(run: Run) -> Table:
    """The numbers of a finished probe to look at first, in 80 columns."""
    summary, config = summary_of(run), run.config()
    spread = "" if summary["forgetting"]["stderr"] is None else ", mean ± standard error over seeds"
    table = Table(title=f"{Notation.of(config).loss}{spread}", title_justify="left")
    for column in ("", "early", "late"):
        table.add_column(column, justify="right" if column else "left")
    for section, found in groupby(
        (result for result in results_of(run) if result.section), lambda result: result.section
    ):
        table.add_section()
        table.add_row(f"[bold]{section}[/bold]")
        for result in found:
            label = result.predictor if result.quantity == "loss" else result.quantity
            table.add_row(f"  {label}", result.text("early"), result.text("late"))
    before, after = (estimate(prior["logit"]) for prior in summary["effective_prior"].values())
    table.caption = f"effective prior, log odds, median (range over seeds): {before} before, {after} after\n"
    table.caption += f"early: {summary['positions']['early']}; late: {summary['positions']['late']}; "
    table.caption += "strengths are chosen on other prompts"
    table.caption_justify = "left"
    return table
