import os
import signal
import sys

import pytest

from implicit_inference.progress import Progress, training_progress
from implicit_inference.store import Run

LOSSES = {"gaussian": (1.0, 0.9)}


def test_without_a_terminal_a_quarter_is_a_line(tmp_path, capsys):
    with training_progress(Run(tmp_path / "pretrain-0")) as report:
        for step in range(0, 101, 5):
            report(Progress("pretrain", step, 100, LOSSES))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == ["0/100", "25/100", "50/100", "75/100", "100/100"]
    assert "gaussian 1.000 (Bayes 0.900)" in lines[0]


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
