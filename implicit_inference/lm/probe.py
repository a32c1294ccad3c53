"""A probe: the same prompts answered by a model before and after fine-tuning, and by a neutral control; resumable."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import pandas as pd

from implicit_inference.config.errors import UserError, counted
from implicit_inference.lm.models.architecture import Architecture
from implicit_inference.lm.models.directory import Directory
from implicit_inference.lm.models.forward import Params
from implicit_inference.lm.prompts import Prompt
from implicit_inference.lm.scores import Encoded, PromptError, answers, encoded, told
from implicit_inference.lm.store import LmRun
from implicit_inference.lm.tuning import Report, patch_of, tuned
from implicit_inference.runs.files import write_whole

SCORES, TABLE = "scores.jsonl", "table.parquet"
BASE, TUNED, NEUTRAL = "base", "tuned", "neutral"
KEY = ("predictor", "seed", "strength", "family", "conjugation", "draw", "item")
"""The labels of a row, of which there is one an item."""


class Network(NamedTuple):
    """A model that answers: its labels, and how its parameters come from the base's; `seed` -1 has no tuning seed."""

    predictor: str
    seed: int
    strength: float
    architecture: Architecture
    params: Callable[[Params], Params]


@dataclass(frozen=True)
class Source:
    """A tuned model: a directory of its own, or a run of low-rank updates."""

    of: Directory | LmRun

    @property
    def name(self) -> str:
        """Tells it from all others."""
        return self.of.id if isinstance(self.of, LmRun) else self.of.fingerprint

    def networks(self, predictor: str, base: Directory, doses: Sequence[float], dtype: str) -> list[Network]:
        """A network for each tuning seed and dose; a directory has one seed, and its weights are a dose of 1."""
        found = []
        for seed in self.of.settings["seeds"] if isinstance(self.of, LmRun) else (-1,):
            for dose in doses:
                if isinstance(self.of, LmRun):
                    arch, params = base.architecture, partial(_updated, self.of, seed, dose)
                else:
                    arch, params = self.of.architecture, partial(_between, self.of, dtype, dose)
                found.append(Network(predictor, seed, dose, arch, params))
        return found


def _updated(run: LmRun, seed: int, dose: float, base: Params) -> Params:
    return tuned(base, patch_of(run, seed), dose)


def _between(model: Directory, dtype: str, dose: float, base: Params) -> Params:
    """base + dose (model - base)."""
    other = model.load(dtype)
    if dose == 1:
        return other
    move = jax.jit(lambda b, o: (b + jnp.asarray(dose, b.dtype) * (o - b)).astype(b.dtype))
    return jax.tree.map(move, base, other)


MAY_DIFFER = ("vocabulary", "positions", "rotaries", "epsilon")
"""Fields of an architecture that fine-tuning may have changed: tokens added, a longer context."""


def checked(base: Directory, sources: dict[str, Source], doses: Sequence[float]) -> None:
    """Raises UserError unless updates are whole and of this base, and other models are of its architecture."""
    for predictor, source in sources.items():
        of = source.of
        if isinstance(of, LmRun):
            if of.settings["base"] != base.fingerprint:
                raise UserError(
                    f"{of.id}: was tuned on another model than {base.path}: allowed: lm tune --model {base.path}"
                )
            for seed in of.settings["seeds"]:
                patch_of(of, seed)
            continue
        differ = [name for name, value in vars(of.architecture).items() if vars(base.architecture)[name] != value]
        if wrong := [name for name in differ if name not in MAY_DIFFER]:
            raise UserError(f"{of.path}: has another {wrong[0]} than {base.path}: allowed: models of one architecture")
        if differ and predictor == TUNED and set(doses) != {1.0}:
            raise UserError(f"doses: {of.path} has another {differ[0]} than {base.path}: allowed: a dose of 1 alone")


def split(base: Directory, sources: Sequence[Source], prompts: Sequence[Prompt]) -> list[Encoded]:
    """The tokens of all prompts; raises PromptError where two models split one of them differently."""
    texts = [encoded(base, prompt) for prompt in prompts]
    for source in sources:
        if isinstance(source.of, Directory) and source.of.path != base.path:
            for prompt, text in zip(prompts, texts, strict=True):
                if encoded(source.of, prompt) != text:
                    fault = f"{base.path} and {source.of.path} have different tokenizers: {told(prompt)}"
                    raise PromptError(f"{fault} differs: allowed: models that split prompts alike")
    return texts


def digest(prompts: Sequence[Prompt]) -> str:
    """A hash of prompts."""
    return hashlib.sha256(json.dumps(prompts).encode()).hexdigest()


def probe(
    base: Directory,
    networks: Sequence[Network],
    prompts: Sequence[Prompt],
    texts: Sequence[Encoded],
    dtype: str,
    run: LmRun,
    report: Report,
) -> pd.DataFrame:
    """Scores what is missing of a run; returns, and keeps, its table: a row an item, network and conjugation."""
    if not run.has(TABLE):
        with run.readable(SCORES):
            there = {tuple(row[name] for name in KEY): row for row in _kept(run.path(SCORES))}
        params = base.load(dtype)
        every = len(networks) * sum(text.length for text in texts)
        done, order = 0, list[tuple[Any, ...]]()
        with open(run.path(SCORES), "a", encoding="utf-8") as file:
            for network in networks:
                labels = dict(zip(KEY, network[:3], strict=False))
                key = [(*network[:3], p.pair, p.conjugation, p.draw, p.item) for p in prompts]
                order += key
                left = [i for i in range(len(prompts)) if key[i] not in there]
                done += sum(text.length for text in texts) - sum(texts[i].length for i in left)
                own = network.params(params) if left else None
                asked = [prompts[i] for i in left], [texts[i] for i in left]
                for chosen, answered in answers(network.architecture, own, *asked):
                    members, found = [left[i] for i in chosen], [labels | row for row in answered]
                    file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in found)
                    file.flush()
                    there |= {key[i]: row for i, row in zip(members, found, strict=True)}
                    done += sum(texts[i].length for i in members)
                    report(done / every, _name(network))
        write_whole(run.path(TABLE), pd.DataFrame([there[key] for key in order]).to_parquet(index=False))
        run.path(SCORES).unlink()
    with run.readable(TABLE):
        return pd.read_parquet(run.path(TABLE))


def _name(network: Network) -> str:
    seed = "" if network.seed < 0 else f", seed {network.seed}"
    return network.predictor if network.predictor == BASE else f"{network.predictor}{seed}, dose {network.strength:g}"


def _kept(path: Path) -> list[dict[str, Any]]:
    """The rows that were scored before; what a killed process left of a last line is cut off."""
    if not path.exists():
        return []
    whole = path.read_bytes().rpartition(b"\n")[0]
    path.write_bytes(whole + b"\n" if whole else b"")
    return [json.loads(line) for line in whole.decode().splitlines()]


def networks_of(base: Directory, sources: dict[str, Source], doses: Sequence[float], dtype: str) -> list[Network]:
    """The base, then every dose of what was tuned, then the neutral control at a dose of 1."""
    found = [Network(BASE, -1, 0.0, base.architecture, lambda params: params)]
    for predictor, source in sources.items():
        found += source.networks(predictor, base, doses if predictor == TUNED else (1.0,), dtype)
    return found


def seeds_told(sources: dict[str, Source]) -> str:
    """Tells how many tuning seeds there are."""
    of = sources[TUNED].of
    return counted(len(of.settings["seeds"]), "tuning seed") if isinstance(of, LmRun) else "a model of its own"
