"""The form of a real completion: its tags, `####` and `\\boxed{}`, and what stands between them.

A function of the user does not say which form it asks for; completions that score high show it.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_MARK = re.compile(r"</?[A-Za-z_][\w.-]*>|####|\\boxed\{(?=[^{}]*\})|\}")
JUNK = ["old", "river", "under", "quiet", "stones", "carries", "yellow", "leaves"]
"""Words that answer nothing."""


@dataclass(frozen=True)
class Skeleton:
    """A text, cut at its marks.

    Args:
        marks: The marks in their order: m of them.
        contents: What stands before, between and behind them: m + 1 texts.
    """

    marks: tuple[str, ...]
    contents: tuple[str, ...]

    def filled(self, words: Sequence[str]) -> str:
        """The marks with other words wherever there was more than space; space stays."""
        text = " ".join(words)
        return self._joined([_replaced(content, text) for content in self.contents])

    def answers(self, new: str, old: str | None) -> Iterator[str]:
        """The text with another answer, wherever its own may stand: in the last tag, behind the last mark.

        Args:
            new: The answer that is put in, for the one that was right, or for all that stands there.
            old: The right answer to the text's own prompt, where it is known. Without marks it is needed.
        """
        closed = [i for i, mark in enumerate(self.marks) if _closes(mark)]
        for place in dict.fromkeys([*closed[-1:], len(self.marks)]):
            content = self.contents[place]
            found = list(_word(old).finditer(content)) if old else []
            if found:
                yield self._with(place, content[: found[-1].start()] + new + content[found[-1].end() :])
            elif self.marks and content.strip():
                yield self._with(place, _replaced(content, new))

    def _with(self, place: int, content: str) -> str:
        return self._joined([*self.contents[:place], content, *self.contents[place + 1 :]])

    def _joined(self, contents: Sequence[str]) -> str:
        return "".join(a + b for a, b in zip(contents, (*self.marks, ""), strict=True))


def skeleton(text: str) -> Skeleton:
    """Cut a text at its marks."""
    marks, contents, end = [], [], 0
    boxed = False
    for found in _MARK.finditer(text):
        mark = found.group()
        if mark == "}" and not boxed:
            continue
        boxed = mark.startswith("\\")
        contents.append(text[end : found.start()])
        marks.append(mark)
        end = found.end()
    return Skeleton(tuple(marks), (*contents, text[end:]))


def holds(text: str, answer: str) -> bool:
    """Whether an answer stands in a text, not as a part of a longer word or number."""
    return _word(answer).search(text) is not None


def _closes(mark: str) -> bool:
    return mark.startswith("</") or mark == "}"


def _word(answer: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w.]){re.escape(answer)}(?!\w|\.\d)")


def _replaced(content: str, new: str) -> str:
    """Other words in place of a text's own, between the same space."""
    body = content.strip()
    return content.replace(body, new, 1) if body else content
