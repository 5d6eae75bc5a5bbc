"""Saves a run at the borders between its steps, and takes it up again there.

At the end of a step everything small is copied; weights and optimizer stay as they are until the next update.
So a run can be saved at any time until then, as it was at that border, however far the next step has come.
"""

import gc
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rlctl.training.checkpoints import Checkpoint, Checkpoints
from rlctl.training.faults import is_io
from rlctl.training.logs import RunLogs
from rlctl.training.progress import Progress
from rlctl.training.together import Together

RANDOM = "random"
"""Name of the part that is restored last, when nothing draws random numbers any more before the next step."""


class Saver:
    """Checkpoints of a run.

    Args:
        checkpoints: Where they are.
        logs: The logs, whose lengths belong to a checkpoint.
        progress: What the run has reached; tells which checkpoint is the best.
        together: The processes; each adds its own state.

    `parts` holds what has state, by name (see `state.Stateful`). `write` writes what only the
    algorithm knows, weights and optimizer, to a folder; every process calls it.
    """

    def __init__(
        self, checkpoints: Checkpoints, logs: RunLogs, progress: Progress, together: Together
    ) -> None:
        self.checkpoints = checkpoints
        self.logs = logs
        self.progress = progress
        self.together = together
        self.parts: dict[str, Any] = {"progress": progress}
        self.write: Callable[[Path], None] = _nothing
        self.step = 0
        self.saved: int | None = None
        self._states: Mapping[str, Any] = {}
        self._lengths: dict[str, int] = {}

    def boundary(self, step: int) -> None:
        """`step` steps are done: from now on, and until the next update, a save saves this moment."""
        from rlctl.training.state import snapshot

        self.step = step
        self._states = snapshot(self.parts)
        self._measure()

    def evaluated(self) -> None:
        """An evaluation belongs to the last boundary; of all that is saved, it has changed nothing else."""
        self._states = {**self._states, "progress": self.progress.state_dict()}
        self._measure()

    def _measure(self) -> None:
        if self.together.main:
            self._lengths = self.logs.lengths()

    def save(self) -> Exception | None:
        """Write the checkpoint of the last boundary, if it is not there; older ones go.

        Returns:
            What went wrong, on every process; nothing half-written is left, and older checkpoints are whole.

        Raises:
            Exception: It is not the disk: weights that are not finite, a state that is no plain data.
        """
        if self.saved == self.step:
            return None
        folder = self.checkpoints.unfinished(self.step)
        for work in (
            self._prepare,
            lambda: self._write_all(folder),
            self._commit,
        ):
            fault = self.together.attempt(work)
            if fault is not None:
                if is_io(fault):
                    _let_go(fault)
                if self.together.main:
                    self.checkpoints.clear()
                if not is_io(fault):
                    raise fault
                return fault
        self.saved = self.step
        return self.together.attempt(self._rotate)

    def restore(self, point: Checkpoint) -> Exception | None:
        """Every part goes on from a checkpoint, this process's from its own.

        Returns:
            Why older checkpoints are still there, which the save was killed before it could remove.
        """
        from rlctl.training.state import load

        self._states = load(point.path / self._file)
        for name, part in self.parts.items():
            if name != RANDOM:
                part.load_state_dict(self._states[name])
        self.step = self.saved = point.step
        return self.together.attempt(self._rotate)

    def restore_random(self) -> None:
        """Set the random numbers of the last boundary, for steps that follow without any draw between."""
        self.parts[RANDOM].load_state_dict(self._states[RANDOM])

    @property
    def _file(self) -> str:
        return f"state-{self.together.rank}.pt"

    def _prepare(self) -> None:
        if self.together.main:
            self.checkpoints.prepare(self.step)

    def _write_all(self, folder: Path) -> None:
        from rlctl.training.state import save, unsummed

        with unsummed():
            self.write(folder)
            folder.mkdir(parents=True, exist_ok=True)
            save(self._states, folder / self._file)

    def _commit(self) -> None:
        if not self.together.main:
            return
        self.logs.sync()
        about = {"logs": self._lengths, "processes": self.together.processes}
        self.checkpoints.commit(self.step, about)

    def _rotate(self) -> None:
        if not self.together.main:
            return
        self.checkpoints.rotate(self.progress.best(self.checkpoints.steps()))
        self.checkpoints.clear()


def _let_go(fault: Exception) -> None:
    """Close the file that could not be written: on a full disk, its space is not free before that."""
    fault.__traceback__ = fault.__context__ = fault.__cause__ = None
    gc.collect()


def _nothing(folder: Path) -> None:
    """Nothing but the parts has state."""
