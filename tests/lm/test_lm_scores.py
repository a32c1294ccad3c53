"""Both answers in one pass: as two passes, as a bigram model says, whatever the padding; greedy flags as decoding."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from implicit_inference.lm.models.directory import opened
from implicit_inference.lm.models.forward import logits
from implicit_inference.lm.prompts import Prompt
from implicit_inference.lm.scores import PromptError, answers, batch, encoded, score


def prompt(text="Input: a\nOutput:", context=" a", instruction=" 12", item=0):
    return Prompt("pair", "identity", 0, item, text, context, instruction)


PROMPTS = [
    prompt(item=0),
    prompt("Input: The old sailor sings.\nOutput:", " The old sailor", " 7", 1),
    prompt("Entrée: Ma sœur lit\nSortie:", " Ma sœur", " deux", 2),
    prompt("x" * 24, " 1234567890", " y", 3),
]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny.made(tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="module")
def params(model):
    return model.load("float32")


def following(model, params, tokens):
    """log p [V] of the token after a prompt; what stands behind it is later, and does not count."""
    row = jnp.asarray([tokens + [7] * (64 - len(tokens))])
    where = jnp.arange(64)[None]
    found = logits(model.architecture, params, row, where, jnp.zeros_like(row), jnp.asarray([[len(tokens) - 1]]))
    return jax.nn.log_softmax(found[0, 0])


def alone(model, params, before, answer):
    """log p of an answer's tokens in a pass of their own, and whether greedy decoding, token by token, gives them."""

    log_prob, tokens, greedy = 0.0, list(before), list(before)
    for token in answer:
        log_prob += float(following(model, params, tokens)[token])
        greedy.append(int(jnp.argmax(following(model, params, greedy))))
        tokens.append(token)
    return log_prob, greedy[len(before) :] == list(answer)


def scored(model, params, prompts, tokens=1024):
    texts = [encoded(model, each) for each in prompts]
    found = list(answers(model.architecture, params, prompts, texts, tokens))
    assert [row["item"] for _, rows in found for row in rows] == [
        prompts[i].item for chosen, _ in found for i in chosen
    ]
    return {row["item"]: row for _, rows in found for row in rows}


def test_one_pass_for_two_answers_is_two_passes(model, params):
    found = scored(model, params, PROMPTS)
    for each in PROMPTS:
        text, row = encoded(model, each), found[each.item]
        for name in ("context", "instruction"):
            log_prob, greedy = alone(model, params, text.prompt, getattr(text, name))
            assert row[name] == pytest.approx(log_prob, abs=1e-4)
            assert row[f"greedy_{name}"] == greedy
            assert row[f"tokens_{name}"] == len(getattr(text, name))
        assert row["margin"] == pytest.approx(row["context"] - row["instruction"])
        assert row["tokens"] == len(text.prompt)


def test_a_greedy_answer_is_flagged(model, params):
    """The answers: what the model itself decodes, and that with another last token."""
    text = encoded(model, PROMPTS[1])
    tokens = list(text.prompt)
    for _ in range(5):
        tokens.append(int(jnp.argmax(following(model, params, tokens))))
    decoded = tokens[len(text.prompt) :]
    other = [*decoded[:-1], (decoded[-1] + 1) % 512]
    for a, b, flags in ((decoded, other, (True, False)), (other, decoded, (False, True))):
        greedy = score(model.architecture, params, batch([text._replace(context=a, instruction=b)], 64, 16, 1)).greedy
        assert tuple(np.asarray(greedy)[0]) == flags


def test_padding_and_batching_change_nothing(model, params):
    together, apart = scored(model, params, PROMPTS), scored(model, params, PROMPTS, tokens=1)
    assert together.keys() == apart.keys() == {0, 1, 2, 3}
    for item in together:
        for name, value in together[item].items():
            assert apart[item][name] == (pytest.approx(value, abs=1e-4) if isinstance(value, float) else value)
    text = encoded(model, PROMPTS[0])
    padded = score(model.architecture, params, batch([text] * 2, 128, 32, 4))
    np.testing.assert_allclose(padded.log_prob[1], [together[0]["context"], together[0]["instruction"]], atol=1e-4)


