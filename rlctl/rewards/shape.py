"""Rewards of a completion's shape: how long it is, and how much it repeats itself."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import Field

from rlctl.config.component import Component, RewardFunction

Unit = Literal["tokens", "words", "characters"]


class Length(Component):
    """The length up to `max`; above it, minus the excess."""

    type: Literal["length"]
    """The length up to `max`; above it, minus the excess."""
    max: Annotated[float, Field(gt=0)] | None = None
    """Length n up to here scores n, above it −(n − max): a cliff; `transform` shapes it. Without it, n."""
    unit: Unit = "tokens"
    """tokens: those that were sampled, the end of text included; of a given text, the tokenizer's."""

    def bounds(self) -> tuple[float, float]:
        """Any negative number, to `max`."""
        return (float("-inf"), self.max) if self.max is not None else (0.0, float("inf"))

    def build(self) -> RewardFunction:
        """The measurement."""
        return _measure(self.unit, lambda units: self._score(len(units)))

    def _score(self, n: int) -> float:
        return float(n) if self.max is None or n <= self.max else self.max - n


class Repetition(Component):
    """Share of n-grams that occurred before; give it a negative weight."""

    type: Literal["repetition"]
    """Share of n-grams that occurred before: 0 for none, near 1 for the same again and again."""
    ngram: Annotated[int, Field(ge=1)] = 3
    """Units in a row that count as one n-gram."""
    unit: Unit = "words"
    """What an n-gram is made of. tokens: those that were sampled."""

    def bounds(self) -> tuple[float, float]:
        """0 to 1."""
        return 0.0, 1.0

    def build(self) -> RewardFunction:
        """1 − different n-grams / n-grams (Yeo et al. 2025, arXiv 2502.03373, appendix C.2)."""
        return _measure(self.unit, lambda units: repeated_share(units, self.ngram))


def repeated_share(units: Any, n: int) -> float:
    """Share of the n-grams of a sequence that occurred before in it; 0 where it is shorter than n."""
    count = len(units) - n + 1
    if count < 1:
        return 0.0
    return 1 - len({tuple(units[i : i + n]) for i in range(count)}) / count


def _measure(unit: Unit, score: Callable[[Any], float]) -> RewardFunction:
    """A reward of each completion's sequence of units."""
    if unit == "tokens":

        def of_tokens(completions: list[str], completion_ids: list[Any]) -> list[float]:
            return [score(ids) for ids in completion_ids]

        return of_tokens

    def of_text(completions: list[str]) -> list[float]:
        return [score(text.split() if unit == "words" else text) for text in completions]

    return of_text
