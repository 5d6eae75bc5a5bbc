"""The advised penalty by hand-made numbers, each branch of the verdict, and rewards that have no advice."""

import json
import math
import re
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from rlctl.calibration.parts import Scale
from rlctl.calibration.penalty import Advice, advise, recommended, rule, spread_left
from rlctl.calibration.thumb import thumb


def advice(
    values: Sequence[float],
    groups: Sequence[int] | None = None,
    *,
    current: float | None = None,
    invalid: int = 0,
    group_size: int = 8,
    scale: Scale = "group",
) -> Advice:
    return advise(
        np.array(values),
        np.arange(len(values)) if groups is None else np.array(groups),
        current=current,
        invalid=invalid,
        group_size=group_size,
        scale=scale,
    )


def test_plain_rule() -> None:
    assert vars(rule(1.0, 2.0)) == {"low": -5.0, "high": -3.0, "value": -4.0}


def test_few_rewards_take_a_normal_tail() -> None:
    # one prompt: mean 2, s = std = 1; q = min(1, 2 − 2.576) = −0.576; min(2 − 2.5, −0.576 − 0.1)
    found = advice([1, 2, 3], [0, 0, 0])
    assert found.recommended == pytest.approx(-0.676)
    assert (found.within_std, found.provisional, found.low, found.high) == (1.0, True, None, None)
    assert found.rule == rule(2.0, 1.0)
    assert found.recommended_depth == pytest.approx(2.676)


def test_depth_is_counted_within_prompts() -> None:
    # 0 2 | 10 12: s² = (2 + 2)/2, s = √2; all: squares 36 + 16 + 16 + 36 = 104, std = √(104/3) = 5.8878.
    # mean − 2.5·s = 6 − 3.536 = 2.464; q = min(0, 6 − 2.576·5.8878 = −9.1670), less 0.1414
    found = advice([0, 2, 10, 12], [0, 0, 1, 1])
    assert found.within_std == pytest.approx(math.sqrt(2))
    assert found.recommended == pytest.approx(-9.3084, abs=1e-4)
    assert "2.5 within-prompt standard deviations (1.41) below the mean (6), 2.46" in found.reason
    assert "lowered to -9.31, 0.1 of them below the estimated 0.5 % quantile" in found.reason


def test_groups_that_agree_leave_the_std_of_all() -> None:
    # 0 0 | 1 1: s = 0, std = √(1/3) = 0.57735; q = 0.5 − 1.48726, less 0.057735
    found = advice([0, 0, 1, 1], [0, 0, 1, 1])
    assert found.recommended == pytest.approx(-1.04499, abs=1e-5)
    assert found.reason.startswith("2.5 standard deviations of all rewards (0.577)")


def test_a_pair_among_many_does_not_make_groups() -> None:
    values = [float(value % 7) for value in range(60)]
    assert recommended(np.array(values), np.array([0, *range(59)])) == recommended(
        np.array(values), np.arange(60)
    )


def test_the_quantile_from_400_rewards_on() -> None:
    # −100 four times and 0: mean −1, squares 4·99² + 396 = 39600, s = √(39600/399) = 9.9624;
    # place 0.005·399 = 1.995 of the sorted rewards is −100: −100 − 0.99624 is below −1 − 24.906
    values = [-100.0] * 4 + [0.0] * 396
    found = advice(values)
    assert found.recommended == pytest.approx(-100.99624, abs=1e-4)
    assert not found.provisional
    assert advice(values[:-1]).provisional
    # 0 … 399: mean 199.5, s = √(400·401/12) = 115.6143; q = 1.995; 199.5 − 289.036 is the lesser
    spread = advice([float(value) for value in range(400)])
    assert spread.recommended == pytest.approx(-89.5358, abs=1e-4)
    assert "which is below the 0.5 % quantile of the valid rewards (2)" in spread.reason


def test_spread_left() -> None:
    # d = 2.5, f = 1/8: 1/√(0.875·(1 + 6.25/8)) = 1/√1.55859
    assert spread_left(2.5, 1 / 8) == pytest.approx(0.80100, abs=1e-5)
    assert spread_left(1e200, 0.5) == pytest.approx(2e-200)


