"""Directories that are no model are refused in one line; both layouts of weights give one model."""

import json
import sys

import numpy as np
import pytest
import tiny
from safetensors.numpy import save_file

from implicit_inference.config.errors import UserError
from implicit_inference.lm.models import architecture
from implicit_inference.lm.models.architecture import ModelError
from implicit_inference.lm.models.directory import opened


@pytest.fixture
def path(tmp_path):
    tiny.write(tmp_path / "model")
    return tmp_path / "model"


def refused(path, *words):
    with pytest.raises(ModelError) as caught:
        opened(path)
    for word in words:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_shards_give_the_model_that_one_file_gives(path):
    params = opened(path).load("float32")
    arrays = tiny.weights(tiny.config())
    (path / "model.safetensors").unlink()
    names = sorted(arrays)
    shards = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}
    for shard, held in shards.items():
        save_file({name: arrays[name] for name in held}, path / shard)
    index = {"weight_map": {name: shard for shard, held in shards.items() for name in held}}
    (path / "model.safetensors.index.json").write_text(json.dumps(index))
    again = opened(path).load("float32")
    np.testing.assert_array_equal(params["head"], again["head"])
    np.testing.assert_array_equal(params["blocks"]["keys"]["kernel"], again["blocks"]["keys"]["kernel"])
    (path / "b.safetensors").unlink()
    refused(path, "b.safetensors", "no such shard")
    save_file({}, path / "b.safetensors")
    refused(path, "b.safetensors", names[1], "absent")
    for shard in ("../a.safetensors", "/a.safetensors"):
        index["weight_map"][names[0]] = shard
        (path / "model.safetensors.index.json").write_text(json.dumps(index))
        refused(path, "weight_map", shard, "files beside it")
    for wrong in ({}, {"weight_map": [1]}, {"weight_map": {"a": 1}}):
        (path / "model.safetensors.index.json").write_text(json.dumps(wrong))
        refused(path, "weight_map", "allowed")


def test_a_directory_or_a_file_that_is_not_there_is_named(path):
    refused(path.parent / "none", "none", "no such directory")
    refused(path / "config.json", "no such directory")
    for name in ("tokenizer.json", "model.safetensors", "config.json"):
        content = (path / name).read_bytes()
        (path / name).unlink()
        refused(path, str(path / name), "no such file")
        (path / name).write_bytes(content)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
@pytest.mark.parametrize("content", [b"", b"[1", b"\xff" * 20, b"[1, 2]", b'{"a": 1}'])
def test_files_of_another_kind_are_refused(path, name, content):
    (path / name).write_bytes(content)
    refused(path, name)


