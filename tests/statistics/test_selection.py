"""When what is left is a selection, by hand."""

import pytest

from rlctl.statistics.selection import comparable, is_selection


@pytest.mark.parametrize(
    ("share", "least", "is_one"),
    [(0.05, 0.0, False), (1 - 0.95, 0.0, False), (0.051, 0.0, True), (0.5, 0.46, False), (0.5, 0.44, True)],
)
def test_the_limit(share: float, least: float, is_one: bool) -> None:
    assert is_selection(share, least) is is_one


def test_evaluations_are_held_against_the_one_that_leaves_out_least() -> None:
    rows = [{"step": i, "val/left_out_fraction": share} for i, share in enumerate((0.4, 0.5, 0.42, 0.45))]
    assert [one["step"] for one in comparable(rows)] == [0, 2, 3]
    assert [one["step"] for one in comparable([*rows, {"step": 4}])] == [4]  # nothing is said of it: 0
    assert comparable([]) == []
