"""One reward that takes all the spread of its group."""

import numpy as np

from rlctl.calibration.outliers import flattened_fraction


def fraction(*groups):
    numbers = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    return flattened_fraction(np.array([value for group in groups for value in group]), numbers)


def test_a_huge_penalty_leaves_nothing_of_the_others():
    assert fraction([-1e6, 1.0, 2.0, 3.0]) == 1.0


def test_the_share_of_the_groups():
    # 1, 2, 3 have a spread of 1; with -1000 beside them the spread is about 501: 0.2 % is left.
    assert fraction([-1000.0, 1.0, 2.0, 3.0], [0.0, 1.0, 2.0, 3.0]) == 0.5


def test_five_percent_is_where_it_begins():
    # The rest has a spread of 1 / sqrt(2); (0, 1, x) has one of about x / sqrt(3).
    assert fraction([0.0, 1.0, 20.0]) == 0.0  # 0.707 / 11.27 = 0.063
    assert fraction([0.0, 1.0, 30.0]) == 1.0  # 0.707 / 17.04 = 0.041


def test_a_rest_that_is_equal_has_nothing_to_lose():
    assert fraction([1.0, 0.0, 0.0, 0.0], [5.0, 5.0, 5.0]) is None


def test_missing_rewards_and_pairs_do_not_count():
    assert fraction([np.nan, 1.0, 2.0], [1.0, 2.0]) is None
    assert fraction([np.nan, -1e6, 1.0, 2.0]) == 1.0
    assert flattened_fraction(np.array([]), np.array([], dtype=int)) is None
