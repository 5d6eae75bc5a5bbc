"""What each part of a reward does to the advantage: its weight and its mean say little of that."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from rlctl.calibration.spread import Ratio, by_group, deviations, ratio
from rlctl.calibration.table import Floats, Integers, Table, group_means

Scale = Literal["group", "batch", "none"]
"""What advantages are divided by: `algorithm.scale_rewards`."""
EPSILON = 1e-4
"""Added to the standard deviation, as TRL does."""


def advantage(totals: Floats, groups: Integers, *, scale: Scale = "group", eps: float = EPSILON) -> Floats:
    """(N,) advantage of each completion as TRL computes it for GRPO; 0 where there is no total or no spread.

    Shao et al. 2024, "DeepSeekMath", equation 3: (r − mean) / (std + eps), std with n − 1, over the group or
    over the whole batch, which here is everything; or not divided at all (Liu et al. 2025, "Understanding
    R1-Zero-Like Training").

    Args:
        totals: (N,) rewards, NaN where a completion is left out.
        groups: (N,) group of each row.
        scale: `group`, `batch` or `none`.
        eps: Added to the standard deviation.
    """
    return np.nan_to_num(deviations(totals, groups) / _divisor(totals, groups, scale, eps), nan=0.0)


def _divisor(totals: Floats, groups: Integers, scale: Scale, eps: float) -> Floats:
    """(N,) what deviations are divided by."""
    if scale == "none":
        return np.ones(len(totals))
    if scale == "batch":
        known = totals[~np.isnan(totals)]
        return np.full(len(totals), eps + (known.std(ddof=1) if len(known) > 1 else 0.0))
    counts, squares = by_group(deviations(totals, groups) ** 2, groups)
    return (np.sqrt(squares / np.maximum(counts - 1, 1)) + eps)[groups]


@dataclass(frozen=True)
class Shares:
    """How much of the advantage's variance comes from where. All of them add up to 1.

    Args:
        components: Part → Cov(its contribution, advantage) / Var(advantage). Below 0 where a part works
            against the others, and then another may be above 1.
        validity: The share of being valid or not.
        interaction: What parts that do not simply add up leave: a geometric mean.
    """

    components: Mapping[str, Ratio]
    validity: Ratio
    interaction: Ratio

    def as_dict(self) -> dict[str, Any]:
        """`components{NAME{share, ci95}}, validity{…}, interaction{…}`."""
        return {
            "components": {name: _share(found) for name, found in self.components.items()},
            "validity": _share(self.validity),
            "interaction": _share(self.interaction),
        }


def _share(found: Ratio) -> dict[str, Any]:
    return {"share": found.value, "ci95": found.ends}


def shares(table: Table, *, scale: Scale = "group") -> Shares:
    """Split the variance of the advantage among the parts, with intervals over prompts.

    The advantage is linear in the totals' deviations from their group's mean, so it is a sum of one term for
    each part, and Var(A) = Σ Cov(A_part, A). An invalid completion has no parts: it takes its group's means
    over the valid ones, so that its distance from their mean total, the penalty, is uncorrelated with what
    the parts do among the valid.

    Args:
        table: The scored completions.
        scale: What advantages are divided by.

    Returns:
        Shares that are None where no group has any spread.
    """
    scored = table.valid & ~np.isnan(table.totals)
    penalised = ~table.valid & ~np.isnan(table.totals)
    expected = group_means(np.where(scored, table.totals, np.nan), table.groups)
    known = np.where(penalised & ~np.isnan(expected), expected, table.totals)
    columns = {name: _filled(part, scored, penalised, table.groups) for name, part in table.parts.items()}
    left = known - sum(columns.values(), np.zeros(len(table)))
    size = np.abs(known) + sum((np.abs(column) for column in columns.values()), np.zeros(len(table)))
    left[np.abs(left) <= 1e-9 * size] = 0.0
    divisor = _divisor(table.totals, table.groups, scale, EPSILON)
    felt = deviations(table.totals, table.groups) / divisor

    def share(column: Floats) -> Ratio:
        _, together = by_group(deviations(column, table.groups) / divisor * felt, table.groups)
        return ratio(together, by_group(felt**2, table.groups)[1])

    parts = {name: share(column) for name, column in columns.items()}
    return Shares(parts, share(table.totals - known), share(left))


def _filled(part: Floats, scored: Floats, penalised: Floats, groups: Integers) -> Floats:
    """A part as a column without holes: 0 where it does not apply, its group's mean where invalid."""
    column = np.where(scored, np.nan_to_num(part, nan=0.0), np.nan)
    means = np.nan_to_num(group_means(column, groups), nan=0.0)
    return np.where(penalised, means, column)
