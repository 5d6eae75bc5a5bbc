"""Two checkpoints on the same prompts: how large the difference is, and whether it can be chance."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rlctl.statistics.estimates import ends
from rlctl.statistics.intervals import (
    Interval,
    constant_interval,
    constant_p_value,
    critical,
    difference,
    inside,
    interval,
    moments,
    p_value,
)

POWER = 0.8
"""Chance that a true difference of `detectable_effect` is found."""


@dataclass(frozen=True)
class Comparison:
    """A paired comparison over prompts.

    Args:
        difference: Mean of a − b over prompts; None where no prompt has both.
        low: Lower end of its 95 % interval; None where there can be none.
        high: Upper end of the interval.
        p_value: Two-sided; None below two prompts. Below 0.05 exactly where the interval leaves out 0.
        wins: Prompts where a is higher.
        ties: Prompts where both are equal, up to rounding.
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


def compare(
    a: Sequence[float | None], b: Sequence[float | None], *, bounds: Interval | None = None
) -> Comparison:
    """Compare two checkpoints over the prompts that both have a value for.

    The test is that of the mean of the differences (Miller 2024, "Adding Error Bars to Evals": paired
    analysis), by Student's t corrected for skewness (`intervals.interval`); interval and p-value agree. It
    does not assume, as sign-flip tests and McNemar's do, that without a difference of the means a and b
    are exchangeable, and nothing is drawn at random.

    Args:
        a: Value of each prompt, for example its mean reward; None where there is none.
        b: The same of the other checkpoint, prompts in the same order.
        bounds: Least and greatest value that there can be, where that is known (0 and 1 for shares). They
            give an interval where all differences are the same, 0 above all; without, there is none.

    Raises:
        ValueError: If a and b have different lengths, or a value lies outside the bounds.
    """
    pairs = [(x, y) for x, y in zip(a, b, strict=True) if x is not None and y is not None]
    if bounds is not None:
        pairs = [(x, y) for x, y in (inside(pair, bounds) for pair in pairs)]
    differences = [difference(x, y) for x, y in pairs]
    wins, losses, n = sum(d > 0 for d in differences), sum(d < 0 for d in differences), len(differences)
    counts = (wins, n - wins - losses, losses, n)
    if n < 2:
        return Comparison(differences[0] if n else None, None, None, None, *counts, None)
    of = moments(differences)
    if of.std:
        return Comparison(of.mean, *interval(of), p_value(of), *counts, detectable_effect(of.error, n))
    most = None if bounds is None else (bounds[0] - bounds[1], bounds[1] - bounds[0])
    low, high = (None, None) if most is None else constant_interval(of, most)
    return Comparison(of.mean, low, high, constant_p_value(of, most), *counts, None)


def detectable_effect(error: float, n: int) -> float:
    """Smallest true difference that a two-sided test at 5 % finds with 80 % power.

    Power of the paired t-test from the noncentral t distribution: Cohen 1988, "Statistical Power Analysis
    for the Behavioral Sciences", chapter 2.

    Args:
        error: Standard error of the mean difference.
        n: Prompts.
    """
    from scipy.optimize import brentq
    from scipy.special import nctdtr

    t = critical(n - 1)
    # A significant result of the wrong sign adds less than 0.001 to the power and is left out.
    shift = brentq(lambda effect: 1 - float(nctdtr(n - 1, effect, t)) - POWER, 0, 2 * t + 2)
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
