"""What a run has chosen for `rewards.invalid_penalty: auto`, which `run.json` keeps for all that comes later.

Torch-free.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from rlctl.config.config import Config
from rlctl.errors import CheckpointError, ConfigError, Problem
from rlctl.training.place import folder_of
from rlctl.training.resume import read_record


def recorded(record: Mapping[str, Any]) -> float | None:
    """The penalty that a run has chosen; None where its `run.json` names none."""
    penalty = record.get("penalty")
    value = penalty.get("value") if isinstance(penalty, dict) else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def require_recorded(record: Mapping[str, Any], file: Path) -> float:
    """The penalty that a run, or a proof, goes on with.

    Args:
        record: What the file holds.
        file: `run.json`, or `plan.json`.

    Raises:
        CheckpointError: It names none.
    """
    value = recorded(record)
    if value is None:
        hint = "It was edited, or is of another version of rlctl: begin another."
        raise CheckpointError("does not say which invalid penalty was chosen", where=str(file), hint=hint)
    return value


def with_penalty(config: Config, value: float) -> Config:
    """The same config with a number as `rewards.invalid_penalty`."""
    rewards = config.rewards.model_copy(update={"invalid_penalty": value})
    return config.model_copy(update={"rewards": rewards})


def settled(
    config: Config, runs: Iterable[Path] = (), tell: Callable[[str], None] = lambda text: None
) -> Config:
    """The config with which held-out completions are scored: a number in place of `auto`.

    The number is that of the config's own run, else that of the first of `runs` that has one; it then serves
    for all that is evaluated together, so that figures can be compared.

    Args:
        config: The resolved config.
        runs: Folders of runs whose checkpoints are evaluated.
        tell: Told which number, and from where.

    Raises:
        ConfigError: None of these runs has chosen a penalty.
    """
    if config.eval_rewards.invalid_penalty != "auto":
        return config
    for run in dict.fromkeys([folder_of(config), *runs]):
        value = recorded(read_record(run) or {}) if (run / "run.json").is_file() else None
        if value is not None:
            tell(f"invalid penalty: {value:g}, as the run {run.name} has chosen it")
            return with_penalty(config, value)
    message = f"`auto` is chosen when training begins, and no run {config.run.name!r} has chosen it yet"
    cure = (
        "train it first, write the advised number (`rlctl analyze-rewards CONFIG --apply`), or give one: "
        "--set rewards.invalid_penalty=-1"
    )
    raise ConfigError([Problem(message, ("rewards", "invalid_penalty"), suggestion=cure)])
