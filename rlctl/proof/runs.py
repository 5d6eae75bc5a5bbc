"""The runs of a proof: one per seed, and a control with shuffled rewards. Each has a folder of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlctl.config.config import Config
from rlctl.training.place import folder_of
from rlctl.training.resume import is_finished, read_record

BASE = "base"
"""The model before training, under the name that `rlctl eval` has for it."""
CONTROL = "control"
SEEDS = 2**32
"""Seeds that there are."""


@dataclass(frozen=True)
class ProofRun:
    """One training run of a proof.

    Args:
        name: Its name, and that of its folder in the proof's: `seed-42`, `control`.
        label: As a person reads it.
        config: What it is trained with.
    """

    name: str
    label: str
    config: Config

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return folder_of(self.config)

    @property
    def is_control(self) -> bool:
        """Whether its rewards are shuffled."""
        return self.name == CONTROL

    @property
    def finished(self) -> bool:
        """Whether it has been trained to its end."""
        return is_finished(self.folder, self.config)

    @property
    def record(self) -> dict[str, Any]:
        """Its `run.json`; empty where it was not begun."""
        return (read_record(self.folder) if self.folder.is_dir() else None) or {}

    @property
    def identity(self) -> str | None:
        """What tells this run from another of the same name; None where it was not begun."""
        return self.record.get("id")

    @property
    def hashes(self) -> dict[str, dict[str, str]]:
        """Of the model, data and reward code that it was trained with."""
        return self.record.get("hashes", {})


def seeds_of(config: Config, count: int) -> list[int]:
    """`run.seed` and those that follow it; after the largest comes 0."""
    return [(config.run.seed + i) % SEEDS for i in range(count)]


def runs_of(config: Config, seeds: Sequence[int], folder: Path) -> list[ProofRun]:
    """Every run of a proof: the seeds in their order, then the control, which has the first seed.

    Args:
        config: The resolved config, as the user gave it.
        seeds: The training seeds.
        folder: The proof's folder.
    """
    count = len(seeds)
    trained = [
        ProofRun(
            f"seed-{seed}", f"seed {seed} ({place} of {count})", _run(config, folder, f"seed-{seed}", seed)
        )
        for place, seed in enumerate(seeds, start=1)
    ]
    shuffled = config.rewards.model_copy(update={"shuffle": True})
    control = _run(config, folder, CONTROL, seeds[0]).model_copy(update={"rewards": shuffled})
    return [*trained, ProofRun(CONTROL, f"control (seed {seeds[0]}, rewards shuffled)", control)]


def _run(config: Config, folder: Path, name: str, seed: int) -> Config:
    """The config of one run. Trackers show the runs of a proof as a group, unless it has one.

    The watch speaks, and does not end a run: what has gone wrong is to show in the verdict.
    """
    run: dict[str, Any] = {"name": name, "output_dir": str(folder), "seed": seed}
    tracking = config.tracking
    if tracking.group is None:
        tracking = tracking.model_copy(update={"group": folder.name})
    judging = config.eval
    if judging.watch == "stop":
        judging = judging.model_copy(update={"watch": "warn"})
    changed = {"run": config.run.model_copy(update=run), "tracking": tracking, "eval": judging}
    return config.model_copy(update=changed)
