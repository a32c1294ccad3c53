"""A model in a local directory, laid out as on the hub: config.json, model.safetensors (or its index), tokenizer.json.

Nothing is downloaded. Importing it imports neither jax nor the tokenizers.
"""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from implicit_inference.config.errors import UserError, counted, named, quoted, shortened
from implicit_inference.lm.models import architecture
from implicit_inference.lm.models.architecture import Architecture, ModelError

if TYPE_CHECKING:
    from jax import Array
    from tokenizers import Tokenizer

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
STORED = ("F64", "F32", "F16", "BF16")
"""Types of weights that can be read, as safetensors calls them."""

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Directory:
    """A model on disk, checked: every tensor is there in its shape, and the tokenizer fits."""

    path: Path
    architecture: Architecture
    tokenizer: Tokenizer
    files: dict[str, Path]
    """tensor -> the file that holds it"""

    @cached_property
    def fingerprint(self) -> str:
        """A hash of everything that predictions depend on."""
        digest = hashlib.sha256()
        for file in (self.path / "config.json", self.path / "tokenizer.json", *sorted(set(self.files.values()))):
            with open(file, "rb") as content:
                digest.update(hashlib.file_digest(content, "sha256").digest())
        return digest.hexdigest()

    def load(self, dtype: str) -> Any:
        """The parameters, for `forward`, in this dtype; norms in float32."""
        import jax.numpy as jnp

        arch = self.architecture

        def array(name: str, transposed: bool, kept: bool = False) -> Array:
            with _safely(self.files[name]), safe_open(self.files[name], "flax") as file:
                value = file.get_tensor(name).astype(jnp.float32 if kept else dtype)
            return value.T if transposed else value

        def layers(name: str, **how: bool) -> Array:
            return jnp.stack([array(name.format(i), **how) for i in range(arch.layers)])

        def norm(value: Array) -> Array:
            return value + 1.0 if arch.gemma else value

        blocks: dict[str, Any] = {}
        for name, (stored, _) in _matrices(arch).items():
            blocks[name] = {"kernel": layers(f"{stored}.weight", transposed=True)}
            if name in arch.biased:
                blocks[name]["bias"] = layers(f"{stored}.bias", transposed=False)
        for name, (stored, _) in _norms(arch).items():
            blocks[name] = norm(layers(f"{stored}.weight", transposed=False, kept=True))
        params = {
            "embedding": array("model.embed_tokens.weight", False),
            "blocks": blocks,
            "norm": norm(array("model.norm.weight", False, kept=True)),
        }
        return params if arch.tied else params | {"head": array("lm_head.weight", True)}


def opened(path: Path) -> Directory:
    """Reads and checks all but the weights; raises ModelError with the file, and what is wrong."""
    if not path.is_dir():
        raise ModelError(f"{named(path)}: no such directory; needed: config.json, {WEIGHTS}, tokenizer.json")
    arch = architecture.read(_table(path / "config.json"), str(path / "config.json"))
    if not (path / "tokenizer.json").exists():
        raise _missing(path / "tokenizer.json")
    files = _checked(_files(path), tensors(arch), path, arch)
    return Directory(path, arch, _tokenizer(path / "tokenizer.json", arch), files)


def tensors(arch: Architecture) -> Shapes:
    """{name on disk: shape} of everything that an architecture needs; matrices are [out, in] there."""
    shapes: Shapes = {"model.embed_tokens.weight": (arch.vocabulary, arch.width), "model.norm.weight": (arch.width,)}
    if not arch.tied:
        shapes["lm_head.weight"] = (arch.vocabulary, arch.width)
    for i in range(arch.layers):
        for name, (stored, (inner, outer)) in _matrices(arch).items():
            shapes[f"{stored.format(i)}.weight"] = (outer, inner)
            if name in arch.biased:
                shapes[f"{stored.format(i)}.bias"] = (outer,)
        for stored, size in _norms(arch).values():
            shapes[f"{stored.format(i)}.weight"] = (size,)
    return shapes


def _matrices(arch: Architecture) -> dict[str, tuple[str, tuple[int, int]]]:
    """{name: (name on disk, (in, out))} of the matrices of a block."""
    stored = {
        "queries": "self_attn.q_proj",
        "keys": "self_attn.k_proj",
        "values": "self_attn.v_proj",
        "attention_out": "self_attn.o_proj",
        "gate": "mlp.gate_proj",
        "up": "mlp.up_proj",
        "down": "mlp.down_proj",
    }
    return {name: (f"model.layers.{{}}.{stored[name]}", shape) for name, shape in arch.kernels.items()}


