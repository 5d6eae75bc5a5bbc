"""Which reward an invalid completion should get: advice from the rewards of valid ones, and a verdict.

GRPO divides by the spread within a prompt's group, so depth is counted in that unit; see
`docs/explanation/penalty.md`.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from rlctl.calibration.clusters import LARGEST, Clusters, clusters
from rlctl.calibration.parts import Scale
from rlctl.calibration.table import Floats, Integers
from rlctl.calibration.thumb import Thumb, thumb
from rlctl.calibration.uncertainty import penalty_interval
from rlctl.statistics.estimates import ends

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
UNDIVIDED = (
    "; `scale_rewards: none` divides by nothing, so a penalty takes no spread away, and is felt in full: the "
    "deeper, the more. Bound it by hand"
)


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
        The penalty; None below two rewards, where all are the same, or where one is beyond ± 1e100.
    """
    of = _spread_out(valid_totals, groups)
    return None if of is None else _lowered(of)


def _spread_out(valid_totals: Floats, groups: Integers) -> Clusters | None:
    """The rewards' sums; None where there is no spread to go by."""
    if len(valid_totals) < 2 or np.max(np.abs(valid_totals)) > LARGEST:
        return None
    of = clusters(valid_totals, groups)
    return of if of.std else None


def _shallow(of: Clusters) -> float:
    """mean − 2.5·s."""
    return of.mean - DEPTH * of.unit


def _lowered(of: Clusters) -> float:
    """The lesser of mean − 2.5·s and q − 0.1·s."""
    return min(_shallow(of), _tail(of) - MARGIN * of.unit)


def _tail(of: Clusters) -> float:
    """q, the 0.5 % quantile, or what stands for it below 400 rewards."""
    if len(of.values) >= ENOUGH:
        return float(np.quantile(of.values, TAIL))
    return min(float(np.min(of.values)), of.mean - NORMAL_TAIL * of.std)


@dataclass(frozen=True)
class Advice:
    """Which penalty to use, and what is to be said of the present one; None where a figure is not known.

    Args:
        current: The penalty configured now; None where there is none yet.
        rule: The plain rule over all valid rewards.
        recommended: The penalty to use.
        low: Lower end of the 95 % interval of what endless rewards would advise.
        high: Upper end.
        within_std: s, the unit of depth.
        depth: (mean − current)/s.
        group_size: Completions of a group that the spread left is that of.
        invalid_share: Share of them that is invalid: that of all completions, and one at least.
        spread_left: Spread that the present penalty leaves among valid completions; 1 is all, as always where
            advantages are not divided.
        recommended_depth: (mean − recommended)/s.
        recommended_spread_left: Spread that the recommended penalty leaves.
        verdict: `too mild`, `good` or `too harsh`; None too where advantages are not divided, and the penalty
            is so deep that nothing but a bound on it keeps it from outweighing all else.
        inversion_rate: Share of valid rewards below the current penalty.
        worst_prompt_inversion: The same in the prompt where it is greatest.
        provisional: Whether the rewards are too few for their tail to be known.
        reason: How the value came about, in a sentence.
        thumb: The rule of thumb by range.
    """

    current: float | None
    provisional: bool
    reason: str
    rule: Rule | None = None
    recommended: float | None = None
    low: float | None = None
    high: float | None = None
    within_std: float | None = None
    depth: float | None = None
    group_size: int | None = None
    invalid_share: float | None = None
    spread_left: float | None = None
    recommended_depth: float | None = None
    recommended_spread_left: float | None = None
    verdict: str | None = None
    inversion_rate: float | None = None
    worst_prompt_inversion: float | None = None
    thumb: Thumb | None = None

    def as_dict(self) -> dict[str, Any]:
        """The keys of `penalty` in `analyze-rewards --json`."""
        found = {name: value for name, value in vars(self).items() if name not in ("low", "high")}
        found["rule"] = vars(self.rule) if self.rule else {"low": None, "high": None, "value": None}
        found["ci95"] = ends(self.low, self.high)
        found["thumb"] = self.thumb.as_dict() if self.thumb else None
        return found