@pytest.mark.parametrize(
    ("current", "invalid", "group_size", "depth", "left", "verdict"),
    [
        # mean 2, s 1, advised −0.676 without an interval; f = max(invalid share, 1/G)
        (-0.6, 0, 8, 2.6, 0.78704, "too mild"),  # above the advice: 1/√(0.875·(1 + 6.76/8))
        (-0.7, 0, 8, 2.7, 0.77328, "good"),
        (-1.0, 0, 8, 3.0, 0.73335, "good"),  # 1/√(0.875·2.125)
        (-20.0, 0, 8, 22.0, 0.13632, "too harsh"),  # 1/√(0.875·61.5)
        (-7.0, 0, 8, 9.0, 0.32052, "good"),  # 1/√(0.875·11.125): just above 0.3
        (-8.0, 0, 8, 10.0, 0.29096, "too harsh"),  # 1/√(0.875·13.5): just below
        (-8.0, 0, 64, 10.0, 0.62963, "good"),  # one in 64: 1/√(0.984375·2.5625)
        (-1.0, 9, 8, 3.0, 0.71842, "good"),  # 9 of 12 invalid: 1/√(0.25·7.75)
        (-4.0, 3, 8, 6.0, 0.32444, "good"),  # 3 of 6 invalid: 1/√(0.5·19)
        (-5.0, 3, 8, 7.0, 0.28006, "too harsh"),  # 1/√(0.5·25.5)
        (1.5, 0, 8, 0.5, 1.05272, "too mild"),
    ],
)
def test_verdict(
    current: float, invalid: int, group_size: int, depth: float, left: float, verdict: str
) -> None:
    found = advice([1, 2, 3], [0, 0, 0], current=current, invalid=invalid, group_size=group_size)
    assert found.depth == pytest.approx(depth)
    assert found.spread_left == pytest.approx(left, abs=1e-5)
    assert found.verdict == verdict


@pytest.mark.parametrize(
    ("scale", "current", "left", "verdict"),
    [
        # mean 6, s = √2, std = √(104/3), f = 1/8; advised −9.31; d² = 26²/2 = 338, or 26²·3/104 = 19.5
        ("group", -20.0, 0.16256, "too harsh"),  # 1/√(0.875·(1 + 338/8))
        ("batch", -20.0, 0.57660, "good"),  # 1/√(0.875·(1 + 19.5/8))
        ("batch", -60.0, 0.26155, "too harsh"),  # d² = 66²·3/104 = 125.65: 1/√(0.875·(1 + 125.65/8))
        ("none", -20.0, 1.0, None),
        ("none", -10.0, 1.0, None),  # d² = 128: for `group` 1/√(0.875·17) = 0.259 would be too harsh
        ("none", 7.0, 1.0, "too mild"),
    ],
)
def test_verdict_by_what_advantages_are_divided_by(
    scale: Scale, current: float, left: float, verdict: str | None
) -> None:
    found = advice([0, 2, 10, 12], [0, 0, 1, 1], current=current, scale=scale)
    assert found.spread_left == pytest.approx(left, abs=1e-5)
    assert found.verdict == verdict
    assert found.depth == pytest.approx((6 - current) / math.sqrt(2))
    assert found.recommended == pytest.approx(-9.3084, abs=1e-4)
    assert ("felt in full" in found.reason) == (scale == "none")


def test_a_moderate_penalty_is_good_where_nothing_is_divided_too() -> None:
    found = advice([1, 2, 3], [0, 0, 0], current=-1.0, scale="none")
    assert (found.verdict, found.spread_left, found.recommended_spread_left) == ("good", 1.0, 1.0)


def test_inversions_alone_make_a_penalty_too_mild() -> None:
    values = [0.0, 1.0] * 24 + [0.0, -5.0] + [4.0, 5.0] * 24 + [4.0, -5.0]
    found = advice(values, [0] * 50 + [1] * 50, current=-4.0)
    assert found.high is not None
    assert found.high > -4.0
    assert (found.inversion_rate, found.worst_prompt_inversion) == (0.02, 0.02)
    assert found.verdict == "too mild"
    # one in a hundred is not more than 1 %
    values[-1] = 4.0
    found = advice(values, [0] * 50 + [1] * 50, current=-4.0)
    assert (found.inversion_rate, found.worst_prompt_inversion) == (0.01, 0.02)
    assert found.verdict == "good"


def test_a_penalty_above_the_interval_is_too_mild() -> None:
    values = np.random.default_rng(0).normal(0, 1, 800)
    groups = np.repeat(np.arange(100), 8).tolist()
    found = advice(values.tolist(), groups, current=-2.0)
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.recommended < found.high < -2.0  # type: ignore[operator]
    assert found.verdict == "too mild"
    within = advice(values.tolist(), groups, current=(found.recommended + found.high) / 2)  # type: ignore[operator]
    assert within.verdict == "good"


def test_no_penalty_yet_has_no_verdict() -> None:
    found = advice([1, 2, 3], [0, 0, 0])
    assert (found.verdict, found.depth, found.spread_left, found.inversion_rate) == (None,) * 4
    assert found.recommended is not None


