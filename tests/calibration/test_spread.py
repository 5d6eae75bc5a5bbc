"""Spread within groups, against plain loops and cases worked out by hand."""

import json
import math
from itertools import combinations

import numpy as np
import pytest

from rlctl.calibration.prediction import predict
from rlctl.calibration.spread import describe_groups, deviations, levels, pooled_std, ratio, ties
from rlctl.calibration.table import FAILED, INVALID, SCORED, Table

pytestmark = pytest.mark.filterwarnings("error")


def table(totals, groups, outcomes=None):
    outcomes = [SCORED] * len(totals) if outcomes is None else outcomes
    return Table(np.array(totals, float), np.array(outcomes, np.int8), np.array(groups, np.int64))


def ragged(seed=0, groups=60):
    """Values in groups of 1 to 9 with holes; some values are whole numbers, so that there are ties."""
    rng = np.random.default_rng(seed)
    of = np.repeat(np.arange(groups), rng.integers(1, 10, groups))
    values = rng.normal(size=len(of)) + of % 5
    values[::3] = np.round(values[::3])
    values[rng.random(len(of)) < 0.15] = np.nan
    return values, of


def members(values, of):
    """Lists of the numbers of each group."""
    return [[v for v, g in zip(values, of, strict=True) if g == k and v == v] for k in range(max(of) + 1)]


def test_deviations_and_pooled_std_are_those_of_a_plain_loop():
    values, of = ragged()
    lists = members(values, of)
    for value, group, found in zip(values, of, deviations(values, of), strict=True):
        if math.isnan(value):
            assert math.isnan(found)
        else:
            assert found == pytest.approx(value - np.mean(lists[group]), abs=1e-9)
    squares = sum(sum((v - np.mean(one)) ** 2 for v in one) for one in lists if one)
    freedom = sum(max(len(one) - 1, 0) for one in lists)
    assert pooled_std(values, of) == pytest.approx(math.sqrt(squares / freedom), rel=1e-9)


def test_values_equal_up_to_rounding_have_no_spread_at_all():
    values = np.array([0.1 + 0.2, 0.3, 0.3, 0.1, 0.1, 0.1])
    of = np.array([0, 0, 0, 1, 1, 1])
    assert deviations(values, of).tolist() == [0.0] * 6
    assert levels(values).tolist() == [1, 1, 1, 0, 0, 0]
    assert pooled_std(values, of) == 0


def test_a_value_far_out_costs_the_other_groups_no_digits():
    values = np.array([-1e6, 1, 2, 3, 0.1, 0.3])
    of = np.array([0, 0, 0, 0, 1, 1])
    assert deviations(values, of)[4:] == pytest.approx([-0.1, 0.1], rel=1e-12)


def test_ties_count_pairs_within_groups():
    # Group 0: 1,1,2: one of three pairs. Group 1: 1,1: its only pair. The 1s of both groups are no pair.
    found = ties(np.array([1, 1, 2, 1, 1, np.nan]), np.array([0, 0, 0, 1, 1, 1]))
    assert (found.share, found.distinct, found.n) == (0.5, 2, 5)
    assert ties(np.array([1.0]), np.array([0])).as_dict() == {"ties": None, "distinct": 1, "n": 1}
    values, of = ragged()
    pairs = [a == b for one in members(values, of) for a, b in combinations(one, 2)]
    assert ties(values, of).share == pytest.approx(np.mean(pairs), rel=1e-12)


def test_ratio_is_the_jackknife_of_a_plain_loop():
    over, under = np.array([3.0, 1.0, 4.0, 0.0, 5.0]), np.array([2.0, 1.0, 3.0, 0.0, 1.0])
    found = ratio(over, under)
    assert found.value == 13 / 7
    left_out = [(13 - a) / (7 - b) for a, b in zip(over, under, strict=True) if b]
    error = math.sqrt(3 / 4 * sum((x - np.mean(left_out)) ** 2 for x in left_out))
    assert found.value - found.low == pytest.approx(3.182446 * error, rel=1e-6)  # t with 3 degrees of freedom
    assert found.high - found.value > 3.182446 * error  # the end to which the groups are skewed
    assert ratio(np.array([1.0, 0.0]), np.array([2.0, 0.0])).ends is None
    assert ratio(np.zeros(3), np.zeros(3)).value is None


