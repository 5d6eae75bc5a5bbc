"""Texts as a reward wants them, made of answers that are known, to try a reward out before training."""

import re
from collections.abc import Callable, Iterator
from typing import Any

_REPEATED = r"(?:[*+?]|\{\d*,?\d*\})[+?]?"
_FIXED = r"\\[^A-Za-z\d]|[^\\]"
_PIECE = re.compile(
    rf"""
      (?P<varying>
          \(\?[A-Za-z-]+\)                                                                # flags
        | (?:\\[A-Za-z\d] | \[\^?\]?(?:\\.|[^\]\\])*\] | [.^$|])(?:{_REPEATED})?
        | \((?:\?(?:P?<\w+>|<?[=!:]|[a-z]*:))? | \)(?:{_REPEATED})?
        | (?:{_FIXED})(?:[*?]|\{{0?,\d*\}})[+?]?                                         # may be left out
      )
    | (?P<fixed>{_FIXED})
    """,
    re.VERBOSE,
)


def final_line(value: Any) -> str | None:
    """The answer in a column: where its last line starts with `####` (as in GSM8K), what follows there.

    None where there is nothing.
    """
    text = "" if value is None else str(value).strip()
    last = text.rpartition("\n")[2]
    return (last.removeprefix("####").strip() if last.startswith("####") else text) or None


def split_answer(text: str) -> tuple[str, str]:
    """What comes before the last line of a text, and its last line: the working out, and the answer."""
    head, _, last = text.rpartition("\n")
    return head, last


def around(pattern: str, text: str, matches: Callable[[str], bool]) -> str:
    """A text with the fixed pieces of a regular expression around its last line.

    Args:
        pattern: The expression, e.g. `answer: (.*)`.
        text: The text, e.g. `72`.
        matches: Whether a candidate is as the expression asks.

    Returns:
        The first that matches, e.g. `answer: 72`; the text as it is where it matches, or where none does.
    """
    return next((one for one in _candidates(pattern, text) if matches(one)), text)


def _candidates(pattern: str, text: str) -> Iterator[str]:
    yield text
    pieces = _fixed_pieces(pattern)
    head, last = split_answer(text)
    before = f"{head}\n" if head else ""
    count = len(pieces)
    for gap in [*range(count - 1, 0, -1), count, 0] if count else []:
        for space in (" ", "") if last else ("",):
            front, back = "".join(pieces[:gap]), "".join(pieces[gap:])
            yield before + front + (space if front else "") + last + (space if back else "") + back


def _fixed_pieces(pattern: str) -> list[str]:
    """The texts that every match of an expression holds, in their order, as far as it can be told quickly."""
    marked = "".join(match["fixed"] or "\0" for match in _PIECE.finditer(pattern))
    return [re.sub(r"\\(.)", r"\1", piece) for piece in marked.split("\0") if piece]
