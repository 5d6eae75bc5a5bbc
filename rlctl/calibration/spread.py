"""Spread inside the groups, which is all that GRPO learns from: between prompts it takes the mean away."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rlctl.calibration.prediction import SIZES, Prediction, predict, share_interval
from rlctl.calibration.table import Floats, Integers, Table
from rlctl.statistics.estimates import ends
from rlctl.statistics.intervals import ROUNDING, interval, moments


def deviations(values: Floats, groups: Integers) -> Floats:
    """(N,) each value less the mean of its group; NaN where there is no number.

    Exactly 0 throughout a group whose values are the same up to rounding, so that no noise is divided by a
    standard deviation that is noise too.

    Args:
        values: (N,) numbers, NaN where there is none.
        groups: (N,) group of each row; rows of one group are neighbours.
    """
    found = np.full(len(values), np.nan)
    known = np.flatnonzero(~np.isnan(values))
    if not len(known):
        return found
    numbers, of = values[known], groups[known]
    new = np.concatenate([[True], of[1:] != of[:-1]])
    place = np.cumsum(new) - 1
    first = numbers[new][place]
    shift = numbers - first  # from a member of the group: large values lose no digits, equal ones give 0
    shift[np.abs(shift) <= ROUNDING * np.maximum(np.abs(numbers), np.abs(first))] = 0.0
    found[known] = shift - (np.bincount(place, weights=shift) / np.bincount(place))[place]
    return found


def by_group(values: Floats, groups: Integers) -> tuple[Floats, Floats]:
    """Counts and sums of the values that are numbers, (groups,) each.

    Args:
        values: (N,) numbers, NaN where there is none.
        groups: (N,) group of each row, from 0.
    """
    known = ~np.isnan(values)
    counts: Floats = np.bincount(groups, weights=known).astype(np.float64)
    sums: Floats = np.bincount(groups, weights=np.where(known, values, 0.0)).astype(np.float64)
    return counts, sums


def pooled_std(values: Floats, groups: Integers) -> float | None:
    """Standard deviation within groups, pooled: √(Σ squared deviations / Σ (n − 1)).

    Args:
        values: (N,) numbers, NaN where there is none.
        groups: (N,) group of each row.

    Returns:
        None where no group has two numbers.
    """
    counts, squares = by_group(deviations(values, groups) ** 2, groups)
    freedom = float(np.maximum(counts - 1, 0).sum())
    return float(np.sqrt(squares.sum() / freedom)) if freedom else None


def levels(values: Floats) -> Integers:
    """(N,) rank of each value among the distinct ones, from 0; −1 where there is no number.

    Neighbours that differ by rounding alone are one.

    Args:
        values: (N,) numbers, NaN where there is none.
    """
    codes = np.full(len(values), -1, dtype=np.int64)
    known = np.flatnonzero(~np.isnan(values))
    order = known[np.argsort(values[known], kind="stable")]
    numbers = values[order]
    steps = np.diff(numbers) > ROUNDING * np.maximum(np.abs(numbers[1:]), np.abs(numbers[:-1]))
    codes[order] = np.cumsum(np.concatenate([[0], steps]))[: len(order)]
    return codes


@dataclass(frozen=True)
class Ties:
    """How often completions of one prompt have the same value.

    Args:
        share: Share of the pairs within groups that are equal; None where there are no pairs.
        distinct: Distinct values over all.
        n: Values.
    """

    share: float | None
    distinct: int
    n: int

    def as_dict(self) -> dict[str, Any]:
        """`ties, distinct, n`."""
        return {"ties": self.share, "distinct": self.distinct, "n": self.n}


def ties(values: Floats, groups: Integers) -> Ties:
    """Ties within groups; see `Ties`.

    Args:
        values: (N,) numbers, NaN where there is none.
        groups: (N,) group of each row.
    """
    codes = levels(values)
    known = codes >= 0
    distinct = int(codes.max(initial=-1)) + 1
    _, together = np.unique(groups[known] * distinct + codes[known], return_counts=True)
    sizes = np.bincount(groups[known])
    pairs, equal = float((sizes * (sizes - 1)).sum()), float((together * (together - 1)).sum())
    return Ties(equal / pairs if pairs else None, distinct, int(known.sum()))


@dataclass(frozen=True)
class Ratio:
    """A ratio of sums over groups with its 95 % interval.

    Args:
        value: Σ numerators / Σ denominators; None where the latter is 0.
        low: Lower end of the interval; None below two groups, and where the ratio is the same in each.
        high: Upper end.
    """

    value: float | None
    low: float | None = None
    high: float | None = None

    @property
    def ends(self) -> list[float] | None:
        """The interval as a list for JSON."""
        return ends(self.low, self.high)


def ratio(numerators: Floats, denominators: Floats) -> Ratio:
    """A ratio of sums with its interval: groups are the random draw, and are left out one at a time.

    Jackknife (Tukey 1958; Efron 1982, "The Jackknife, the Bootstrap and Other Resampling Plans", chapter 3):
    the spread of n R − (n−1) R₍₋ᵢ₎ over the groups, with Student's t and the longer end of
    `statistics.intervals.interval`. Linear in the groups, no draws.

    Args:
        numerators: (groups,) sums.
        denominators: (groups,) sums, not negative; groups with 0 are left out.
    """
    counted = denominators > 0
    over, under = numerators[counted], denominators[counted]
    n, whole = len(under), float(under.sum())
    if not n:
        return Ratio(None)
    value = float(over.sum()) / whole
    rest = whole - under
    if n < 2 or not np.all(rest > 0):
        return Ratio(value)
    apart = (n - 1) * (over - value * under) / rest
    apart[np.abs(apart) <= ROUNDING * n * abs(value)] = 0.0
    of = moments(apart.tolist())
    if of.std == 0:
        return Ratio(value)
    low, high = interval(of)
    return Ratio(value, value + low - of.mean, value + high - of.mean)


@dataclass(frozen=True)
class Groups:
    """Groups as GRPO will see them.

    Args:
        count: Groups with two totals or more.
        size: Completions of a prompt, the commonest number.
        within_std: Standard deviation of the valid totals within groups, pooled.
        between_std: Standard deviation of the prompts' true means, the noise of few completions taken out.
        icc: Intraclass correlation: share of the variance that lies between prompts.
        zero_std_fraction: Share of the groups whose totals, penalties included, are all the same.
        zero_std_ci95: Its interval; None below two groups.
        all_right: Share of the groups in which every completion is right; None where that is not known.
        all_wrong: Share in which every one is wrong.
        mixed: Share in which some are right and some wrong.
        predicted: Group size → share of groups without spread at that size.
    """

    count: int
    size: int
    within_std: float | None
    between_std: float | None
    icc: float | None
    zero_std_fraction: float | None
    zero_std_ci95: list[float] | None
    all_right: float | None
    all_wrong: float | None
    mixed: float | None
    predicted: Mapping[int, Prediction]

    def as_dict(self) -> dict[str, Any]:
        """All fields; sizes are text, as keys of JSON are."""
        predicted = {str(size): found.as_dict() for size, found in self.predicted.items()}
        return {**vars(self), "predicted": predicted}


def describe_groups(table: Table, *, right: Floats | None = None, sizes: Sequence[int] = SIZES) -> Groups:
    """Spread within groups and between them, and how many groups teach nothing.

    Args:
        table: The scored completions.
        right: (N,) 1 where a completion is right, 0 where it is wrong, NaN where it does not count. By
            default the higher total where the valid ones have two values, with invalid completions wrong.
        sizes: Group sizes that the share without spread is predicted for.
    """
    totals, groups = table.totals, table.groups
    codes = levels(totals)
    counted = codes >= 0
    dead = _alike(totals, groups)
    valid = np.where(table.valid, totals, np.nan)
    between, icc = _between(valid, groups)
    fractions = _right_and_wrong(_higher(table) if right is None else right, groups)
    return Groups(
        count=len(dead),
        size=table.group_size,
        within_std=pooled_std(valid, groups),
        between_std=between,
        icc=icc,
        zero_std_fraction=float(dead.mean()) if len(dead) else None,
        zero_std_ci95=share_interval(dead),
        all_right=fractions[0],
        all_wrong=fractions[1],
        mixed=fractions[2],
        predicted=predict(codes[counted], groups[counted], sizes),
    )


def _alike(totals: Floats, groups: Integers) -> Floats:
    """1 or 0 for each group with two totals or more: whether they are all the same."""
    counts, apart = by_group(np.abs(deviations(totals, groups)), groups)
    return np.where(apart[counts > 1] == 0, 1.0, 0.0)


def _between(values: Floats, groups: Integers) -> tuple[float | None, float | None]:
    """Standard deviation between groups and the intraclass correlation, from the analysis of variance.

    One-way random effects with unequal group sizes (Searle, Casella and McCulloch 1992, "Variance
    Components", section 3.6); a negative estimate is 0.
    """
    if np.all(np.isnan(values)):
        return None, None
    counts, sums = by_group(values - np.nanmean(values), groups)
    counts, sums = counts[counts > 0], sums[counts > 0]
    within, n, k = pooled_std(values, groups), counts.sum(), len(counts)
    if k < 2 or within is None:
        return None, None
    size = (n - (counts**2).sum() / n) / (k - 1)
    between = max(0.0, float(((sums**2 / counts).sum() / (k - 1) - within**2) / size))
    whole = between + within**2
    return float(np.sqrt(between)), between / whole if whole else None


def _higher(table: Table) -> Floats:
    """1 where a total is the higher of two that valid completions have; all NaN where they have not two."""
    codes = levels(np.where(table.valid, table.totals, np.nan))
    if codes.max(initial=-1) != 1:
        return np.full(len(table), np.nan)
    return np.where(np.isnan(table.totals), np.nan, np.where(codes == 1, 1.0, 0.0))


def _right_and_wrong(right: Floats, groups: Integers) -> tuple[float | None, float | None, float | None]:
    """Shares of groups: all right, all wrong, mixed."""
    counts, sums = by_group(right, groups)
    shares = sums[counts > 1] / counts[counts > 1]
    if not len(shares):
        return None, None, None
    every, none = float((shares == 1).mean()), float((shares == 0).mean())
    return every, none, float(((shares > 0) & (shares < 1)).mean())
