"""Scored completions as arrays: what every statistic of a reward is computed from."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]

SCORED, INVALID, NOT_APPLICABLE, FAILED = range(4)
"""Codes of the four outcomes, in the order of `rewards.statistics.OUTCOMES`."""


@dataclass(frozen=True)
class Table:
    """N scored completions; those of one group, which share a prompt, are neighbours.

    Args:
        totals: (N,) rewards as training gets them, in units of `rewards.invalid_penalty`, that is before
            `rewards.scale`; NaN where a completion is left out, or is invalid and has no penalty yet.
        outcomes: (N,) `SCORED`, `INVALID`, `NOT_APPLICABLE` or `FAILED`.
        groups: (N,) number of each row's group: 0, 0, 0, 1, 1, … A completion without a prompt is alone.
        raw: Component → (N,) raw scores; NaN where it gave no number.
        parts: Component → (N,) its share of the total, before scale; NaN where it does not count.
        lengths: (N,) length of each completion, in tokens where they are known, else in characters.
        unit: `tokens` or `characters`.
        failed_penalised: Whether failed rows get the penalty: `rewards.on_error: penalty`.
    """

    totals: Floats
    outcomes: NDArray[np.int8]
    groups: Integers
    raw: Mapping[str, Floats] = field(default_factory=dict)
    parts: Mapping[str, Floats] = field(default_factory=dict)
    lengths: Floats = field(default_factory=lambda: np.zeros(0))
    unit: str = "characters"
    failed_penalised: bool = False

    def __len__(self) -> int:
        return len(self.totals)

    @cached_property
    def valid(self) -> Mask:
        """(N,) rows that were scored."""
        return self.outcomes == SCORED

    @cached_property
    def invalid(self) -> Mask:
        """(N,) rows that are invalid."""
        return self.outcomes == INVALID

    @cached_property
    def penalised(self) -> Mask:
        """(N,) rows that get the penalty."""
        return self.invalid | ((self.outcomes == FAILED) & self.failed_penalised)

    @property
    def grouped(self) -> bool:
        """Whether any prompt has two completions or more."""
        return bool(np.any(self.groups[1:] == self.groups[:-1]))

    @property
    def group_size(self) -> int:
        """The commonest number of completions of a prompt that has two or more, the greater of equals."""
        if not len(self):
            return 0
        sizes = self.group_sizes
        counts = np.bincount(sizes[sizes > 1]) if np.any(sizes > 1) else np.array([0, 1])
        return int(len(counts) - 1 - np.argmax(counts[::-1]))

    @property
    def group_sizes(self) -> Integers:
        """Completions of each prompt."""
        sizes: Integers = np.unique(self.groups, return_counts=True)[1]
        return sizes

    def with_penalty(self, penalty: float) -> "Table":
        """The same with another total of the completions that get the penalty."""
        return replace(self, totals=np.where(self.penalised, penalty, self.totals))


def group_means(values: Floats, groups: Integers) -> Floats:
    """(N,) mean of each row's group over the values that are numbers; NaN where there is none.

    Args:
        values: (N,) numbers, NaN where there is none.
        groups: (N,) group of each row, from 0.
    """
    if not len(values):
        return values
    known = ~np.isnan(values)
    counts = np.bincount(groups, weights=known)
    sums = np.bincount(groups, weights=np.where(known, values, 0.0))
    with np.errstate(invalid="ignore", divide="ignore"):
        means: Floats = (sums / counts)[groups]
    return means
