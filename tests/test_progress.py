import contextlib
import os
import signal

import pytest

from implicit_inference.progress import training_progress
from implicit_inference.run import Progress
from implicit_inference.store import Run

LOSSES = {"gaussian": (1.0, 0.9)}


def test_without_a_terminal_a_quarter_is_a_line(tmp_path, capsys):
    with training_progress(Run(tmp_path / "pretrain-0")) as report:
        for step in range(0, 101, 5):
            report(Progress("pretrain", step, 100, LOSSES))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == ["0/100", "25/100", "50/100", "75/100", "100/100"]
    assert "gaussian 1.000 (Bayes 0.900)" in lines[0]


def drop_an_interrupt(run):
    """Ctrl-C lands where its exception is dropped; then comes the next step."""
    with training_progress(run) as report:
        with contextlib.suppress(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        report(Progress("pretrain", 5, 100, LOSSES))


def test_an_interrupt_that_was_dropped_is_honoured_at_the_next_step(tmp_path):
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        drop_an_interrupt(Run(tmp_path / "pretrain-0"))
    assert signal.getsignal(signal.SIGINT) == before
