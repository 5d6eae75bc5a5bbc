"""Signals that end a run: the first is remembered until the work can be put down, the second ends at once.

A run polls: at every forward pass of the model while it generates, while it waits for rewards, between
micro-batches. Torch-free, so that the command can heed signals from its first moment.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

from rlctl.errors import Stopped

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP)
SAME_REQUEST = 1.0
"""Seconds in which one request may arrive twice: from the terminal, and from a launcher that hands it on."""


class StopSignals:
    """Heeds `SIGNALS` while it is entered (in the main thread; elsewhere it only polls).

    A SIGHUP that is ignored, as under nohup, stays so.

    Until `defer` is called there is nothing to save, and a signal raises `Stopped` where it arrives; whatever
    an import or a library makes of that, it leaves as `Stopped`. May be entered again inside itself.
    """

    def __init__(self) -> None:
        self.requested: signal.Signals | None = None
        self._requested_at = 0.0
        self._deferred = False
        self._alone = 0
        self._exchange: Callable[[list[Any]], list[Any]] | None = None
        self._former: dict[signal.Signals, Any] = {}
        self._depth = 0

    def __enter__(self) -> Self:
        self._depth += 1
        if self._depth == 1 and threading.current_thread() is threading.main_thread():
            under_nohup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            heeded = [one for one in SIGNALS if not (one == signal.SIGHUP and under_nohup)]
            self._former = {number: signal.signal(number, self._arrived) for number in heeded}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._depth -= 1
        if self._depth:
            return
        for number, handler in self._former.items():
            signal.signal(number, handler)
        self._former = {}
        if isinstance(error, Exception) and not isinstance(error, Stopped) and not self._deferred:
            self.check_before()

    def check_before(self) -> None:
        """Raise `Stopped` if a signal came before there was anything to save."""
        if self.requested is not None:
            raise Stopped(f"stopped by {self.requested.name} before the first step") from None

    def defer(self, exchange: Callable[[list[Any]], list[Any]] | None = None) -> None:
        """From now on there is something to save: signals wait for the next poll.

        Args:
            exchange: Gathers a list over all processes; None where there is one.
        """
        self._exchange = exchange
        self._deferred = True

    def check(self) -> None:
        """Raise `Stopped` if a signal came to this process, for callers that tell the others themselves."""
        if self.requested is not None:
            raise Stopped(f"stopped by {self.requested.name}")

    def poll(self) -> None:
        """The same where nobody waits for this process: with others, only inside `alone`."""
        if self._exchange is None or self._alone:
            self.check()

    def agree(self) -> None:
        """The same for all processes at once: raise on each of them if a signal came to any."""
        if self._exchange is None:
            self.check()
            return
        names = self._exchange([self.requested.name if self.requested else None])
        if known := [name for name in names if name]:
            raise Stopped(f"stopped by {known[0]}")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Work without any exchange between processes: polled inside, agreed upon at its end."""
        self._alone += 1
        try:
            yield
        except Stopped:
            if self._exchange is None:
                raise
        finally:
            self._alone -= 1
        self.agree()

    def _arrived(self, number: int, frame: FrameType | None) -> None:
        again = self.requested is not None
        hung_up = number == signal.SIGHUP  # a terminal that closes sends several
        if again and (hung_up or time.monotonic() - self._requested_at < SAME_REQUEST):
            return
        if again:
            _end_at_once(number)
        self.requested = signal.Signals(number)
        self._requested_at = time.monotonic()
        if not self._deferred:
            self.check_before()


def _end_at_once(number: int) -> None:
    if sys.stderr.isatty():
        sys.stderr.write("\x1b[?25h\n")  # a live view hides the cursor
        sys.stderr.flush()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
