"""The process that one reward runs in: loads it, then answers batch after batch, and ends with its parent.

Started by `workers.Pool` with a socket. It is not a fork, so it never holds the trainer's memory or its GPU,
and it does not import the trainer's main script.
"""

import ctypes
import os
import pickle
import queue
import signal
import sys
import threading
import time
from functools import partial
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from rlctl.errors import RewardError

if TYPE_CHECKING:
    from rlctl.rewards.calls import RewardCall

SECONDS_TO_END = 1.0
PASSED_OVER = (signal.SIGTERM, signal.SIGUSR1)
PR_SET_PDEATHSIG = 1


def main(descriptor: int, dies_with_thread: bool) -> None:
    """Serve the parent at the other end of the socket `descriptor` until it says goodbye or is gone.

    Messages are pickled: first (component, timeout, state), where a state is for a reward that goes on from
    one; back comes ("ready", facts, state). Then, as often as wanted, ("score", batch) is answered with
    ("reply", Reply), ("pack", None) with ("state", bytes), ("restore", bytes) with ("restored", None). Or,
    at any time, with ("error", message, hint), the last one. An empty message is goodbye.
    With `dies_with_thread`, the end of the thread that started this process is the end of the parent.
    """
    os.set_inheritable(descriptor, False)
    _leave_signals_to_the_parent()
    if dies_with_thread and sys.platform == "linux":
        _die_without_python()
    connection = Connection(descriptor)
    inbox: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(connection, inbox), daemon=True).start()
    try:
        _serve(connection, inbox)
    except RewardError as error:
        connection.send(("error", error.message, error.hint))
    except BrokenPipeError:
        pass


def _serve(connection: Connection, inbox: "queue.SimpleQueue[bytes]") -> None:
    from rlctl.rewards.calls import reward_call
    from rlctl.rewards.reasons import describe

    component, timeout, state = pickle.loads(inbox.get())
    try:
        call = reward_call(component, timeout=timeout)
        if state is not None:
            call.restore(state)
        elif call.stateful:
            state = call.pack_state()
    except (Exception, SystemExit) as error:
        raise error if isinstance(error, RewardError) else RewardError(describe(error)) from error
    connection.send(("ready", call.facts, state))
    while message := inbox.get():
        try:
            kind, content = pickle.loads(message)
        except Exception as error:
            raise RewardError(f"cannot read its columns: {describe(error)}") from error
        connection.send(_answer(call, kind, content))


def _answer(call: "RewardCall", kind: str, content: Any) -> tuple[str, Any]:
    if kind == "pack":
        return "state", call.pack_state()
    if kind == "restore":
        call.restore(content)
        return "restored", None
    return "reply", call.run(content)


def _listen(connection: Connection, inbox: "queue.SimpleQueue[bytes]") -> None:
    """Hand on messages; when the parent is gone, end this process and everything that the reward started."""
    try:
        while message := connection.recv_bytes():
            inbox.put(message)
        inbox.put(b"")
    except (EOFError, OSError):
        inbox.put(b"")
        time.sleep(SECONDS_TO_END)
        os.killpg(0, signal.SIGKILL)


def _leave_signals_to_the_parent() -> None:
    """Go on where a signal that asks the run to stop reaches all of its processes; the parent ends this one.

    A completion that failed because its worker was told to stop would make the run another run. Only SIGINT
    is ignored outright: what a reward starts or forks must still be able to be ended with SIGTERM. It is held
    back while Python forks, because a child forgets what arrived before it was ready.
    """

    def arrived(number: int, _: object) -> None:
        """Nothing; a handler, unlike SIG_IGN, is not passed on to a new program."""

    def in_child() -> None:
        for number in PASSED_OVER:
            if signal.getsignal(number) is arrived:
                signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_OVER)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in PASSED_OVER:
        signal.signal(number, arrived)
    os.register_at_fork(
        before=partial(signal.pthread_sigmask, signal.SIG_BLOCK, PASSED_OVER),
        after_in_parent=partial(signal.pthread_sigmask, signal.SIG_UNBLOCK, PASSED_OVER),
        after_in_child=in_child,
    )


def _die_without_python() -> None:
    """Have Linux end this process when its parent ends, even where C code holds the GIL and no thread runs.

    At the parent's end the kernel sends SIGQUIT, whose handler is C's `alarm`: its argument, the number of
    the signal, makes it SIGALRM after 3 s. The listener is faster where it can run, and ends children too.
    """
    libc = ctypes.CDLL(None)
    libc.signal.argtypes = [ctypes.c_int, ctypes.c_void_p]
    libc.signal.restype = ctypes.c_void_p
    libc.signal(signal.SIGQUIT, ctypes.cast(libc.alarm, ctypes.c_void_p))
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)


def start_code() -> str:
    """What `python -c` runs: the parent's import path first, then `main`."""
    return (
        "import json, sys; sys.path[:] = json.loads(sys.argv[2]); "
        "from rlctl.rewards.worker import main; main(int(sys.argv[1]), bool(int(sys.argv[3])))"
    )


def start_arguments(descriptor: int) -> list[str]:
    """The command line of a worker."""
    import json

    path = [os.path.abspath(folder) for folder in sys.path if isinstance(folder, str)]
    # The kernel watches the thread that starts a process; only the main thread lives as long as the parent.
    lasting = threading.current_thread() is threading.main_thread()
    return [sys.executable, "-u", "-c", start_code(), str(descriptor), json.dumps(path), str(int(lasting))]