def test_variance_within_and_between_is_the_analysis_of_variance():
    values, of = ragged(1)
    lists = [one for one in members(values, of) if one]
    n, k = sum(map(len, lists)), len(lists)
    mean = sum(map(sum, lists)) / n
    within = sum(sum((v - np.mean(one)) ** 2 for v in one) for one in lists) / (n - k)
    apart = sum(len(one) * (np.mean(one) - mean) ** 2 for one in lists) / (k - 1)
    between = (apart - within) / ((n - sum(len(one) ** 2 for one in lists) / n) / (k - 1))
    found = describe_groups(table(values, of))
    assert found.within_std == pytest.approx(math.sqrt(within), rel=1e-9)
    assert found.between_std == pytest.approx(math.sqrt(between), rel=1e-9)
    assert found.icc == pytest.approx(between / (between + within), rel=1e-9)


def test_groups_without_spread_count_penalties():
    # All right; all wrong; mixed; all invalid; right and invalid; one completion, no group; masked but one.
    totals = [1, 1, 0, 0, 1, 0, -2, -2, 1, -2, 1, 1, np.nan]
    groups = [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 6, 6]
    outcomes = [SCORED] * 6 + [INVALID] * 2 + [SCORED, INVALID, SCORED, SCORED, FAILED]
    found = describe_groups(table(totals, groups, outcomes))
    assert (found.count, found.size, found.zero_std_fraction) == (5, 2, 3 / 5)
    assert (found.all_right, found.all_wrong, found.mixed) == (1 / 5, 2 / 5, 2 / 5)
    low, high = found.zero_std_ci95
    assert 0 < low < 3 / 5 < high < 1


def test_right_and_wrong_can_be_told_by_something_else():
    found = describe_groups(
        table([0.1, 0.2, 0.3, 0.4], [0, 0, 1, 1]), right=np.array([1.0, 1.0, 0.0, np.nan])
    )
    assert (found.all_right, found.all_wrong, found.mixed) == (1.0, 0.0, 0.0)
    assert describe_groups(table([0.1, 0.2, 0.3, 0.4], [0, 0, 1, 1])).mixed is None


@pytest.mark.parametrize("size", [2, 3, 4])
def test_smaller_groups_are_counted_over_all_subsets(size):
    groups = [[1, 1, 1, 0], [0, 0, 1, 1], [5, 5, 5, 5], [0, 1, 2, 3, 3, 3]]
    shares = [
        np.mean([len(set(some)) == 1 for some in combinations(one, size)])
        for one in groups
        if len(one) >= size
    ]
    of = np.repeat(np.arange(4), [len(one) for one in groups])
    found = predict(np.concatenate(groups), of, [size])[size]
    assert found.how == "counted"
    assert found.zero_std_fraction == pytest.approx(np.mean(shares), rel=1e-12)


def test_larger_groups_are_predicted_by_the_beta_binomial_model():
    # Beta(½, ½): B(½+G, ½)/B(½, ½) twice, .39 at 8, .28 at 16, .14 at 64.
    rng = np.random.default_rng(3)
    chance = rng.beta(0.5, 0.5, 4000)
    totals = (rng.random((4000, 8)) < chance[:, None]).astype(float).ravel()
    found = describe_groups(table(totals, np.repeat(np.arange(4000), 8))).predicted
    for size, how in ((4, "counted"), (8, "counted"), (16, "model"), (64, "model")):
        truth = 2 * math.exp(math.lgamma(0.5 + size) - math.lgamma(1 + size))
        truth /= math.gamma(0.5)
        one = found[size]
        assert one.how == how
        assert one.zero_std_fraction == pytest.approx(truth, abs=0.02)
        assert one.ci95[0] < truth < one.ci95[1]
        assert one.ci95[1] - one.ci95[0] < 0.05
    assert (
        found[8].zero_std_fraction
        == describe_groups(table(totals, np.repeat(np.arange(4000), 8))).zero_std_fraction
    )


