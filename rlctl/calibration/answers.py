"""Right and wrong answers to rows of the data, in the form that a reward asks for: it is tried with them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rlctl.config.component import Component
from rlctl.config.rewards import Rewards
from rlctl.rewards.forms import final_line

Columns = Mapping[str, Any]

ANSWER_COLUMNS = (
    "answer",
    "answers",
    "reference",
    "reference_answer",
    "ground_truth",
    "gold",
    "gold_answer",
    "final_answer",
    "correct_answer",
    "target",
    "label",
    "solution",
)
"""Columns that hold a right answer by their name, the likeliest first."""


@dataclass(frozen=True)
class Right:
    """A right answer.

    Args:
        text: It.
        guessed: Whether only the name of its column says that it is one, and not the reward.
    """

    text: str
    guessed: bool = False


def right_answer(part: Component, row: Columns) -> Right | None:
    """What a part should score at its top; None where neither it nor a column that it reads says so."""
    known = part.reference(row)
    if known is not None:
        return Right(known)
    if type(part).reference is not Component.reference:
        return None
    text = _named(row, part.columns())
    return None if text is None else Right(text, guessed=True)


def answer_to(row: Columns, rewards: Rewards) -> str | None:
    """The right answer to a row as far as a part says that counts; None where no such part judges answers."""
    found = [right_answer(part, row) for part in rewards.components if part.weight > 0]
    known = sorted((one for one in found if one is not None), key=lambda one: one.guessed)
    return known[0].text if known else None


def judges(rewards: Rewards) -> bool:
    """Whether a part that counts compares completions with something that the row says."""
    return any(part.columns() for part in rewards.components if part.weight > 0)


def wrong_answers(answers: Sequence[str | None], place: int, count: int) -> list[str]:
    """Answers to other rows that differ from the one to this row; an invented one if there are none.

    Args:
        answers: The right answer to each row.
        place: The row.
        count: How many at most.
    """
    right = answers[place] or ""
    others = [one for one in (*answers[place + 1 :], *answers[:place]) if one is not None]
    differing = dict.fromkeys(one for one in others if not same(one, right))
    return list(differing)[:count] or [_another(right)]


def same(a: str, b: str) -> bool:
    """Whether two answers are one text, but for case and space."""
    return a.casefold().split() == b.casefold().split()


def in_form(text: str, rewards: Rewards) -> str:
    """A text in the form that the parts ask for; those that punish aside.

    The part that asks for most writes first: what it writes may do for the others.
    """
    parts = [part for part in rewards.components if part.weight >= 0]
    for part in sorted(parts, key=lambda part: -len(part.wrap("x"))):
        text = part.wrap(text)
    return text


def _named(row: Columns, names: Sequence[str]) -> str | None:
    """The final answer of the first column among `names` that is called like an answer."""
    known = {name.lower(): row.get(name) for name in names}
    for name in ANSWER_COLUMNS:
        value = known.get(name)
        value = value[0] if isinstance(value, list) and value else value
        if isinstance(value, str | int | float) and (text := final_line(value)):
            return text
    return None


def _another(right: str) -> str:
    try:
        return str(int(right.replace(",", "")) + 1)
    except ValueError:
        return "something else"
