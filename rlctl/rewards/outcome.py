"""The four outcomes of scoring one completion. They are never mixed up.

A reward returns a finite float (scored), `None` (this component does not apply), or `Invalid("reason")` (the
completion is invalid). Anything else (NaN, ±inf, an exception, a timeout, a wrong type) is `Failed`: the fault
is the reward's, not the completion's.
"""

from dataclasses import dataclass
from typing import Literal

Outcome = Literal["scored", "invalid", "not_applicable", "failed"]


class Invalid(float):
    """The completion is invalid; its total is `rewards.invalid_penalty`.

    A subclass of float that holds NaN, so that a TRL trainer, which knows nothing of it, treats it as not scored.

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