def test_the_model_finds_the_most_likely_parameters():
    from scipy.optimize import minimize
    from scipy.stats import betabinom

    rng = np.random.default_rng(4)
    sizes = rng.integers(2, 9, 800)
    right = rng.binomial(sizes, rng.beta(0.8, 2.0, 800))
    codes = np.concatenate([[1] * c + [0] * (n - c) for c, n in zip(right, sizes, strict=True)])
    best = minimize(lambda x: -betabinom.logpmf(right, sizes, *np.exp(x)).sum(), [0, 0], method="Nelder-Mead")
    a, b = np.exp(best.x)
    truth = sum(
        math.exp(math.lgamma(x + 16) - math.lgamma(x) - math.lgamma(a + b + 16) + math.lgamma(a + b))
        for x in (a, b)
    )
    found = predict(codes, np.repeat(np.arange(800), sizes), [16])[16]
    assert found.how == "model"
    assert found.zero_std_fraction == pytest.approx(truth, rel=2e-3)


def test_prompts_that_are_all_alike_do_not_make_it_certain():
    # Thirty prompts with seven right of eight: their scores are the same, and yet the chance of 7/8 is known
    # from 240 draws alone: √(7/8 · 1/8 / 240) = 0.0213. Two of these below, 0.832¹⁶ = 0.053; above, 0.224.
    found = predict(np.tile([1] * 7 + [0], 30), np.repeat(np.arange(30), 8), [16])[16]
    assert found.zero_std_fraction == pytest.approx((7 / 8) ** 16, rel=0.05)
    assert found.ci95 == pytest.approx([0.053, 0.224], rel=0.15)


def test_prompts_with_a_value_of_their_own_stay_without_spread():
    found = describe_groups(table(np.repeat(np.arange(50.0), 4), np.repeat(np.arange(50), 4)))
    assert found.zero_std_fraction == found.predicted[64].zero_std_fraction == 1.0
    assert found.predicted[64].ci95[0] > 0.9
    assert found.icc == 1.0
    # One group in fifty differs: many values, each in one prompt, share one distribution.
    totals = np.repeat(np.arange(50.0), 4)
    totals[:2] = 99
    assert (
        0.8 < describe_groups(table(totals, np.repeat(np.arange(50), 4))).predicted[16].zero_std_fraction < 1
    )


def test_a_continuous_reward_always_has_spread():
    rng = np.random.default_rng(5)
    found = describe_groups(table(rng.normal(size=80), np.repeat(np.arange(20), 4))).predicted[32]
    assert found.zero_std_fraction == 0
    assert found.ci95[0] == 0 < found.ci95[1] < 0.3


@pytest.mark.parametrize(
    ("totals", "groups", "outcomes"),
    [
        ([], [], []),
        ([1.0], [0], [SCORED]),
        ([np.nan] * 4, [0, 0, 1, 1], [INVALID] * 4),
        ([-2.0] * 4, [0, 0, 1, 1], [INVALID] * 4),
        ([1.0] * 6, [0, 0, 0, 1, 1, 1], [SCORED] * 6),
        ([1e6, -1e6, 1, 2], [0, 0, 1, 1], [SCORED] * 4),
        ([1.0, 2.0, 3.0], [0, 1, 2], [SCORED] * 3),
        ([1e15, -1e15, 1e15, 1e15], [0, 0, 1, 1], [SCORED] * 4),
        ([0.0, 1e-300, 1.0, 0.0], [0, 0, 1, 1], [SCORED] * 4),
        ([1.0, 0.0, 1.0, 1.0], [0, 0, 0, 0], [SCORED] * 4),
    ],
)
def test_nothing_breaks_and_json_has_only_numbers(totals, groups, outcomes):
    found = describe_groups(table(totals, groups, outcomes))
    json.dumps(found.as_dict(), allow_nan=False)


@pytest.mark.full
@pytest.mark.parametrize("beta", [(0.5, 0.5), (0.05, 0.05), (1, 19), (5, 5), (0.3, 2)])
@pytest.mark.parametrize("prompts", [12, 100, 500])
def test_the_model_s_interval_covers_the_truth(beta, prompts):
    from scipy.special import betaln

    rng = np.random.default_rng(prompts)
    a, b = beta
    truth = np.exp(betaln(a + 16, b) - betaln(a, b)) + np.exp(betaln(a, b + 16) - betaln(a, b))
    hits = 0
    for _ in range(200):
        right = rng.random((prompts, 8)) < rng.beta(a, b, prompts)[:, None]
        low, high = predict(right.ravel().astype(int), np.repeat(np.arange(prompts), 8), [16])[16].ci95
        hits += low <= truth <= high
    assert hits >= 180
