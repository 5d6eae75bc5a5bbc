"""Rewards in processes that can be killed, so that a hang or a crash costs only the completion at fault.

A batch is tried as a whole first, with the time of one completion. What is lost with its process, by time-out
or crash, is scored again one completion at a time. Nothing is forked, and no main script is imported again.
A reward that remembers has one process, and a new one goes on from the last state that the parent has seen.
"""

import logging
import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

from rlctl.config.component import Component
from rlctl.errors import RewardError
from rlctl.rewards.batch import Batch
from rlctl.rewards.calls import Facts, Reply, all_failed
from rlctl.rewards.process import SECONDS_BETWEEN_LOOKS, SECONDS_TO_LOAD, Worker, wait_for

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Lost:
    """A task whose process was killed or died.

    Args:
        reason: Why, in a few words.
        hung: Whether it ran out of time.
    """

    reason: str
    hung: bool


class Pool:
    """Processes for one component.

    Args:
        component: The reward; loaded in each process.
        processes: How many score at the same time; a batch is split between them at the borders of groups.
        timeout: Seconds for one completion.
        poll: Called every 0.2 s while this waits; what it raises ends the processes, and is raised.
    """

    def __init__(
        self,
        component: Component,
        *,
        processes: int,
        timeout: float,
        poll: Callable[[], None] | None = None,
    ) -> None:
        self.component = component
        self.processes = processes
        self.timeout = timeout
        self.poll = poll
        self.facts: Facts | None = None
        self.one_by_one = False
        self._workers: list[Worker] = []
        self._state: bytes | None = None
        self._lost_memory = False
        self._next_poll = 0.0

    def start(self) -> None:
        """Start the processes, without waiting for them."""
        while len(self._workers) < self.processes:
            self._workers.append(self._new_worker())

    def load(self) -> Facts:
        """Wait until the reward is loaded in a process.

        Raises:
            RewardError: It cannot be.
        """
        if self.facts is None:
            self.start()
            with self._all_or_none():
                for _ in self._run(None, [], 0.0):
                    pass
        assert self.facts is not None
        return self.facts

    def score(self, batch: Batch) -> Reply:
        """Score a batch.

        Raises:
            RewardError: The reward cannot be loaded.
        """
        facts = self.load()
        if not len(batch):
            return Reply([])
        tasks = [[i] for i in range(len(batch))] if self.one_by_one else self._portions(batch)
        batch = batch.for_worker(facts.reads)
        reply = Reply([None] * len(batch))
        with self._all_or_none():
            lost = self._first_attempt(batch, tasks, reply, facts)
            if lost:
                self._second_attempt(batch, lost, reply, facts)
        return reply

    def pack_state(self) -> bytes:
        """The state of a reward that remembers; without a process, the one that a new one would go on from.

        Raises:
            RewardError: The reward cannot be loaded, or cannot tell its state.
        """
        self.load()
        if worker := self._loaded_worker():
            worker.pack_state(self.timeout)
            self._state = self._answer(worker, "state_dict()")
        assert self._state is not None
        return self._state

    def restore(self, state: bytes) -> None:
        """Have a reward that remembers go on from a state, in its process and in any later one.

        Raises:
            RewardError: The reward cannot be loaded, or refuses the state.
        """
        self.load()
        if worker := self._loaded_worker():
            worker.restore(state, self.timeout)
            self._answer(worker, "load_state_dict()")
        else:
            self.close(kill=True)
        self._state = state

    def close(self, *, kill: bool = False) -> None:
        """End every process."""
        workers, self._workers = self._workers, []
        for worker in workers:
            worker.end(kill=kill)

    def _first_attempt(
        self, batch: Batch, tasks: list[list[int]], reply: Reply, facts: Facts
    ) -> list[tuple[list[int], Lost]]:
        """Score by tasks; what is lost with a process comes back, unless it was one completion alone."""
        lost = []
        for task, result in self._run(batch, tasks, self._budget(facts, max(map(len, tasks)))):
            if isinstance(result, Lost) and len(task) > 1:
                lost.append((task, result))
            else:
                reply.put(task, all_failed(1, result.reason) if isinstance(result, Lost) else result)
        return lost

    def _second_attempt(
        self, batch: Batch, lost: list[tuple[list[int], Lost]], reply: Reply, facts: Facts
    ) -> None:
        rows = [[i] for task, _ in lost for i in task]
        hung = False
        for task, result in self._run(batch, rows, self._budget(facts, 1)):
            hung |= isinstance(result, Lost) and result.hung
            reply.put(task, all_failed(1, result.reason) if isinstance(result, Lost) else result)
        if any(one.hung for _, one in lost) and not hung:
            self.one_by_one = True
            logger.warning(
                "reward %s: %d completions together took longer than rewards.timeout (%g s), none alone did; "
                "they are scored one at a time from now on, unless you raise rewards.timeout",
                self.component.name,
                len(rows),
                self.timeout,
            )

    def _budget(self, facts: Facts, rows: int) -> float:
        """Seconds for a task; async functions time their completions themselves, so get time for all."""
        if facts.concurrency is None:
            return self.timeout
        return self.timeout * (1 + math.ceil(rows / facts.concurrency)) + 1

    def _portions(self, batch: Batch) -> list[list[int]]:
        starts = [0, *accumulate(batch.sizes)]
        groups = len(starts) - 1
        portions = min(self.processes, groups)
        ends = [starts[groups * (k + 1) // portions] for k in range(portions)]
        return [list(range(start, end)) for start, end in pairwise([0, *ends])]

    def _run(
        self, batch: Batch | None, tasks: list[list[int]], budget: float
    ) -> Iterator[tuple[list[int], Reply | Lost]]:
        """Hand tasks to free processes, kill those that are late, replace those that are gone.

        Without tasks, returns once a process has loaded the reward.
        """
        waiting = deque(tasks)
        self._next_poll = time.monotonic() + SECONDS_BETWEEN_LOOKS
        while waiting or any(worker.task for worker in self._workers) or self.facts is None:
            if len(self._workers) < min(self.processes, max(len(waiting), 1)):
                self._workers.append(self._new_worker())
            for worker in self._workers:
                if batch is not None and waiting and worker.loaded and worker.task is None:
                    worker.give(waiting.popleft(), batch, budget)
            yield from self._wait()

    def _answer(self, worker: Worker, method: str) -> Any:
        """What a process answers to a question about its state; a signal waits, or half of it were saved."""
        self._next_poll = math.inf
        with self._all_or_none():
            while True:
                for _, answer in self._wait():
                    if not isinstance(answer, Lost):
                        return answer
                    reason = f"took longer than {self.timeout:g} s" if answer.hung else answer.reason
                    hint = "Keep the state small, or raise rewards.timeout." if answer.hung else None
                    raise RewardError(f"{self.component.name}: {method}: {reason}", hint=hint)

    def _wait(self) -> Iterator[tuple[list[int], Any]]:
        """Wait until something happens to a process that is busy, or it is time to look for a signal."""
        active = [worker for worker in self._workers if worker.task is not None or not worker.loaded]
        until = min(worker.deadline for worker in active)
        if self.poll is not None:
            until = min(until, self._next_poll)
        ready = wait_for(active, max(until - time.monotonic(), 0.0))
        if self.poll is not None and time.monotonic() >= self._next_poll:
            self._next_poll = time.monotonic() + SECONDS_BETWEEN_LOOKS
            self.poll()
        for worker in active:
            if worker not in self._workers:
                continue
            if worker.connection in ready:
                yield from self._receive(worker)
            elif worker.died():
                yield from self._dead(worker)
            elif worker.deadline < time.monotonic():
                yield from self._late(worker)

    def _receive(self, worker: Worker) -> Iterator[tuple[list[int], Any]]:
        task = worker.task
        try:
            kind, *content = worker.connection.recv()
        except (EOFError, ConnectionResetError):
            yield from self._dead(worker)
            return
        if kind == "error":
            self._remove(worker)
            raise (
                self._cannot_load(*content)
                if task is None
                else RewardError(f"{self.component.name}: {content[0]}", hint=content[1])
            )
        if kind == "ready":
            self._ready(worker, *content)
            return
        worker.task = None
        assert task is not None
        yield task, content[0]

    def _ready(self, worker: Worker, facts: Facts, state: bytes | None) -> None:
        worker.loaded, self.facts = True, facts
        if not facts.stateful:
            return
        self._state = self._state or state
        if self.processes > 1:
            logger.warning(
                "reward %s remembers what it has scored (it has state_dict): it runs in one process, not %d",
                self.component.name,
                self.processes,
            )
            self.processes = 1
            for other in [other for other in self._workers if other is not worker]:
                self._remove(other)

    def _dead(self, worker: Worker) -> Iterator[tuple[list[int], Lost]]:
        task = worker.task
        how = self._lose(worker)
        if task is None:
            raise self._cannot_load(f"its process ended while loading it ({how})")
        yield task, Lost(f"its process died ({how})", hung=False)

    def _late(self, worker: Worker) -> Iterator[tuple[list[int], Lost]]:
        task = worker.task
        self._lose(worker)
        if task is None:
            raise self._cannot_load(f"loading it takes longer than {SECONDS_TO_LOAD:g} s")
        yield task, Lost(f"took longer than {self.timeout:g} s", hung=True)

    def _new_worker(self) -> Worker:
        return Worker(self.component, self.timeout, self._state)

    def _loaded_worker(self) -> Worker | None:
        """The process of a reward that remembers, where it has one that can be asked."""
        for worker in [worker for worker in self._workers if worker.process.poll() is not None]:
            self._lose(worker)
        return next((worker for worker in self._workers if worker.loaded), None)

    @contextmanager
    def _all_or_none(self) -> Iterator[None]:
        """No process goes on with what was given up."""
        try:
            yield
        except BaseException:
            self.close(kill=True)
            raise

    def _lose(self, worker: Worker) -> str:
        """End a process that hangs or died; what a reward in it has remembered is gone."""
        if self.facts is not None and self.facts.stateful and not self._lost_memory:
            self._lost_memory = True
            logger.warning(
                "reward %s: its process hung or died; what it has seen since its state was last saved is "
                "forgotten (said once)",
                self.component.name,
            )
        return self._remove(worker)

    def _remove(self, worker: Worker) -> str:
        self._workers.remove(worker)
        return worker.end(kill=True)

    def _cannot_load(self, message: str, hint: str | None = None) -> RewardError:
        self.close(kill=True)
        return RewardError(f"the reward {self.component.name!r} cannot be loaded: {message}", hint=hint)
