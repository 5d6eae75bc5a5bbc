"""What a run goes on from: its record, its newest checkpoint, and what is no longer as it was. Torch-free."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlctl.config.config import Config
from rlctl.errors import CheckpointError, UsageError
from rlctl.training.checkpoints import Checkpoint, Checkpoints
from rlctl.training.provenance import differences
from rlctl.training.resume import Change, allowed_changes, describe, read_record

PASSING = ("end", "error", "step", "stopped_early")
"""What `run.json` says of how a run ended, which is over when it goes on."""


@dataclass(frozen=True)
class Former:
    """A run that was begun before.

    Args:
        record: Its `run.json`.
        point: Its newest checkpoint that is whole; None where it has none, and begins again.
        changes: Keys of its config that have another value now.
        damaged: Checkpoints that cannot be used, and why.
    """

    record: dict[str, Any]
    point: Checkpoint | None
    changes: list[Change]
    damaged: list[str]

    def goes_on(self, found: dict[str, Any]) -> dict[str, Any]:
        """The record to go on with: what was done so far was done with what it has of then.

        Args:
            found: What `run.json` would hold if the run began now.

        Returns:
            The record; the last entry of `resumed` is of now.
        """
        record = found
        if self.point is not None:
            kept = {name: value for name, value in self.record.items() if name not in PASSING}
            record = {"id": found["id"], **kept}
        return {**record, "resumed": [*self.record.get("resumed", []), self._entry(found)]}

    def _entry(self, found: dict[str, Any]) -> dict[str, Any]:
        others = differences(self.record, found) if self.point else []
        entry = {
            "time": found["start"],
            "step": self.point.step if self.point else 0,
            "command": found["command"],
            "changed": [*describe(self.changes), *others],
        }
        return {**entry, "damaged": self.damaged} if self.damaged else entry


def find(
    folder: Path, config: Config, checkpoints: Checkpoints, processes: int, tell: Callable[[str], None]
) -> Former | None:
    """The run that a folder holds, where it can go on.

    Args:
        folder: The run's folder, which this process holds.
        config: What it is to go on with.
        checkpoints: Its checkpoints.
        processes: How many there are now.
        tell: Says something to a person.

    Returns:
        The run; None where it was ended before it wrote anything.

    Raises:
        ConfigError: Keys have changed that may not.
        CheckpointError: None of its checkpoints can be used, or its record or config cannot be read.
        UsageError: It is done and has no checkpoint, or had another number of processes.
    """
    record = read_record(folder)
    if record is None:
        return None
    checkpoints.run = record.get("id")
    point, damaged = checkpoints.newest()
    file = (folder if point is None else point.path) / "config.yaml"
    changes = allowed_changes(file, config) if file.exists() else []
    if damaged and point is None:
        raise CheckpointError(
            "\n  ".join(["no checkpoint of this run can be used", *damaged]),
            where=str(folder),
            hint="Mend one of them, begin another run (--set run.name=NAME), or remove the folder.",
        )
    for one in damaged:
        tell(f"damaged, and not used: {one}")
    if point is None and (folder / "final").exists():
        raise UsageError(
            "this run is done, and has no checkpoint to go on from",
            where=str(folder),
            hint=f"Begin another run with its model (--set model.path={folder}, --set run.name=NAME).",
        )
    if point is not None and point.about["processes"] != processes:
        before = point.about["processes"]
        raise UsageError(
            f"this run has {before} processes, and now there are {processes}",
            where=str(folder),
            hint=f"Start it with {before} again: each has a state of its own.",
        )
    return Former(record, point, changes, damaged)
