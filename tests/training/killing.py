"""Lives of a run that end by SIGKILL, at a named moment or at any: the real command in a process of its own.

Importing what a run needs takes longer than the run. So one process imports it and does nothing else, and
each life is a fork of that one (of the process of the tests, a fork would inherit threads).
"""

import json
import os
import resource
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

CALLS = {
    "forward": "rlctl.training.stopping:StopSignals.poll",
    "score": "rlctl.training.trl.bridge:RewardBridge.__call__",
    "scored": "rlctl.training.trl.bridge:RewardBridge.on_scored",
    "micro-batch": "rlctl.training.trl.seams:PolicyTrainer.training_step",
    "optimizer": "torch.optim:AdamW.step",
    "boundary": "rlctl.training.trl.callback:RunCallback.boundary",
    "evaluate": "rlctl.training.trl.grpo:evaluate",
    "save": "rlctl.training.saver:Saver.save",
    "state": "rlctl.training.state:save",
    "final": "rlctl.training.trl.grpo:complete_or_absent",
    "summary": "rlctl.training.summary:Summary.finish",
    "restore": "rlctl.training.run:Run.restore",
}
"""Moments of a run's work. All others are names of audit events of Python: `open`, `os.rename`, …"""


@dataclass(frozen=True)
class At:
    """A moment in which a process is killed.

    Args:
        moment: A name in `CALLS`, which is killed as the call begins, or an audit event, before it happens.
        match: Text that must be in the arguments of an audit event.
        nth: Which one.
        after: Whether the call is done first.
        size: Killed not then, but from then on by the first write of a file beyond this many bytes; of one
            that is opened at that moment, beyond what it holds already.
    """

    moment: str
    match: str = ""
    nth: int = 1
    after: bool = False
    size: int | None = None


class Lives:
    """Starts lives; to be entered.

    Args:
        log: File for what the last one has printed.
    """

    def __init__(self, log: Path) -> None:
        self.log = log

    def __enter__(self) -> Self:
        self._source = subprocess.Popen(
            [sys.executable, __file__, str(self.log)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"},
        )
        assert self._answer() == 0
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._source.stdin is not None
        self._source.stdin.close()
        self._source.wait(timeout=60)

    def live(self, arguments: list[str], at: At | None = None, seconds: float | None = None) -> int:
        """A whole life.

        Args:
            arguments: Those of `rlctl`.
            at: When it is killed, if it gets there.
            seconds: After how many it is killed, if it is not over.

        Returns:
            How it ended: its exit code, or the negative number of a signal.
        """
        assert self._source.stdin is not None
        order = [arguments, None if at is None else asdict(at), seconds]
        self._source.stdin.write(json.dumps(order) + "\n")
        self._source.stdin.flush()
        return self._answer()

    def _answer(self) -> int:
        assert self._source.stdout is not None
        return int(self._source.stdout.readline())


def source(log: str) -> None:
    """Import, answer 0, then fork a life for every line of stdin, and answer how it ended."""
    import gc

    import peft  # noqa: F401
    import torch
    import transformers.models.qwen2.modeling_qwen2  # noqa: F401

    import rlctl.cli.app
    import rlctl.training.trl.grpo  # noqa: F401

    torch.set_num_threads(1)
    gc.collect()
    gc.freeze()
    answer(0)
    for line in sys.stdin:
        arguments, at, seconds = json.loads(line)
        process = os.fork()
        if process == 0:
            live(arguments, None if at is None else At(**at), log)
        answer(wait(process, seconds))


def answer(number: int) -> None:
    """Tell the tests a number."""
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def wait(process: int, seconds: float | None) -> int:
    """Wait for a child, and kill it after so many seconds; how it ended."""
    deadline = time.monotonic() + (600.0 if seconds is None else seconds)
    while True:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            os.kill(process, signal.SIGKILL)
            return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        time.sleep(0.005)


def live(arguments: list[str], at: At | None, log: str) -> None:
    """Be `rlctl` with these arguments, until the end."""
    code = 1
    try:
        os.setsid()
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for descriptor in (1, 2):
            os.dup2(out, descriptor)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        if at is not None:
            arm(at)
        from rlctl.cli import main

        sys.argv = ["rlctl", *arguments]
        returned: Any = main()
        code = int(returned or 0)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def arm(at: At) -> None:
    """Have this process killed at a moment."""
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # what the kernel kills with; Python ignores it
    left = at.nth

    def reached(path: str | None = None) -> None:
        nonlocal left
        left -= 1
        if left == 0 and at.size is None:
            os.kill(os.getpid(), signal.SIGKILL)
        elif left == 0 and at.size is not None:
            there = os.path.getsize(path) if path and os.path.exists(path) else 0
            resource.setrlimit(resource.RLIMIT_FSIZE, (there + at.size, resource.RLIM_INFINITY))

    if at.moment in CALLS:
        wrap(CALLS[at.moment], reached, after=at.after)
        return

    def heard(event: str, arguments: tuple[Any, ...]) -> None:
        if event == at.moment and left > 0:
            text = " ".join(str(argument) for argument in arguments)
            read = event == "open" and not arguments[2] & (os.O_WRONLY | os.O_RDWR)
            if at.match in text and not read:
                appended = event == "open" and arguments[2] & os.O_APPEND
                reached(str(arguments[0]) if appended else None)

    sys.addaudithook(heard)


def wrap(place: str, reached: Callable[[], None], *, after: bool) -> None:
    """Put a call before, or after, a function of a module or a method of a class in it."""
    from importlib import import_module

    module, _, name = place.partition(":")
    owner: Any = import_module(module)
    *owners, last = name.split(".")
    for one in owners:
        owner = getattr(owner, one)
    original = getattr(owner, last)

    def wrapped(*args: Any, **keys: Any) -> Any:
        if not after:
            reached()
        result = original(*args, **keys)
        if after:
            reached()
        return result

    setattr(owner, last, wrapped)


if __name__ == "__main__":
    source(sys.argv[1])
