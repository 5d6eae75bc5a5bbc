"""Conditions on a number, as written in a YAML: `>=1`, `<0.5`, `==1`. Gates and reward tests share them."""

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}
_PATTERN = re.compile(r"\s*(>=|<=|==|!=|>|<)\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*")


@dataclass(frozen=True)
class Condition:
    """A comparison with a number."""

    sign: str
    bound: float

    def holds(self, value: float) -> bool:
        """Whether `value` satisfies it."""
        return OPERATORS[self.sign](value, self.bound)

    def possible(self, low: float, high: float) -> bool:
        """Whether any value from `low` to `high` satisfies it."""
        return any(self.holds(value) for value in (low, high, min(max(self.bound, low), high)))


@cache
def parse(text: str) -> Condition:
    """Read a condition.

    Raises:
        ValueError: It is not one.
    """
    match = _PATTERN.fullmatch(text)
    if match is None:
        raise ValueError(
            f"{text!r} is not a comparison with a number; write one such as '>=1', '<0.5' or '==1'"
        )
    return Condition(match[1], float(match[2]))
