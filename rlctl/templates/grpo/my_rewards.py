"""A reward of your own. `rewards.components[].args` and columns of the data arrive as arguments."""

from typing import Any


def ends_with_answer(completions: list[str], keyword: str = "Answer:", **columns: Any) -> list[float]:
    """1 where the last line starts with the keyword, else 0.

    Return one value per completion: a number, `None` where this reward does not apply to the row, or
    `rlctl.Invalid("reason")` where the completion is worth nothing but `invalid_penalty`.
    """
    return [float(last_line(text).startswith(keyword)) for text in completions]


def last_line(text: str) -> str:
    """The last line that is not empty."""
    lines = text.strip().splitlines()
    return lines[-1].strip() if lines else ""
