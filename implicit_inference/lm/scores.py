"""Both answers of a prompt, scored in one forward pass: prompt, A, B in a row, where A and B do not see each other."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from implicit_inference.config.errors import UserError, quoted
from implicit_inference.lm.models.architecture import Architecture
from implicit_inference.lm.models.directory import Directory
from implicit_inference.lm.models.forward import Params, forward
from implicit_inference.lm.prompts import Prompt

TOKENS = 1024
"""About how many tokens a batch has; rows are padded to whole multiples of LENGTH tokens and ANSWER answer tokens."""
LENGTH, ANSWER = 32, 16


class PromptError(UserError):
    """A prompt that cannot be scored."""


class Encoded(NamedTuple):
    """Tokens of a prompt, of its answer A and of its answer B."""

    prompt: list[int]
    context: list[int]
    instruction: list[int]

    @property
    def length(self) -> int:
        """The number of tokens of the row that holds all three."""
        return sum(map(len, self))


class Batch(NamedTuple):
    """Rows of prompts and answers: what `forward` takes, the tokens at the answers' places, whose answer they are."""

    tokens: Array
    positions: Array
    branches: Array
    at: Array
    targets: Array
    answer: Array


class Scores(NamedTuple):
    """log p of both answers [B, 2], whether greedy decoding begins with them [B, 2], whether logits are finite [B]."""

    log_prob: Array
    greedy: Array
    finite: Array


def encoded(model: Directory, prompt: Prompt) -> Encoded:
    """Splits a prompt into tokens; raises PromptError if it is too long or its answers cannot be told apart."""
    where, tokenizer = told(prompt), model.tokenizer
    a, b = prompt.context, prompt.instruction
    if a.startswith(b) or b.startswith(a):
        kind = "are equal" if a == b else "begin with one another"
        raise PromptError(
            f"{where}: answers {quoted(a)} and {quoted(b)} {kind}: allowed: answers that differ before they end"
        )
    before = tokenizer.encode(prompt.prompt).ids
    answers = []
    for text in (a, b):
        whole = tokenizer.encode(prompt.prompt + text).ids
        if not before or whole[: len(before)] != before or len(whole) == len(before):
            boundary = "the prompt's tokens do not begin those of prompt and answer"
            raise PromptError(f"{where}: {boundary} {quoted(text)}: allowed: a space or a line between the two")
        if len(whole) > model.architecture.positions:
            most = f"at most {model.architecture.positions} (max_position_embeddings)"
            raise PromptError(f"{where}: {len(whole)} tokens with its answer: allowed: {most}")
        answers.append(whole[len(before) :])
    return Encoded(before, *answers)


def told(prompt: Prompt) -> str:
    """Names a prompt in an error."""
    return f"item {prompt.item} of {prompt.pair!r} under {prompt.conjugation!r}"


def batches(rows: Sequence[Encoded], tokens: int = TOKENS) -> Iterator[tuple[list[int], Batch]]:
    """Gives (numbers of the rows, batch), shortest first; rows of about one length share a batch, and its program."""
    buckets: dict[tuple[int, int], list[int]] = {}
    for i, row in enumerate(rows):
        shape = (rounded_up(row.length, LENGTH), rounded_up(len(row.context) + len(row.instruction), ANSWER))
        buckets.setdefault(shape, []).append(i)
    for shape, members in sorted(buckets.items()):
        size = max(1, tokens // shape[0])
        for start in range(0, len(members), size):
            chosen = members[start : start + size]
            yield chosen, batch([rows[i] for i in chosen], *shape, size)


def batch(rows: Sequence[Encoded], length: int, answers: int, size: int) -> Batch:
    """Lays rows out in `size` rows of `length` tokens with `answers` answer tokens; the rest is padding."""
    tokens, positions, branches = np.zeros((3, size, length), np.int32)
    at, targets, answer = np.zeros((3, size, answers), np.int32)
    branches[:] = 3
    for r, row in enumerate(rows):
        n, (a, b) = len(row.prompt), (len(row.context), len(row.instruction))
        tokens[r, : n + a + b] = row.prompt + row.context + row.instruction
        positions[r, : n + a + b] = [*range(n + a), *range(n, n + b)]
        branches[r, : n + a + b] = [0] * n + [1] * a + [2] * b
        at[r, : a + b] = [*range(n - 1, n + a - 1), *([n - 1] * min(b, 1)), *range(n + a, n + a + b - 1)]
        targets[r, : a + b] = row.context + row.instruction
        answer[r, : a + b] = [1] * a + [2] * b
    return Batch(*(jnp.asarray(part) for part in (tokens, positions, branches, at, targets, answer)))


def log_probs(arch: Architecture, params: Params, batch: Batch) -> tuple[Array, Array]:
    """log p of each answer token [B, N], and whether it is the likeliest [B, N]."""
    logits = forward(arch, params, batch.tokens, batch.positions, batch.branches, batch.at)
    own = jnp.take_along_axis(logits, batch.targets[:, :, None], axis=-1)[:, :, 0]
    return own - jax.nn.logsumexp(logits, axis=-1), jnp.argmax(logits, axis=-1).astype(jnp.int32) == batch.targets


def _score(arch: Architecture, params: Params, batch: Batch) -> Scores:
    each, likeliest = log_probs(arch, params, batch)
    of = batch.answer[:, None, :] == jnp.arange(1, 3, dtype=jnp.int32)[None, :, None]
    log_prob = jnp.where(of, each[:, None, :], 0.0).sum(-1)
    return Scores(log_prob, (likeliest[:, None, :] | ~of).all(-1), jnp.isfinite(log_prob).all(-1))


score: Any = jax.jit(_score, static_argnums=0)
"""Scores of a batch: one program for each architecture and shape."""


def answers(
    arch: Architecture, params: Params, prompts: Sequence[Prompt], texts: Sequence[Encoded], tokens: int = TOKENS
) -> Iterator[tuple[list[int], list[dict[str, Any]]]]:
    """Gives (numbers of the prompts, a row each), batch by batch; `texts` are the prompts, encoded.

    A row holds the margin log p(A) - log p(B), both parts, greedy flags and counts of tokens. Raises PromptError where
    logits are not finite.
    """
    for chosen, together in batches(texts, tokens):
        found = score(arch, params, together)
        parts = (np.asarray(part)[: len(chosen)] for part in found)
        for i, whole in zip(chosen, np.asarray(found.finite), strict=False):
            if not whole:
                raise PromptError(f"{told(prompts[i])}: the model's logits are not finite: try --dtype float32")
        yield (
            chosen,
            [
                {
                    "family": prompts[i].pair,
                    "conjugation": prompts[i].conjugation,
                    "draw": prompts[i].draw,
                    "item": prompts[i].item,
                    "conflict": prompts[i].conflict,
                    "margin": float(a - b),
                    "context": float(a),
                    "instruction": float(b),
                    "greedy_context": bool(first),
                    "greedy_instruction": bool(second),
                    "tokens": len(texts[i].prompt),
                    "tokens_context": len(texts[i].context),
                    "tokens_instruction": len(texts[i].instruction),
                }
                for i, (a, b), (first, second), _ in zip(chosen, *parts, strict=True)
            ],
        )


def rounded_up(value: int, multiple: int) -> int:
    """The least multiple that is not below a value."""
    return -(-value // multiple) * multiple