def _norms(arch: Architecture) -> dict[str, tuple[str, int]]:
    """{name: (name on disk, size)} of the norms of a block. Gemma's post_attention_layernorm is another one's."""
    stored = {
        "attention_norm": ("input_layernorm", arch.width),
        "mlp_norm": ("pre_feedforward_layernorm" if arch.gemma else "post_attention_layernorm", arch.width),
    }
    if arch.gemma:
        stored["attention_out_norm"] = ("post_attention_layernorm", arch.width)
        stored["mlp_out_norm"] = ("post_feedforward_layernorm", arch.width)
    if arch.head_norms:
        stored["query_norm"] = ("self_attn.q_norm", arch.head)
        stored["key_norm"] = ("self_attn.k_norm", arch.head)
    return {name: (f"model.layers.{{}}.{of}", size) for name, (of, size) in stored.items()}


def _files(path: Path) -> dict[str, Path]:
    """{tensor: file} as the index tells, or as the one file holds them."""
    if (path / WEIGHTS).exists():
        with _safely(path / WEIGHTS), safe_open(path / WEIGHTS, "numpy") as file:
            return {name: path / WEIGHTS for name in file.keys()}  # noqa: SIM118  (no mapping)
    if not (path / INDEX).exists():
        raise _missing(path / WEIGHTS)
    shards = _table(path / INDEX).get("weight_map")
    if not isinstance(shards, dict) or not all(isinstance(shard, str) for shard in shards.values()):
        raise ModelError(f"{path / INDEX}: weight_map = {quoted(shards)}: allowed: a table of tensors and their files")
    for shard in dict.fromkeys(shards.values()):
        if Path(shard).name != shard:
            raise ModelError(f"{path / INDEX}: weight_map names {quoted(shard)}: allowed: files beside it")
        if not (path / shard).exists():
            raise ModelError(f"{path / shard}: no such shard, which {INDEX} names")
    return {name: path / shard for name, shard in shards.items()}


def _checked(files: dict[str, Path], needed: Shapes, path: Path, arch: Architecture) -> dict[str, Path]:
    """The files of the tensors that are needed; raises ModelError if one is absent, of another shape, or unknown."""
    for name in needed:
        if name not in files:
            raise ModelError(f"{path}: tensor {name} is absent; {counted(len(needed), 'tensor')} are needed")
    of_file: dict[Path, list[str]] = {}
    for name in needed:
        of_file.setdefault(files[name], []).append(name)
    for file, names in of_file.items():
        with _safely(file), safe_open(file, "numpy") as content:
            there = set(content.keys())
            for name in names:
                if name not in there:
                    raise ModelError(f"{file}: tensor {name} is absent, which {INDEX} puts there")
                found = content.get_slice(name)
                if (shape := tuple(found.get_shape())) != needed[name]:
                    raise ModelError(f"{file}: tensor {name} has shape {shape}: allowed: {needed[name]}")
                if found.get_dtype() not in STORED:
                    raise ModelError(f"{file}: tensor {name} is {found.get_dtype()}: allowed: {', '.join(STORED)}")
    for name in set(files) - set(needed):
        if not (name.endswith("rotary_emb.inv_freq") or (arch.tied and name == "lm_head.weight")):
            raise ModelError(f"{path}: tensor {quoted(name)} has no place in a {arch.model_type} of this config.json")
    return {name: files[name] for name in needed}


def _tokenizer(path: Path, arch: Architecture) -> Tokenizer:
    """The tokenizer in a file; raises ModelError unless every token has a row of the embedding."""
    tokenizers = extra("tokenizers", "lm")
    try:
        found = tokenizers.Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except Exception as error:  # of the file's text and of Rust, which raises nothing narrower
        raise ModelError(f"{path}: not a tokenizer ({shortened(str(error), 100)})") from error
    found.no_padding()
    found.no_truncation()
    largest = max(found.get_vocab().values(), default=0)
    if largest >= arch.vocabulary:
        raise ModelError(
            f"{path}: token {largest} is beyond the embedding: allowed: below {arch.vocabulary} (vocab_size)"
        )
    return found


def extra(module: str, name: str) -> Any:
    """A module of an extra of this package; raises UserError with the command that installs it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UserError(f"{module} is not installed: pip install 'implicit-inference[{name}]'") from error


def _table(path: Path) -> dict[str, Any]:
    """The table in a JSON file; raises ModelError."""
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise _missing(path) from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: not JSON ({shortened(str(error), 100)})") from error
    if not isinstance(found, dict):
        raise ModelError(f"{path}: a {type(found).__name__}: allowed: a table")
    return found


def _missing(path: Path) -> ModelError:
    return ModelError(f"{path}: no such file; a model is a directory with config.json, {WEIGHTS} and tokenizer.json")


@contextmanager
def _safely(path: Path) -> Iterator[None]:
    """Raises ModelError where a file is not what safetensors writes."""
    try:
        yield
    except SafetensorError as error:
        raise ModelError(f"{path}: not whole ({shortened(str(error), 100)})") from error
