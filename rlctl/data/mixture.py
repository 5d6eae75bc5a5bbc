"""Which rows of which source an epoch consists of, and in what order.

Without weights the sources are joined in their order. With weights an epoch is as long as all sources
together, and the shares follow the weights, also in every stretch of it: a source with too few rows is gone
through again, one with too many gives a random sample of its rows. Everything follows from the seed.
"""

import random
from collections.abc import Sequence


def mix(rows: Sequence[int], weights: Sequence[float | None], seed: int) -> list[tuple[int, int]]:
    """The rows of one epoch, in order.

    Args:
        rows: How many rows each source has.
        weights: Weight of each source; None for all of them joins the sources.
        seed: Seed of which rows are left out of, or come once more from, a source that does not fit.

    Returns:
        Pairs of source and row, both counted from 0.
    """
    if all(weight is None for weight in weights):
        return [(source, row) for source, count in enumerate(rows) for row in range(count)]
    picked = [
        _pick(available, count, random.Random(f"{seed} {source}"))
        for source, (available, count) in enumerate(zip(rows, shares(rows, weights), strict=True))
    ]
    places = [
        ((i + 0.5) / len(chosen), source, row)
        for source, chosen in enumerate(picked)
        for i, row in enumerate(chosen)
    ]
    return [(source, row) for _, source, row in sorted(places, key=lambda place: place[:2])]


def shares(rows: Sequence[int], weights: Sequence[float | None]) -> list[int]:
    """Rows that each source gives to an epoch of `sum(rows)`: by largest remainder, at least one each."""
    filled = [1.0 if weight is None else weight for weight in weights]
    exact = [sum(rows) * weight / sum(filled) for weight in filled]
    counts = [int(share) for share in exact]
    by_remainder = sorted(range(len(rows)), key=lambda i: counts[i] - exact[i])
    for i in by_remainder[: sum(rows) - sum(counts)]:
        counts[i] += 1
    return [max(count, 1) for count in counts]


def _pick(available: int, count: int, rng: random.Random) -> list[int]:
    """`count` of `available` rows in their order: whole passes, then a sample of what is left over."""
    passes, rest = divmod(count, available)
    return [*range(available)] * passes + sorted(rng.sample(range(available), rest))
