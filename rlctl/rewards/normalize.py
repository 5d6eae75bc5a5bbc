"""Rescaling scores over a group or a batch, as in Chemeleon2 (Park and Walsh 2025) and GDPO."""

import math
from collections.abc import Sequence
from itertools import accumulate

EPSILON = 1e-4
"""Added to divisors; a spread below it counts as none, since dividing by it turns noise into reward."""


def mean(values: Sequence[float]) -> float:
    """Arithmetic mean, exactly rounded, so that it does not depend on the order."""
    return math.fsum(values) / len(values)


def std(values: Sequence[float]) -> float:
    """Standard deviation with n−1; 0 for a single value."""
    if len(values) < 2:
        return 0.0
    centre = mean(values)
    return math.sqrt(math.fsum((value - centre) ** 2 for value in values) / (len(values) - 1))


def standardise(values: Sequence[float]) -> list[float]:
    """(x − mean) / (std + 1e-4); zeros where std < 1e-4."""
    centre, spread = mean(values), std(values)
    return [0.0 if spread < EPSILON else (value - centre) / (spread + EPSILON) for value in values]


def min_max(values: Sequence[float]) -> list[float]:
    """(x − min) / (max − min + 1e-4); zeros where the range < 1e-4."""
    low, width = min(values), max(values) - min(values)
    return [0.0 if width < EPSILON else (value - low) / (width + EPSILON) for value in values]


def centred(values: Sequence[float]) -> list[float]:
    """x − mean."""
    centre = mean(values)
    return [value - centre for value in values]


def sizes_of(group_size: int | Sequence[int], rows: int) -> list[int]:
    """The size of every group of a batch, in their order.

    Args:
        group_size: Rows of each group; or of every group one by one.
        rows: Rows of the batch.

    Raises:
        ValueError: They do not make whole groups.
    """
    if isinstance(group_size, int):
        if group_size < 1 or rows % group_size:
            raise ValueError(f"{rows} completions do not make whole groups of {group_size}")
        return [group_size] * (rows // group_size)
    sizes = list(group_size)
    if min(sizes, default=1) < 1 or sum(sizes) != rows:
        raise ValueError(f"{rows} completions do not make groups of {', '.join(map(str, sizes))}")
    return sizes


def normalize(
    kind: str, values: Sequence[float | None], group_size: int | Sequence[int]
) -> list[float | None]:
    """Rescale scores over their group (`group_std`) or the whole batch (`batch_*`).

    Args:
        kind: `none`, `group_std`, `batch_std`, `batch_min_max` or `batch_mean`. With `batch_*` the score of a
            completion depends on its batch mates.
        values: One per completion; None where there is nothing to rescale, which no statistic counts.
        group_size: Completions per group; where groups differ, the size of each, in their order.

    Raises:
        ValueError: The values do not make whole groups.
    """
    if kind == "none":
        return list(values)
    rescale = {"batch_min_max": min_max, "batch_mean": centred}.get(kind, standardise)
    sizes = sizes_of(group_size, len(values)) if kind == "group_std" else [len(values)]
    result: list[float | None] = [None] * len(values)
    for end, size in zip(accumulate(sizes), sizes, strict=True):
        members = [(i, value) for i in range(end - size, end) if (value := values[i]) is not None]
        if members:
            for (i, _), rescaled in zip(members, rescale([value for _, value in members]), strict=True):
                result[i] = rescaled
    return result
