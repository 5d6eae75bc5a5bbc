"""Rewards that take all the spread of their group."""

import warnings

import numpy as np
import pytest

from rlctl.calibration.outliers import flattened_fraction


def fraction(*groups, scale="group"):
    numbers = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    return flattened_fraction(np.array([value for group in groups for value in group]), numbers, scale=scale)


def test_a_huge_penalty_leaves_nothing_of_the_others():
    assert fraction([-1e6, 1.0, 2.0, 3.0]) == 1.0


def test_the_share_of_the_groups():
    # 1, 2, 3 have a spread of 1, 0 to 3 one of 1.29: the median is 1.145, and 2001 above 1000 times that.
    assert fraction([-2000.0, 1.0, 2.0, 3.0], [0.0, 1.0, 2.0, 3.0]) == 0.5


@pytest.mark.parametrize("far", [1, 2, 4])
def test_up_to_half_may_be_far_off(far):
    honest = np.random.default_rng(0).permuted(np.tile(np.arange(8.0), (20, 1)), axis=1)
    honest[:, :far] = -1e6
    assert fraction(*honest.tolist()) == 1.0
    assert fraction([-1e6] * far + [1.0, 2.0, 3.0, 4.0]) == 1.0


def test_far_off_on_both_sides():
    # Cut below 1, 1 … 10⁶ has most of the spread; cut again, 1 and 2 are left, which is half.
    assert fraction([-1e6, 1.0, 2.0, 1e6]) == 1.0


def test_a_thousand_standard_deviations_is_where_it_begins():
    # The rest has a spread of 1 / sqrt(2) = 0.7071, 1000 of which are 707.1.
    assert fraction([0.0, 1.0, 708.0]) == 0.0
    assert fraction([0.0, 1.0, 708.2]) == 1.0


@pytest.mark.parametrize("right", [0.02, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("size", [4, 8])
def test_right_or_wrong_with_something_to_break_ties_is_honest(right, size):
    rng = np.random.default_rng(1)
    breaker = rng.random((200, size)) * 0.02
    correct = rng.random((200, size)) < right
    assert fraction(*(correct + breaker).tolist()) == 0.0
    assert fraction(*np.where(correct, 1 - breaker, 0.0).tolist()) in (0.0, None)  # None: no two are right
    assert fraction(*(correct + breaker.round(3)).tolist()) == 0.0


def test_what_is_as_good_as_tied_has_nothing_to_lose():
    # Beside groups with a spread of 1, a difference of 0.001 counts for nothing; one of 0.1 does.
    assert fraction([0.0, 0.001, 1e6], *[[1.0, 2.0, 3.0]] * 3) == 0.0
    assert fraction([0.0, 0.1, 1e6], *[[1.0, 2.0, 3.0]] * 3) == 0.25


def test_tiny_rewards_are_as_good_as_any():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fraction([1e-300, 2e-300, 3e-300]) == 0.0
        assert fraction([-1e-294, 1e-300, 2e-300, 3e-300]) == 1.0
        assert fraction([-1e156, 1e150, 2e150, 3e150]) == 1.0


def test_nothing_is_flattened_where_nothing_is_divided():
    assert fraction([-1e6, 1.0, 2.0, 3.0], scale="none") == 0.0


def test_a_batch_has_one_divisor_for_all():
    assert fraction([-1e6, 1.0, 2.0, 3.0], *[[0.0, 1.0, 2.0, 3.0]] * 3, scale="batch") == 1.0
    assert fraction([-1e6] * 4, *[[0.0, 1.0, 2.0, 3.0]] * 3, scale="batch") == 1.0
    # Prompts that are far from each other are as the reward is: half of the rewards and no more is near.
    assert fraction(*[[x, x + 1.0, x + 2.0] for x in range(0, 10_000, 1000)], scale="batch") == 0.0


def test_a_rest_that_is_equal_has_nothing_to_lose():
    assert fraction([1.0, 0.0, 0.0, 0.0], [5.0, 5.0, 5.0]) is None


def test_missing_rewards_and_pairs_do_not_count():
    assert fraction([np.nan, 1.0, 2.0], [1.0, 2.0]) is None
    assert fraction([np.nan, -1e6, 1.0, 2.0]) == 1.0
    assert flattened_fraction(np.array([]), np.array([], dtype=int)) is None