def test_prompts_that_differ_much_are_pointed_to_per_group() -> None:
    rng = np.random.default_rng(0)
    values = np.repeat(rng.normal(0, 8, 100), 8) + rng.normal(0, 1, 800)
    found = advice(values.tolist(), np.repeat(np.arange(100), 8).tolist())
    assert found.recommended_spread_left is not None
    assert found.recommended_spread_left < 0.3
    assert "per_group" in found.reason


@pytest.mark.parametrize(
    ("values", "recommendation", "span", "agrees", "word"),
    [
        ([0.0, 1.0], (-0.7, -0.4), (-1, 1), True, "agrees with"),
        ([0.0, 1.0], (-0.4, -0.3), (-1, 1), False, "is harsher than"),
        ([-1.0, 1.0], (-3.0, -2.0), (-1, 1), False, "is milder than"),
        ([0.0, 1.1], (-6.0, -2.0), (-10, 10), True, "agrees with"),
        ([0.0, 11.0], (-6.0, -2.0), (0, 100), False, "is harsher than"),
        ([0.0, 1.0], (None, None), (-1, 1), None, "advise nothing"),
    ],
)
def test_rules_of_thumb(
    values: list[float], recommendation: Any, span: tuple[float, float], agrees: bool | None, word: str
) -> None:
    found = thumb(np.array(values), *recommendation)
    assert found is not None
    assert (found.range, found.agrees) == (span, agrees)
    assert word in found.says
    lows = re.findall(r"(-[\d.]+) to (-[\d.]+)", found.says)
    assert all(float(low) < float(high) for low, high in lows)
    assert len(lows) == (1 if recommendation[0] is None else 2)


def test_ranges_without_a_rule_of_thumb() -> None:
    assert thumb(np.array([-11.0, 3.0]), -5.0, -4.0) is None
    assert thumb(np.zeros(0), None, None) is None


NOTHING = {"low": None, "high": None, "value": None}


@pytest.mark.parametrize(
    ("values", "current", "reason", "verdict", "plain"),
    [
        ([], -1.0, "no completion is valid", None, NOTHING),
        ([0.5], -1.0, "one valid reward has no spread", None, NOTHING),
        ([0.5, 0.5], -1.0, "all 2 valid rewards are 0.5", None, {"low": 0.5, "high": 0.5, "value": 0.5}),
        ([0.5, 0.5], 0.5, "all 2 valid rewards are 0.5", "too mild", {"low": 0.5, "high": 0.5, "value": 0.5}),
        ([0.5], 0.7, "one valid reward has no spread", "too mild", NOTHING),
        ([1e300, 1.0], -1.0, "beyond ±1e+100", None, NOTHING),
    ],
)
def test_no_advice(
    values: list[float], current: float, reason: str, verdict: str | None, plain: dict[str, Any]
) -> None:
    found = advice(values, current=current)
    assert recommended(np.array(values), np.arange(len(values))) is None
    assert reason in found.reason
    assert (found.verdict, found.as_dict()["rule"], found.as_dict()["ci95"]) == (verdict, plain, None)


def test_equal_up_to_rounding_is_no_spread() -> None:
    assert recommended(np.array([0.1 + 0.2, 0.3]), np.array([0, 0])) is None


@pytest.mark.parametrize(
    "values",
    [
        [-1e6, 1, 2, 3],
        [1e15, -1e15, 1e15],
        [-1e15] + [1, 2, 3] * 20,
        [1e-300, 2e-300],
        [0, 1],
        [0, 0, 1, 1],
        [3],
        [-1e300, 1e300],
        [5e-324, -5e-324],
        [1e99, 2e99, -1e100],
    ],
)
@pytest.mark.parametrize("size", [1, 2, 100])
def test_extremes_give_json_and_no_warning(values: list[float], size: int) -> None:
    groups = np.arange(len(values)) // size
    with warnings.catch_warnings(), np.errstate(over="raise", invalid="raise", divide="raise"):
        warnings.simplefilter("error")
        for current in (None, -1.0, -1e300, 1e15):
            found = advise(np.array(values), groups, current=current, invalid=3, group_size=8)
            json.dumps(found.as_dict(), allow_nan=False)


def test_json_has_the_stable_keys() -> None:
    found = advice([1, 2, 3, 3], [0, 0, 1, 1], current=-1.0).as_dict()
    assert {"current", "rule", "recommended", "ci95", "verdict", "inversion_rate", "provisional"} < set(found)
    assert {"reason", "thumb", "depth", "spread_left", "within_std", "worst_prompt_inversion"} < set(found)
