"""Sums over prompts, from which mean, spread and their uncertainty follow; prompts are what is drawn."""

import math
from dataclasses import dataclass

import numpy as np

from rlctl.calibration.table import Floats, Integers
from rlctl.statistics.intervals import ROUNDING, Interval, interval, moments

FEW_PAIRS = 0.1
"""Degrees of freedom within prompts, per reward, below which the rewards count as ungrouped."""
LARGEST = 1e100
"""Size of rewards beyond which their squares leave the range of floating point."""


@dataclass(frozen=True)
class Clusters:
    """What N rewards of P prompts tell of mean and spread.

    Args:
        values: (N,) the rewards.
        index: (N,) prompt of each, 0 … P−1.
        counts: (P,) rewards of each prompt, one or more.
        sums: (P,) sum of each prompt's deviations from the mean of all.
        squares: (P,) sum of each prompt's squared deviations from the mean of all.
        within: (P,) sum of each prompt's squared deviations from its own mean.
        mean: Of all rewards.
        std: Of all rewards, n−1; 0 where all are the same up to rounding, or there is one.
        within_std: Pooled within prompts, √(Σ within / (N − P)); None where rewards are not in groups.
    """

    values: Floats
    index: Integers
    counts: Floats
    sums: Floats
    squares: Floats
    within: Floats
    mean: float
    std: float
    within_std: float | None

    @property
    def prompts(self) -> int:
        """P."""
        return len(self.counts)

    @property
    def unit(self) -> float:
        """s, the unit of depth: `within_std`, or `std` where there are no groups or they have no spread."""
        return self.within_std or self.std

    def mean_influence(self) -> Floats:
        """(P,) how far each prompt moves the mean; their mean is 0."""
        moved: Floats = self.sums * (self.prompts / len(self.values))
        return moved

    def unit_influence(self) -> Floats:
        """(P,) how far each prompt moves s."""
        squares, freedom = (self.within, self.counts - 1) if self.within_std else (self.squares, self.counts)
        moved: Floats = (squares / self.unit - self.unit * freedom) * (self.prompts / freedom.sum() / 2)
        return moved


def clusters(values: Floats, groups: Integers) -> Clusters:
    """The sums, in time linear in N but for a sort of the groups.

    Args:
        values: (N,) rewards, one or more, within ± `LARGEST`.
        groups: (N,) group of each.
    """
    values = np.asarray(values, dtype=float)
    _, index, counts = np.unique(groups, return_inverse=True, return_counts=True)
    mean = float(np.mean(values))
    deviations = values - mean
    sums = np.bincount(index, deviations).astype(float)
    within = np.bincount(index, (deviations - (sums / counts)[index]) ** 2).astype(float)
    squares = np.bincount(index, deviations**2).astype(float)
    n, freedom = len(values), len(values) - len(counts)
    rounding = ROUNDING * float(np.max(np.abs(values)))

    def spread(total: float, freedom: int) -> float:
        found = math.sqrt(total / freedom) if freedom else 0.0
        return found if found > rounding else 0.0

    std = spread(float(squares.sum()), n - 1)
    grouped = freedom > 0 and freedom >= FEW_PAIRS * n
    within_std = spread(float(within.sum()), freedom) if grouped else None
    return Clusters(values, index, counts.astype(float), sums, squares, within, mean, std, within_std)


def clustered_interval(estimate: float, influence: Floats) -> Interval | None:
    """95 % interval of an estimate: the t interval, longer on the skewed side, of the prompts' influences.

    Args:
        estimate: The figure.
        influence: (P,) how far each prompt moves it: its value had all prompts been like this one, less the
            estimate, to first order (Hampel 1974, "The Influence Curve and its Role in Robust
            Estimation").

    Returns:
        The interval; None below two prompts, or where all of them say the same.
    """
    if len(influence) < 2:
        return None
    of = moments(influence.tolist())
    if of.error <= ROUNDING * abs(estimate):
        return None
    low, high = interval(of)
    return estimate + low, estimate + high
