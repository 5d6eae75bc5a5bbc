"""The rule of the verdict on numbers made by hand, every branch of it."""

import math

import numpy as np
import pytest

from rlctl.proof.verdict import effect, judge, minus, rule, sign_test
from rlctl.statistics.seeds import across_seeds

PROMPTS = 20
BASE = [0.2] * PROMPTS
ZIGZAG = [0.1 if i % 2 else -0.1 for i in range(PROMPTS)]
"""Adds up to 0, and makes prompts differ."""


def around(mean, wiggle=1.0):
    """Values of 20 prompts with this mean."""
    return [mean + wiggle * one for one in ZIGZAG]


def test_improved():
    # seeds gain 0.5, 0.55 and 0.6, the control nothing
    found = judge(BASE, [around(0.7), around(0.75, 0.5), around(0.8, 2)], around(0.2))
    assert found.word == "improved"
    assert found.gain.estimate.mean == pytest.approx(0.55)
    assert found.over_control.estimate.mean == pytest.approx(0.55)
    assert (found.gain.sign, found.over_control.sign, found.control_improved) == (1, 1, False)
    assert found.gain.estimate.low > 0
    assert [one.difference for one in found.by_seed] == pytest.approx([0.5, 0.55, 0.6])
    assert (found.by_seed[0].wins, found.by_seed[0].losses) == (20, 0)


def test_worse():
    found = judge(BASE, [around(-0.3), around(-0.31, 0.5)], around(0.2))
    assert found.word == "worse"
    assert found.gain.estimate.high < 0


def test_worse_whatever_the_control_does():
    assert judge(BASE, [around(0.0), around(0.01)], around(-0.9)).word == "worse"


def test_a_difference_that_may_be_chance():
    found = judge(BASE, [around(0.2), around(0.2, 0.5), around(0.25)], around(0.2))
    assert found.gain.estimate.mean == pytest.approx(0.05 / 3)
    assert found.word == "no evidence"
    assert "chance" in found.because
    assert found.gain.estimate.low < 0 < found.gain.estimate.high


def test_seeds_that_disagree_are_no_evidence():
    """One seed gains 0.5 and the other loses 0.4: 20 prompts each are sure, the seeds are not."""
    found = judge(BASE, [around(0.7), around(-0.2)], around(0.2))
    assert found.word == "no evidence"
    assert found.gain.estimate.mean == pytest.approx(0.05)
    assert [one.p_value < 0.001 for one in found.by_seed] == [True, True]


def test_a_control_that_gains_as_much():
    found = judge(BASE, [around(0.7), around(0.7, 0.5), around(0.72)], around(0.7, 2))
    assert found.gain.sign == 1
    assert (found.over_control.sign, found.control_improved) == (0, True)
    assert found.word == "no evidence"
    assert "about as well" in found.because


def test_a_control_that_gains_more():
    found = judge(BASE, [around(0.5), around(0.51)], around(0.9, 0.5))
    assert (found.gain.sign, found.over_control.sign, found.control_improved) == (1, -1, True)
    assert found.word == "no evidence"
    assert "better still" in found.because


def test_a_control_that_gains_less_does_not_hide_an_improvement():
    found = judge(BASE, [around(0.9), around(0.91)], around(0.4, 0.5))
    assert found.control.difference == pytest.approx(0.2)
    assert found.control.p_value < 0.001  # of prompts alone
    assert (found.word, found.control_improved) == ("improved", False)


def test_one_seed_cannot_tell_a_drift_from_a_gain():
    found = judge(BASE, [around(0.7)], around(0.2, 0.5))
    assert (found.word, found.gain.sign) == ("no evidence", 1)
    assert found.because == "with one seed, a drift of the run cannot be told from a gain"
    assert found.over_control.estimate.mean == pytest.approx(0.5)
    assert (found.over_control.estimate.low, found.over_control.p_value) == (None, None)
    assert found.detectable is None  # no gain, however large, would be called one
    assert judge(BASE, [around(-0.3)], around(0.2)).word == "worse"
    drifted = judge(BASE, [around(0.7)], around(0.4, 0.5))
    assert drifted.control.p_value < 0.001  # of prompts alone
    assert drifted.control_improved is None
    assert "cannot be told: with one seed" in rule("reward", 1)[-1]
    assert "counts as improved" in rule("reward", 3)[-1]


