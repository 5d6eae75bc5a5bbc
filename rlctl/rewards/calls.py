"""Calling one reward function, whatever its style, and turning what it returns into the four outcomes.

A function that raises on a batch is called again row by row, so that only the rows at fault fail. Runs in a
worker process or in the training process alike.
"""

import asyncio
import inspect
import threading
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from rlctl.config.component import Component, is_taken
from rlctl.errors import RewardError
from rlctl.rewards import memory
from rlctl.rewards.batch import Batch, as_messages, plain
from rlctl.rewards.outcome import Failed, Score, as_score
from rlctl.rewards.reasons import describe
from rlctl.rewards.signature import Signature


@dataclass
class Reply:
    """What one component says of a batch.

    Args:
        scores: One per completion.
        extras: Column → one value per completion, logged by the reward with `log_extra`.
        metrics: Name → values that the reward logged with `log_metric`.
    """

    scores: list[Score]
    extras: dict[str, list[Any]] = field(default_factory=dict)
    metrics: dict[str, list[float]] = field(default_factory=dict)

    def put(self, indices: list[int], part: "Reply") -> None:
        """Enter the reply for some of the rows."""
        for i, score in zip(indices, part.scores, strict=True):
            self.scores[i] = score
        for name, values in part.extras.items():
            column = self.extras.setdefault(name, [None] * len(self.scores))
            for i, value in zip(indices, values, strict=True):
                column[i] = value
        for name, numbers in part.metrics.items():
            self.metrics.setdefault(name, []).extend(numbers)


def all_failed(rows: int, reason: str) -> Reply:
    """The same failure for every row."""
    return Reply([Failed(reason)] * rows)


@dataclass(frozen=True)
class Facts:
    """What the parent of a worker must know of the reward in it.

    Args:
        needs: Columns that must be there.
        reads: Columns that it takes; None for any.
        concurrency: Calls at a time of an async function, which minds the time by itself; None for others.
        stateful: Whether its scores depend on what it has scored before, and its state can be saved.
    """

    needs: tuple[str, ...]
    reads: frozenset[str] | None
    concurrency: int | None
    stateful: bool


class RewardCall:
    """A reward function that is ready to score; also a reward function in TRL's signature.

    Args:
        function: Batch or one-completion function, sync or async (`signature` says which is which).
        messages: Hand over prompts and completions as chat messages instead of text.
        concurrency: Calls at a time where an async function is called row by row.
        timeout: Seconds per completion, for async functions; others are timed from outside, by killing.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        messages: bool = False,
        concurrency: int = 1,
        timeout: float | None = None,
    ) -> None:
        self.function = function
        self.messages = messages
        self.concurrency = concurrency
        self.timeout = timeout
        self.signature = signature_of(function)
        self.single = self.signature.kind == "single"
        self.is_async = _is_async(function)
        self.__name__ = _name(function)
        self._loop: _Loop | None = None

    def __call__(self, completions: list[Any], prompts: list[Any] | None = None, **columns: Any) -> list[Any]:
        """Score as TRL calls it; a row that failed gives None, an invalid one NaN."""
        given = {name: values for name, values in columns.items() if isinstance(values, list)}
        prompts = prompts if prompts is not None else [""] * len(completions)
        batch = Batch(prompts, completions, given, trainer_state=columns.get("trainer_state"))
        return [None if isinstance(score, Failed) else score for score in self.run(batch).scores]

    @property
    def facts(self) -> Facts:
        """What can be known before the first call."""
        signature = self.signature
        concurrency = self.concurrency if self.is_async else None
        return Facts(signature.needs, signature.reads, concurrency, self.stateful)

    @property
    def stateful(self) -> bool:
        """Whether its object has `state_dict()` and `load_state_dict(state)`, and is no `torch.nn.Module`."""
        return memory.is_stateful(_object(self.function))

    def state_dict(self) -> Any:
        """A copy of what a stateful reward remembers.

        Raises:
            RewardError: Its own `state_dict()` raised, or gave what cannot be pickled.
        """
        return memory.unpack_state(self.pack_state())

    def load_state_dict(self, state: Any) -> None:
        """Have a stateful reward go on from a state.

        Raises:
            RewardError: Its own `load_state_dict()` raised, or the state cannot be pickled.
        """
        self.restore(memory.pack_state(state))

    def pack_state(self) -> bytes:
        """`state_dict` as bytes, for the way between processes."""
        return memory.pack(_object(self.function), self._file)

    def restore(self, packed: bytes) -> None:
        """`load_state_dict` from bytes."""
        memory.restore(_object(self.function), packed, self._file)

    def run(self, batch: Batch) -> Reply:
        """Score a batch; whatever goes wrong becomes the outcome of the rows at fault.

        Raises:
            RewardError: The reward says itself that it cannot score at all.
        """
        if not len(batch):
            return Reply([])
        if self.is_async:
            self._loop = self._loop or _Loop()
            return self._loop.run(self._run_async(batch))
        if not self.single:
            try:
                return self._read(batch, *self._call(batch))
            except RewardError:
                raise
            except (Exception, SystemExit) as error:
                if len(batch) == 1:
                    return all_failed(1, self._reason(error))
        return self._row_by_row(batch)

    def _row_by_row(self, batch: Batch) -> Reply:
        reply = Reply([None] * len(batch))
        for i in range(len(batch)):
            one = batch.take([i])
            try:
                part = self._read(one, *self._call(one))
            except RewardError:
                raise
            except (Exception, SystemExit) as error:
                part = all_failed(1, self._reason(error))
            reply.put([i], part)
        return reply

    async def _run_async(self, batch: Batch) -> Reply:
        if not self.single:
            reply, raised = await self._attempt(batch)
            if len(batch) == 1 or not raised:
                return reply
        gate = asyncio.Semaphore(self.concurrency)

        async def one(i: int) -> Reply:
            async with gate:
                return (await self._attempt(batch.take([i])))[0]

        reply = Reply([None] * len(batch))
        for i, part in enumerate(await asyncio.gather(*map(one, range(len(batch))))):
            reply.put([i], part)
        return reply

    async def _attempt(self, batch: Batch) -> tuple[Reply, bool]:
        """The reply, and whether the call raised or took too long."""
        clock = asyncio.timeout(self.timeout)
        try:
            async with clock:
                result, log = self._call(batch)
                return self._read(batch, await result, log), False
        except RewardError:
            raise
        except (Exception, SystemExit) as error:
            slow = f"took longer than {self.timeout:g} s" if clock.expired() else self._reason(error)
            return all_failed(len(batch), slow), True

    def _call(self, batch: Batch) -> tuple[Any, "_Log"]:
        log = _Log(len(batch))
        values = _single_values(batch) if self.single else self._batch_values(batch)
        values |= {"trainer_state": batch.trainer_state, "log_extra": log.extra, "log_metric": log.metric}
        if not self.signature.open:
            values = {name: values[name] for name in self.signature.names if name in values}
        return self.function(**values), log

    def _batch_values(self, batch: Batch) -> dict[str, Any]:
        if self.messages:
            prompts = [as_messages(prompt, "user") for prompt in batch.prompts]
            completions = [as_messages(completion, "assistant") for completion in batch.completions]
        else:
            prompts, completions = batch.prompt_texts, batch.texts
        return {**batch.columns, "prompts": prompts, "completions": completions}

    def _read(self, batch: Batch, result: Any, log: "_Log") -> Reply:
        if self.single:
            return log.reply([as_score(result)])
        values = _as_list(result)
        if values is None:
            return all_failed(len(batch), f"returned a {type(result).__name__}, not a list of scores")
        if len(values) != len(batch):
            return all_failed(len(batch), f"returned {len(values)} scores for {len(batch)} completions")
        return log.reply([as_score(value) for value in values])

    def _reason(self, error: BaseException) -> str:
        return describe(error, self._file)

    @property
    def _file(self) -> str | None:
        """Where the function is written."""
        code = getattr(inspect.unwrap(_plain(self.function)), "__code__", None)
        return code.co_filename if code else None


def reward_call(component: Component, *, timeout: float | None = None) -> RewardCall:
    """The function of a component, ready to score here; also a reward function for a TRL trainer."""
    built = component.build()
    call = built if isinstance(built, RewardCall) else RewardCall(built)
    call.timeout = timeout
    call.__name__ = component.name
    return call


def signature_of(function: Callable[..., Any]) -> Signature:
    """The parameters of a live function or class; a builtin that tells nothing is taken to accept TRL's."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return Signature(("prompts", "completions"), (), open=True)
    by_name = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    return Signature(
        tuple(p.name for p in by_name),
        tuple(p.name for p in by_name if p.default is p.empty),
        any(p.kind is p.VAR_KEYWORD for p in parameters),
    )


