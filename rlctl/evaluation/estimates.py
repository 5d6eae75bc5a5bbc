"""A mean over prompts with its 95 % interval; the samples of one prompt are one cluster."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean over prompts with its 95 % interval.

    Args:
        mean: The mean of the prompts' means; None where nothing was scored.
        low: Lower end of the interval; None where there can be none.
        high: Upper end of the interval.
        std: Standard deviation over all values, n−1; None below two.
        n: Prompts that the mean is over.
    """

    mean: float | None
    low: float | None
    high: float | None
    std: float | None
    n: int

    def as_dict(self) -> dict[str, Any]:
        """`mean, std, ci95: [low, high] or None, n`."""
        return {"mean": self.mean, "std": self.std, "ci95": ends(self.low, self.high), "n": self.n}


def ends(low: float | None, high: float | None) -> list[float] | None:
    """An interval as a list for JSON; None where there is none."""
    return None if low is None or high is None else [low, high]


def mean_interval(clusters: Sequence[Sequence[float]], bounds: tuple[float, float] | None = None) -> Estimate:
    """Mean over prompts with its 95 % interval, clustered by prompt.

    Args:
        clusters: The values of each prompt; prompts may have different numbers of them, or none.
        bounds: Least and greatest value that there can be, where that is known (0 and 1 for shares).

    Raises:
        ValueError: If a value lies outside the bounds.
    """
    from scipy.special import stdtrit

    values = [value for cluster in clusters for value in cluster]
    means = [statistics.fmean(cluster) for cluster in clusters if len(cluster)]
    if bounds is not None and any(not bounds[0] <= value <= bounds[1] for value in values):
        raise ValueError(f"a value lies outside the bounds {bounds}")
    std = statistics.stdev(values) if len(values) > 1 else None
    n = len(means)
    if n < 2:
        return Estimate(means[0] if means else None, None, None, std, n)
    mean = statistics.fmean(means)
    half = float(stdtrit(n - 1, (1 + LEVEL) / 2)) * statistics.stdev(means) / math.sqrt(n)
    if not half:
        return Estimate(mean, None, None, std, n)
    return Estimate(mean, mean - half, mean + half, std, n)
