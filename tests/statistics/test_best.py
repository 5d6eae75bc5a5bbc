"""The best of several evaluations."""

import pytest

from rlctl.statistics.best import best


@pytest.mark.parametrize(
    ("values", "step"),
    [
        ({0: 0.5, 10: 0.7, 20: 0.6}, 10),
        ({30: 0.7, 10: 0.7, 20: 0.6}, 10),  # the first of equals, in whatever order they come
        ({0: -2.0, 10: None, 20: -3.0}, 0),  # missing is not 0
        ({10: None}, None),
        ({}, None),
    ],
)
def test_best(values: dict[int, float | None], step: int | None) -> None:
    assert best(values) == step
