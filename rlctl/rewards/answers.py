r"""Where a completion's final answer is. Plain text work in linear time: it runs in the training process.

Only this region is compared with the gold answer, so numbers of the working out never count. In this order:
the last `\boxed{…}`, the last `<answer>…</answer>`, the line after the last `####` (as in GSM8K), what
follows the last "answer is" or "answer:", the last line. Text before the last `</think>` is not looked at.
"""

import re
from dataclasses import dataclass
from typing import Any

_PHRASE = re.compile(r"(?i)\banswer\b\*{0,3}\s{0,9}(?:[^.\n:=]{0,60}?\bis\b|[:=])\s*:?\**")
_SENTENCE_END = re.compile(r"[.!?](?=\s)")
_MAYBE_MATHS = re.compile(r"[\d\\$]")


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
    tagged = last_tagged(completion)
    if tagged is not None:
        return _region(tagged, marked=True)
    if "####" in completion:
        return _region(_first_line(completion.rpartition("####")[2]), marked=True)
    after_phrase = max((match.end() for match in _PHRASE.finditer(completion)), default=None)
    if after_phrase is not None:
        return _region(_first_sentence(_first_line(completion[after_phrase:])), marked=False)
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


def last_tagged(text: str) -> str | None:
    """Content of the last `<answer>…</answer>`; None without one that ends."""
    end = text.rfind("</answer>")
    start = text.rfind("<answer>", 0, max(end, 0))
    return text[start + len("<answer>") : end] if start >= 0 else None


def _region(text: str, *, marked: bool) -> Answer | None:
    """A region; outside of explicit marks, words without a digit or a formula are no answer."""
    text = text.strip()
    return Answer(text) if text and (marked or _MAYBE_MATHS.search(text)) else None


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]


def _first_sentence(line: str) -> str:
    end = _SENTENCE_END.search(line)
    return line[: end.start()] if end else line
