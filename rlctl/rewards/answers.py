r"""Where a completion's final answer is, and whether it is a plain number. Plain text work, no sympy.

Only this region is compared with the gold answer, so numbers of the working out never count. In this order:
the last `\boxed{…}`, the last `<answer>…</answer>`, the line after the last `####` (as in GSM8K), what
follows the last "answer is" or "answer:", the last line. Text before the last `</think>` is not looked at.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

_PHRASE = re.compile(r"(?i)\banswer\b\**\s*(?:[^.\n:=]{0,60}?\bis\b|[:=])\s*:?\**")
_TAG = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
_SENTENCE_END = re.compile(r"[.!?](?=\s)")
_NUMBER = re.compile(r"(?:\*\*|\\?\$)*\s*(-?(?:[1-9]\d{0,2}(?:,\d{3})+|\d+)(?:\.\d+)?)\s*\$?\.?(?:\*\*)?\.?")
_MAYBE_MATHS = re.compile(r"[\d\\$]")
_MOST_DIGITS = 40
ROUNDING = Decimal("0.000001")
"""Math-Verify compares decimal numbers after rounding to six places."""


@dataclass(frozen=True)
class Answer:
    r"""A final answer.

    Args:
        text: The region that holds it.
        boxed: Whether it was inside `\boxed{}`, and so is LaTeX.
    """

    text: str
    boxed: bool = False


def final_answer(completion: str) -> Answer | None:
    """The region of the final answer; None where there is none."""
    if "</think>" in completion:
        completion = completion.rpartition("</think>")[2]
    elif "<think>" in completion:
        return None
    boxed = last_boxed(completion)
    if boxed is not None:
        return Answer(boxed.strip(), boxed=True) if boxed.strip() else None
    tags = _TAG.findall(completion)
    if tags:
        return _region(tags[-1], marked=True)
    if "####" in completion:
        return _region(_first_line(completion.rpartition("####")[2]), marked=True)
    phrases = list(_PHRASE.finditer(completion))
    if phrases:
        return _region(_SENTENCE_END.split(_first_line(completion[phrases[-1].end() :]))[0], marked=False)
    lines = completion.strip().splitlines()
    return _region(lines[-1], marked=False) if lines else None


def gold_answer(gold: Any) -> Answer | None:
    """The answer in a column of the data, after the last `####` if there is one; None where it is empty."""
    text = "" if gold is None else str(gold).rpartition("####")[2].strip()
    boxed = last_boxed(text)
    if boxed is not None:
        return Answer(boxed.strip(), boxed=True)
    return Answer(text) if text else None


def last_boxed(text: str) -> str | None:
    r"""Content of the last `\boxed{…}`, braces inside it included; None without one that ends."""
    start = text.rfind("\\boxed{")
    if start < 0:
        return None
    depth, begin = 0, start + len("\\boxed")
    for i in range(begin, len(text)):
        depth += {"{": 1, "}": -1}.get(text[i], 0)
        if depth == 0:
            return text[begin + 1 : i]
    return None


def plain_number(answer: Answer) -> Decimal | None:
    """The value of an answer that is one plain number (`72`, `$1,234.50`, `**-3**`), else None."""
    match = _NUMBER.fullmatch(answer.text.strip())
    if match is None or len(match[1]) > _MOST_DIGITS:
        return None
    return Decimal(match[1].replace(",", ""))


def compare(gold: Decimal, answer: Decimal) -> bool | None:
    """Whether two plain numbers are the same; None where rounding decides, which is Math-Verify's to say."""
    difference = abs(gold - answer)
    if difference == 0:
        return True
    return False if difference > 2 * ROUNDING else None


def _region(text: str, *, marked: bool) -> Answer | None:
    """A region; outside of explicit marks, words without a digit or a formula are no answer."""
    text = text.strip()
    return Answer(text) if text and (marked or _MAYBE_MATHS.search(text)) else None


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]