def test_weights_cut_short_are_refused(path):
    whole = (path / "model.safetensors").read_bytes()
    (path / "model.safetensors").write_bytes(whole[:-10])
    refused(path, "model.safetensors", "not whole")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model_type": "gpt2"}, ["model_type = 'gpt2'", "llama, qwen2, qwen3, gemma3_text"]),
        ({"model_type": None}, ["model_type = None", "llama"]),
        ({"model_type": ["llama"]}, ["model_type = ['llama']"]),
        ({"hidden_size": None}, ["hidden_size = None", "a whole number >= 1"]),
        ({"hidden_size": 32.0}, ["hidden_size = 32.0"]),
        ({"vocab_size": True}, ["vocab_size = True"]),
        ({"num_hidden_layers": 0}, ["num_hidden_layers = 0"]),
        ({"num_key_value_heads": 3}, ["num_key_value_heads = 3", "a divisor of num_attention_heads (4)"]),
        ({"head_dim": 7}, ["head_dim = 7", "an even number"]),
        ({"hidden_act": "relu"}, ["hidden_act = 'relu'", "silu"]),
        ({"tie_word_embeddings": 1}, ["tie_word_embeddings = 1", "true or false"]),
        ({"rms_norm_eps": "small"}, ["rms_norm_eps = 'small'"]),
        ({"rms_norm_eps": float("nan")}, ["rms_norm_eps = nan"]),
        ({"rope_theta": -1}, ["rope_theta = -1", "a number > 0"]),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 4}}, ["rope_scaling", "'yarn'", "default, linear or llama3"]),
        ({"rope_scaling": {"type": "dynamic", "factor": 4}}, ["'dynamic'"]),
        ({"rope_scaling": {"type": "linear"}}, ["factor = None"]),
        ({"rope_scaling": {"type": ["linear"]}}, ["rope_scaling"]),
        ({"rope_scaling": 4}, ["rope_scaling = 4"]),
        ({"rope_parameters": {"rope_type": "longrope"}}, ["rope_parameters", "'longrope'"]),
        ({"rope_parameters": [1]}, ["rope_parameters = [1]"]),
        ({"partial_rotary_factor": 0.5}, ["0.5 of a head"]),
        ({"use_sliding_window": True}, ["use_sliding_window = True"]),
        ({"use_bidirectional_attention": True}, ["use_bidirectional_attention = True"]),
        ({"quantization_config": {"bits": 4}}, ["quantization_config"]),
    ],
)
def test_configurations_that_are_not_known_are_refused(path, changes, words):
    (path / "config.json").write_text(json.dumps(tiny.config() | changes))
    refused(path, "config.json", *words)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"layer_types": ["full_attention"]}, ["layer_types", "2 times"]),
        ({"layer_types": ["full_attention", "chunked"]}, ["layer_types"]),
        ({"sliding_window": 0}, ["sliding_window = 0"]),
        ({"final_logit_softcapping": 30.0}, ["final_logit_softcapping"]),
        ({"hidden_activation": "relu"}, ["hidden_activation = 'relu'"]),
    ],
)
def test_gemmas_that_are_not_known_are_refused(changes, words):
    with pytest.raises(ModelError) as caught:
        architecture.read(tiny.config("gemma3_text") | changes, "config.json")
    for word in words:
        assert word in str(caught.value)


def test_both_spellings_of_a_gemma_s_layers_are_one():
    older = tiny.config("gemma3_text", rope_theta=1e6, rope_local_base_freq=1e4)
    newer = {name: value for name, value in older.items() if "rope" not in name and "pattern" not in name}
    newer["layer_types"] = ["sliding_attention", "full_attention"]
    full, local = ({"rope_type": "default", "rope_theta": theta} for theta in (1e6, 1e4))
    newer["rope_parameters"] = {"full_attention": full, "sliding_attention": local}
    assert architecture.read(older, "") == architecture.read(newer, "")
    assert [rotary.theta for rotary in architecture.read(newer, "").rotaries] == [1e4, 1e6]
    assert architecture.read(newer, "").windows == (6, 0)


def test_tensors_must_be_those_that_the_configuration_asks_for(path):
    for change, words in (
        (lambda a: a.pop("model.layers.1.mlp.up_proj.weight"), ["model.layers.1.mlp.up_proj.weight is absent"]),
        (lambda a: a.pop("lm_head.weight"), ["lm_head.weight is absent"]),
        (lambda a: a.update({"model.norm.weight": np.ones(31, np.float32)}), ["model.norm.weight", "(31,)", "(32,)"]),
        (lambda a: a.update({"model.norm.weight": np.ones(32, np.int32)}), ["model.norm.weight is I32", "F32"]),
        (
            lambda a: a.update({"model.layers.0.self_attn.q_proj.bias": np.ones(32, np.float32)}),
            ["q_proj.bias", "has no place in a llama"],
        ),
    ):
        arrays = tiny.weights(tiny.config())
        change(arrays)
        tiny.write(path, arrays=arrays)
        refused(path, *words)
    arrays = tiny.weights(tiny.config()) | {"model.layers.0.self_attn.rotary_emb.inv_freq": np.ones(4, np.float32)}
    tiny.write(path, arrays=arrays)
    assert opened(path).files.keys() == tiny.weights(tiny.config()).keys()


def test_every_token_must_have_a_row_of_the_embedding(path):
    table = tiny.config(vocab_size=511)
    tiny.write(path, table)
    refused(path, "tokenizer.json", "token 511 is beyond the embedding", "below 511")
    table = tiny.config(vocab_size=600)  # rows that no token uses are common
    assert tiny.made(path, table).architecture.vocabulary == 600


def test_an_extra_that_is_not_installed_is_told_with_its_command(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(UserError, match=r"pip install 'implicit-inference\[lm\]'"):
        opened(path)
