"""The shape of a language model, as config.json in its directory tells it. No jax here."""

import math
from dataclasses import dataclass
from typing import Any

from implicit_inference.config.errors import UserError, quoted

KNOWN = ("llama", "qwen2", "qwen3", "gemma3_text")
"""The model types that can be read."""

ACTIVATIONS = {"silu": "silu", "gelu_pytorch_tanh": "gelu"}
REFUSED = (
    *("use_sliding_window", "use_bidirectional_attention", "final_logit_softcapping", "attn_logit_softcapping"),
    "quantization_config",
)
"""Fields that would change the forward pass in ways that it does not know."""
MOST = 2**31 - 1


class ModelError(UserError):
    """A model, or a file of it, that cannot be used."""


@dataclass(frozen=True)
class Rotary:
    """Rotary positions of a layer: the base `theta`, and how wavelengths are stretched."""

    theta: float
    kind: str = "default"
    factor: float = 1.0
    low: float = 1.0
    high: float = 4.0
    original: float = 8192.0

    def frequencies(self, head: int) -> list[float]:
        """The angle a position, for each pair of the `head` dimensions [head / 2]."""
        return [self._stretched(self.theta ** (-2 * i / head)) for i in range(head // 2)]

    def _stretched(self, frequency: float) -> float:
        """Linear scaling divides all frequencies by `factor`; llama3 those of long waves alone, with a ramp."""
        if self.kind != "llama3":
            return frequency / self.factor
        waves = self.original * frequency / (2 * math.pi)
        kept = min(1.0, max(0.0, (waves - self.low) / (self.high - self.low)))
        return frequency * (kept + (1 - kept) / self.factor)


@dataclass(frozen=True)
class Architecture:
    """Everything that a forward pass needs to know besides the parameters. Hashable: a program is compiled for each."""

    model_type: str
    vocabulary: int
    width: int
    hidden: int
    layers: int
    heads: int
    groups: int
    head: int
    positions: int
    epsilon: float
    activation: str
    tied: bool
    biased: tuple[str, ...]
    query_scale: float
    rotaries: tuple[Rotary, ...]
    windows: tuple[int, ...]
    """For each layer how many of the latest tokens attention sees; 0 = all."""

    @property
    def kernels(self) -> dict[str, tuple[int, int]]:
        """{name: (in, out)} of the matrices of a block."""
        inner, shared = self.heads * self.head, self.groups * self.head
        return {
            "queries": (self.width, inner),
            "keys": (self.width, shared),
            "values": (self.width, shared),
            "attention_out": (inner, self.width),
            "gate": (self.width, self.hidden),
            "up": (self.width, self.hidden),
            "down": (self.hidden, self.width),
        }

    @property
    def head_norms(self) -> bool:
        """Whether queries and keys are normalised."""
        return self.model_type in ("qwen3", "gemma3_text")

    @property
    def gemma(self) -> bool:
        """Whether norms hold their weight less 1 and follow each part, too, and embeddings are scaled."""
        return self.model_type == "gemma3_text"


def read(config: dict[str, Any], where: str) -> Architecture:
    """The architecture that a config.json (`where`, for errors) tells; raises ModelError for what is not known."""
    fields = _Fields(config, where)
    model_type = config.get("model_type")
    if model_type not in KNOWN:
        raise fields.refused("model_type", f"one of {', '.join(KNOWN)}")
    gemma, qwen = model_type == "gemma3_text", model_type in ("qwen2", "qwen3")
    width, heads, layers = (fields.whole(f"{x}") for x in ("hidden_size", "num_attention_heads", "num_hidden_layers"))
    groups = fields.whole("num_key_value_heads", heads)
    if heads % groups:
        raise fields.refused("num_key_value_heads", f"a divisor of num_attention_heads ({heads})")
    usual_head = {"qwen3": 128, "gemma3_text": 256}.get(model_type, width // heads)
    head = fields.whole("head_dim", usual_head)
    if head % 2 or head < 2:
        raise fields.refused("head_dim", "an even number")
    named = "hidden_activation" if gemma else "hidden_act"
    usual = "gelu_pytorch_tanh" if gemma else "silu"
    if (activation := config.get(named, usual)) not in ACTIVATIONS:
        raise fields.refused(named, f"one of {', '.join(ACTIVATIONS)}")
    for name in REFUSED:
        if config.get(name):
            raise fields.refused(name, "none")
    attention = fields.flag("attention_bias", model_type == "qwen2")
    biased: tuple[str, ...] = ("queries", "keys", "values") if attention else ()
    if attention and model_type != "qwen2":
        biased += ("attention_out",)
    if fields.flag("mlp_bias", False):
        biased += ("gate", "up", "down")
    windows, rotaries = _by_layer(fields, layers) if gemma else ((0,) * layers, (_rotary(fields, config),) * layers)
    return Architecture(
        model_type=model_type,
        vocabulary=fields.whole("vocab_size"),
        width=width,
        hidden=fields.whole("intermediate_size"),
        layers=layers,
        heads=heads,
        groups=groups,
        head=head,
        positions=fields.whole("max_position_embeddings", 32768 if qwen else 131072 if gemma else 2048),
        epsilon=fields.number("rms_norm_eps", 1e-6),
        activation=ACTIVATIONS[activation],
        tied=fields.flag("tie_word_embeddings", gemma),
        biased=biased,
        query_scale=fields.number("query_pre_attn_scalar", 256) ** -0.5 if gemma else head**-0.5,
        rotaries=rotaries,
        windows=windows,
    )


def _by_layer(fields: "_Fields", layers: int) -> tuple[tuple[int, ...], tuple[Rotary, ...]]:
    """Windows and rotary positions of a Gemma, most of whose layers look back over a window alone."""
    config = fields.config
    every = fields.whole("sliding_window_pattern", 6)
    usual = ["full_attention" if (i + 1) % every == 0 else "sliding_attention" for i in range(layers)]
    kinds = config.get("layer_types") or usual
    allowed = ("full_attention", "sliding_attention")
    if not isinstance(kinds, list) or len(kinds) != layers or any(kind not in allowed for kind in kinds):
        raise fields.refused("layer_types", f"{layers} times {' or '.join(allowed)}")
    window = fields.whole("sliding_window", 4096)
    told = config.get("rope_parameters")
    if isinstance(told, dict) and set(told) & set(allowed):
        of = {kind: _Fields(told.get(kind) or {}, f"{fields.where}: rope_parameters.{kind}") for kind in allowed}
        usual_theta = {"full_attention": 1e6, "sliding_attention": 1e4}
        rotary = {
            kind: _scaled(of[kind], of[kind].config, of[kind].number("rope_theta", usual_theta[kind]), kind)
            for kind in allowed
        }
    else:
        local = Rotary(fields.number("rope_local_base_freq", 1e4))
        rotary = {"full_attention": _rotary(fields, config, 1e6), "sliding_attention": local}
    return tuple(window * (kind != "full_attention") for kind in kinds), tuple(rotary[kind] for kind in kinds)


def _rotary(fields: "_Fields", config: dict[str, Any], usual: float = 1e4) -> Rotary:
    """Rotary positions in either spelling: rope_theta with rope_scaling, or both inside of rope_parameters."""
    if (told := config.get("rope_parameters")) is not None:
        if not isinstance(told, dict):
            raise fields.refused("rope_parameters", "a table")
        inside = _Fields(told, f"{fields.where}: rope_parameters")
        return _scaled(inside, told, inside.number("rope_theta", fields.number("rope_theta", usual)), "rope_parameters")
    return _scaled(fields, config.get("rope_scaling") or {}, fields.number("rope_theta", usual), "rope_scaling")


def _scaled(fields: "_Fields", told: Any, theta: float, name: str) -> Rotary:
    """Rotary positions with the stretching that a table tells; what is not known is refused: it would be wrong."""
    if not isinstance(told, dict):
        raise fields.refused(name, "a table, or none")
    kind = told.get("rope_type", told.get("type", "default"))
    inside = _Fields(told, f"{fields.where}: {name}")
    partial = told.get("partial_rotary_factor", fields.config.get("partial_rotary_factor", 1))
    if kind not in ("default", "linear", "llama3") or partial not in (None, 1):
        allowed = "default, linear or llama3, over whole heads"
        raise ModelError(
            f"{fields.where}: {name}: rope type = {quoted(kind)} over {partial} of a head: allowed: {allowed}"
        )
    if kind == "default":
        return Rotary(theta)
    factor = inside.number("factor")
    if kind == "linear":
        return Rotary(theta, kind, factor)
    low, high = inside.number("low_freq_factor"), inside.number("high_freq_factor")
    if low >= high:
        raise inside.refused("high_freq_factor", f"above low_freq_factor ({low:g})")
    return Rotary(theta, kind, factor, low, high, inside.number("original_max_position_embeddings"))


@dataclass(frozen=True)
class _Fields:
    """The fields of a table in config.json, checked."""

    config: dict[str, Any]
    where: str

    def whole(self, name: str, usual: int | None = None) -> int:
        value = self._given(name, usual)
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST:
            raise self.refused(name, "a whole number >= 1")
        return value

    def number(self, name: str, usual: float | None = None) -> float:
        value = self._given(name, usual)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e30:
            raise self.refused(name, "a number > 0")
        return float(value)

    def flag(self, name: str, usual: bool) -> bool:
        value = self._given(name, usual)
        if not isinstance(value, bool):
            raise self.refused(name, "true or false")
        return value

    def refused(self, name: str, allowed: str) -> ModelError:
        return ModelError(f"{self.where}: {name} = {quoted(self.config.get(name))}: allowed: {allowed}")

    def _given(self, name: str, usual: Any) -> Any:
        value = self.config.get(name)
        return usual if value is None else value
