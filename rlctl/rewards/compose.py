"""The composed reward: runs every component on a batch, and makes one number per completion of what they say.

`train`, `eval` and `analyze-rewards` all score through `Scorer`, so a reward means the same in each of them.
"""

import contextlib
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from rlctl.config.component import Component
from rlctl.config.rewards import Rewards
from rlctl.errors import RewardError
from rlctl.registry import did_you_mean
from rlctl.rewards.aggregate import Row as Row
from rlctl.rewards.aggregate import aggregate
from rlctl.rewards.batch import Batch as Batch
from rlctl.rewards.calls import Facts, Reply, RewardCall, reward_call
from rlctl.rewards.failures import Example, check, examples
from rlctl.rewards.normalize import mean
from rlctl.rewards.outcome import PENDING, Score
from rlctl.rewards.workers import Pool

Exchange = Callable[[list[Any]], list[Any]]
"""Gathers a list of small Python objects over all processes, in the order of their ranks."""


@dataclass(frozen=True)
class Scored:
    """A batch with its scores.

    Args:
        rows: One per completion of this process.
        everywhere: The rows of all processes, in the order of their ranks.
        extras: Column → one value per completion of this process, logged by rewards.
        metrics: Name → mean over the values that rewards logged on any process.
    """

    rows: list[Row]
    everywhere: list[Row]
    extras: dict[str, list[Any]] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)

    @property
    def totals(self) -> list[float | None]:
        """Total reward of each completion; None where it is masked."""
        return [row.total for row in self.rows]


@dataclass(frozen=True)
class _Share:
    """What one process tells the others of its part of a batch."""

    size: int
    scores: dict[str, list[Score]]
    metrics: dict[str, list[float]]
    examples: list[Example]
    error: tuple[str, str | None] | None = None
    key: str = field(default_factory=lambda: uuid4().hex)


class Scorer:
    """Scores batches. A context manager: `close` ends the worker processes.

    Args:
        rewards: The section of the YAML.
        tokenize: Text → token ids, for rewards that read `completion_ids` where a batch has none.
    """

    def __init__(self, rewards: Rewards, *, tokenize: Callable[[str], list[int]] | None = None) -> None:
        self.rewards = rewards
        self.tokenize = tokenize
        self._runners = {part.name: self._runner(part) for part in rewards.components}

    def _runner(self, part: Component) -> "Pool | _Here":
        timeout = self.rewards.timeout
        return (
            Pool(part, processes=self.rewards.workers, timeout=timeout)
            if part.isolated
            else _Here(part, timeout)
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the data that the parts read, as far as they say."""
        return tuple(dict.fromkeys(name for part in self.rewards.components for name in part.columns()))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.close(kill=error is not None)

    def close(self, *, kill: bool = False) -> None:
        """End every worker process; with `kill`, without giving them time to finish."""
        for runner in self._runners.values():
            runner.close(kill=kill)

    def load(self) -> None:
        """Wait until every reward is loaded, so that a broken one is found before the model is.

        Raises:
            RewardError: One cannot be loaded.
        """
        # A type with a short cut may never need its process, which is not cheap to start.
        runners = [self._runners[part.name] for part in self.rewards.components if not _has_short_cut(part)]
        for runner in runners:
            runner.start()
        for runner in runners:
            runner.load()

    def score(
        self,
        batch: Batch,
        *,
        exchange: Exchange | None = None,
        normalize: bool = True,
        tolerant: bool = False,
    ) -> Scored:
        """Score a batch; with `exchange`, all processes at once, which gives what one process would.

        Args:
            batch: The completions of this process, in whole groups.
            exchange: Gathers over processes; normalisation and failures are judged over all of them.
            normalize: False for totals before normalisation over groups and batches.
            tolerant: Do not stop where too many could not be scored.

        Raises:
            RewardError: A reward cannot be loaded, lacks a column, or failed on too many completions.
        """
        share, extras = self._score_here(batch)
        shares: list[_Share] = exchange([share]) if exchange else [share]
        for each in shares:
            if each.error is not None:
                raise RewardError(each.error[0], hint=each.error[1])
        scores = {
            part.name: [s for each in shares for s in each.scores[part.name]]
            for part in self.rewards.components
        }
        rows = aggregate(self.rewards, scores, group_size=batch.group_size, normalized=normalize)
        if not tolerant:
            check(self.rewards, rows, [example for each in shares for example in each.examples])
        mine = [each.key for each in shares].index(share.key)
        start = sum(each.size for each in shares[:mine])
        return Scored(rows[start : start + len(batch)], rows, extras, _means(shares))

    def _score_here(self, batch: Batch) -> tuple[_Share, dict[str, list[Any]]]:
        """This process's raw scores. An error travels to all processes, so that none waits for the others."""
        merged = Reply([None] * len(batch))
        scores: dict[str, list[Score]] = {}
        everyone = list(range(len(batch)))
        try:
            for part in self.rewards.components:
                reply = self._component(part, batch)
                scores[part.name] = reply.scores
                merged.put(everyone, reply)
        except RewardError as error:
            return _Share(len(batch), {}, {}, [], (error.message, error.hint)), {}
        return _Share(len(batch), scores, merged.metrics, examples(scores, batch.texts)), merged.extras

    def _component(self, part: Component, batch: Batch) -> Reply:
        batch = self._with_columns(part, batch, part.columns())
        known = part.quick(batch.texts, batch.columns)
        runner = self._runners[part.name]
        if known is None:
            return runner.score(self._with_columns(part, batch, runner.load().needs))
        reply = Reply(known)
        left = [i for i, score in enumerate(known) if score is PENDING]
        if left:
            reply.put(left, runner.score(batch.take(left)))
        return reply

    def _with_columns(self, part: Component, batch: Batch, needed: tuple[str, ...]) -> Batch:
        missing = [name for name in needed if name not in batch.columns]
        if missing == ["completion_ids"] and self.tokenize is not None:
            columns = {**batch.columns, "completion_ids": [self.tokenize(text) for text in batch.texts]}
            return replace(batch, columns=columns)
        if not missing:
            return batch
        known = ", ".join(sorted(batch.columns)) or "none"
        hint = did_you_mean(missing[0], batch.columns) or f"columns of the data: {known}"
        raise RewardError(
            f"the reward {part.name!r} reads the column {missing[0]!r}, which is not there", hint=hint
        )


class _Here:
    """Runs one component in this process."""

    def __init__(self, component: Component, timeout: float) -> None:
        self.component = component
        self.timeout = timeout
        self._call: RewardCall | None = None

    def start(self) -> None:
        """Nothing has to start."""

    def load(self) -> Facts:
        if self._call is None:
            with _nothing_on_stdout():
                self._call = reward_call(self.component, timeout=self.timeout)
        return self._call.facts

    def score(self, batch: Batch) -> Reply:
        self.load()
        assert self._call is not None
        with _nothing_on_stdout():
            return self._call.run(batch)

    def close(self, *, kill: bool = False) -> None:
        """Nothing is kept open."""


def _has_short_cut(part: Component) -> bool:
    return type(part).quick is not Component.quick


def _nothing_on_stdout() -> contextlib.redirect_stdout[Any]:
    """What a reward prints goes to stderr, because stdout is the command's own output (`--json`)."""
    return contextlib.redirect_stdout(sys.stderr)


def _means(shares: list[_Share]) -> dict[str, float]:
    names = dict.fromkeys(name for share in shares for name in share.metrics)
    return {
        name: mean([value for share in shares for value in share.metrics.get(name, [])]) for name in names
    }
