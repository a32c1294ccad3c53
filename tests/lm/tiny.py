"""Random language models of width 32, written to disk in a fraction of a second, with byte-level tokenizers."""

import json
from functools import lru_cache

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from implicit_inference.lm.languages import SHIPPED, shipped
from implicit_inference.lm.models import architecture
from implicit_inference.lm.models.directory import opened, tensors

CONFIGS = {
    "llama": {"num_key_value_heads": 2, "rope_theta": 1e4},
    "qwen2": {"num_key_value_heads": 2, "rope_theta": 1e6, "tie_word_embeddings": True},
    "qwen3": {"num_key_value_heads": 1, "head_dim": 16, "rope_parameters": {"rope_theta": 1e6, "rope_type": "default"}},
    "gemma3_text": {"num_key_value_heads": 1, "head_dim": 8, "sliding_window": 6, "sliding_window_pattern": 2},
}


@lru_cache
def tokenizer_json(seed=0, vocabulary=512):
    tokenizer = Tokenizer(models.BPE())
    digits = pre_tokenizers.Digits(individual_digits=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, initial_alphabet=alphabet, show_progress=False)
    words = [shipped(name) for name in SHIPPED[seed:]]
    texts = [f"{of.input}: {of.sentence(i)}\n{of.output}: {of.sum(i)[0]}" for of in words for i in range(0, 300, 7)]
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer.to_str()


def config(model_type="llama", **changes):
    usual = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    usual |= {"vocab_size": 512, "max_position_embeddings": 1024, "rms_norm_eps": 1e-5}
    return {"model_type": model_type, **usual, **CONFIGS[model_type], **changes}


def weights(table, seed=0, scale=0.3):
    """Random tensors under the names on disk; norms are near 1, or 0 where a Gemma stores them less 1."""
    rng = np.random.default_rng(seed)
    found = {}
    for name, shape in tensors(architecture.read(table, "config")).items():
        values = rng.normal(0, scale, shape)
        if "norm" in name:
            values = 0.3 * values + (table["model_type"] != "gemma3_text")
        found[name] = values.astype(np.float32)
    return found


def write(path, table=None, arrays=None, tokenizer=None):
    """Writes a model directory; returns its tensors."""
    table = table or config()
    arrays = weights(table) if arrays is None else arrays
    path.mkdir(parents=True, exist_ok=True)
    (path / "config.json").write_text(json.dumps(table))
    (path / "tokenizer.json").write_text(tokenizer or tokenizer_json())
    save_file(arrays, path / "model.safetensors")
    return arrays


def made(path, table=None, **how):
    """Writes a model and opens it."""
    write(path, table, **how)
    return opened(path)
