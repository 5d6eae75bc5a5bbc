"""One difference from several training seeds: prompts and seeds are both a draw from more of them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rlctl.evaluation.estimates import LEVEL, ends


@dataclass(frozen=True)
class SeedsEstimate:
    """A mean difference over prompts and training seeds.

    Args:
        mean: The mean; None where there is nothing.
        low: Lower end of its 95 % interval; None where there can be none.
        high: Upper end of the interval.
        p_value: Two-sided, against no difference; None where there is no interval.
        prompts: Prompts that count.
        seeds: Training seeds that count. With one, only prompts vary, and the interval says nothing about
            how another seed would have done.
    """

    mean: float | None
    low: float | None
    high: float | None
    p_value: float | None
    prompts: int
    seeds: int

    def as_dict(self) -> dict[str, Any]:
        """`difference, ci95, p_value, prompts, seeds`."""
        return {
            "difference": self.mean,
            "ci95": ends(self.low, self.high),
            "p_value": self.p_value,
            "prompts": self.prompts,
            "seeds": self.seeds,
        }


def across_seeds(differences: Sequence[Sequence[float | None]]) -> SeedsEstimate:
    """Mean difference with its 95 % interval where prompts and training seeds are crossed.

    Args:
        differences: One row per training seed with the difference on each prompt, prompts in the same order;
            None where there is none.

    Raises:
        ValueError: If the rows have different lengths.
    """
    import numpy as np
    from scipy.special import stdtr, stdtrit

    table = np.array([[np.nan if x is None else x for x in row] for row in differences], dtype=float)
    table = table[:, ~np.isnan(table).any(axis=0)]
    seeds, prompts = table.shape
    mean = float(table.mean()) if table.size else None
    if mean is None or prompts < 2:
        return SeedsEstimate(mean, None, None, None, prompts, seeds)
    of_prompts, of_seeds = table.mean(axis=0), table.mean(axis=1)
    parts = [(float(of_prompts.var(ddof=1)) / prompts, prompts - 1)]
    if seeds > 1:
        rest = table - of_prompts - of_seeds[:, None] + mean
        freedom = (seeds - 1) * (prompts - 1)
        parts += [
            (float(of_seeds.var(ddof=1)) / seeds, seeds - 1),
            (-float((rest**2).sum()) / freedom / table.size, freedom),
        ]
    variance = sum(part for part, _ in parts)
    if variance <= 0:
        return SeedsEstimate(mean, None, None, None, prompts, seeds)
    degrees = variance**2 / sum(part**2 / freedom for part, freedom in parts)
    half = float(stdtrit(degrees, (1 + LEVEL) / 2)) * math.sqrt(variance)
    p_value = 2 * float(stdtr(degrees, -abs(mean) / math.sqrt(variance)))
    return SeedsEstimate(mean, mean - half, mean + half, p_value, prompts, seeds)
