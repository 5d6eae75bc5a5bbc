"""Metrics under rlctl's names: means over the steps since the last line of the log, or over one step.

Lines come as often as `training.logging_steps` says. What decides anything must not depend on it, so the
figures of each step can be had as well.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rlctl.training.trl.bridge import RewardBridge

NAMES = {
    "loss": "train/loss",
    "kl": "train/kl_div",
    "entropy": "train/entropy",
    "grad_norm": "train/grad_norm",
    "learning_rate": "train/learning_rate",
    "completions/mean_length": "train/completion_length",
    "completions/clipped_ratio": "train/truncated_fraction",
    "clip_ratio/region_mean": "train/clip_fraction",
}
"""TRL's metric → rlctl's; the rest of TRL's metrics keep their name below `trl/`."""

REPLACED = ("reward", "reward_std", "frac_reward_zero_std", "rewards/", "step_time", "train_")
"""Metrics of TRL that rlctl has under its own names."""


class StepMetrics:
    """The figures of one step, from what is collected until the next line of the log.

    Args:
        bridge: The reward, with a dict per batch since the last line.
        measured: The trainer's metrics by name, a value per batch or micro-batch since the last line.
    """

    def __init__(self, bridge: RewardBridge, measured: Mapping[str, Sequence[float]]) -> None:
        self.bridge = bridge
        self.measured = measured
        self._batches = 0
        self._values: dict[str, int] = {}

    def begin(self) -> None:
        """A step begins: what is there is of others."""
        self._batches = len(self.bridge.pending)
        self._values = {name: len(values) for name, values in self.measured.items()}

    def end(self) -> dict[str, Any]:
        """The figures of the step that is done, under rlctl's names.

        What is measured once per generation is there in the step that has generated, and in no other.
        """
        means = {}
        for name, values in self.measured.items():
            known = [value for value in values[self._values.get(name, 0) :] if not math.isnan(value)]
            if known:
                means[name] = sum(known) / len(known)
        return {**reward_metrics(self.bridge.pending[self._batches :]), **rename(means)}


def reward_metrics(batches: Sequence[Mapping[str, float | None]]) -> dict[str, float | None]:
    """Means over batches of what the reward says of each; None where no batch has it."""
    means: dict[str, float | None] = {}
    for name in dict.fromkeys(name for batch in batches for name in batch):
        known = [value for batch in batches if (value := batch.get(name)) is not None]
        means[f"train/{name}"] = sum(known) / len(known) if known else None
    return means


def rename(logs: dict[str, Any]) -> dict[str, Any]:
    """TRL's metrics under rlctl's names; `train/kl_div` is None where no reference is loaded."""
    metrics: dict[str, Any] = {"train/kl_div": None}
    for name, value in logs.items():
        if name in NAMES:
            metrics[NAMES[name]] = value
        elif not name.startswith(REPLACED) and name != "epoch":
            metrics[f"trl/{name}"] = value
    return {"epoch": logs.get("epoch"), **metrics}
