"""The composed reward: runs every component on a batch, and makes one number per completion of what they say.

`train`, `eval` and `analyze-rewards` all score through `Scorer`, so a reward means the same in each of them.
"""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from rlctl.config.component import Component
from rlctl.config.rewards import Rewards
from rlctl.errors import RewardError, Stopped
from rlctl.registry import did_you_mean
from rlctl.rewards import memory
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
        start: Place of this process's first row among all.
        seconds: Component → seconds that scoring took in this process.
    """

    rows: list[Row]
    everywhere: list[Row]
    extras: dict[str, list[Any]] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    start: int = 0
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def totals(self) -> list[float | None]:
        """Total reward of each completion; None where it is masked."""
        return [row.total for row in self.rows]


@dataclass(frozen=True)
class _Share:
    """What one process tells the others of its part of a batch.

    Args:
        sizes: Completions of each of its groups.
    """

    sizes: list[int]
    scores: dict[str, list[Score]]
    metrics: dict[str, list[float]]
    examples: list[Example]
    error: tuple[type[RewardError | Stopped], str, str | None] | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    key: str = field(default_factory=lambda: uuid4().hex)


class Scorer:
    """Scores batches. A context manager: `close` ends the worker processes.

    Args:
        rewards: The section of the YAML.
        tokenize: Text → token ids, for rewards that read `completion_ids` where a batch has none.
        poll: Called between components, and every 0.2 s while a worker process is waited for; may raise
            `Stopped`, which ends the processes that are at work.
    """

    def __init__(
        self,
        rewards: Rewards,
        *,
        tokenize: Callable[[str], list[int]] | None = None,
        poll: Callable[[], None] | None = None,
    ) -> None:
        self.rewards = rewards
        self.tokenize = tokenize
        self.poll = poll
        self._runners = {part.name: self._runner(part) for part in rewards.components}

    def settle(self, penalty: float) -> None:
        """Score with this `invalid_penalty` from now on, in place of `auto`."""
        self.rewards = self.rewards.model_copy(update={"invalid_penalty": penalty})

    def _runner(self, part: Component) -> "Pool | _Here":
        timeout = self.rewards.timeout
        return (
            Pool(part, processes=self.rewards.workers, timeout=timeout, poll=self.poll)
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

    def state_dict(self) -> dict[str, Any]:
        """A copy of what each reward remembers that has `state_dict` and `load_state_dict`, by its name.

        What a reward has seen in a process that was killed since is not in it.

        Raises:
            RewardError: A reward cannot be loaded, or its state cannot be told or pickled.
        """
        return {name: _unpack(name, runner.pack_state()) for name, runner in self._stateful.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Have the rewards go on from a state, in this process and in workers, those that start later too.

        Raises:
            RewardError: It is not for these rewards, or one of them refuses its part.
        """
        known = self._stateful
        if wrong := [name for name in state if name not in known]:
            remembering = ", ".join(known) or "none"
            raise RewardError(
                f"there is a saved state of the reward {wrong[0]!r}, but no such reward that has a state",
                hint=did_you_mean(wrong[0], known) or f"rewards that have one: {remembering}",
            )
        if missing := [name for name in known if name not in state]:
            raise RewardError(f"the saved state has nothing for the reward {missing[0]!r}")
        packed = {name: _pack(name, state[name]) for name in known}
        for name, runner in known.items():
            runner.restore(packed[name])

    @contextlib.contextmanager
    def unchanged(self) -> Iterator[None]:
        """What is scored inside is forgotten at the end: evaluation must not feed a memory.

        Raises:
            RewardError: A reward cannot be loaded, or its state cannot be told or set.
        """
        before = {name: runner.pack_state() for name, runner in self._stateful.items()}
        try:
            yield
        finally:
            for name, state in before.items():
                self._stateful[name].restore(state)

    @cached_property
    def _stateful(self) -> "dict[str, Pool | _Here]":
        self.load()
        return {
            part.name: self._runners[part.name]
            for part in self.rewards.components
            if not _has_short_cut(part) and self._runners[part.name].load().stateful
        }

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
            normalize: False for totals that depend on no other completion: before normalisation over groups
                and batches, and without a penalty where that is relative to a group.
            tolerant: Do not stop where too many could not be scored.

        Raises:
            RewardError: A reward cannot be loaded, lacks a column, or failed on too many completions.
            Stopped: `poll` raised it, here or in another process.
        """
        share, extras = self._score_here(batch)
        shares: list[_Share] = exchange([share]) if exchange else [share]
        for each in shares:
            if each.error is not None:
                kind, message, hint = each.error
                raise kind(message, hint=hint)
        scores = {
            part.name: [s for each in shares for s in each.scores[part.name]]
            for part in self.rewards.components
        }
        sizes = [size for each in shares for size in each.sizes]
        rows = aggregate(self.rewards, scores, group_size=sizes, normalized=normalize)
        if not tolerant:
            check(self.rewards, rows, [example for each in shares for example in each.examples])
        mine = [each.key for each in shares].index(share.key)
        start = sum(sum(each.sizes) for each in shares[:mine])
        return Scored(rows[start : start + len(batch)], rows, extras, _means(shares), start, share.seconds)

    def _score_here(self, batch: Batch) -> tuple[_Share, dict[str, list[Any]]]:
        """This process's raw scores. An error travels to all processes, so that none waits for the others."""
        merged = Reply([None] * len(batch))
        scores: dict[str, list[Score]] = {}
        seconds: dict[str, float] = {}
        everyone = list(range(len(batch)))
        try:
            for part in self.rewards.components:
                if self.poll is not None:
                    self.poll()
                started = time.perf_counter()
                reply = self._component(part, batch)
                seconds[part.name] = time.perf_counter() - started
                scores[part.name] = reply.scores
                merged.put(everyone, reply)
        except (RewardError, Stopped) as error:
            return _Share(batch.sizes, {}, {}, [], (type(error), error.message, error.hint)), {}
        found = examples(scores, batch.texts)
        return _Share(batch.sizes, scores, merged.metrics, found, seconds=seconds), merged.extras

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
        return self._loaded().facts

    def score(self, batch: Batch) -> Reply:
        call = self._loaded()
        with _nothing_on_stdout():
            return call.run(batch)

    def pack_state(self) -> bytes:
        with _named(self.component.name), _nothing_on_stdout():
            return self._loaded().pack_state()

    def restore(self, state: bytes) -> None:
        with _named(self.component.name), _nothing_on_stdout():
            self._loaded().restore(state)

    def _loaded(self) -> RewardCall:
        if self._call is None:
            with _nothing_on_stdout():
                self._call = reward_call(self.component, timeout=self.timeout)
        return self._call

    def close(self, *, kill: bool = False) -> None:
        """Nothing is kept open."""


def _has_short_cut(part: Component) -> bool:
    return type(part).quick is not Component.quick


def _pack(name: str, state: Any) -> bytes:
    """The state of a component as bytes."""
    with _named(name):
        return memory.pack_state(state)


def _unpack(name: str, packed: bytes) -> Any:
    """The state of a component again."""
    with _named(name):
        return memory.unpack_state(packed)


@contextlib.contextmanager
def _named(component: str) -> Iterator[None]:
    """Say in an error which component it is about."""
    try:
        yield
    except RewardError as error:
        raise RewardError(f"{component}: {error.message}", hint=error.hint) from error


def _nothing_on_stdout() -> contextlib.redirect_stdout[Any]:
    """What a reward prints goes to stderr, because stdout is the command's own output (`--json`)."""
    return contextlib.redirect_stdout(sys.stderr)


def _means(shares: list[_Share]) -> dict[str, float]:
    names = dict.fromkeys(name for share in shares for name in share.metrics)
    return {
        name: mean([value for share in shares for value in share.metrics.get(name, [])]) for name in names
    }