class _Log:
    """Collects what a reward logs of one call."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.extras: dict[str, list[Any]] = {}
        self.metrics: dict[str, list[float]] = {}

    def extra(self, column: str, values: Any) -> None:
        values = [values] if self.rows == 1 and not isinstance(values, list) else list(values)
        if len(values) != self.rows:
            raise ValueError(f"log_extra({column!r}) got {len(values)} values for {self.rows} completions")
        self.extras[str(column)] = [plain(value) for value in values]

    def metric(self, name: str, value: float) -> None:
        number = as_score(value)
        if not isinstance(number, float):
            raise ValueError(f"log_metric({name!r}) needs a finite number, not {value!r}")
        if is_taken(str(name)):
            raise ValueError(f"log_metric({name!r}): the logs use this name for something else")
        self.metrics.setdefault(str(name), []).append(number)

    def reply(self, scores: list[Score]) -> Reply:
        return Reply(scores, self.extras, self.metrics)


class _Loop:
    """An event loop that outlives a call, because clients that a reward keeps are bound to theirs."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True, name="rlctl-rewards").start()

    def run(self, coroutine: Coroutine[Any, Any, Reply]) -> Reply:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()


def _single_values(batch: Batch) -> dict[str, Any]:
    prompt, text = batch.prompt_texts[0], batch.texts[0]
    values = {name: column[0] for name, column in batch.columns.items()}
    return {**values, "prompt": prompt, "completion": text, "generated": text, "full_text": prompt + text}


def _as_list(result: Any) -> list[Any] | None:
    if isinstance(result, str | bytes | Mapping):
        return None
    if callable(getattr(result, "tolist", None)):
        result = result.tolist()
    return list(result) if isinstance(result, Iterable) else None


def _object(function: Any) -> Any:
    """What is below partials; of a bound method, its object."""
    while isinstance(function, partial):
        function = function.func
    return getattr(function, "__self__", function) if inspect.ismethod(function) else function


def _plain(function: Any) -> Any:
    """The function below partials, and the `__call__` of an object."""
    while isinstance(function, partial):
        function = function.func
    return function if inspect.isroutine(function) else type(function).__call__


def _is_async(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(inspect.unwrap(_plain(function)))


def _name(function: Any) -> str:
    while isinstance(function, partial):
        function = function.func
    return getattr(function, "__name__", type(function).__name__)
