"""The share of 4-grams that occurred before."""

import pytest

from rlctl.evaluation.repetition import repetition


@pytest.mark.parametrize(
    ("ids", "share"),
    [
        ([], 0.0),
        ([1, 1, 1, 1], 0.0),  # one 4-gram
        ([1, 1, 1, 1, 1], 1 / 2),  # the same twice
        ([1, 2, 3, 4, 5, 6], 0.0),
        ([1, 2, 1, 2, 1, 2, 1], 2 / 4),  # 1212, 2121, 1212, 2121
        ([7] * 103, 99 / 100),
    ],
)
def test_by_hand(ids: list[int], share: float) -> None:
    assert repetition(ids) == pytest.approx(share)


def test_of_other_lengths() -> None:
    assert repetition([1, 1, 2], 1) == pytest.approx(1 / 3)