def advise(
    valid_totals: Floats,
    valid_groups: Integers,
    *,
    current: float | None,
    invalid: int,
    group_size: int,
    scale: Scale = "group",
) -> Advice:
    """Advice on the penalty.

    Args:
        valid_totals: (N,) rewards of valid completions, in units of `rewards.invalid_penalty`.
        valid_groups: (N,) group of each.
        current: The penalty configured now; None where there is none yet.
        invalid: Completions that get the penalty.
        group_size: Completions of a prompt in training; the spread left is that with one invalid among them
            at least.
        scale: What advantages are divided by.
    """
    count = len(valid_totals)
    inverted, worst = _inversions(valid_totals, valid_groups, current)
    of = _spread_out(valid_totals, valid_groups)
    if of is None:
        return _without_spread(valid_totals, current, inverted, worst)
    size = max(group_size, 2)
    share = max(invalid / (invalid + count), 1 / size)
    value = _lowered(of)
    low, high = penalty_interval(of, DEPTH, TAIL, MARGIN) or (None, None)
    depth = None if current is None else (of.mean - current) / of.unit
    left = None if current is None else _left(of, current, share, scale)
    own_left = _left(of, value, share, scale)
    return Advice(
        current=current,
        provisional=count < ENOUGH,
        reason=_reason(of, value, low, own_left) + (UNDIVIDED if scale == "none" else ""),
        rule=rule(of.mean, of.std),
        recommended=value,
        low=low,
        high=high,
        within_std=of.unit,
        depth=depth,
        group_size=size,
        invalid_share=share,
        spread_left=left,
        recommended_depth=(of.mean - value) / of.unit,
        recommended_spread_left=own_left,
        verdict=_verdict(of, current, inverted, value if high is None else high, share, scale),
        inversion_rate=inverted,
        worst_prompt_inversion=worst,
        thumb=thumb(valid_totals, min(value, value if low is None else low), value if high is None else high),
    )


def _left(of: Clusters, penalty: float, share: float, scale: Scale) -> float:
    """Spread left by a penalty, of what advantages are divided by; for a batch that is the std of all."""
    if scale == "none":
        return 1.0
    return spread_left((of.mean - penalty) / (of.std if scale == "batch" else of.unit), share)


def _verdict(
    of: Clusters, current: float | None, inverted: float | None, mildest: float, share: float, scale: Scale
) -> str | None:
    """`too mild`, `good` or `too harsh`; None where there is none, or it is deep and not divided."""
    if current is None or inverted is None:
        return None
    if inverted > INVERTED or current > mildest:
        return "too mild"
    if _left(of, current, share, "group" if scale == "none" else scale) >= FLATTENED:
        return "good"
    return None if scale == "none" else "too harsh"


def _inversions(
    valid_totals: Floats, groups: Integers, current: float | None
) -> tuple[float | None, float | None]:
    """Share of the valid rewards below the penalty: of all, and of the prompt where it is greatest."""
    if current is None or not len(valid_totals):
        return None, None
    _, index, counts = np.unique(groups, return_inverse=True, return_counts=True)
    below = valid_totals < current
    return float(np.mean(below)), float(np.max(np.bincount(index, below) / counts))


def _reason(of: Clusters, value: float, low: float | None, left: float) -> str:
    """How the recommended value came about."""
    kind = "within-prompt standard deviations" if of.within_std else "standard deviations of all rewards"
    q, few = _tail(of), len(of.values) < ENOUGH
    tail = f"{'estimated ' if few else ''}0.5 % quantile of the valid rewards ({q:.3g})"
    said = f"{DEPTH:g} {kind} ({of.unit:.3g}) below the mean ({of.mean:.3g})"
    if value < _shallow(of):
        said += (
            f", {_shallow(of):.3g}, lowered to {value:.3g}, {MARGIN:g} of them below the {tail}, so that "
            "hardly any valid completion scores below an invalid one"
        )
    else:
        said += f", {value:.3g}, which is below the {tail}"
    if few and low is not None and value < low:
        said += f"; {len(of.values)} rewards do not show their tail, so this errs on the deep side"
    if left < FLATTENED:
        said += (
            f"; prompts differ so much that it leaves only {left:.0%} of the spread among valid completions, "
            "where a penalty `per_group` leaves more"
        )
    return said


def _without_spread(
    valid_totals: Floats, current: float | None, inverted: float | None, worst: float | None
) -> Advice:
    """No advice: there are no valid rewards, one, all are the same, or one is beyond arithmetic."""
    count = len(valid_totals)
    plain = None
    constant = False
    if not count:
        reason = "no completion is valid, so there is nothing to place a penalty below"
    elif np.max(np.abs(valid_totals)) > LARGEST:
        reason = f"a reward is beyond ±{LARGEST:g}, too large to compute with"
    elif count == 1:
        reason, constant = "one valid reward has no spread, and so no scale for a penalty", True
    else:
        mean, constant = float(np.mean(valid_totals)), True
        reason, plain = f"all {count} valid rewards are {mean:.3g}: no spread, and so no scale", rule(mean, 0)
    mild = constant and current is not None and bool(current >= np.mean(valid_totals))
    return Advice(
        current=current,
        provisional=count < ENOUGH,
        reason=reason,
        rule=plain,
        within_std=0.0 if plain else None,
        verdict="too mild" if mild else None,
        inversion_rate=inverted,
        worst_prompt_inversion=worst,
        thumb=thumb(valid_totals, None, None),
    )
