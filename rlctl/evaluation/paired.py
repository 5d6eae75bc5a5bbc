"""Two checkpoints on the same prompts: how large the difference is, and whether it can be chance."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rlctl.evaluation.estimates import LEVEL, ends

POWER = 0.8


@dataclass(frozen=True)
class Comparison:
    """A paired comparison over prompts.

    Args:
        difference: Mean of a − b over prompts; None where no prompt has both.
        low: Lower end of its 95 % interval; None where there can be none.
        high: Upper end of the interval.
        p_value: Two-sided; None below two prompts. Below 0.05 exactly where the interval leaves out 0.
        wins: Prompts where a is higher.
        ties: Prompts where both are equal.
        losses: Prompts where b is higher.
        n: Prompts that have both.
        detectable_effect: Smallest true difference that as many prompts find with 80 % power at 5 %.
    """

    difference: float | None
    low: float | None
    high: float | None
    p_value: float | None
    wins: int
    ties: int
    losses: int
    n: int
    detectable_effect: float | None

    def as_dict(self) -> dict[str, Any]:
        """`difference, ci95, p_value, wins, ties, losses, prompts, detectable_effect`."""
        return {
            "difference": self.difference,
            "ci95": ends(self.low, self.high),
            "p_value": self.p_value,
            "wins": self.wins,
            "ties": self.ties,
            "losses": self.losses,
            "prompts": self.n,
            "detectable_effect": self.detectable_effect,
        }


def compare(a: Sequence[float | None], b: Sequence[float | None], *, seed: int = 0) -> Comparison:
    """Compare two checkpoints over the prompts that both have a value for.

    Args:
        a: Value of each prompt, for example its mean reward; None where there is none.
        b: The same of the other checkpoint, prompts in the same order.
        seed: For methods that draw at random; the same seed gives the same figures.

    Raises:
        ValueError: If a and b have different lengths.
    """
    from scipy.special import stdtr, stdtrit

    differences = [x - y for x, y in zip(a, b, strict=True) if x is not None and y is not None]
    wins, losses = sum(d > 0 for d in differences), sum(d < 0 for d in differences)
    n = len(differences)
    counts = (wins, n - wins - losses, losses, n)
    if n < 2:
        return Comparison(differences[0] if n else None, None, None, None, *counts, None)
    mean, error = statistics.fmean(differences), statistics.stdev(differences) / math.sqrt(n)
    if not error:
        return Comparison(mean, None, None, 1.0 if not mean else None, *counts, None)
    half = float(stdtrit(n - 1, (1 + LEVEL) / 2)) * error
    p_value = 2 * float(stdtr(n - 1, -abs(mean) / error))
    return Comparison(mean, mean - half, mean + half, p_value, *counts, detectable_effect(error, n))


def detectable_effect(error: float, n: int) -> float:
    """Smallest true difference that a two-sided test at 5 % finds with 80 % power.

    Power of the paired t-test from the noncentral t distribution: Cohen 1988, "Statistical Power Analysis
    for the Behavioral Sciences", section 2.2.

    Args:
        error: Standard error of the mean difference.
        n: Prompts.
    """
    from scipy.optimize import brentq
    from scipy.special import nctdtr, stdtrit

    critical = float(stdtrit(n - 1, (1 + LEVEL) / 2))
    # The far tail, a significant result of the wrong sign, is below 1e-4 of the power and left out.
    shift = brentq(lambda delta: 1 - nctdtr(n - 1, delta, critical) - POWER, 0, 40 + critical)
    return float(shift) * error


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for being several: any that stays below 5 % is significant at 5 % for all together.

    Holm 1979, "A Simple Sequentially Rejective Multiple Test Procedure"; the step-down adjustment.
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = highest
    return adjusted
