"""Rewards dealt out at random: the same ones in each group, the same way however a run is cut up."""

from collections import Counter
from itertools import permutations

import pytest

from rlctl.rewards.shuffle import shuffled

TOTALS = [float(number) for number in range(32)]


def test_each_group_keeps_its_totals() -> None:
    dealt = shuffled(TOTALS, 8, seed=1, step=1)
    assert dealt != TOTALS
    for start in range(0, 32, 8):
        assert sorted(dealt[start : start + 8]) == TOTALS[start : start + 8]


def test_two_processes_deal_as_one_does() -> None:
    first = shuffled(TOTALS[:16], 8, seed=1, step=3)
    second = shuffled(TOTALS[16:], 8, seed=1, step=3, first_group=2)
    assert first + second == shuffled(TOTALS, 8, seed=1, step=3)


@pytest.mark.parametrize("other", [{"seed": 2}, {"step": 4}, {"first_group": 1}])
def test_seed_step_and_group_deal_anew(other: dict[str, int]) -> None:
    as_before = {"seed": 1, "step": 3}
    assert shuffled(TOTALS, 8, **as_before) == shuffled(TOTALS, 8, **as_before)
    assert shuffled(TOTALS, 8, **as_before) != shuffled(TOTALS, 8, **{**as_before, **other})


def test_groups_are_dealt_apart() -> None:
    """Equal groups in one step get different orders."""
    dealt = shuffled([0.0, 1.0, 2.0, 3.0, 4.0, 5.0] * 20, 6, seed=1, step=1)
    assert len({tuple(dealt[start : start + 6]) for start in range(0, 120, 6)}) > 15


def test_what_was_not_scored_stays_so() -> None:
    totals = [1.0, None, 2.0, 3.0, None, None, None, None, 9.0, None, None, None]
    seen = set()
    for step in range(60):
        dealt = shuffled(totals, 4, seed=1, step=step)
        assert [one is None for one in dealt] == [one is None for one in totals]
        assert sorted(dealt[i] for i in (0, 2, 3)) == [1.0, 2.0, 3.0]
        assert dealt[8] == 9.0
        seen.add(tuple(dealt[:4]))
    assert len(seen) == 6  # every order of the three


def test_the_last_group_may_be_short() -> None:
    assert sorted(shuffled([1.0, 2.0, 3.0], 2, seed=1, step=1)) == [1.0, 2.0, 3.0]
    assert shuffled([], 2, seed=1, step=1) == []


def test_every_order_is_as_likely() -> None:
    """χ² over the 24 orders of four totals, 2,400 deals: the mean is 23, its 99.9 % quantile 49.7."""
    counts = Counter(tuple(shuffled([1.0, 2.0, 3.0, 4.0], 4, seed=7, step=step)) for step in range(2400))
    assert sum((counts[order] - 100) ** 2 / 100 for order in permutations((1.0, 2.0, 3.0, 4.0))) < 49.7