def test_one_seed_with_equal_differences_either():
    assert judge([0.0] * 8, [[1.0] * 8], [0.0] * 8).word == "no evidence"


def test_the_control_is_one_more_draw_of_a_run():
    # Three seeds 0.4, 0.5 and 0.6 above the control on all of 20 prompts but for a part that adds up to 0 and
    # is the same in each: variance of seeds 0.01, times 1/3 + 1. Of prompts: 0.01·20/19 over 20.
    differences = [around(mean) for mean in (0.4, 0.5, 0.6)]
    found = across_seeds(differences, against_one_run=True)
    half = math.sqrt(4.30265**2 * 0.01 * 4 / 3 + 2.09302**2 * 0.01 / 19)
    assert (found.low, found.high) == pytest.approx((0.5 - half, 0.5 + half), abs=1e-5)
    given = across_seeds(differences)
    half = math.sqrt(4.30265**2 * 0.01 / 3 + 2.09302**2 * 0.01 / 19)
    assert (given.low, given.high) == pytest.approx((0.5 - half, 0.5 + half), abs=1e-5)


def test_seeds_that_drift_say_nothing_against_a_control_that_may():
    # seeds gain 0.4, 0.5 and 0.6, the control 0.1: by the seeds' drift alone 0.4 ± 0.25, with its own ± 0.50
    found = judge(BASE, [around(0.6), around(0.7), around(0.8)], around(0.3))
    assert (found.gain.sign, found.over_control.sign, found.word) == (1, 0, "no evidence")
    assert found.detectable == pytest.approx(1.43 * 0.49683, rel=1e-3)


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_training_that_gains_whatever_the_reward_is_rarely_called_improved(seeds):
    """Every run gains 0.2 and drifts by 0.05. 400 proofs at 2.5 %: 10, and 20 is three deviations more."""
    rng = np.random.default_rng(seeds)

    def run():
        return rng.normal(0.2 + rng.normal(0, 0.05), 0.3, 30).tolist()

    base = [0.0] * 30
    words = [judge(base, [run() for _ in range(seeds)], run()).word for _ in range(400)]
    assert words.count("improved") <= 20


def test_the_quickstart_is_still_improved():
    """Its figures: seeds 0.514, 0.519 and 0.525 above the base, and the control 0.036."""
    rng = np.random.default_rng(0)

    def run(gain):
        noise = rng.normal(0, 0.3, 200)
        return (gain + noise - noise.mean()).tolist()

    found = judge([0.0] * 200, [run(0.514), run(0.519), run(0.525)], run(0.036))
    assert found.over_control.estimate.mean == pytest.approx(0.4833, abs=1e-4)
    assert found.word == "improved"


@pytest.mark.parametrize(("prompts", "word"), [(5, "no evidence"), (6, "improved")])
def test_equal_differences_are_left_to_the_sign_test(prompts, word):
    """0 to 1 on every prompt: there is no interval. p = 2 · 2⁻⁵ = 0.0625, 2 · 2⁻⁶ = 0.03125."""
    found = judge([0.0] * prompts, [[1.0] * prompts] * 3, [0.0] * prompts)
    assert found.gain.estimate.low is None
    assert found.gain.p_value == 2 * 2.0**-prompts
    assert found.word == word


def test_nothing_changed_at_all():
    found = judge(BASE, [BASE, BASE], BASE)
    assert (found.word, found.gain.p_value) == ("no evidence", 1.0)


def test_differences_that_cancel_are_none():
    """+0.1 in one seed where the other has −0.1, on every prompt: nothing but rounding is left."""
    found = judge(BASE, [around(0.2), around(0.2, -1)], BASE)
    assert (found.word, found.gain.p_value) == ("no evidence", 1.0)


