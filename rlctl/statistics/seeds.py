"""One difference from several training seeds: prompts and seeds are both a draw from more of them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rlctl.statistics.estimates import ends
from rlctl.statistics.intervals import LEVEL, critical, moments
from rlctl.statistics.paired import compare

SMALLEST = 1e-15
"""p-values are not told apart below."""


@dataclass(frozen=True)
class SeedsEstimate:
    """A mean difference over prompts and training seeds.

    Args:
        mean: The mean; None where there is nothing.
        low: Lower end of its 95 % interval; None where there can be none.
        high: Upper end of the interval.
        p_value: Two-sided, against no difference; below 0.05 exactly where the interval leaves out 0. None
            below two prompts, for one seed against one run, and where all differences are the same but not 0.
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


def across_seeds(
    differences: Sequence[Sequence[float | None]], *, against_one_run: bool = False
) -> SeedsEstimate:
    """Mean difference with its 95 % interval where prompts and training seeds are crossed.

    Both are random: another set of prompts and other seeds would give another mean. Its variance is the sum
    of (MSP − MSE)/(SP), prompts, and MSS/(SP), seeds and the rest, with the mean squares of the two-way
    table without replication (Searle, Casella and McCulloch 1992, "Variance Components").
    Each part has its own t quantile, h² = t²(P−1)·(MSP − MSE)₊/(SP) + t²(S−1)·MSS/(SP): Banerjee 1960,
    "Approximate Confidence Interval for Linear Functions of Means of k Populations When the Population
    Variances Are Not Equal". Satterthwaite's degrees of freedom for the sum are too many for three seeds.

    Against a single run with a seed of its own, such as a control, that run's drift is in every difference,
    and no mean over seeds takes it out. It is one more draw of what seeds do, so the part of the seeds
    becomes MSS/P · (1/S + 1) instead of MSS/P · 1/S. One seed tells nothing of that drift: there is no
    interval.

    Seeds without any value are left out, then prompts without a value from every seed that is left. With
    one seed, only prompts are random, and the method is that of `paired.compare`.

    Args:
        differences: One row per training seed with the difference on each prompt, prompts in the same order;
            None where there is none.
        against_one_run: Whether the differences are from one run that drifts as the seeds do, rather than
            from a model that is given.

    Raises:
        ValueError: If the rows have different lengths.
    """
    rows = [row for row in differences if any(value is not None for value in row)]
    columns = list(zip(*rows, strict=True))
    table = [column for column in columns if None not in column]
    seeds, prompts = len(rows), len(table)
    if not table:
        return SeedsEstimate(None, None, None, None, prompts, seeds)
    of_prompts, of_seeds = (
        [_mean(column) for column in table],
        [_mean(row) for row in zip(*table, strict=True)],
    )
    mean = _mean(of_prompts)
    if prompts < 2 or (seeds == 1 and against_one_run):
        return SeedsEstimate(mean, None, None, None, prompts, seeds)
    if seeds == 1:
        found = compare(of_prompts, [0.0] * prompts)
        return SeedsEstimate(mean, found.low, found.high, found.p_value, prompts, seeds)
    rest = math.fsum(
        (value - of_prompt - of_seed + mean) ** 2
        for column, of_prompt in zip(table, of_prompts, strict=True)
        for value, of_seed in zip(column, of_seeds, strict=True)
    ) / ((seeds - 1) * (prompts - 1))
    by_prompt = max(0.0, moments(of_prompts).std ** 2 / prompts - rest / (seeds * prompts))
    by_seed = moments(of_seeds).std ** 2 * (1 / seeds + against_one_run)
    if by_prompt + by_seed == 0:
        return SeedsEstimate(mean, None, None, None if mean else 1.0, prompts, seeds)

    def half_width(p_value: float) -> float:
        return math.hypot(
            critical(prompts - 1, p_value) * math.sqrt(by_prompt),
            critical(seeds - 1, p_value) * math.sqrt(by_seed),
        )

    half = half_width(1 - LEVEL)
    return SeedsEstimate(mean, mean - half, mean + half, _solve(half_width, abs(mean)), prompts, seeds)


def _solve(half_width: Callable[[float], float], distance: float) -> float:
    """The p-value whose interval just reaches this far; `SMALLEST` where it is smaller still."""
    from scipy.optimize import brentq

    if half_width(SMALLEST) <= distance:
        return SMALLEST
    return float(
        brentq(lambda p_value: half_width(p_value) - distance, SMALLEST, 1.0, xtol=1e-17, rtol=1e-12)
    )


def _mean(values: Sequence[float | None]) -> float:
    return math.fsum(value for value in values if value is not None) / len(values)
