"""Chunks of steps: one compiled program each, between two evaluations. No jax here."""

EVALUATIONS = 20
LONGEST_CHUNK = 250


def chunk_length(steps: int) -> int:
    """Steps between two evaluations: about 1/EVALUATIONS of all, a divisor of `steps` where there is one near.

    At most LONGEST_CHUNK, since a chunk holds the data of all its steps.
    """
    longest = min(max(1, -(-steps // EVALUATIONS)), LONGEST_CHUNK)
    return next((n for n in range(longest, longest // 2, -1) if steps % n == 0), longest)
