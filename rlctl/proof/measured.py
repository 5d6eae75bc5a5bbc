"""What a proof knows of each model: its figures, its value of every metric on every prompt, its completions.

Kept in `evaluation/<model>/`, so that a proof that was stopped evaluates no model twice.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from rlctl.files import write_json

Row = dict[str, Any]
"""A completion with its scores, as a line of `samples.jsonl` has it."""

FOLDER = "evaluation"
FILE = "per_prompt.json"
SAMPLES = "samples.jsonl"
KEPT = ("run", "figures", "per_prompt", "weights", "sha256")
"""What the file holds: the run, and all of `Measured` but its folder."""


@dataclass(frozen=True)
class Measured:
    """A model on the held-out prompts.

    Args:
        folder: Where its samples are.
        figures: What `rlctl eval --json` says of it.
        per_prompt: Metric → its value for each prompt, None where there is none.
        weights: Fingerprint of each file of the model; none for the base, which the plan holds.
        sha256: Of the samples.
    """

    folder: Path
    figures: dict[str, Any]
    per_prompt: dict[str, list[float | None]]
    weights: dict[str, str]
    sha256: str

    def sha256_now(self) -> str:
        """Of the samples as they are on the disk."""
        return sha256_of(self.folder)

    def completions(self, prompts: Iterable[int], *, greedy: bool, most: int) -> dict[int, list[Row]]:
        """The first sampled, or the greedy, completions of each of these prompts: rows of the samples.

        Args:
            prompts: Places among the held-out prompts.
            greedy: Which are wanted.
            most: Completions of each prompt, at most.
        """
        found: dict[int, list[Row]] = {prompt: [] for prompt in prompts}
        with (self.folder / SAMPLES).open(encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                of_prompt = found.get(row["prompt_index"])
                if of_prompt is not None and len(of_prompt) < most and row["greedy"] == greedy:
                    of_prompt.append(row)
        return found


def mean(measured: Measured, metric: str) -> float | None:
    """The mean of a metric over the prompts that have a value."""
    return mean_of(measured.per_prompt.get(metric, ()))


def mean_of(values: Sequence[float | None]) -> float | None:
    """The mean of the values that there are; None where there are none."""
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def read(folder: Path, identity: str | None) -> Measured | None:
    """What was measured before; None where that was not done, or not of this model.

    Args:
        folder: `evaluation/<model>` of a proof.
        identity: The run that the model is of; None for the base.
    """
    try:
        found = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(found, dict) or not found.keys() >= set(KEPT) or not (folder / SAMPLES).is_file():
        return None
    if found["run"] != identity:
        return None
    return Measured(folder, *(found[name] for name in KEPT[1:]))


def keep(measured: Measured, identity: str | None) -> None:
    """Write down that a model is measured, once its samples are on the disk."""
    write_json(
        measured.folder / FILE,
        {"run": identity, **{name: getattr(measured, name) for name in KEPT[1:]}},
    )


def sha256_of(folder: Path) -> str:
    """SHA-256 of the samples of a model."""
    with (folder / SAMPLES).open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
