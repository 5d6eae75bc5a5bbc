"""`builtin:arithmetic`: sums and differences of whole numbers, in levels. Pure Python, no file, no download.

Which split a problem belongs to is a hash of the problem itself, so train and test never share one, whatever
the seed, the size and the levels.
"""

import random
from collections import defaultdict
from functools import cache
from hashlib import blake2b
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import Field, model_validator

from rlctl.config.base import Section
from rlctl.errors import DataError
from rlctl.registry import did_you_mean

Operation = Literal["addition", "subtraction"]
DEFAULT_WEIGHTS = {1: 1.0, 2: 1.0, 3: 6.0}
"""Level → how often it comes. The third is the one to learn, so most of the rows are of it."""
ONE_DIGIT, TWO_DIGITS = range(10), range(10, 100)
TEST_SHARE = 0.2


class Problem(NamedTuple):
    """`a + b`, or `a - b` with a ≥ b; both below 100."""

    operation: Operation
    a: int
    b: int

    @property
    def prompt(self) -> str:
        """`47+38=`"""
        return f"{self.a}{'+' if self.operation == 'addition' else '-'}{self.b}="

    @property
    def answer(self) -> int:
        """The right answer."""
        return self.a + self.b if self.operation == "addition" else self.a - self.b

    @property
    def carry(self) -> bool:
        """Whether some column carries (addition) or borrows (subtraction)."""
        return self.without_carry != self.answer

    @property
    def without_carry(self) -> int:
        """The answer of someone who forgets every carry and borrow: 47+38 → 75, 52-17 → 45."""
        tens_a, ones_a = divmod(self.a, 10)
        tens_b, ones_b = divmod(self.b, 10)
        sign = 1 if self.operation == "addition" else -1
        return (tens_a + sign * tens_b) % 10 * 10 + (ones_a + sign * ones_b) % 10

    @property
    def level(self) -> int:
        """1: numbers of one digit. 2: of two digits, nothing carries or borrows. 3: two digits, some do."""
        if self.a < 10:
            return 1
        return 3 if self.carry else 2

    @property
    def split(self) -> str:
        """`train` or `test`; `a+b` and `b+a` are one problem."""
        low, high = min(self.a, self.b), max(self.a, self.b)
        digest = blake2b(f"{self.operation} {low} {high}".encode(), digest_size=4).digest()
        return "test" if int.from_bytes(digest) < TEST_SHARE * 2**32 else "train"


class Arithmetic(Section):
    """Sums and differences of numbers of one and two digits, by level; prompts such as `47+38=`."""

    splits: ClassVar[tuple[str, ...]] = ("train", "test")

    levels: Annotated[list[Literal[1, 2, 3]], Field(min_length=1)] = [1, 2, 3]
    """1: numbers of one digit. 2: of two digits, nothing carries or borrows. 3: of two digits, some do."""
    weights: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1)] | None = None
    """How often each of `levels` comes, relative to the others; by default 3 comes six times as often."""
    operations: Annotated[list[Operation], Field(min_length=1)] = ["addition", "subtraction"]
    """What is asked."""
    size: Annotated[int, Field(ge=1)] = 2000
    """Rows of a split, at most: no problem comes twice, so a level that is used up gives no more."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of which problems come, and in which order."""

    @model_validator(mode="after")
    def _one_weight_each(self) -> "Arithmetic":
        if len(set(self.levels)) < len(self.levels):
            raise ValueError("`levels` names a level twice; say how often it comes with `weights`")
        if len(set(self.operations)) < len(self.operations):
            raise ValueError("`operations` names one twice")
        if self.weights is not None and len(self.weights) != len(self.levels):
            raise ValueError(
                f"{len(self.weights)} `weights` for {len(self.levels)} `levels`; give one for each"
            )
        return self

    def rows(self, split: str) -> list[dict[str, Any]]:
        """The rows of one split.

        Args:
            split: `train` or `test`.

        Returns:
            Rows with `prompt` and `answer` (text), `difficulty` (the level), `operation`, and
            `carry` (whether a column carries or borrows).

        Raises:
            DataError: There is no such split.
        """
        return [_row(problem) for problem in self.problems(split)]

    def problems(self, split: str) -> list[Problem]:
        """The problems behind `rows`, in the same order."""
        if split not in self.splits:
            hint = did_you_mean(split, self.splits) or f"it has {' and '.join(self.splits)}"
            raise DataError(f"builtin:arithmetic has no split {split!r}", hint=hint)
        rng = random.Random(f"{self.seed} {split}")
        pools: dict[int, list[Problem]] = {}
        for level in self.levels:
            pools[level] = [p for kind in self.operations for p in _all_problems()[split, level, kind]]
            rng.shuffle(pools[level])
        weights = dict(
            zip(self.levels, self.weights or [DEFAULT_WEIGHTS[k] for k in self.levels], strict=True)
        )
        chosen: list[Problem] = []
        while len(chosen) < self.size and weights:
            level = rng.choices(list(weights), list(weights.values()))[0]
            chosen.append(pools[level].pop())
            if not pools[level]:
                del weights[level]
        return chosen


@cache
def _all_problems() -> dict[tuple[str, int, Operation], list[Problem]]:
    """Every problem there is, by split, level and operation."""
    found: dict[tuple[str, int, Operation], list[Problem]] = defaultdict(list)
    for numbers in (ONE_DIGIT, TWO_DIGITS):
        for a in numbers:
            for b in numbers:
                for problem in (Problem("addition", a, b), Problem("subtraction", a, b)):
                    if problem.answer >= 0:
                        found[problem.split, problem.level, problem.operation].append(problem)
    return found


def _row(problem: Problem) -> dict[str, Any]:
    return {
        "prompt": problem.prompt,
        "answer": str(problem.answer),
        "difficulty": problem.level,
        "operation": problem.operation,
        "carry": problem.carry,
    }
