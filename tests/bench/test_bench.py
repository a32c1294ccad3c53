import jax
import numpy as np
import pytest

from implicit_inference.bench import suite, timing
from implicit_inference.bench.timing import LEAST_ROUNDS, Clock, Times, take_turns
from implicit_inference.bench.training import STEPS, WORLDS, Trainer, compile_seconds, sized, step_flops
from implicit_inference.cli import SIZES, main
from implicit_inference.regression.prompts import to_tokens


def test_contestants_take_turns():
    calls = []
    contestants = {name: lambda name=name: calls.append(name) for name in "ab"}
    times = take_turns(contestants, rounds=3, units=10)
    assert calls == list("ab" * 4)
    assert all(found.rounds.shape == (3,) and np.all(found.rounds >= 0) for found in times.values())


class Time:
    """A clock that is moved by hand."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        monkeypatch.setattr(timing.time, "perf_counter", lambda: self.now)

    def takes(self, seconds):
        def work():
            self.now += seconds

        return work


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.0, LEAST_ROUNDS), (24.9, LEAST_ROUNDS), (25.0, 4), (29.9, 4), (45.0, 8), (1000.0, 9)]
)
def test_rounds_are_cut_to_fit_the_time_first_calls_included(monkeypatch, seconds, expected):
    time = Time(monkeypatch)
    times = take_turns({"slow": time.takes(4.0), "fast": time.takes(1.0)}, 9, seconds=seconds)
    assert {name: found.rounds.tolist() for name, found in times.items()} == {
        "slow": [4.0] * expected,
        "fast": [1.0] * expected,
    }


def test_time_that_a_part_leaves_goes_to_the_later_ones(monkeypatch):
    time = Time(monkeypatch)
    clock = Clock(60.0, 3)
    assert clock.share() == 20.0
    time.takes(10.0)()
    assert clock.share() == 25.0
    time.takes(70.0)()
    assert clock.share() == 0.0


def test_times_are_said_in_milliseconds_and_compared_round_by_round():
    slow, fast = Times(np.array([0.02, 0.04, 0.03])), Times(np.array([0.01, 0.01, 0.01]))
    assert slow.as_text() == "30 (25-35)"
    assert slow.over(fast) == "3 (2.5-3.5)"


@pytest.mark.slow
def test_an_empty_cache_is_empty_and_then_full(tmp_path):
    seconds = compile_seconds(sized("S", 1), 1, tmp_path)
    assert any(tmp_path.iterdir())
    assert seconds["full cache"] < seconds["empty cache"]


@pytest.mark.parametrize("size", ["S", "M"])
def test_counted_operations_are_those_of_the_compiled_network(size):
    trainer = Trainer(sized(size, 1), 1)
    params, batch = jax.tree.map(lambda leaf: leaf[0], (trainer.initial, trainer.batch))
    compiled = jax.jit(lambda params, batch: trainer.programs.predict(params, batch[0])).lower(params, batch).compile()
    counted = step_flops(trainer.config) / 3
    assert counted < compiled.cost_analysis()["flops"] < 1.2 * counted  # norms and softmax are not counted


def test_pytorch_computes_the_same_loss_and_learns_alike():
    torch = pytest.importorskip("torch")
    from implicit_inference.bench.pytorch import Decoder, make_step

    trainer = Trainer(sized("S", 1), 1)
    params, (prompts, targets) = jax.tree.map(lambda leaf: leaf[0], (trainer.initial, trainer.batch))
    training = trainer.training
    given = torch.tensor(np.array(to_tokens("compact", prompts))), torch.tensor(np.array(targets))
    decoder = Decoder(params, trainer.config.model.heads)
    step = make_step(decoder, lambda: given, slice(None), training.learning_rate, training.clip)
    theirs = [step() for _ in range(10)]
    run = trainer.steps_on_given_data()
    ours = [float(np.squeeze(run())) for _ in range(10)]
    np.testing.assert_allclose(ours, theirs, rtol=2e-4)


@pytest.mark.slow
def test_parts_do_their_work():
    trainer = Trainer(sized("S", 1), 2)
    results = {name: part() for name, part in trainer.parts().items()}
    prompts_each = 64 // trainer.programs.packed.mesh.shape["batch"]
    assert results["data"][1].shape == (1, 2, prompts_each, 12)
    assert np.isfinite(results["forward"]).all()
    first = trainer.fresh().params
    for found, expected in ((results["both"], first), (results["optimiser"][0], first)):
        same = [np.array_equal(a, b) for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True)]
        assert all(same) if found is results["both"] else not all(same)


def test_an_unknown_size_is_refused(capsys):
    assert main(["bench", "--sizes", "S", "XL"]) == 2
    assert "XL" in capsys.readouterr().err
    assert SIZES == tuple(STEPS) == tuple(WORLDS)


@pytest.mark.parametrize(
    ("flags", "fault"),
    [
        *((["--minutes", value], f"minutes = '{value}'") for value in ("0", "-1", "nan", "inf", "six", "1e9")),
        (["--minutes"], "--minutes"),
        (["--quick", "--minutes", "3"], "--minutes"),
        (["--quick", "yes"], "yes"),
        (["--sizes"], "--sizes"),
    ],
)
def test_a_wrong_bound_is_one_line(capsys, flags, fault):
    assert main(["bench", *flags]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert fault in error


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ([], (("S", "M", "G"), 6.0, False)),
        (["--minutes", "1.5", "--sizes", "M", "M"], (("M",), 1.5, False)),
        (["--quick"], (("S",), 1.0, True)),
        (["--quick", "--sizes", "S", "M"], (("S", "M"), 1.0, True)),
    ],
)
def test_the_bound_reaches_the_benchmark(monkeypatch, flags, expected):
    asked = []
    monkeypatch.setattr(suite, "run", lambda *arguments: asked.append(arguments))
    assert main(["bench", *flags]) == 0
    assert asked == [expected]


def a_page(monkeypatch, minutes, quick, takes):
    """The lines of a page whose every part `takes` so many seconds, and the seconds that each was given."""
    time, given, lines = Time(monkeypatch), [], []

    def rows(name, seconds):
        given.append(seconds)
        time.takes(takes)()
        yield [name]

    for part in ("training", "parts", "compile", "network"):
        monkeypatch.setattr(suite, f"{part}_row", lambda size, seconds: next(rows(size, seconds)))
    monkeypatch.setattr(suite, "exact_rows", lambda seconds: rows("exact", seconds))
    monkeypatch.setattr(suite.memory, "rows", rows)
    suite.run(["S", "M"], minutes, quick, lines.append)
    return lines, given


def test_a_page_shares_out_its_time_and_says_what_it_left_out(monkeypatch):
    lines, given = a_page(monkeypatch, 5.0, False, 10.0)
    assert given == [pytest.approx((300.0 - 10.0 * i) / (10 - i)) for i in range(10)]
    assert not any("no time left" in line for line in lines)
    assert lines[-1].endswith("1.7")
    lines, given = a_page(monkeypatch, 5.0, False, 70.0)
    assert len(given) == 5, "a part that has begun comes to its end, and no other begins"
    assert [line.split("|")[1].strip() for line in lines if "no time left" in line] == [
        "M",
        "S",
        "M",
        "exact mixture",
        "demo",
    ]
    for title, (header, _) in suite._tables(["S", "M"]).items():
        for line in lines[lines.index(f"\n## {title}\n") + 1 :][:3]:
            assert line.count("|") == len(header) + 1


def test_a_quick_page_says_so_and_measures_less(monkeypatch):
    lines, given = a_page(monkeypatch, 1.0, True, 1.0)
    assert len(given) == 7
    assert sum(given) <= 7 * 60.0
    titles = [line.strip("\n# ") for line in lines if line.startswith("\n#")]
    assert titles == ["Training", "Parts of a step", "Inference"]
    assert any(line.startswith("Quick") for line in lines)
    assert all(table[0][1] == "rounds" for title, table in suite._tables(["S"]).items() if title in titles)


@pytest.mark.slow
def test_the_whole_benchmark_prints_its_tables():
    lines = []
    suite.run(["S"], 30.0, say=lines.append)
    assert sum(line.startswith("| S |") for line in lines) == 3
    assert any(line.startswith("| exact mixture") for line in lines)
    assert sum(line.startswith("| demo |") for line in lines) == len(suite.memory.PARTS)
