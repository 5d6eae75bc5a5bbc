"""Saves a run at the borders between its steps, and takes it up again there.

At the end of a step everything small is copied; weights and optimizer stay as they are until the next update.
So a run can be saved at any time until then, as it was at that border, however far the next step has come.
"""

import gc
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rlctl.training.checkpoints import Checkpoint, Checkpoints
from rlctl.training.faults import is_io
from rlctl.training.logs import RunLogs
from rlctl.training.progress import Progress
from rlctl.training.together import Together

RANDOM = "random"
"""Name of the part that is restored last, when nothing draws random numbers any more before the next step."""
EVALUATED = ("progress", "watch")
"""Parts that an evaluation changes."""


class Saver:
    """Checkpoints of a run.

    Args:
        checkpoints: Where they are.
        logs: The logs, whose lengths belong to a checkpoint.
        progress: What the run has reached; tells which checkpoint is the best.
        together: The processes; each adds its own state.

    `config` is the YAML of the run, and `run` its identity; both belong to every checkpoint.
    `parts` holds what has state, by name (see `state.Stateful`). `write` writes what only the
    algorithm knows, weights and optimizer, to a folder; every process calls it. `saved` is the step of the
    newest checkpoint, `tried` that of the last try; `whole` is whether weights and states are of one moment.
    """

    def __init__(
        self, checkpoints: Checkpoints, logs: RunLogs, progress: Progress, together: Together
    ) -> None:
        self.checkpoints = checkpoints
        self.logs = logs
        self.progress = progress
        self.together = together
        self.parts: dict[str, Any] = {"progress": progress}
        self.config = ""
        self.run = ""
        self.write: Callable[[Path], None] = _nothing
        self.step = 0
        self.saved: int | None = None
        self.tried: int | None = None
        self.whole = False
        self._states: Mapping[str, Any] = {}
        self._lengths: dict[str, int] = {}
        self._disk = ThreadPoolExecutor(1, "rlctl-checkpoint")
        self._finishing = False
        self._finished: Future[Exception | None] = Future()

    def boundary(self, step: int) -> None:
        """`step` steps are done: from now on, and until the next update, a save saves this moment."""
        from rlctl.training.state import snapshot

        states, lengths = snapshot(self.parts), self._measured()
        self.step, self._states, self._lengths, self.whole = step, states, lengths, True

    def updating(self) -> None:
        """Weights and optimizer are about to change: until the next boundary there is nothing to save."""
        self.whole = False

    def evaluated(self) -> None:
        """An evaluation belongs to the last boundary; of all that is saved, it has changed nothing else."""
        changed = {name: self.parts[name].state_dict() for name in EVALUATED if name in self.parts}
        states, lengths = {**self._states, **changed}, self._measured()
        self._states, self._lengths = states, lengths

    def _measured(self) -> dict[str, int]:
        return self.logs.lengths() if self.together.main else {}

    def save(self, *, wait: bool = True) -> Exception | None:
        """Write the checkpoint of the last boundary, if it is not there; older ones go.

        Args:
            wait: Until it is on the disk and has its place. Else the disk is left to itself, and `settle`
                says how it ended; to be called before the next save, by all processes.

        Returns:
            What went wrong, on every process; nothing half-written is left, and older checkpoints are whole.

        Raises:
            Exception: It is not the disk: weights that are not finite, a state that is no plain data.
        """
        if self.saved == self.step:
            return self.settle() if wait else None
        if not self.whole:
            raise RuntimeError("between a step and its boundary, a run cannot be saved")
        self.settle()
        self.tried = self.step
        folder = self.checkpoints.unfinished(self.step)
        for work in (self._prepare, lambda: self._write_all(folder), self._leave_to_the_disk):
            if (fault := self.together.attempt(work)) is not None:
                return self._given_up(fault)
        self.saved, self._finishing = self.step, True
        return self.settle() if wait else None

    def settle(self, *, wait: bool = True) -> Exception | None:
        """How the save ended that the disk was left with; the same result and errors as of `save`.

        Args:
            wait: For the disk. Else only look, which several processes cannot do as one.
        """
        alone = self.together.exchange is None
        if not self._finishing or not (wait or (alone and self._finished.done())):
            return None
        self._finishing = False
        if (fault := self.together.attempt(self._commit)) is not None:
            self.saved = None
            return self._given_up(fault)
        return self.together.attempt(self._rotated)

    def wait(self) -> None:
        """Until the disk has nothing of this process any more, whatever became of it."""
        self._disk.shutdown()

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
        self.step = self.saved = self.tried = point.step
        self.whole = True
        return self.together.attempt(self._rotate_again)

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
        if self.together.main:
            (folder / "config.yaml").write_text(self.config, encoding="utf-8")

    def _leave_to_the_disk(self) -> None:
        if self.together.main:
            # The best is chosen now: an evaluation that comes while the disk is busy must not decide.
            best = self.progress.best([*self.checkpoints.steps(), self.step])
            self._finished = self._disk.submit(self._finish, self.step, self._lengths, best)

    def _finish(self, step: int, lengths: dict[str, int], best: int | None) -> Exception | None:
        """Force it to the disk, give it its place, remove older ones; returns why these are still there."""
        self.logs.sync()
        about = {"run": self.run, "logs": lengths, "processes": self.together.processes}
        self.checkpoints.commit(step, about)
        try:
            self._rotate(best)
        except OSError as error:
            return error
        return None

    def _rotate(self, best: int | None) -> None:
        self.checkpoints.rotate(best)
        self.checkpoints.clear()

    def _rotate_again(self) -> None:
        if self.together.main:
            self._rotate(self.progress.best(self.checkpoints.steps()))

    def _commit(self) -> None:
        if self.together.main:
            self._finished.result()

    def _rotated(self) -> None:
        if self.together.main and (fault := self._finished.result()) is not None:
            raise fault

    def _given_up(self, fault: Exception) -> Exception:
        if is_io(fault):
            _let_go(fault)
        if self.together.main:
            self.checkpoints.clear()
        if not is_io(fault):
            raise fault
        return fault


def _let_go(fault: Exception) -> None:
    """Close the file that could not be written: on a full disk, its space is not free before that."""
    fault.__traceback__ = fault.__context__ = fault.__cause__ = None
    gc.collect()


def _nothing(folder: Path) -> None:
    """Nothing but the parts has state."""
