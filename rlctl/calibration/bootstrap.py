"""How far figures of valid rewards may be from the truth: prompts are drawn at random, not completions."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from rlctl.calibration.table import Floats, Integers
from rlctl.statistics.estimates import ends
from rlctl.statistics.intervals import ROUNDING, Interval, interval, moments

FEW_PAIRS = 0.1
"""Degrees of freedom within groups, per reward, below which the rewards count as ungrouped."""


@dataclass(frozen=True)
class Clusters:
    """What the rewards of P prompts, N in all, tell of mean and spread; linear in N.

    Args:
        counts: (P,) rewards of each prompt; every prompt has one or more.
        sums: (P,) sum of each prompt's deviations from the mean of all.
        squares: (P,) sum of each prompt's squared deviations from the mean of all.
        within: (P,) sum of each prompt's squared deviations from its own mean.
        mean: Of all rewards.
        std: Of all rewards, n−1; 0 where all are the same up to rounding, or there is one.
        within_std: Pooled within prompts, √(Σ within / (N − P)); None where rewards are not in groups.
    """

    counts: Floats
    sums: Floats
    squares: Floats
    within: Floats
    mean: float
    std: float
    within_std: float | None

    @property
    def unit(self) -> float:
        """s, the unit of depth: `within_std`, or `std` where there are no groups or they have no spread."""
        return self.within_std or self.std


def clusters(values: Floats, groups: Integers) -> Clusters:
    """Sums over prompts.

    Args:
        values: (N,) rewards, one or more.
        groups: (N,) group of each.
    """
    _, index, counts = np.unique(groups, return_inverse=True, return_counts=True)
    mean = float(np.mean(values))
    deviations = values - mean
    sums = np.bincount(index, deviations).astype(float)
    squares = np.bincount(index, deviations**2).astype(float)
    within = np.bincount(index, (deviations - (sums / counts)[index]) ** 2).astype(float)
    n, freedom = len(values), len(values) - len(counts)
    rounding = ROUNDING * float(np.max(np.abs(values)))

    def spread(total: float, freedom: int) -> float:
        found = math.sqrt(total / freedom) if freedom else 0.0
        return found if found > rounding else 0.0

    grouped = freedom > 0 and freedom >= FEW_PAIRS * n
    return Clusters(
        counts.astype(float),
        sums,
        squares,
        within,
        mean,
        spread(float(squares.sum()), n - 1),
        spread(float(within.sum()), freedom) if grouped else None,
    )


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
    if not len(values):
        return Spread(None, None, None, None)
    of = clusters(values, groups)
    if len(values) < 2:
        return Spread(of.mean, None, None, None)
    if len(of.counts) < 2 or of.std == 0:
        return Spread(of.mean, of.std, None, None)
    prompts, n = len(of.counts), len(values)
    by_prompt = of.mean + of.sums * prompts / n
    logs = math.log(of.std) + (of.squares / of.std**2 - of.counts) * prompts / n / 2
    low, high = interval(moments(logs.tolist()))
    return Spread(of.mean, of.std, interval(moments(by_prompt.tolist())), (math.exp(low), math.exp(high)))


def penalty_interval(values: Floats, groups: Integers, depth: float) -> Interval | None:
    """95 % interval of mean − depth·s.

    Args:
        values: (N,) rewards of valid completions.
        groups: (N,) group of each.
        depth: In units of s.
    """
    of = clusters(values, groups)
    prompts, n = len(of.counts), len(values)
    if prompts < 2 or of.std == 0:
        return None
    squares, freedom = (of.within, of.counts - 1) if of.within_std else (of.squares, of.counts)
    spreads = (squares / of.unit - of.unit * freedom) * prompts / float(freedom.sum()) / 2
    by_prompt = of.mean - depth * of.unit + of.sums * prompts / n - depth * spreads
    return interval(moments(by_prompt.tolist()))
