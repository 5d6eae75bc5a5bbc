"""Which numbers of a completion go together: parts that count twice or fight, a reward that pays length."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np

from rlctl.calibration.spread import by_group, deviations, levels
from rlctl.calibration.table import Floats, Integers, Mask

FEWEST = 3
"""Rows that a correlation needs: two always lie on a line."""


@dataclass(frozen=True)
class Pair:
    """How two columns go together, over the rows where both have a number.

    Args:
        a: Name of the one.
        b: Name of the other.
        pearson: Correlation; None below three rows, and where one of them is constant.
        spearman: Correlation of the ranks, equal values sharing their mean rank.
        n: Rows.
    """

    a: str
    b: str
    pearson: float | None
    spearman: float | None
    n: int

    def as_dict(self) -> dict[str, Any]:
        """All fields."""
        return asdict(self)


def correlations(columns: Mapping[str, Floats]) -> list[Pair]:
    """Every pair of columns; see `Pair`.

    Args:
        columns: Name → (N,) numbers, NaN where there is none.
    """
    ranked = {name: ranks(column) for name, column in columns.items()}
    return [_pair(a, b, columns, ranked) for a, b in combinations(columns, 2)]


def _pair(a: str, b: str, columns: Mapping[str, Floats], ranked: Mapping[str, Floats]) -> Pair:
    x, y = columns[a], columns[b]
    both = ~np.isnan(x) & ~np.isnan(y)
    n = int(both.sum())
    # Ranks hold among the rows that they were given over, and sorting is what takes time here.
    of = [
        ranked[name][both] if n == np.count_nonzero(~np.isnan(columns[name])) else ranks(columns[name][both])
        for name in (a, b)
    ]
    return Pair(a, b, pearson(x[both], y[both]), pearson(*of), n)


def ranks(values: Floats) -> Floats:
    """(N,) ranks from 1, equal values sharing their mean rank; NaN where there is no number.

    Args:
        values: (N,) numbers, NaN where there is none.
    """
    codes = levels(values)
    counts = np.bincount(codes[codes >= 0])
    shared = np.concatenate([np.cumsum(counts) - (counts - 1) / 2, [np.nan]])
    return shared[codes]


def pearson(x: Floats, y: Floats) -> float | None:
    """Pearson's correlation; None below three rows, and where one side is constant up to rounding.

    Args:
        x: (n,) numbers.
        y: (n,) numbers.
    """
    if len(x) < FEWEST:
        return None
    one = np.zeros(len(x), dtype=np.int64)
    x, y = _unit(deviations(x, one)), _unit(deviations(y, one))
    return float(np.clip(x @ y, -1.0, 1.0)) if x.any() and y.any() else None


def _unit(values: Floats) -> Floats:
    """The values at length 1; zeros stay."""
    largest = np.abs(values).max(initial=0.0)
    if largest == 0:
        return values
    return values / largest / np.linalg.norm(values / largest)


@dataclass(frozen=True)
class LengthLink:
    """How the reward goes with length over the valid completions; None below three, or without spread.

    Args:
        overall: Correlation over all.
        within: Correlation within prompts, of the deviations from the prompts' means: what training feels.
        rank_overall: Correlation of the ranks over all, which far-out values do not move.
        rank_within: Correlation of the ranks of the deviations.
        share_of_variance: Share of the reward's variance within prompts that a line in length accounts for.
        n: Completions.
    """

    overall: float | None
    within: float | None
    rank_overall: float | None
    rank_within: float | None
    share_of_variance: float | None
    n: int

    def as_dict(self) -> dict[str, Any]:
        """Under the names of `analyze-rewards --json`."""
        return {
            "reward_overall": self.overall,
            "reward_within": self.within,
            "rank_overall": self.rank_overall,
            "rank_within": self.rank_within,
            "share_of_variance": self.share_of_variance,
            "n": self.n,
        }


def with_length(totals: Floats, lengths: Floats, groups: Integers, valid: Mask) -> LengthLink:
    """Correlation of reward with length; see `LengthLink`.

    Args:
        totals: (N,) rewards, NaN where there is none.
        lengths: (N,) length of each completion, NaN where it is not known.
        groups: (N,) group of each row.
        valid: (N,) completions that count.
    """
    counted = valid & ~np.isnan(totals) & ~np.isnan(lengths)
    reward, length, of = totals[counted], lengths[counted], groups[counted]
    sizes, _ = by_group(reward, of)
    paired = sizes[of] > 1
    apart, longer = deviations(reward[paired], of[paired]), deviations(length[paired], of[paired])
    freedom = np.maximum(sizes - 1, 0).sum()
    within = pearson(apart, longer) if freedom >= FEWEST - 1 else None
    return LengthLink(
        overall=pearson(reward, length),
        within=within,
        rank_overall=pearson(ranks(reward), ranks(length)),
        rank_within=pearson(ranks(apart), ranks(longer)) if within is not None else None,
        share_of_variance=None if within is None else within**2,
        n=len(reward),
    )
