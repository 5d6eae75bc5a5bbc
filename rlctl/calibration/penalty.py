"""Which reward an invalid completion should get: advice from the rewards of valid ones, and a verdict.

GRPO divides by the spread within a prompt's group, so depth is counted in that unit; see
`docs/explanation/penalty.md`.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from rlctl.calibration.bootstrap import Clusters, clusters, penalty_interval
from rlctl.calibration.table import Floats, Integers

DEPTH = 2.5
"""Within-prompt standard deviations between the mean of valid rewards and the penalty."""
TAIL, MARGIN = 0.005, 0.1
"""Share of valid rewards that may lie below the penalty; its distance from that quantile, in units of s."""
ENOUGH = 400
"""Valid rewards below which their 0.5 % quantile is not known and the advice is provisional."""
NORMAL_TAIL = 2.576
"""Standard deviations from the mean to the 0.5 % quantile of a normal distribution."""
INVERTED, FLATTENED = 0.01, 0.3
"""Share of valid rewards below a penalty that is too mild; spread left by one that is too harsh."""
THUMB = (((-1.0, 1.0), (-1.0, -0.5)), ((-10.0, 10.0), (-10.0, -5.0)), ((0.0, 100.0), (-100.0, -50.0)))
"""Rules of thumb: range of rewards → penalty from … to."""


@dataclass(frozen=True)
class Rule:
    """The plain rule over all valid rewards: mean − 3 std, mean − 2 std, mean − 2.5 std."""

    low: float
    high: float
    value: float


def rule(mean: float, std: float) -> Rule:
    """The plain rule for rewards with this mean and standard deviation."""
    return Rule(mean - 3 * std, mean - 2 * std, mean - 2.5 * std)


def spread_left(depth: float, invalid_share: float) -> float:
    """Standard deviation of the valid advantages of a group, relative to a group without invalid ones.

    1/√((1−f)(1+f·d²)): the variance of the group is s²(1−f)(1+f·d²) where s² is that of its valid rewards.

    Args:
        depth: d, how far the penalty lies below the mean of the valid rewards, in their standard deviation s.
        invalid_share: f, below 1.
    """
    return 1 / (math.sqrt(1 - invalid_share) * math.hypot(1, math.sqrt(invalid_share) * depth))


def recommended(valid_totals: Floats, groups: Integers) -> float | None:
    """min(mean − 2.5·s, q − 0.1·s): deep enough to be felt, and below (almost) every valid reward.

    s is the pooled standard deviation within prompts (of all rewards where these are not grouped, or all
    groups are tied), q the 0.5 % quantile; below 400 rewards, which do not show it, q = min(minimum,
    mean − 2.576·std).

    Args:
        valid_totals: (N,) rewards of valid completions, in units of `rewards.invalid_penalty`.
        groups: (N,) group of each.

    Returns:
        The penalty; None below two rewards or where all are the same.
    """
    if len(valid_totals) < 2:
        return None
    of = clusters(valid_totals, groups)
    return min(of.mean - DEPTH * of.unit, tail(valid_totals, of) - MARGIN * of.unit) if of.std else None


def tail(valid_totals: Floats, of: Clusters) -> float:
    """q, the 0.5 % quantile of the valid rewards, or what stands for it below 400 of them."""
    if len(valid_totals) >= ENOUGH:
        return float(np.quantile(valid_totals, TAIL))
    return min(float(np.min(valid_totals)), of.mean - NORMAL_TAIL * of.std)


@dataclass(frozen=True)
class Thumb:
    """A rule of thumb by the range of rewards.

    Args:
        range: The range it is for.
        low: The harshest penalty it names.
        high: The mildest.
        agrees: Whether it meets the interval of what the data advise; None where they advise nothing.
        says: That in words.
    """

    range: tuple[float, float]
    low: float
    high: float
    agrees: bool | None
    says: str

    def as_dict(self) -> dict[str, Any]:
        """`range, low, high, agrees, says`."""
        return {**vars(self), "range": list(self.range)}


def thumb(valid_totals: Floats, low: float | None, high: float | None) -> Thumb | None:
    """The rule of thumb of the smallest range that holds all rewards, held against the data's own advice.

    Args:
        valid_totals: (N,) rewards of valid completions.
        low: Lower end of what the data advise.
        high: Upper end.

    Returns:
        The rule; None where there are no rewards, or they leave every range that has a rule.
    """
    for (least, most), (harsh, mild) in THUMB:
        if len(valid_totals) and least <= np.min(valid_totals) and np.max(valid_totals) <= most:
            name = f"{harsh:g} to {mild:g} for rewards in [{least:g}, {most:g}]"
            if low is None or high is None:
                return Thumb((least, most), harsh, mild, None, f"{name}; the data say nothing")
            found = harsh <= high and low <= mild
            word = "agrees with" if found else "is harsher than" if mild < low else "is milder than"
            return Thumb((least, most), harsh, mild, found, f"{name} {word} what the data advise")
    return None


@dataclass(frozen=True)
class Advice:
    """Which penalty to use, and what is to be said of the present one; None where a figure is not known.

    Args:
        current: The penalty configured now; None where there is none yet.
        rule: The plain rule over all valid rewards.
        recommended: The penalty to use.
        low: Lower end of its 95 % interval.
        high: Upper end.
        within_std: s, the unit of depth.
        depth: (mean − current)/s.
        spread_left: Spread that the present penalty leaves among valid completions; 1 is all.
        verdict: `too mild`, `good` or `too harsh`.
        inversion_rate: Share of valid rewards below the current penalty.
        worst_prompt_inversion: The same in the prompt where it is greatest.
        provisional: Whether the rewards are too few for their tail to be known.
        reason: How the value came about, in a sentence.
        thumb: The rule of thumb by range.
    """

    current: float | None
    rule: Rule | None
    recommended: float | None
    low: float | None
    high: float | None
    within_std: float | None
    depth: float | None
    spread_left: float | None
    verdict: str | None
    inversion_rate: float | None
    worst_prompt_inversion: float | None
    provisional: bool
    reason: str
    thumb: Thumb | None

    def as_dict(self) -> dict[str, Any]:
        """The keys of `penalty` in `analyze-rewards --json`."""
        found = {name: value for name, value in vars(self).items() if name not in ("low", "high")}
        found["rule"] = vars(self.rule) if self.rule else {"low": None, "high": None, "value": None}
        found["ci95"] = None if self.low is None or self.high is None else [self.low, self.high]
        found["thumb"] = self.thumb.as_dict() if self.thumb else None
        return found


def advise(
    valid_totals: Floats, valid_groups: Integers, *, current: float | None, invalid: int, group_size: int
) -> Advice:
    """Advice on the penalty.

    Args:
        valid_totals: (N,) rewards of valid completions, in units of `rewards.invalid_penalty`.
        valid_groups: (N,) group of each.
        current: The penalty configured now; None where there is none yet.
        invalid: Completions that were invalid.
        group_size: Completions of a prompt in training; the spread left is that with one invalid among them
            at least.
    """
    provisional = len(valid_totals) < ENOUGH
    below = valid_totals < current if current is not None and len(valid_totals) else None
    inverted = float(np.mean(below)) if below is not None else None
    worst = _worst(below, valid_groups) if below is not None else None
    if (value := recommended(valid_totals, valid_groups)) is None:
        return _without_spread(valid_totals, current, inverted, worst, provisional)
    of = clusters(valid_totals, valid_groups)
    ends = penalty_interval(valid_totals, valid_groups, DEPTH)
    low, high = ends or (None, None)
    depth = left = verdict = None
    if current is not None and inverted is not None:
        depth = (of.mean - current) / of.unit
        left = spread_left(depth, max(invalid / (invalid + len(valid_totals)), 1 / max(group_size, 2)))
        if inverted > INVERTED or current > (value if high is None else high):
            verdict = "too mild"
        else:
            verdict = "too harsh" if left < FLATTENED else "good"
    return Advice(
        current=current,
        rule=rule(of.mean, of.std),
        recommended=value,
        low=low,
        high=high,
        within_std=of.unit,
        depth=depth,
        spread_left=left,
        verdict=verdict,
        inversion_rate=inverted,
        worst_prompt_inversion=worst,
        provisional=provisional,
        reason=_reason(valid_totals, of),
        thumb=thumb(valid_totals, value if low is None else low, value if high is None else high),
    )


def _worst(below: Any, groups: Integers) -> float:
    """Share of inverted rewards in the prompt where it is greatest."""
    _, index, counts = np.unique(groups, return_inverse=True, return_counts=True)
    return float(np.max(np.bincount(index, below) / counts))


def _reason(valid_totals: Floats, of: Clusters) -> str:
    """How the recommended value came about."""
    kind = "within-prompt standard deviations" if of.within_std else "standard deviations of all rewards"
    shallow, q = of.mean - DEPTH * of.unit, tail(valid_totals, of)
    start = f"{DEPTH:g} {kind} ({of.unit:.3g}) below the mean ({of.mean:.3g}) is {shallow:.3g}"
    if shallow <= q - MARGIN * of.unit:
        return f"{start}, below the valid rewards' 0.5 % quantile ({q:.3g})"
    return (
        f"{start}; lowered to {q - MARGIN * of.unit:.3g}, {MARGIN:g} standard deviations below the "
        f"0.5 % quantile ({q:.3g}), so that hardly any valid completion scores below an invalid one"
    )


def _without_spread(
    valid_totals: Floats,
    current: float | None,
    inverted: float | None,
    worst: float | None,
    provisional: bool,
) -> Advice:
    """No advice: there are no valid rewards, one, or all are the same."""
    reason = "no completion is valid, so there is nothing to place a penalty below"
    verdict = plain = None
    if len(valid_totals):
        mean = float(np.mean(valid_totals))
        reason = f"all {len(valid_totals)} valid rewards are {mean:.3g}: without spread there is no scale"
        if len(valid_totals) == 1:
            reason = "one valid reward has no spread, and so no scale for a penalty"
        plain = rule(mean, 0.0) if len(valid_totals) > 1 else None
        verdict = "too mild" if current is not None and current >= mean else None
    return Advice(
        current=current,
        rule=plain,
        recommended=None,
        low=None,
        high=None,
        within_std=0.0 if len(valid_totals) > 1 else None,
        depth=None,
        spread_left=None,
        verdict=verdict,
        inversion_rate=inverted,
        worst_prompt_inversion=worst,
        provisional=provisional,
        reason=reason,
        thumb=thumb(valid_totals, None, None),
    )
