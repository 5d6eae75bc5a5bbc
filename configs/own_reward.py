"""The reward of own_reward.yaml: how close a number is to the right one."""

import math
from typing import Any

from rlctl import Invalid


def closeness(completions: list[str], answer: list[str], scale: float = 10.0, **columns: Any) -> list[float]:
    """exp(−|given − right| / scale): 1 where the number is right, 0.37 where it is `scale` away.

    One value per completion. `answer` is the column of that name; `scale` comes from `args` in the YAML.
    `None` would say that this reward does not apply to a row.
    """
    return [score(text, float(right), scale) for text, right in zip(completions, answer, strict=True)]


def score(text: str, right: float, scale: float) -> float:
    """One completion; what is no number is invalid, and gets `invalid_penalty`."""
    try:
        given = float(text)
    except ValueError:
        return Invalid("no number")
    return math.exp(-abs(given - right) / scale)
