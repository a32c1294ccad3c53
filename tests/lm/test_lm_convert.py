"""GGUF files become the directories that they were made of; what is not known is refused."""

import json
import sys

import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from implicit_inference.config.errors import UserError
from implicit_inference.lm.models.architecture import ModelError
from implicit_inference.lm.models.convert import NAMES, convert, unpermuted
from implicit_inference.lm.models.directory import opened
from implicit_inference.lm.models.forward import logits

gguf = pytest.importorskip("gguf")

TABLE = tiny.config(num_hidden_layers=2, rope_theta=5e4, max_position_embeddings=256)


def permuted(matrix, heads):
    """Rows as GGUF orders them, by definition: rows i and i + d/2 of a head become 2i and 2i + 1."""
    d = len(matrix) // heads
    order = [h * d + i + half * d // 2 for h in range(heads) for i in range(d // 2) for half in (0, 1)]
    return matrix[order]


def writer(path, arrays, **changes):
    """A GGUF file of a tiny model, with fields changed, or left out where None."""
    out = gguf.GGUFWriter(path, changes.pop("arch", "llama"))
    tokens = json.loads(tiny.tokenizer_json())["model"]
    fields = {
        "llama.context_length": 256,
        "llama.embedding_length": 32,
        "llama.block_count": 2,
        "llama.feed_forward_length": 48,
        "llama.attention.head_count": 4,
        "llama.attention.head_count_kv": 2,
        "llama.rope.freq_base": 5e4,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.tokens": list(tokens["vocab"]),
        "tokenizer.ggml.merges": [" ".join(merge) for merge in tokens["merges"]],
        "tokenizer.ggml.token_type": [3] + [1] * 511,
    } | changes
    for name, value in fields.items():
        add = {
            int: out.add_uint32,
            float: out.add_float32,
            str: out.add_string,
            bool: out.add_bool,
            list: out.add_array,
        }
        if value is not None:
            add[type(value)](name, value)
    short = {long: name for name, long in NAMES.items()}
    for name, value in arrays.items():
        if name.startswith("model.layers."):
            _, _, layer, part = name.removesuffix(".weight").split(".", 3)
            heads = {"self_attn.q_proj": 4, "self_attn.k_proj": 2}.get(part)
            value = permuted(value, heads) if heads else value
            out.add_tensor(f"blk.{layer}.{short[part]}.weight", value)
        else:
            out.add_tensor(f"{short[name.removesuffix('.weight')]}.weight", value)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()
    return path


def quiet(fraction, text):
    pass


@pytest.mark.parametrize("tied", [False, True])
def test_a_gguf_file_gives_the_model_it_was_made_of(tmp_path, tied):
    table = TABLE | {"tie_word_embeddings": tied}
    arrays = tiny.weights(table)
    told = []
    convert(writer(tmp_path / "m.gguf", arrays), tmp_path / "out", lambda fraction, text: told.append(fraction))
    assert told == sorted(told)
    assert 0 <= told[0] < told[-1] <= 1
    found = load_file(tmp_path / "out" / "model.safetensors")
    assert found.keys() == arrays.keys()
    for name in arrays:
        np.testing.assert_array_equal(found[name], arrays[name])
    model, first = opened(tmp_path / "out"), tiny.made(tmp_path / "first", table)
    row = jnp.asarray([[3, 500, 41, 7, 260]])
    places = jnp.arange(5)[None]
    both = [logits(m.architecture, m.load("float32"), row, places, places * 0, places) for m in (model, first)]
    np.testing.assert_allclose(*both, rtol=1e-5, atol=1e-5)  # of rope_theta and epsilon, rounded to float32
    assert model.tokenizer.token_to_id("!") == 0
    text = "Input: What is 12 plus 345?\nOutput: Combien été"
    assert model.tokenizer.encode(text).ids == Tokenizer.from_str(tiny.tokenizer_json()).encode(text).ids
    assert model.tokenizer.decode(model.tokenizer.encode(text).ids) == text


def test_weights_of_few_bits_come_out_as_they_are_meant(tmp_path):
    """A block of Q8_0 is 32 whole numbers times a scale."""
    arrays = tiny.weights(TABLE)
    whole = np.random.default_rng(0).integers(-127, 128, arrays["lm_head.weight"].shape)
    whole[:, 0] = 127
    arrays["lm_head.weight"] = (whole / 64).astype(np.float32)
    packed = gguf.quants.quantize(arrays["lm_head.weight"], gguf.GGMLQuantizationType.Q8_0)

    class Packing(gguf.GGUFWriter):
        def add_tensor(self, name, tensor, **how):
            if name == "output.weight":
                super().add_tensor(name, packed, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
            else:
                super().add_tensor(name, tensor, **how)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gguf, "GGUFWriter", Packing)
        convert(writer(tmp_path / "m.gguf", arrays), tmp_path / "out", quiet)
    found = load_file(tmp_path / "out" / "model.safetensors")["lm_head.weight"]
    np.testing.assert_array_equal(found, arrays["lm_head.weight"])


def test_a_first_token_is_added_where_the_file_says_so(tmp_path):
    changes = {"tokenizer.ggml.add_bos_token": True, "tokenizer.ggml.bos_token_id": 0}
    convert(writer(tmp_path / "m.gguf", tiny.weights(TABLE), **changes), tmp_path / "out", quiet)
    assert opened(tmp_path / "out").tokenizer.encode("a").ids[0] == 0


def test_order_of_rows_is_undone():
    matrix = np.arange(48.0).reshape(24, 2)
    for heads in (1, 2, 3, 6):
        np.testing.assert_array_equal(unpermuted(permuted(matrix, heads), heads), matrix)
    assert not np.array_equal(permuted(matrix, 2), matrix)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"arch": "gptj"}, ["general.architecture = 'gptj'", "llama"]),
        ({"tokenizer.ggml.model": "llama"}, ["tokenizer 'llama'", "byte-level"]),
        ({"tokenizer.ggml.pre": "llama-bpe"}, ["'llama-bpe'", "smollm"]),
        ({"tokenizer.ggml.pre": None}, ["with None"]),
        ({"tokenizer.ggml.tokens": None}, ["tokenizer.ggml.tokens is absent"]),
        ({"tokenizer.ggml.merges": None}, ["tokenizer.ggml.merges is absent"]),
        ({"tokenizer.ggml.merges": ["a notthere"]}, ["merges do not fit the tokens"]),
        ({"llama.attention.head_count": 3}, ["num_key_value_heads = 2", "a divisor"]),
        ({"llama.rope.scaling.type": "yarn"}, ["scaling", "'yarn'"]),
        ({"llama.block_count": None}, ["llama.block_count is absent"]),
        ({"llama.block_count": 3}, ["model.layers.2", "has shape None"]),
        ({"llama.feed_forward_length": 47}, ["mlp.down_proj.weight", "has shape (32, 48)", "(32, 47)"]),
    ],
)
def test_files_that_are_not_known_are_refused(tmp_path, changes, words):
    with pytest.raises(ModelError) as caught:
        convert(writer(tmp_path / "m.gguf", tiny.weights(TABLE), **changes), tmp_path / "out", quiet)
    for word in words:
        assert word in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_tensors_without_a_place_are_refused(tmp_path):
    class More(gguf.GGUFWriter):
        def write_header_to_file(self):
            self.add_tensor("rope_freqs.weight", np.ones(4, np.float32))
            super().write_header_to_file()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gguf, "GGUFWriter", More)
        file = writer(tmp_path / "m.gguf", tiny.weights(TABLE))
    with pytest.raises(ModelError, match=r"rope_freqs.weight.*no place in a llama"):
        convert(file, tmp_path / "out", quiet)


def test_what_is_there_is_not_written_over(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("")
    with pytest.raises(ModelError, match="is there already"):
        convert(tmp_path / "m.gguf", tmp_path / "out", quiet)
    with pytest.raises(ModelError, match=r"m.gguf: no such file"):
        convert(tmp_path / "m.gguf", tmp_path / "new", quiet)
    for content in (b"", b"GGUF", b"x" * 100):
        (tmp_path / "m.gguf").write_bytes(content)
        with pytest.raises(ModelError, match=r"m.gguf: not a GGUF file"):
            convert(tmp_path / "m.gguf", tmp_path / "new", quiet)


def test_the_extra_is_told_where_it_is_not_installed(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(UserError, match=r"pip install 'implicit-inference\[lm-gguf\]'"):
        convert(tmp_path / "m.gguf", tmp_path / "out", quiet)
