"""The four outcomes of scoring one completion. They are never mixed up.

A reward returns a finite float (scored), `None` (this component does not apply), or `Invalid("reason")` (the
completion is invalid). Anything else (NaN, ±inf, an exception, a timeout, a wrong type) is `Failed`: the
fault is the reward's, not the completion's.
"""

import math
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real
from typing import Any, Literal

Outcome = Literal["scored", "invalid", "not_applicable", "failed"]


LARGEST = 1e15
"""Scores and totals beyond ± this have failed: squared in single precision they could become infinite."""


class Invalid(float):
    """The completion is invalid; its total is `rewards.invalid_penalty`.

    A subclass of float that holds NaN, so that a TRL trainer, which knows nothing of it, does not score it.

    Args:
        reason: Why, in a few words; counted and logged.
    """

    reason: str

    def __new__(cls, reason: str = "invalid") -> "Invalid":
        value = super().__new__(cls, "nan")
        value.reason = reason
        return value

    def __repr__(self) -> str:
        return f"Invalid({self.reason!r})"

    def __reduce__(self) -> tuple[type["Invalid"], tuple[str]]:
        return Invalid, (self.reason,)


@dataclass(frozen=True)
class Failed:
    """A reward could not score a completion.

    Args:
        reason: What happened, in a few words; counted and logged.
    """

    reason: str


Score = float | None | Invalid | Failed
"""What one component says of one completion."""


class _Pending:
    """The type of `PENDING`."""

    def __repr__(self) -> str:
        return "PENDING"


PENDING = _Pending()
"""Says that a completion is not scored yet: `Component.quick` leaves it to the reward function."""


def as_score(value: Any) -> Score:
    """Whatever a reward returned for one completion, as one of the four outcomes.

    Numbers of Python, numpy and torch count (single elements too), and booleans as 0 and 1. NaN, ±inf and
    everything else is `Failed`.
    """
    if value is None or isinstance(value, Failed):
        return value
    if isinstance(value, Invalid):
        return value if type(value) is Invalid else Invalid(value.reason)
    original = type(value).__name__
    if not isinstance(value, Real | Decimal) and callable(getattr(value, "item", None)):
        try:
            value = value.item()
        except (ValueError, RuntimeError, TypeError):
            return Failed(f"returned a {original} with more than one element, not a number")
    if not isinstance(value, Real | Decimal):
        return Failed(f"returned a {original}, not a number")
    try:
        number = float(value)
    except (OverflowError, ValueError):
        return Failed("returned a number too large for a float")
    if not math.isfinite(number):
        return Failed(f"returned {number}")
    return number if abs(number) <= LARGEST else Failed(f"returned {number:g}, beyond ±{LARGEST:g}")
