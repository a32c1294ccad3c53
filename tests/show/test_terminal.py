import os
import signal
import sys

import pytest

from implicit_inference.config.errors import Terminated
from implicit_inference.runs.store import Run
from implicit_inference.show import terminal
from implicit_inference.show.terminal import training_progress
from implicit_inference.training.reports import Progress

LOSSES = {"gaussian": (1.0, 0.9)}


def test_without_a_terminal_a_quarter_is_a_line(tmp_path, capsys):
    with training_progress(Run(tmp_path / "pretrain-0")) as report:
        for step in range(0, 101, 5):
            report(Progress("pretrain", step, 100, LOSSES))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == ["0/100", "25/100", "50/100", "75/100", "100/100"]
    assert all("s left" in line for line in lines[1:-1])
    assert "gaussian 1.000 (Bayes 0.900)" in lines[0]


def test_a_log_is_never_silent_for_longer_than_a_minute(tmp_path, capsys, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(terminal.time, "monotonic", lambda: clock[0])
    with training_progress(Run(tmp_path / "pretrain-0")) as report:
        for step in range(0, 11):
            report(Progress("pretrain", step, 100, LOSSES))
            clock[0] += 30.0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == ["0/100", "2/100", "4/100", "6/100", "8/100", "10/100"]
    assert "2940 s left" in lines[1]


def test_sigterm_is_taken_as_ctrl_c_is_unless_other_hosts_wait(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Terminated), training_progress(Run(tmp_path / "pretrain-0")):
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == before
    with training_progress(Run(tmp_path / "pretrain-0"), alone=False):
        assert signal.getsignal(signal.SIGTERM) == before


class Callback:
    """Python drops what is raised here."""

    def __init__(self, call):
        self.call = call

    def __del__(self):
        self.call()


def test_an_interrupt_that_was_dropped_is_honoured_at_the_next_step(tmp_path, monkeypatch):
    said, passed = [], []
    monkeypatch.setattr(sys, "unraisablehook", lambda dropped: said.append(dropped.exc_type))
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
    assert said == [ZeroDivisionError], "all but interrupts are reported as ever"
    assert (signal.getsignal(signal.SIGINT), sys.unraisablehook) == before
