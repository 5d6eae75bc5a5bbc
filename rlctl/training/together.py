"""What the processes of one run do as one, so that none waits for another that has given up. Torch-free."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from rlctl.errors import RlctlError

T = TypeVar("T")
Exchange = Callable[[list[Any]], list[Any]]
"""Gathers a list of small Python objects over all processes, in the order of their ranks."""


@dataclass(frozen=True)
class Together:
    """The processes of a run.

    Args:
        rank: Place of this one; 0 is the main process, which writes what all share.
        processes: How many there are.
        exchange: Gathers over them; None for one process.
    """

    rank: int = 0
    processes: int = 1
    exchange: Exchange | None = None

    @property
    def main(self) -> bool:
        """Whether this is the main process."""
        return self.rank == 0

    def gather(self, value: T) -> list[T]:
        """The values of all processes."""
        return self.exchange([value]) if self.exchange else [value]

    def on_main(self, work: Callable[[], T]) -> T:
        """Do this on the main process alone, and have its result everywhere.

        Raises:
            RlctlError: It failed there.
        """
        result, failed = None, None
        if self.main:
            try:
                result = work()
            except RlctlError as error:
                failed = error
        told = (failed.render(), failed.exit_code) if failed else None
        result, told = self.gather((result, told))[0]
        if failed is not None:
            raise failed
        if told is not None:
            elsewhere = RlctlError(told[0])
            elsewhere.exit_code = told[1]
            raise elsewhere
        return result  # type: ignore[return-value]

    def attempt(self, work: Callable[[], Any]) -> Exception | None:
        """Do this on every process; the first error of any of them, which each process gets."""
        caught: Exception | None = None
        try:
            work()
        except Exception as error:
            caught = error
        if self.exchange is None:
            return caught
        told = self.gather(None if caught is None else (str(caught), isinstance(caught, OSError)))
        first = next((words for words in told if words), None)
        if caught is not None or first is None:
            return caught
        return OSError(first[0]) if first[1] else RlctlError(first[0])


def leave_group(*, all_done: bool) -> None:
    """Close the connections between processes before this one ends; open ones can abort it at exit.

    Args:
        all_done: Whether every process has come to its end: then they wait for each other first.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        return
    from torch import distributed

    if distributed.is_available() and distributed.is_initialized():
        if all_done:
            distributed.barrier()
        distributed.destroy_process_group()
