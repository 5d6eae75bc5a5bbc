"""What each part of a reward does to the advantage: its weight and its mean say little of that."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from rlctl.calibration.spread import Ratio, Ties, by_group, deviations, pooled_std, ratio, ties
from rlctl.calibration.summary import Histogram, histogram, quantiles
from rlctl.calibration.table import Floats, Integers, Mask, Table, group_means
from rlctl.calibration.uncertainty import mean_and_std

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


def _filled(part: Floats, scored: Mask, penalised: Mask, groups: Integers) -> Floats:
    """A part as a column without holes: 0 where it does not apply, its group's mean where invalid."""
    column = np.where(scored, np.nan_to_num(part, nan=0.0), np.nan)
    means = np.nan_to_num(group_means(column, groups), nan=0.0)
    return np.where(penalised, means, column)


@dataclass(frozen=True)
class PartFigures:
    """One part of the reward over the valid completions that it applies to; None where there are too few.

    Args:
        count: Completions with a raw score.
        mean: Mean raw score.
        std: Its standard deviation, n − 1.
        ci95: Interval of the mean over prompts.
        std_ci95: That of the standard deviation.
        min: Least raw score.
        max: Greatest.
        quantiles: `p01` to `p99` of the raw scores.
        histogram: How many have which raw score.
        weighted_mean: Mean of the part's share of the total.
        weighted_std: Its standard deviation.
        weighted_within_std: Its standard deviation within prompts, pooled.
        saturated_low: Share at the lower bound, or at the least score where no bound is known.
        saturated_high: Share at the upper bound, or at the greatest score.
        bounds: The bounds that are known.
        ties: Ties of the raw scores within prompts.
    """

    count: int
    mean: float | None
    std: float | None
    ci95: list[float] | None
    std_ci95: list[float] | None
    min: float | None
    max: float | None
    quantiles: dict[str, float] | None
    histogram: Histogram
    weighted_mean: float | None
    weighted_std: float | None
    weighted_within_std: float | None
    saturated_low: float | None
    saturated_high: float | None
    bounds: tuple[float, float] | None
    ties: Ties

    @property
    def constant(self) -> bool:
        """Whether two or more scores are all the same."""
        return self.count > 1 and self.ties.distinct == 1

    def as_dict(self) -> dict[str, Any]:
        """Under the names of `analyze-rewards --json`; a bound that is infinite is None."""
        bounds = None
        if self.bounds is not None:
            bounds = [bound if np.isfinite(bound) else None for bound in self.bounds]
        return {
            **{
                name: getattr(self, name)
                for name in ("count", "mean", "std", "ci95", "std_ci95", "min", "max", "quantiles")
            },
            "histogram": self.histogram.as_dict(),
            "bounds": bounds,
            "weighted": {
                "mean": self.weighted_mean,
                "std": self.weighted_std,
                "within_std": self.weighted_within_std,
            },
            "saturated": {"low": self.saturated_low, "high": self.saturated_high},
            "ties": self.ties.share,
            "distinct": self.ties.distinct,
            "constant": self.constant,
        }


def describe_part(
    raw: Floats, part: Floats, valid: Mask, groups: Integers, bounds: tuple[float, float] | None = None
) -> PartFigures:
    """Figures of one part; see `PartFigures`.

    Args:
        raw: (N,) raw scores, NaN where there is none.
        part: (N,) shares of the total, NaN where it does not count.
        valid: (N,) completions that count.
        groups: (N,) group of each row.
        bounds: Lowest and highest raw score that there can be, where that is known.
    """
    raw, part = np.where(valid, raw, np.nan), np.where(valid, part, np.nan)
    counted = ~np.isnan(raw)
    scores, weighted = raw[counted], part[~np.isnan(part)]
    n = len(scores)
    low, high = (bounds if bounds is not None else (scores.min(), scores.max())) if n else (0.0, 0.0)
    estimate = mean_and_std(scores, groups[counted]).as_dict()
    return PartFigures(
        count=n,
        mean=_mean(scores),
        std=_std(scores),
        ci95=estimate["mean_ci95"],
        std_ci95=estimate["std_ci95"],
        min=float(scores.min()) if n else None,
        max=float(scores.max()) if n else None,
        quantiles=quantiles(scores),
        histogram=histogram(scores),
        weighted_mean=_mean(weighted),
        weighted_std=_std(weighted),
        weighted_within_std=pooled_std(part, groups),
        saturated_low=float(np.mean(scores <= low)) if n else None,
        saturated_high=float(np.mean(scores >= high)) if n else None,
        bounds=bounds,
        ties=ties(raw, groups),
    )


def _mean(values: Floats) -> float | None:
    return float(values.mean()) if len(values) else None


def _std(values: Floats) -> float | None:
    """Standard deviation, n − 1; exactly 0 where all values are the same up to rounding."""
    if len(values) < 2:
        return None
    return pooled_std(values, np.zeros(len(values), dtype=np.int64))
