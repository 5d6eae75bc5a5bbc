"""Mixtures: exact counts, even spread, the same order for the same seed."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from rlctl.data.mixture import mix, shares


def test_without_weights_the_sources_are_joined_in_order() -> None:
    assert mix([2, 3], [None, None], seed=1) == [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)]


def test_shares_follow_the_weights() -> None:
    # 100 + 300 rows; 3 : 1 of 400 is 300 and 100
    assert shares([100, 300], [3.0, 1.0]) == [300, 100]
    # 10 rows in three equal parts: 3.33 each, the row that is over goes to the first
    assert shares([4, 3, 3], [1.0, 1.0, 1.0]) == [4, 3, 3]
    # one weight given, the other counts as 1
    assert shares([10, 10], [4.0, None]) == [16, 4]
    # a share below one row is one row
    assert shares([5, 5], [1000.0, 0.1]) == [10, 1]


def test_a_short_source_repeats_and_a_long_one_is_sampled() -> None:
    order = mix([2, 8], [1.0, 1.0], seed=0)
    assert len(order) == 10
    counts = Counter(order)
    # five of ten rows from the source with two rows: twice through, and one row a third time
    assert sorted(counts[0, row] for row in range(2)) == [2, 3]
    # five of its eight rows, each once, in the order of the file
    sampled = [row for source, row in order if source == 1]
    assert len(set(sampled)) == 5
    assert sampled == sorted(sampled)


def test_every_stretch_has_the_shares() -> None:
    order = mix([300, 100], [3.0, 1.0], seed=0)
    for start in range(0, 400, 40):
        assert Counter(source for source, _ in order[start : start + 40]) == {0: 30, 1: 10}


def test_the_seed_decides() -> None:
    assert mix([20, 80], [1.0, 1.0], seed=3) == mix([20, 80], [1.0, 1.0], seed=3)
    assert mix([20, 80], [1.0, 1.0], seed=3) != mix([20, 80], [1.0, 1.0], seed=4)


@given(
    st.lists(st.tuples(st.integers(1, 50), st.floats(0.01, 100)), min_size=1, max_size=4), st.integers(0, 9)
)
def test_any_mixture_is_complete_and_in_range(sources: list[tuple[int, float]], seed: int) -> None:
    rows, weights = [count for count, _ in sources], [weight for _, weight in sources]
    order = mix(rows, weights, seed)
    counts = shares(rows, weights)
    assert Counter(source for source, _ in order) == dict(enumerate(counts))
    assert all(0 <= row < rows[source] for source, row in order)
    assert sum(rows) <= len(order) <= sum(rows) + len(rows) - 1
    uses = Counter(order)
    for source, count in enumerate(rows):
        times = [uses[source, row] for row in range(count)]
        assert max(times) - min(times) <= 1
