"""A GGUF file -> a directory in the hub's layout, once. Needs the extra `lm-gguf`; weights come out in float32."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from implicit_inference.config.errors import named, quoted, shortened
from implicit_inference.lm.models import architecture
from implicit_inference.lm.models.architecture import ModelError
from implicit_inference.lm.models.directory import WEIGHTS, extra, tensors
from implicit_inference.runs.files import write_whole

TOKENIZERS = {"smollm": True, "starcoder": True, "refact": True, "command-r": True, "gpt-2": False}
"""Byte-level tokenizers, by what GGUF calls their splitting of text -> whether each digit is a token of its own."""

CONTROL, OF_USER = 3, 4
"""Types of tokens that are never split."""

NAMES = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def convert(source: Path, target: Path, report: Callable[[float, str], None]) -> None:
    """Writes the model of a GGUF file as a new directory; raises ModelError for what it does not know."""
    gguf = extra("gguf", "lm-gguf")
    extra("tokenizers", "lm")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ModelError(f"{named(target)}: is there already: allowed: a new directory, or an empty one")
    if not source.is_file():
        raise ModelError(f"{named(source)}: no such file")
    try:
        reader = gguf.GGUFReader(source)
    except Exception as error:  # the reader checks little, and fails in many ways
        raise ModelError(f"{named(source)}: not a GGUF file ({shortened(str(error), 100)})") from error
    fields = {name: field.contents() for name, field in reader.fields.items()}
    config, tokenizer = _config(fields, {tensor.name for tensor in reader.tensors}, source), _tokenizer(fields, source)
    arch = architecture.read(config, str(source))
    found = {}
    for i, tensor in enumerate(reader.tensors):
        report(i / len(reader.tensors), tensor.name)
        try:
            values = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        except (NotImplementedError, ValueError) as error:
            raise ModelError(f"{source}: tensor {tensor.name} is {tensor.tensor_type!r}, not known") from error
        heads = {"attn_q": arch.heads, "attn_k": arch.groups}.get(tensor.name.split(".")[-2])
        found[_name(tensor.name, source)] = unpermuted(values, heads) if heads else values
    needed = tensors(arch)
    for name in sorted({*found, *needed}):
        shape, right = (found[name].shape if name in found else None), needed.get(name)
        if shape != right:
            raise ModelError(f"{source}: tensor {quoted(name)} has shape {shape}: allowed: {right}, by its settings")
    write_whole(target / "tokenizer.json", tokenizer.encode())
    write_whole(target / WEIGHTS, save(found, {"format": "pt"}))
    write_whole(target / "config.json", (json.dumps(config, indent=2) + "\n").encode())


def unpermuted(matrix: Any, heads: int) -> Any:
    """Undoes GGUF's order of a Llama's rows: there, the two dimensions that rotary positions turn are neighbours."""
    rows = matrix.reshape(heads, matrix.shape[0] // heads // 2, 2, -1)
    return np.ascontiguousarray(rows.swapaxes(1, 2).reshape(matrix.shape))


def _name(name: str, source: Path) -> str:
    """`blk.3.attn_q.weight` -> `model.layers.3.self_attn.q_proj.weight`."""
    match name.split("."):
        case [part, "weight"] if part in NAMES:
            return f"{NAMES[part]}.weight"
        case ["blk", layer, part, "weight"] if part in NAMES:
            return f"model.layers.{layer}.{NAMES[part]}.weight"
    raise ModelError(f"{source}: tensor {quoted(name)} has no place in a llama")


def _config(fields: dict[str, Any], names: set[str], source: Path) -> dict[str, Any]:
    """The config.json of the settings in a GGUF file."""
    if (kind := fields.get("general.architecture")) != "llama":
        raise ModelError(f"{source}: general.architecture = {quoted(kind)}: allowed: llama")
    if (scaling := fields.get("llama.rope.scaling.type", "none")) != "none":
        raise ModelError(f"{source}: llama.rope.scaling.type = {quoted(scaling)}: allowed: none")

    def told(name: str) -> Any:
        return _told(fields, f"llama.{name}", source)

    heads = told("attention.head_count")
    own_size = {"head_dim": size} if (size := fields.get("llama.rope.dimension_count")) else {}
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": told("embedding_length"),
        "intermediate_size": told("feed_forward_length"),
        "num_hidden_layers": told("block_count"),
        "num_attention_heads": heads,
        "num_key_value_heads": fields.get("llama.attention.head_count_kv", heads),
        "vocab_size": len(_told(fields, "tokenizer.ggml.tokens", source)),
        "max_position_embeddings": told("context_length"),
        "rms_norm_eps": float(np.float32(told("attention.layer_norm_rms_epsilon"))),
        "rope_theta": fields.get("llama.rope.freq_base", 10000.0),
        "tie_word_embeddings": "output.weight" not in names,
        "torch_dtype": "float32",
    } | own_size


def _told(fields: dict[str, Any], name: str, source: Path) -> Any:
    """A field; raises ModelError if it is absent."""
    if name not in fields:
        raise ModelError(f"{source}: {name} is absent")
    return fields[name]


def _tokenizer(fields: dict[str, Any], source: Path) -> str:
    """The tokenizer.json of a byte-level tokenizer."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

    model, split = fields.get("tokenizer.ggml.model"), fields.get("tokenizer.ggml.pre")
    if model != "gpt2" or split not in TOKENIZERS:
        allowed = f"gpt2 (byte-level) with one of {', '.join(TOKENIZERS)}"
        raise ModelError(f"{source}: tokenizer {quoted(model)} with {quoted(split)}: allowed: {allowed}")
    tokens = _told(fields, "tokenizer.ggml.tokens", source)
    merges = [tuple(merge.split(" ")) for merge in _told(fields, "tokenizer.ggml.merges", source)]
    try:
        tokenizer = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate(tokens)}, merges=merges))
    except Exception as error:  # of Rust, which raises nothing narrower
        raise ModelError(f"{source}: tokenizer.ggml.merges do not fit the tokens ({error})") from error
    bytes_ = pre_tokenizers.ByteLevel(add_prefix_space=bool(fields.get("tokenizer.ggml.add_space_prefix", False)))
    digits = [pre_tokenizers.Digits(individual_digits=True)] if TOKENIZERS[split] else []
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*digits, bytes_])
    tokenizer.decoder = decoders.ByteLevel()
    kinds = fields.get("tokenizer.ggml.token_type", [])
    for kind, special in ((CONTROL, True), (OF_USER, False)):
        added = [
            AddedToken(token, special=special, normalized=False)
            for token, of in zip(tokens, kinds, strict=False)
            if of == kind
        ]
        (tokenizer.add_special_tokens if special else tokenizer.add_tokens)(added)
    if fields.get("tokenizer.ggml.add_bos_token", False):
        first = tokens[_told(fields, "tokenizer.ggml.bos_token_id", source)]
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{first} $A", special_tokens=[(first, tokenizer.token_to_id(first))]
        )
    return tokenizer.to_str(pretty=False)
