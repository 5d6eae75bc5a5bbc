"""What a reward object remembers from batch to batch: a diversity memory, a curriculum. A run saves it.

It is moved as bytes, so that a state that was handed out does not change with the reward that goes on.
"""

import pickle
import sys
from typing import Any

from rlctl.errors import RewardError
from rlctl.rewards.reasons import describe

PLAIN = "state_dict() may hold None, bools, numbers, text, tensors, and lists, tuples, sets and dicts of them"


def is_stateful(target: Any) -> bool:
    """Whether an object's class has `state_dict()` and `load_state_dict(state)`, and is no `torch.nn.Module`.

    The weights of a module are not the state of a run: they come from its own file, and training leaves them.
    """
    torch_nn = sys.modules.get("torch.nn")  # no object is a module before this is imported
    if isinstance(target, getattr(torch_nn, "Module", ())):
        return False
    return all(callable(getattr(type(target), name, None)) for name in ("state_dict", "load_state_dict"))


def pack(target: Any, file: str | None = None) -> bytes:
    """The state of a stateful object, pickled.

    Args:
        target: The object.
        file: Where its class is written, to name the line of an exception.

    Raises:
        RewardError: `state_dict()` raised, or what it returned cannot be pickled.
    """
    try:
        state = target.state_dict()
    except (Exception, SystemExit) as error:
        raise RewardError(f"state_dict() raised {describe(error, file)}") from error
    return pack_state(state)


def restore(target: Any, packed: bytes, file: str | None = None) -> None:
    """Have a stateful object go on from a state.

    Raises:
        RewardError: The state cannot be read here, or `load_state_dict()` raised.
    """
    state = unpack_state(packed)
    try:
        target.load_state_dict(state)
    except (Exception, SystemExit) as error:
        raise RewardError(f"load_state_dict() raised {describe(error, file)}") from error


def pack_state(state: Any) -> bytes:
    """A state as bytes.

    Raises:
        RewardError: It cannot be pickled.
    """
    try:
        return pickle.dumps(state, protocol=5)
    except Exception as error:
        raise RewardError(f"its state cannot be saved: {describe(error)}", hint=PLAIN) from error


def unpack_state(packed: bytes) -> Any:
    """The state behind bytes.

    Raises:
        RewardError: It holds objects that are not known in this process.
    """
    try:
        return pickle.loads(packed)
    except Exception as error:
        raise RewardError(f"its state cannot be read: {describe(error)}", hint=PLAIN) from error
