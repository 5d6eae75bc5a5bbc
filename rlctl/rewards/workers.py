"""Rewards in processes that can be killed, so that a hang or a crash costs only the completion at fault.

A batch is tried as a whole first, with the time of one completion. What is lost with its process, by time-out
or crash, is scored again one completion at a time. Nothing is forked, and no main script is imported again.
"""

import logging
import math
import os
import pickle
import signal
import socket
import subprocess
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing.connection import Connection, wait
from typing import Any

from rlctl.config.component import Component
from rlctl.errors import RewardError
from rlctl.rewards.batch import Batch
from rlctl.rewards.calls import Facts, Reply, all_failed
from rlctl.rewards.worker import start_arguments

SECONDS_TO_LOAD = 300.0
SECONDS_TO_END = 1.0
SECONDS_BETWEEN_LOOKS = 0.2
"""How often processes are looked at where the system cannot tell of their end by itself."""
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


class Worker:
    """One process with one reward in it."""

    def __init__(self, component: Component, timeout: float) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            os.set_inheritable(theirs.fileno(), True)
            self.process = subprocess.Popen(
                start_arguments(theirs.fileno()),
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=_standard_error(),
                start_new_session=True,
            )
            self.connection = Connection(ours.detach())
        self.watch = _watch(self.process.pid)
        self.loaded = False
        self.task: list[int] | None = None
        self.deadline = time.monotonic() + SECONDS_TO_LOAD
        self._send((component, timeout))

    def give(self, task: list[int], batch: Batch, budget: float) -> None:
        """Score some rows of a batch within `budget` seconds."""
        self.task = task
        self.deadline = time.monotonic() + budget
        self._send(batch.take(task) if len(task) < len(batch) else batch)

    def died(self) -> bool:
        """Whether the process is gone with nothing more to read; its socket may live on in a child of it."""
        return self.process.poll() is not None and not self.connection.poll()

    def end(self, *, kill: bool) -> str:
        """End the process and everything that it started; says how it ended."""
        if not kill:
            with suppress(OSError, EOFError):
                self.connection.send_bytes(b"")
                while self.connection.poll(SECONDS_TO_END):
                    self.connection.recv_bytes()
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.connection.close()
        if self.watch is not None:
            os.close(self.watch)
        code = self.process.wait()
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

    def _send(self, message: Any) -> None:
        # A process that died is noticed at the next `wait`, which is where the reason is known.
        with suppress(BrokenPipeError, ConnectionResetError):
            self.connection.send_bytes(pickle.dumps(message, protocol=5))


class Pool:
    """Processes for one component.

    Args:
        component: The reward; loaded in each process.
        processes: How many score at the same time; a batch is split between them at the borders of groups.
        timeout: Seconds for one completion.
    """

    def __init__(self, component: Component, *, processes: int, timeout: float) -> None:
        self.component = component
        self.processes = processes
        self.timeout = timeout
        self.facts: Facts | None = None
        self.one_by_one = False
        self._workers: list[Worker] = []

    def start(self) -> None:
        """Start the processes, without waiting for them."""
        while len(self._workers) < self.processes:
            self._workers.append(Worker(self.component, self.timeout))

    def load(self) -> Facts:
        """Wait until the reward is loaded in a process.

        Raises:
            RewardError: It cannot be.
        """
        if self.facts is None:
            self.start()
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
        try:
            lost = self._first_attempt(batch, tasks, reply, facts)
            if lost:
                self._second_attempt(batch, lost, reply, facts)
        except BaseException:
            self.close(kill=True)
            raise
        return reply

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
        groups = len(batch) // batch.group_size
        portions = min(self.processes, groups)
        ends = [groups * (k + 1) // portions * batch.group_size for k in range(portions)]
        return [list(range(start, end)) for start, end in pairwise([0, *ends])]

    def _run(
        self, batch: Batch | None, tasks: list[list[int]], budget: float
    ) -> Iterator[tuple[list[int], Reply | Lost]]:
        """Hand tasks to free processes, kill those that are late, replace those that are gone.

        Without tasks, returns once a process has loaded the reward.
        """
        waiting = deque(tasks)
        while waiting or any(worker.task for worker in self._workers) or self.facts is None:
            if len(self._workers) < min(self.processes, max(len(waiting), 1)):
                self._workers.append(Worker(self.component, self.timeout))
            for worker in self._workers:
                if batch is not None and waiting and worker.loaded and worker.task is None:
                    worker.give(waiting.popleft(), batch, budget)
            active = [worker for worker in self._workers if worker.task or not worker.loaded]
            patience = min(worker.deadline for worker in active) - time.monotonic()
            ready = _wait(active, max(patience, 0.0))
            for worker in active:
                if worker.connection in ready:
                    yield from self._receive(worker)
                elif worker.died():
                    yield from self._dead(worker)
                elif worker.deadline < time.monotonic():
                    yield from self._late(worker, budget)

    def _receive(self, worker: Worker) -> Iterator[tuple[list[int], Reply | Lost]]:
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
                else RewardError(f"{self.component.name}: {content[0]}")
            )
        if kind == "ready":
            worker.loaded, self.facts = True, content[0]
            return
        worker.task = None
        assert task is not None
        yield task, content[0]

    def _dead(self, worker: Worker) -> Iterator[tuple[list[int], Lost]]:
        task = worker.task
        how = self._remove(worker)
        if task is None:
            raise self._cannot_load(f"its process ended while loading it ({how})")
        yield task, Lost(f"its process died ({how})", hung=False)

    def _late(self, worker: Worker, budget: float) -> Iterator[tuple[list[int], Lost]]:
        task = worker.task
        self._remove(worker)
        if task is None:
            raise self._cannot_load(f"loading it takes longer than {SECONDS_TO_LOAD:g} s")
        yield task, Lost(f"took longer than {self.timeout:g} s", hung=True)

    def _remove(self, worker: Worker) -> str:
        self._workers.remove(worker)
        return worker.end(kill=True)

    def _cannot_load(self, message: str, hint: str | None = None) -> RewardError:
        self.close(kill=True)
        return RewardError(f"the reward {self.component.name!r} cannot be loaded: {message}", hint=hint)


def _watch(pid: int) -> int | None:
    """A descriptor that becomes readable when a process ends; None where the system has none."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None


def _wait(workers: list[Worker], seconds: float) -> list[Any]:
    """Wait until a worker has something to say or its process ends."""
    watches = [worker.watch for worker in workers if worker.watch is not None]
    if len(watches) < len(workers):
        seconds = min(seconds, SECONDS_BETWEEN_LOOKS)
    return wait([*(worker.connection for worker in workers), *watches], seconds)


def _standard_error() -> int:
    """Where workers print: never to stdout, which belongs to the command's own output."""
    try:
        os.fstat(2)
    except OSError:
        return subprocess.DEVNULL
    return 2
