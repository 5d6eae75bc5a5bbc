"""One process with one reward in it, seen from the trainer: how it is started, asked and ended."""

import os
import pickle
import signal
import socket
import subprocess
import time
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import Any

from rlctl.config.component import Component
from rlctl.rewards.batch import Batch
from rlctl.rewards.worker import start_arguments

SECONDS_TO_LOAD = 300.0
SECONDS_TO_END = 1.0
SECONDS_BETWEEN_LOOKS = 0.2
"""How often a signal is looked for, and processes where the system cannot tell of their end by itself."""


class Worker:
    """One process with one reward in it."""

    def __init__(self, component: Component, timeout: float, state: bytes | None) -> None:
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
        self._send((component, timeout, state))

    def give(self, task: list[int], batch: Batch, budget: float) -> None:
        """Score some rows of a batch within `budget` seconds."""
        self._ask(task, budget, ("score", batch.take(task) if len(task) < len(batch) else batch))

    def pack_state(self, budget: float) -> None:
        """Tell the state of a reward that remembers within `budget` seconds."""
        self._ask([], budget, ("pack", None))

    def restore(self, state: bytes, budget: float) -> None:
        """Go on from a state within `budget` seconds."""
        self._ask([], budget, ("restore", state))

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

    def _ask(self, task: list[int], budget: float, message: tuple[str, Any]) -> None:
        self.task = task
        self.deadline = time.monotonic() + budget
        self._send(message)

    def _send(self, message: Any) -> None:
        # A process that died is noticed at the next `wait`, which is where the reason is known.
        with suppress(BrokenPipeError, ConnectionResetError):
            self.connection.send_bytes(pickle.dumps(message, protocol=5))


def wait_for(workers: list[Worker], seconds: float) -> list[Any]:
    """Wait until a worker has something to say or its process ends."""
    watches = [worker.watch for worker in workers if worker.watch is not None]
    if len(watches) < len(workers):
        seconds = min(seconds, SECONDS_BETWEEN_LOOKS)
    return wait([*(worker.connection for worker in workers), *watches], seconds)


def _watch(pid: int) -> int | None:
    """A descriptor that becomes readable when a process ends; None where the system has none."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None


def _standard_error() -> int:
    """Where workers print: never to stdout, which belongs to the command's own output."""
    try:
        os.fstat(2)
    except OSError:
        return subprocess.DEVNULL
    return 2
