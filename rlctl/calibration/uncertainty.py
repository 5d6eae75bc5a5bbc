"""How far the figures of valid rewards, and the penalty that follows from them, may be from the truth.

No draws: every figure is linear in the prompts to first order, and `clustered_interval` takes it from there.
Chosen by simulation; `python -m benchmarks calibration` prints the coverage.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from rlctl.calibration.clusters import LARGEST, Clusters, clustered_interval, clusters
from rlctl.calibration.table import Floats, Integers
from rlctl.statistics.estimates import ends
from rlctl.statistics.intervals import Interval

TAIL = 1.2
"""The lowest `TAIL`/√n of the rewards show the shape of their tail, n the effective number of rewards."""
EVEN = 0.2
"""Variance of distances, per squared mean, below which they end at a gap and not as a tail does."""

EXCEEDED = 0.1
"""Chance that the tail's quantile may lie above the limit that its rank in the sample gives."""


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation (n−1) of rewards with 95 % intervals; None where they are not known."""

    mean: float | None
    std: float | None
    mean_ci95: Interval | None
    std_ci95: Interval | None

    def as_dict(self) -> dict[str, Any]:
        """`mean, std, mean_ci95, std_ci95`; intervals as lists."""
        return {
            "mean": self.mean,
            "std": self.std,
            "mean_ci95": ends(*self.mean_ci95) if self.mean_ci95 else None,
            "std_ci95": ends(*self.std_ci95) if self.std_ci95 else None,
        }


def mean_and_std(values: Floats, groups: Integers) -> Spread:
    """Mean and standard deviation of all rewards, with 95 % intervals clustered by prompt.

    Args:
        values: (N,) rewards of valid completions.
        groups: (N,) group of each.
    """
    if not len(values) or np.max(np.abs(values)) > LARGEST:
        return Spread(None, None, None, None)
    of = clusters(values, groups)
    if len(values) < 2:
        return Spread(of.mean, None, None, None)
    if of.std == 0:
        return Spread(of.mean, of.std, None, None)
    logs = clustered_interval(
        math.log(of.std), (of.squares / of.std**2 - of.counts) * (of.prompts / len(values) / 2)
    )
    std = (math.exp(min(logs[0], 700)), math.exp(min(logs[1], 700))) if logs else None
    return Spread(of.mean, of.std, clustered_interval(of.mean, of.mean_influence()), std)


def penalty_interval(of: Clusters, depth: float, share: float, margin: float) -> Interval | None:
    """95 % interval of min(mean − depth·s, q − margin·s) over all prompts that there could be.

    Its ends are the lesser of the two terms' ends. q may be as high as the sample's own quantile lets it,
    where the tail is no exponential; the penalty stays below the mean, where two or three prompts know
    nothing else.

    Args:
        of: The rewards of valid completions.
        depth: In units of s.
        share: Of the rewards that lie below q.
        margin: In units of s.
    """
    s = of.unit_influence()
    shallow = clustered_interval(of.mean - depth * of.unit, of.mean_influence() - depth * s)
    q = low_quantile(of, share)
    deep = clustered_interval(q.value - margin * of.unit, q.influence - margin * s)
    if shallow is None or deep is None:
        return None
    mildest = max(deep[1] + q.step, _highest(of.values, share) - margin * of.unit)
    return min(shallow[0], deep[0] - q.step), min(shallow[1], mildest, of.mean)


def _highest(values: Floats, share: float) -> float:
    """Upper one-sided limit of a quantile: the reward that it exceeds with a chance of `EXCEEDED` at most."""
    from scipy.special import bdtrik

    n = len(values)
    rank = min(math.ceil(bdtrik(1 - EXCEEDED, n, share)), n - 1)
    return float(np.partition(values, rank)[rank])


@dataclass(frozen=True)
class Quantile:
    """A low quantile of all rewards that there could be, below the sample's own where that has to be.

    Args:
        value: The quantile.
        influence: (P,) how far each prompt moves it.
        step: Half the step between rewards that come in steps, which the value may be off by.
    """

    value: float
    influence: Floats
    step: float


def low_quantile(of: Clusters, share: float) -> Quantile:
    """Quantile of a small share, from a tail that thins out exponentially below a threshold t.

    q = t − σ·ln(p/share), p the share of rewards below t and σ their mean distance from it (Weissman
    1978, "Estimation of Parameters and Large Quantiles Based on the k Largest Observations"; the limit
    of tails from uniform over normal to exponential). t lies halfway between a reward and the next lower,
    so that rewards in steps have their steps counted from the middle. Where the distances are nearly all
    alike there is a gap between t and the lowest rewards, as between wrong and right; t then moves below it.

    Args:
        of: The rewards.
        share: Such as 0.005.
    """
    n, nothing = len(of.values), np.zeros(of.prompts)
    k = min(max(2, round(max(min(0.5, TAIL / math.sqrt(_effective(of))), share) * n)), n - 1)
    lowest = np.sort(of.values[of.values <= np.partition(of.values, k)[k]])
    while True:
        upper = float(lowest[k])
        below = int(np.searchsorted(lowest, upper))
        if not below:  # a floor that more than k rewards share
            return Quantile(upper, nothing, 0.0)
        threshold = (upper + float(lowest[below - 1])) / 2
        distances = threshold - lowest[:below]
        even = below > 3 and np.var(distances) < EVEN * np.mean(distances) ** 2
        if not even or k // 2 < max(3, int(share * n)):
            break
        k //= 2
    if below < k and below <= share * n:  # the quantile is one of many equal rewards
        return Quantile(upper, nothing, 0.0)
    kinds = len(np.unique(lowest[:below]))
    step = (upper - float(lowest[0])) / kinds / 2 if kinds <= below / 2 else 0.0
    low = of.values < upper
    counts = np.bincount(of.index[low], minlength=of.prompts)
    sums = np.bincount(of.index[low], threshold - of.values[low], minlength=of.prompts)
    p, sigma = below / n, float(np.mean(distances))
    times = math.log(p / share)
    moved = sigma / p * (counts - of.counts * p) / n + times * (sums - sigma * counts) / below
    return Quantile(threshold - sigma * times, -moved * of.prompts, step)


def _effective(of: Clusters) -> float:
    """Independent rewards that would tell as much of the mean as these (Kish 1965), between 2 and N."""
    squares = float(np.sum(of.mean_influence() ** 2)) / max(of.prompts - 1, 1)
    known = of.std**2 * of.prompts / squares if squares else math.inf
    return min(max(known, 2.0), float(len(of.values)))
