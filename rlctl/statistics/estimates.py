"""A mean over prompts with its 95 % interval; the samples of one prompt are one cluster."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rlctl.statistics.intervals import Interval, bounded_interval, deviation, inside, interval, moments


@dataclass(frozen=True)
class Estimate:
    """A mean over prompts with its 95 % interval.

    Args:
        mean: The mean of the prompts' means; None where nothing was scored.
        low: Lower end of the interval; None below two prompts, or without spread and bounds.
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


def mean_interval(clusters: Sequence[Sequence[float]], bounds: Interval | None = None) -> Estimate:
    """Mean over prompts with its 95 % interval, clustered by prompt.

    Prompts are a random draw, samples of one prompt are not independent: the interval is that of the n
    prompts' means (Miller 2024, "Adding Error Bars to Evals"; with as many samples for each
    prompt, equal to its clustered standard error up to n/(n−1)). Every prompt counts the same,
    however many samples it has.

    Args:
        clusters: The values of each prompt; prompts may have different numbers of them, or none.
        bounds: Least and greatest value that there can be, where that is known (0 and 1 for shares).

    Raises:
        ValueError: If the bounds are no range, or a value lies outside.
    """
    if bounds is not None and not bounds[0] < bounds[1]:
        raise ValueError(f"the bounds {bounds} are no range")
    if bounds is not None:
        clusters = [inside(cluster, bounds) for cluster in clusters]
    values = [value for cluster in clusters for value in cluster]
    means = [math.fsum(cluster) / len(cluster) for cluster in clusters if len(cluster)]
    std = deviation(values) if len(values) > 1 else None
    if len(means) < 2:
        return Estimate(means[0] if means else None, None, None, std, len(means))
    of = moments(means)
    if bounds is not None:
        return Estimate(of.mean, *bounded_interval(of, bounds), std, of.n)
    low, high = interval(of) if of.std else (None, None)
    return Estimate(of.mean, low, high, std, of.n)