def test_differences_by_rounding_alone_are_none():
    """0.1 + 0.2 for 0.3 on about 60 % of 200 prompts, others in each of three seeds: a gain of 3e-17."""
    rng = np.random.default_rng(0)
    base = [0.3] * 200
    seeds = [[0.1 + 0.2 if one else 0.3 for one in rng.random(200) < 0.6] for _ in range(3)]
    found = judge(base, seeds, base)
    assert (found.word, found.gain.estimate.mean, found.gain.p_value) == ("no evidence", 0.0, 1.0)
    assert minus([0.1 + 0.2, None, 1.0], [0.3, 0.3, 0.5]) == [0.0, None, 0.5]


def test_sign_test_by_hand():
    # means over two seeds: 6 above 0, 1 below, 1 equal: 2 · (1 + 7) / 2⁷
    first = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, -1.0, 0.5]
    second = [0.0, 1.0, 0.0, 0.0, 1.0, 0.0, -1.0, -0.5]
    assert sign_test([first, second]) == 2 * 8 / 128
    assert sign_test([[0.0, 0.0]]) == 1.0


def lacking(values, *prompts):
    return [None if i in prompts else value for i, value in enumerate(values)]


def test_prompts_without_a_value_in_some_model_count_nowhere():
    """One of 20 is 5 %: still judged. Only the control lacks it, and the gain leaves it out too."""
    found = judge(BASE, [around(0.7), around(0.7, 0.5)], lacking(around(0.2), 3))
    assert found.counted == [i != 3 for i in range(PROMPTS)]
    assert found.gain.estimate.prompts == found.over_control.estimate.prompts == PROMPTS - 1
    assert {one.wins + one.ties + one.losses for one in found.by_seed} == {PROMPTS - 1}
    assert found.word == "improved"


def test_more_than_5_percent_without_a_value():
    """Two different prompts of 20, one in each seed."""
    models = [lacking(around(0.7), 3), lacking(around(0.7, 0.5), 4)]
    found = judge(BASE, models, around(0.2))
    assert (found.word, found.gain.sign) == ("no evidence", 1)
    assert found.because.startswith("more than 5 % of the prompts lack a value in some model")
    assert sum(found.counted) == 18
    worse = judge(BASE, [lacking(around(-0.7), 3), lacking(around(-0.7, 0.5), 4)], around(0.2))
    assert worse.word == "no evidence"


def test_more_than_5_percent_of_the_completions_without_a_value():
    """Every prompt has a value in every model, some of them by a part of their completions."""
    models = [around(0.7), around(0.75, 0.5), around(0.8, 2)]
    assert judge(BASE, models, around(0.2), left_out=0.05).word == "improved"
    found = judge(BASE, models, around(0.2), left_out=0.125)
    assert (found.word, sum(found.counted)) == ("no evidence", PROMPTS)
    assert found.because.startswith("more than 5 % of the completions lack a value in some model")


@pytest.mark.parametrize("values", [[None, None, None], [0.5, None, None]])
def test_fewer_than_two_prompts(values):
    found = judge(values, [values, values], values)
    assert found.word == "no evidence"
    assert "fewer than two prompts" in found.because


def test_the_smallest_difference_that_would_have_been_found():
    found = effect([around(0.0), around(0.1)])
    half = (found.estimate.high - found.estimate.low) / 2
    assert found.detectable == pytest.approx(1.43 * half)


def test_the_rule_names_the_metric_and_what_varies():
    assert "pass_at_1" in rule("pass_at_1", 3)[0]
    assert "3 seeds" in rule("reward", 3)[0]
    assert "prompts and training seeds as random" in rule("reward", 3)[1]
    assert "takes prompts as random" in rule("reward", 1)[1]
    assert "improved: never" in "".join(rule("reward", 1))
    assert "(1/S + 1)" in "".join(rule("reward", 3))
    assert "more than 5 % of the prompts lack one, or more than as many" in "".join(rule("reward", 3))
