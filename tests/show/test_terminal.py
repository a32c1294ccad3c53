import os
import signal
import sys
import time

import pytest

from implicit_inference.runs.store import Run
from implicit_inference.show import terminal
from implicit_inference.show.terminal import training_progress
from implicit_inference.training.watching import Progress

LOSSES = {"gaussian": (1.0, 0.9)}


def test_without_a_terminal_a_quarter_is_a_line(tmp_path, capsys):
    with training_progress(Run(tmp_path / "pretrain-0")) as report:
        for step in range(0, 101, 5):
            report(Progress("pretrain", step, 100, LOSSES))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == ["0/100", "25/100", "50/100", "75/100", "100/100"]
    assert "gaussian 1.000 (Bayes 0.900)" in lines[0]


def test_a_log_says_a_line_in_time_though_a_step_takes_longer(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(terminal, "LONGEST_SILENCE", 0.05)
    with training_progress(Run(tmp_path / "pretrain-0")) as report:
        time.sleep(0.2)
        compiling = capsys.readouterr().out.splitlines()
        report(Progress("pretrain", 0, 1000, LOSSES))
        report(Progress("pretrain", 10, 1000, LOSSES))
        time.sleep(0.2)
        stepping = capsys.readouterr().out.splitlines()
        report(Progress("pretrain", 1000, 1000, LOSSES))
        last = capsys.readouterr().out.splitlines()
    time.sleep(0.2)
    assert capsys.readouterr().out == "", "nothing is said after the end"
    assert set(compiling) == {"pretrain-0: compiling"}
    assert 2 <= len(compiling) <= 5
    assert [line.split()[1] for line in stepping][:2] == ["0/1000", "10/1000"]
    assert 3 <= len(stepping) <= 6
    assert last[-1].split()[1] == "1000/1000"


def test_the_time_that_is_left_follows_the_rate(monkeypatch, capsys):
    clock = [0.0]
    monkeypatch.setattr(terminal.time, "monotonic", lambda: clock[0])
    log = terminal._Log("pretrain-0")
    for now, step in ((100.0, 20), (110.0, 40), (170.0, 60)):  # the first is where it resumes
        clock[0] = now
        log.update(step, 100, "")
    clock[0] = 230.0
    log.break_silence()
    lefts = [line.rpartition(", ")[2] for line in capsys.readouterr().out.splitlines()]
    assert lefts[1:] == ["0:00:30 left", "0:01:10 left", "0:00:10 left"]
    assert "left" not in lefts[0]


class Callback:
    """Python drops what is raised here."""

    def __init__(self, call):
        self.call = call

    def __del__(self):
        self.call()


def test_an_interrupt_that_was_dropped_is_honoured_at_the_next_step(tmp_path, monkeypatch):
    as_text, passed = [], []
    monkeypatch.setattr(sys, "unraisablehook", lambda dropped: as_text.append(dropped.exc_type))
    before = signal.getsignal(signal.SIGINT), sys.unraisablehook

    def interrupted():
        with training_progress(Run(tmp_path / "pretrain-0")) as report:
            Callback(lambda: os.kill(os.getpid(), signal.SIGINT))
            Callback(lambda: 1 / 0)
            passed.append("the callbacks")
            report(Progress("pretrain", 5, 100, LOSSES))

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert passed == ["the callbacks"]
    assert as_text == [ZeroDivisionError], "all but interrupts are reported as ever"
    assert (signal.getsignal(signal.SIGINT), sys.unraisablehook) == before