def test_a_bigram_model_answers_as_its_table_says(tmp_path):
    """No attention and no MLP: the logits of a token are a table's row, so that log p is known in closed form."""
    table = tiny.config(hidden_size=512, num_attention_heads=1, num_key_value_heads=1, rms_norm_eps=1e-12)
    arrays = {name: np.zeros_like(value) for name, value in tiny.weights(table).items()}
    logit = np.random.default_rng(3).normal(0, 2, (512, 512)).astype(np.float32)
    arrays["model.embed_tokens.weight"] = np.eye(512, dtype=np.float32)
    arrays["model.norm.weight"] = np.full(512, 512**-0.5, np.float32)
    arrays["lm_head.weight"] = np.ascontiguousarray(logit.T)
    model = tiny.made(tmp_path, table, arrays=arrays)
    log_p = logit - np.log(np.exp(logit.astype(float)).sum(axis=1, keepdims=True))
    found = scored(model, model.load("float32"), PROMPTS)
    for each in PROMPTS:
        text = encoded(model, each)
        for name in ("context", "instruction"):
            chain = [text.prompt[-1], *getattr(text, name)]
            steps = list(pairwise(chain))
            assert found[each.item][name] == pytest.approx(sum(log_p[a, b] for a, b in steps), abs=1e-3)
            assert found[each.item][f"greedy_{name}"] == all(log_p[a].argmax() == b for a, b in steps)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"context": " 12"}, ["are equal", "' 12'"]),
        ({"context": " 123"}, ["begin with one another", "' 123'"]),
        ({"instruction": " 1", "context": " 12"}, ["begin with one another"]),
        ({"context": ""}, ["begin with one another"]),
        ({"text": "Input: The far", "context": "mer"}, ["do not begin those of prompt and answer", "'mer'"]),
        ({"text": "", "context": "a"}, ["do not begin"]),
        ({"text": "12 " * 400}, ["tokens with its answer", "at most 1024 (max_position_embeddings)"]),
        ({"context": " 12" * 400, "instruction": " 7"}, ["at most 1024"]),
    ],
)
def test_prompts_that_cannot_be_scored_are_refused(model, given, words):
    with pytest.raises(PromptError) as caught:
        encoded(model, prompt(**given))
    for word in ["item 0 of 'pair' under 'identity'", "allowed", *words]:
        assert word in str(caught.value)


def test_positions_bound_each_answer_apart(model):
    """Two answers share a pass, but neither stands after the other."""
    text = encoded(model, prompt("1" * 600, " 2" + "3" * 400, " 3" + "2" * 400))
    assert text.length > model.architecture.positions


def test_logits_that_are_not_finite_are_refused(tmp_path):
    table = tiny.config()
    arrays = tiny.weights(table)
    arrays["lm_head.weight"][5] = np.inf
    model = tiny.made(tmp_path, table, arrays=arrays)
    with pytest.raises(PromptError, match="not finite"):
        scored(model, model.load("float32"), PROMPTS)


def test_reading_a_model_again_gives_it_again(tmp_path):
    arrays = tiny.write(tmp_path)
    model = opened(tmp_path)
    params = model.load("float32")
    np.testing.assert_array_equal(params["embedding"], arrays["model.embed_tokens.weight"])
    np.testing.assert_array_equal(
        params["blocks"]["down"]["kernel"][1].T, arrays["model.layers.1.mlp.down_proj.weight"]
    )
    assert opened(tmp_path).fingerprint == model.fingerprint
    arrays["model.norm.weight"][0] += 1
    tiny.write(tmp_path, arrays=arrays)
    assert opened(tmp_path).fingerprint != model.fingerprint
