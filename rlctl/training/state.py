"""What has state in a run saves and restores it through one protocol: a resumed run is then the same run.

The weights and the optimizer change only in the update of a step; everything else is copied at the end of
each step. A run that is stopped in the middle of a step is saved as it was at the end of the last one.
"""

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy
import torch

from rlctl.errors import RewardError

State = dict[str, Any]


class Stateful(Protocol):
    """Something whose future depends on its past: random numbers, a controller, a memory, a reward."""

    def state_dict(self) -> State:
        """A copy of its state: None, bools, numbers, text, tensors, and lists, tuples and dicts of them."""
        ...

    def load_state_dict(self, state: State) -> None:
        """Go on from that state."""
        ...


class RandomState:
    """The global random number generators of this process: Python's, NumPy's, PyTorch's on every device."""

    def state_dict(self) -> State:
        """Their states."""
        name, keys, *rest = numpy.random.get_state(legacy=True)
        state: State = {
            "python": random.getstate(),
            "numpy": (name, torch.from_numpy(numpy.asarray(keys).astype(numpy.int64)), *rest),
            "torch": torch.random.get_rng_state(),
        }
        if torch.cuda.is_available():
            state["cuda"] = torch.cuda.get_rng_state_all()
        if torch.backends.mps.is_available():
            state["mps"] = torch.mps.get_rng_state()
        return state

    def load_state_dict(self, state: State) -> None:
        """Set them; devices that are not here are left out."""
        random.setstate(state["python"])
        name, keys, *rest = state["numpy"]
        numpy.random.set_state((name, keys.numpy().astype(numpy.uint32), *rest))
        torch.random.set_rng_state(state["torch"])
        if "cuda" in state and torch.cuda.is_available():
            torch.cuda.set_rng_state_all(state["cuda"])
        if "mps" in state and torch.backends.mps.is_available():
            torch.mps.set_rng_state(state["mps"])


@contextmanager
def drawing_apart(seed: int) -> Iterator[None]:
    """Random numbers that are drawn inside depend on nothing before, and change nothing after.

    Args:
        seed: What they start from.
    """
    generators = RandomState()
    before = generators.state_dict()
    random.seed(seed)
    numpy.random.seed(seed)
    torch.manual_seed(seed)
    try:
        yield
    finally:
        generators.load_state_dict(before)


class Plain:
    """Something stateful that is not ours: what it wants to save is looked at first.

    Args:
        part: What has state.
        what: What it is, in words.
    """

    def __init__(self, part: Stateful, what: str) -> None:
        self.part = part
        self.what = what

    def state_dict(self) -> State:
        """The state.

        Raises:
            RewardError: It could not be read again without executing code.
        """
        state = self.part.state_dict()
        must_be_plain(state, self.what)
        return state

    def load_state_dict(self, state: State) -> None:
        """Go on from that state."""
        self.part.load_state_dict(state)


def snapshot(parts: Mapping[str, Stateful]) -> dict[str, State]:
    """The state of every part, by name."""
    return {name: part.state_dict() for name, part in parts.items()}


def save(states: Mapping[str, State], file: Path) -> None:
    """Write states to a file.

    Raises:
        OSError: The file cannot be written.
    """
    torch.save(dict(states), file)


@contextmanager
def unsummed() -> Iterator[None]:
    """Let `torch.save` leave out its CRC, a third of its time: a checkpoint's manifest has a better hash."""
    former = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)
    try:
        yield
    finally:
        torch.serialization.set_crc32_options(former)


def load(file: Path) -> dict[str, State]:
    """Read them again, onto the CPU; nothing in the file is executed."""
    states: dict[str, State] = torch.load(file, map_location="cpu", weights_only=True)
    return states


def must_be_plain(value: Any, what: str) -> None:
    """Refuse a state that could not be read again without executing code.

    Raises:
        RewardError: It holds something else than `Stateful.state_dict` names.
    """
    if isinstance(value, Mapping):
        for key, one in value.items():
            must_be_plain(key, what)
            must_be_plain(one, what)
    elif isinstance(value, list | tuple | set):
        for one in value:
            must_be_plain(one, what)
    elif type(value) not in (bool, int, float, str, bytes, type(None), torch.Tensor):
        raise RewardError(
            f"the state of {what} holds a {type(value).__name__}",
            hint="state_dict() may hold None, bools, numbers, text, tensors, lists, tuples, sets and dicts",
        )
