"""Low-rank updates: nothing at first, linear in the dose, the same for a seed whatever interrupts it."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from implicit_inference.config.errors import UserError
from implicit_inference.lm import tuning
from implicit_inference.lm.models.forward import logits
from implicit_inference.lm.store import LmRun, begun
from implicit_inference.lm.tuning import Tuning, begin, examples, loss, patch_of, tune, tuned

SETTINGS = Tuning(("math",), 4, 4, 2, 1e-2, 0.0, "float32")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny.made(tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="module")
def params(model):
    return model.load("float32")


def every(model, params):
    row = jnp.asarray([[3, 500, 41, 7, 260, 9]])
    places = jnp.arange(6)[None]
    return np.asarray(logits(model.architecture, params, row, places, places * 0, places))


def quiet(fraction, text):
    pass


def test_an_update_is_nothing_at_first_and_at_a_dose_of_zero(model, params):
    patch = begin(model.architecture, 2, 0)
    np.testing.assert_array_equal(every(model, tuned(params, patch)), every(model, params))
    full = {name: of | {"b": jnp.ones_like(of["b"])} for name, of in patch.items()}
    np.testing.assert_array_equal(every(model, tuned(params, full, 0.0)), every(model, params))
    assert np.abs(every(model, tuned(params, full)) - every(model, params)).max() > 0.1


@pytest.mark.parametrize("dose", [1.0, 0.3])
def test_an_update_is_a_matrix_added(model, params, dose):
    rng = np.random.default_rng(1)
    patch = begin(model.architecture, 3, 0)
    patch = {
        name: of | {"b": jnp.asarray(rng.normal(0, 0.3, of["b"].shape), jnp.float32)} for name, of in patch.items()
    }
    blocks = {
        name: value | {"kernel": value["kernel"] + dose * patch[name]["a"] @ patch[name]["b"]}
        if name in patch
        else value
        for name, value in params["blocks"].items()
    }
    merged = every(model, params | {"blocks": blocks})
    np.testing.assert_allclose(every(model, tuned(params, patch, dose)), merged, rtol=2e-4, atol=2e-4)
    assert patch.keys() == model.architecture.kernels.keys()


def test_the_loss_is_that_of_the_answer_s_tokens(model, params):
    shown = examples(model, ("math",), 3, np.random.default_rng(0))
    total, count = 0.0, 0
    for r in range(3):
        tokens, branch = np.asarray(shown.tokens[r]), np.asarray(shown.branches[r])
        n = int((branch < 3).sum())
        places = jnp.arange(len(tokens))[None]
        every = logits(model.architecture, params, jnp.asarray(tokens[None]), places, places * 0, places)[0]
        log_p = np.asarray(jax.nn.log_softmax(every))
        for t in range(1, n):
            if branch[t] == 1:
                total, count = total - log_p[t - 1, tokens[t]], count + 1
        assert model.tokenizer.decode(tokens[:n].tolist()).startswith("Input: What is ")
        assert model.tokenizer.decode(tokens[branch == 1].tolist()).strip().isdigit()
    found = jax.jit(loss, static_argnums=0)(model.architecture, params, shown)
    assert float(found) == pytest.approx(total / count, abs=1e-4)


def test_all_but_the_first_token_of_plain_text_is_learned(model):
    shown = examples(model, ("text",), 2, np.random.default_rng(0))
    branches = np.asarray(shown.branches)
    assert (branches == 0).sum() == 2
    assert (np.asarray(shown.answer) > 0).sum() == (branches == 1).sum() > 20


@pytest.mark.slow
def test_tuning_lowers_the_loss_and_a_seed_resumes_to_where_it_would_have_been(model, tmp_path, monkeypatch):
    whole, cut = (LmRun(tmp_path / name, {}) for name in ("whole", "cut"))
    long = Tuning(("math",), 12, 4, 2, 3e-2, 0.0, "float32")
    rows = tune(model, long, (0, 3), whole, quiet)
    held_out = {
        row["seed"]: [r["held_out"] for r in rows if r["seed"] == row["seed"] and "held_out" in r] for row in rows
    }
    assert held_out.keys() == {0, 3}
    for before, after in held_out.values():
        assert after < before - 0.5
    assert [row["step"] for row in rows if row["seed"] == 3 and "loss" in row] == list(range(12))

    monkeypatch.setattr(tuning, "SAVE_SECONDS", 0.0)

    def interrupt(fraction, text):
        if "seed 3, step 5" in text:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune(model, long, (0, 3), cut, interrupt)
    assert cut.has("state-3.safetensors")
    assert not cut.has("seed-3.safetensors")
    told = []
    assert tune(model, long, (0, 3), cut, lambda fraction, text: told.append(text)) == rows
    assert "step 6" in told[0]
    assert not cut.has("state-3.safetensors")
    for name in ("seed-0.safetensors", "seed-3.safetensors"):
        assert whole.path(name).read_bytes() == cut.path(name).read_bytes()
    other = patch_of(whole, 0)
    assert not np.array_equal(other["up"]["b"], patch_of(whole, 3)["up"]["b"])
    monkeypatch.setattr(tuning, "_Trainer", None)  # finished seeds need none
    assert tune(model, long, (0, 3), cut, quiet) == rows


def test_a_loss_that_is_not_finite_ends_it(model, tmp_path, monkeypatch):
    monkeypatch.setattr(tuning, "_patched_loss", lambda *arguments: 1.0)
    monkeypatch.setattr(tuning, "_step", lambda arch, rule, params, patch, state, shown: (patch, state, jnp.nan))
    with pytest.raises(UserError, match=r"loss of seed 0 is not finite at step 0.*--learning-rate"):
        tune(model, SETTINGS, (0,), LmRun(tmp_path, {}), quiet)
    assert not LmRun(tmp_path, {}).has("seed-0.safetensors")


def test_updates_of_a_model_in_bfloat16_are_kept_in_float32(model):
    params, patch = model.load("bfloat16"), begin(model.architecture, 2, 0)
    optimizer = tuning._optimizer(SETTINGS)
    shown = examples(model, ("blank",), 2, np.random.default_rng(0))
    step = partial(tuning._step, model.architecture, optimizer)
    after, _, _ = jax.eval_shape(step, params, patch, optimizer.init(patch), shown)
    assert {leaf.dtype for leaf in jax.tree.leaves(after)} == {jnp.dtype("float32")}
    assert {leaf.dtype for leaf in jax.tree.leaves(tuned(params, patch)["blocks"]["up"])} == {jnp.dtype("bfloat16")}


def test_a_run_is_named_by_all_that_it_depends_on(tmp_path):
    with begun(tmp_path, "lm-tune", {"a": 1, "b": [2]}) as first:
        pass
    with begun(tmp_path, "lm-tune", {"b": [2], "a": 1}) as second:
        pass
    with begun(tmp_path, "lm-tune", {"b": [2], "a": 2}) as third:
        pass
    assert first.id == second.id != third.id
