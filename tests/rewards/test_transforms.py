"""Transforms against worked values, and what holds for every one of them."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from rlctl.rewards.transforms import Transform

TRANSFORM: TypeAdapter[Any] = TypeAdapter(Transform)


def make(**keys: Any) -> Any:
    return TRANSFORM.validate_python(keys)


@pytest.mark.parametrize(
    ("keys", "inputs", "outputs"),
    [
        (
            {"type": "sigmoid", "low": 0.0, "high": 10.0, "k": 0.5},
            [0, 2.5, 5, 7.5, 10],
            [0.0032, 0.0532, 0.5, 0.9468, 0.9968],
        ),
        (
            {"type": "reverse_sigmoid", "low": 0.0, "high": 10.0, "k": 0.5},
            [0, 2.5, 5, 7.5, 10],
            [0.9968, 0.9468, 0.5, 0.0532, 0.0032],
        ),
        ({"type": "sigmoid", "low": 3.0, "high": 3.0}, [2.9, 3, 3.1], [0, 0, 1]),
        (
            {"type": "double_sigmoid", "low": 4.0, "high": 8.0},
            [0, 2, 4, 6, 8, 10, 12],
            [0, 0.001, 0.5, 0.999, 0.5, 0.001, 0],
        ),
        ({"type": "exponential_decay", "k": 0.5}, [-1, 0, 1, 2], [1, 1, 0.6065, 0.3679]),
        ({"type": "step", "low": 2.0, "high": 6.0}, [1.9, 2, 4, 6, 6.1], [0, 1, 1, 1, 0]),
        ({"type": "clip", "min": -1.0, "max": 0.0}, [-7, -0.5, 12], [-1, -0.5, 0]),
        ({"type": "clip", "max": 1.0}, [-7, 2], [-7, 1]),
        ({"type": "linear", "slope": -2.0, "offset": 1.0}, [0, 3], [1, -5]),
    ],
)
def test_worked_values(keys: dict[str, Any], inputs: list[float], outputs: list[float]):
    transform = make(**keys)
    assert [transform.apply(x) for x in inputs] == pytest.approx(outputs, abs=1e-3)


numbers = st.floats(-1e15, 1e15)


@st.composite
def transforms(draw: st.DrawFn) -> Any:
    low, high = sorted([draw(numbers), draw(numbers)])
    kind = draw(
        st.sampled_from(["clip", "linear", "sigmoid", "reverse_sigmoid", "double_sigmoid", "step", "exp"])
    )
    if kind == "clip":
        return make(type="clip", min=low, max=high + 1 + abs(high))
    if kind == "linear":
        return make(type="linear", slope=low, offset=high)
    if kind == "exp":
        return make(type="exponential_decay", k=draw(st.floats(1e-6, 1e6)))
    return make(type=kind, low=low, high=high)


@given(transforms(), numbers, numbers)
def test_results_are_numbers_inside_the_bounds_that_are_claimed(transform: Any, a: float, b: float):
    low, high = transform.bounds(min(a, b), max(a, b))
    for x in (a, b):
        value = transform.apply(x)
        assert math.isfinite(value)
        assert low <= value <= high


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"type": "clip"}, "needs `min`, `max` or both"),
        ({"type": "clip", "min": 1.0, "max": 0.0}, "must be below"),
        ({"type": "sigmoid", "low": 2.0, "high": 1.0}, "must not be above"),
    ],
)
def test_bounds_in_the_wrong_order_are_refused(keys: dict[str, Any], message: str):
    with pytest.raises(ValidationError, match=message):
        make(**keys)
