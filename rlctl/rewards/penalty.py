"""What an invalid completion is worth where that depends on the valid ones: penalties relative to a group."""

import math
from collections.abc import Sequence

from rlctl.rewards.normalize import EPSILON, mean, std


def group_penalties(valid: Sequence[Sequence[float]], depth: float, *, unit: float = 1.0) -> list[float]:
    """For each group mean − depth · s, of its valid totals.

    In a group that has fewer than two of them, or in which they have no spread, s is the pooled standard
    deviation within groups, else that of all valid totals, else `unit`; the mean of a group without any is
    that of all, else 0. Only there does a penalty depend on other groups of the batch.

    With n−1 everywhere. A spread below 1e-4 units counts as none, as where GRPO divides by it.

    Args:
        valid: The valid totals of each group of the batch.
        depth: Standard deviations, K.
        unit: `rewards.scale`, by which the totals are multiplied; so are the penalties.
    """
    together = [total for group in valid for total in group]
    some = EPSILON * unit
    spread = next((s for s in (_pooled(valid), std(together)) if s >= some), unit)
    centre = mean(together) if together else 0.0
    return [
        (mean(group) if group else centre) - depth * (own if (own := std(group)) >= some else spread)
        for group in valid
    ]


def _pooled(groups: Sequence[Sequence[float]]) -> float:
    """Standard deviation within groups; 0 where none has two values."""
    freedom = sum(len(group) - 1 for group in groups if group)
    if not freedom:
        return 0.0
    squares = math.fsum(std(group) ** 2 * (len(group) - 1) for group in groups if group)
    return math.sqrt(squares / freedom)
