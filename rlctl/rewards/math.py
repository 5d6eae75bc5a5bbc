"""`type: math_answer`: is the final answer right? Numbers are told apart here; everything else is
Math-Verify's, in a process that can be killed: it fails in threads, and some expressions take it seconds.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from rlctl.config.component import Component, RewardFunction
from rlctl.rewards.answers import Answer, final_answer, gold_answer
from rlctl.rewards.numbers import Number, canonical, denied, equal, gold_number, read
from rlctl.rewards.outcome import PENDING, Failed, Invalid, Score

NO_ANSWER = "no answer"
PATIENCE = 2
"""Whole seconds that Math-Verify may take to read an expression, and to compare two."""

_COMMAND = re.compile(r"\\(?:begin|end|text|mathrm|operatorname)\{[^}]*\}|\\[A-Za-z]+")
_WORD = re.compile(r"[A-Za-z]{2,}")
_LATEX = re.compile(r"\$|\\\(|\\\[")
_NOT_WORKED_OUT = re.compile(
    r"\d[\s)}\]]*(?:[-+*×·−x]|\\cdot(?![A-Za-z])|\\times(?![A-Za-z]))(?!\s*10\s*\^)[\s({\[]*[-.]?\d"
)
"""A sum, difference or product of numbers: right as mathematics, but the prompt `47+38=` is that too."""
_NUMBER_WITH_UNIT = re.compile(r"[-$€£¥]*(?:[\d.,]+|\d{1,3}(?: \d{3})+)\s*%?")


class MathAnswer(Component):
    """1 where the final answer equals a column mathematically, 0 where not; invalid without an answer."""

    type: Literal["math_answer"]
    """1 where the final answer equals a column mathematically, 0 where not; invalid without an answer."""
    column: Annotated[str, Field(min_length=1)] = "answer"
    """Column with the right answer: a number, an expression, LaTeX, or text that ends in `#### 72`.

    Words beside a number are its unit: `10` and `10 apples` are right for `10 apples`, `10 oranges` is not.
    Where a number is asked for, a sum, difference or product that is not worked out is wrong: `40 + 32`.
    """

    needs_worker = True

    def columns(self) -> tuple[str, ...]:
        """The column with the right answer."""
        return (self.column,)

    def bounds(self) -> tuple[float, float]:
        """0 to 1."""
        return 0.0, 1.0

    def quick(self, completions: list[str], columns: dict[str, list[Any]]) -> list[Any]:
        """Score completions without an answer, and numbers against numbers."""
        return [_quick(text, gold) for text, gold in zip(completions, columns[self.column], strict=True)]

    def answer(self, completion: str) -> str | None:
        """The final answer, numbers in one form; expressions that look different count as different."""
        found = final_answer(completion)
        return canonical(found) if found is not None else None

    def reference(self, row: Mapping[str, Any]) -> str | None:
        """The right answer's text, in a box where it would not be seen as an answer otherwise."""
        right = gold_answer(row.get(self.column))
        if right is None:
            return None
        seen = None if right.boxed else final_answer(right.text)
        return right.text if seen is not None and seen.text == right.text else f"\\boxed{{{right.text}}}"

    def build(self) -> RewardFunction:
        """Math-Verify (Kydlíček 2025) on the final answer.

        A gold answer that cannot be read is a failure, never a reward; a row without one is not scored.
        """
        import logging

        from math_verify import parse, verify
        from math_verify.errors import TimeoutException

        logging.getLogger("math_verify").setLevel(logging.ERROR)

        def expression(answer: Answer, fallback: str) -> list[Any]:
            return parse(
                _source(answer), fallback_mode=fallback, parsing_timeout=PATIENCE, raise_on_error=True
            )

        def score(text: str, gold: Any) -> Score:
            known = _quick(text, gold)
            if known is not PENDING:
                return known
            answer, right = final_answer(text), gold_answer(gold)
            assert answer is not None
            assert right is not None
            if gold_number(right) is not None:
                said = read(answer)
                assert isinstance(said, Answer)
                answer = said
            try:
                expected = expression(right, "no_fallback")
                if not expected:
                    return Failed(
                        f"the gold answer {right.text[:40]!r} is not mathematics; use exact_match or regex"
                    )
                if denied(answer, right):
                    return 0.0
                got = expression(answer, "first_match")
                if not got:
                    return Invalid(NO_ANSWER)
                return float(verify(expected, got, timeout_seconds=PATIENCE, raise_on_error=True))
            except TimeoutException:
                return Failed(f"Math-Verify took longer than {PATIENCE} s")

        def math_answer(completions: list[str], **columns: list[Any]) -> list[Score]:
            return [score(text, gold) for text, gold in zip(completions, columns[self.column], strict=True)]

        return math_answer


def _quick(text: str, gold: Any) -> Any:
    right = gold_answer(gold)
    if right is None:
        return None
    answer = final_answer(text)
    if answer is None:
        return Invalid(NO_ANSWER)
    number = gold_number(right)
    if number is None:
        return PENDING
    said = read(answer)
    if isinstance(said, Answer):
        return 0.0 if _NOT_WORKED_OUT.search(said.text) else PENDING
    return float(isinstance(said, Number) and equal(number, said))


def _source(answer: Answer) -> str:
    """What Math-Verify is given: LaTeX in a box, so that all of it counts; prose and numbers as they are."""
    text = answer.text
    prose = _LATEX.search(text) or _WORD.search(_COMMAND.sub(" ", text))
    if not answer.boxed and (prose or _NUMBER_WITH_UNIT.fullmatch(text)):
        return text
    return f"\\boxed{{{text}}}"
