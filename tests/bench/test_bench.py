import jax
import numpy as np
import pytest

from implicit_inference.bench import suite
from implicit_inference.bench.sizes import STEPS, WORLDS, sized, step_flops
from implicit_inference.bench.timing import Times, take_turns
from implicit_inference.bench.training import Trainer, compile_seconds
from implicit_inference.cli import SIZES, main
from implicit_inference.regression.prompts import to_tokens


def test_contestants_take_turns():
    calls = []
    contestants = {name: lambda name=name: calls.append(name) for name in "ab"}
    times = take_turns(contestants, rounds=3, units=10)
    assert calls == list("ab" * 4)
    assert all(found.rounds.shape == (3,) and np.all(found.rounds >= 0) for found in times.values())


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


@pytest.mark.slow
def test_the_whole_benchmark_prints_its_tables():
    lines = []
    suite.run(["S"], lines.append)
    assert sum(line.startswith("| S |") for line in lines) == 3
    assert any(line.startswith("| exact mixture") for line in lines)
