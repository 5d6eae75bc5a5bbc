"""Going on with a run: what may have changed since it began, and from where it goes on. Torch-free."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rlctl.config.config import Config
from rlctl.config.load import load_config
from rlctl.errors import CheckpointError, ConfigError, Problem, UsageError, dotted
from rlctl.training.checkpoints import Checkpoints
from rlctl.training.place import LOCK
from rlctl.training.progress import Progress

FREE = (
    ("training", "save_steps"),
    ("training", "save_total_limit"),
    ("training", "eval_steps"),
    ("training", "logging_steps"),
    ("training", "max_steps"),
    ("training", "num_epochs"),
    ("eval", "patience"),
    ("eval", "watch"),
    ("eval", "lm_eval"),
    ("tracking",),
)
"""Keys, and sections, that a run may go on with changed: cadence, length, what ends it, tracking."""
PLACE = ("run", "output_dir")
"""A run's folder may have been moved."""

OURS = (LOCK, ".run.json.tmp")
"""What a run's folder holds before it has its first `run.json`."""

Change = tuple[tuple[str | int, ...], Any, Any]
"""A key, its value when the run began, and now."""


def changes(before: Config, now: Config) -> list[Change]:
    """Every key whose value is another one, in the order of the YAML; the run's place is left out."""
    pairs = _different(before.model_dump(mode="json"), now.model_dump(mode="json"), ())
    return [change for change in pairs if change[0] != PLACE]


def allowed_changes(file: Path, now: Config) -> list[Change]:
    """What has changed since the run was what a config says, where it can go on with that.

    Args:
        file: The config of the checkpoint to go on from, or of the run where it has none.
        now: The config to go on with.

    Raises:
        ConfigError: Other keys have changed; each is a problem.
        CheckpointError: The run's own config cannot be read.
    """
    try:
        before = load_config(file)
    except ConfigError as error:
        raise CheckpointError(
            f"the config of this run cannot be read\n  {error}",
            where=str(file),
            hint="It may be of another version of rlctl, or have been edited.",
        ) from error
    found = changes(before, now)
    refused = [change for change in found if not any(change[0][: len(key)] == key for key in FREE)]
    if refused:
        cure = "put it back, or begin another run (--set run.name=NAME)"
        raise ConfigError(
            [
                Problem(
                    f"{in_words(old)} when this run began, and now {in_words(new)}", path, suggestion=cure
                )
                for path, old, new in refused
            ]
        )
    return found


def config_of(folder: Path) -> Path:
    """The config that a run is to be held against: of its newest checkpoint, else its own."""
    checkpoints = Checkpoints(folder / "checkpoints")
    files = [checkpoints.path(step) / "config.yaml" for step in checkpoints.steps()[::-1]]
    return next((file for file in files if file.exists()), folder / "config.yaml")


def read_record(folder: Path) -> dict[str, Any] | None:
    """`run.json` of a run's folder; None where the run was ended before it was written.

    Raises:
        UsageError: The folder holds something else.
        CheckpointError: `run.json` cannot be read.
    """
    file = folder / "run.json"
    try:
        record: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return record
    except FileNotFoundError:
        strange = [path.name for path in folder.iterdir() if path.name not in OURS]
        if strange:
            raise UsageError(
                f"this is no run: it holds {strange[0]!r}, but no run.json",
                where=str(folder),
                hint="Give the run another name (--set run.name=NAME), or remove the folder.",
            ) from None
        return None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"cannot be read ({error})", where=str(file)) from error


def is_finished(folder: Path, config: Config) -> bool:
    """Whether a run has reached its end, and the config asks for no further step."""
    record = read_record(folder) if folder.is_dir() else None
    if record is None or record.get("status") != "done" or not (folder / "final").is_dir():
        return False
    length = {("training", "max_steps"), ("training", "num_epochs")}
    changed = any(path in length for path, _, _ in allowed_changes(config_of(folder), config))
    more = changed or "stopped_early" in record
    return not more or out_of_patience(folder, config)


def out_of_patience(folder: Path, config: Config) -> bool:
    """Whether the evaluations of a run that is done leave no patience for a further step."""
    file = folder / "logs" / "eval_results.json"
    if config.eval.patience is None or not file.is_file():
        return False
    progress = Progress(config.eval.metric)
    try:
        progress.evaluations = json.loads(file.read_text(encoding="utf-8"))["evaluations"]
        return progress.stalled(config.eval.patience) is not None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"cannot be read ({error})", where=str(file)) from error


def summary_of(folder: Path) -> dict[str, Any]:
    """What a run that is done printed with `--json` when it ended."""
    record = read_record(folder) or {}
    summary: dict[str, Any] = record.get("summary", {})
    return summary


def describe(found: list[Change]) -> list[str]:
    """Changes in words: `training.max_steps 100 → 200`."""
    return [f"{dotted(path)} {in_words(old)} → {in_words(new)}" for path, old, new in found]


def inexact(entry: dict[str, Any]) -> str:
    """What to say of an entry of `resumed` with changes."""
    words = ", ".join(entry["changed"])
    return f"going on after step {entry['step']}, no longer exactly as without a stop: {words}"


def in_words(value: Any) -> str:
    """A value as a YAML has it."""
    return "absent" if value is ABSENT else json.dumps(value, ensure_ascii=False)


class _Absent:
    """No value at all."""


ABSENT = _Absent()


def _different(old: Any, new: Any, path: tuple[str | int, ...]) -> Iterator[Change]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            yield from _different(old.get(key, ABSENT), new.get(key, ABSENT), (*path, key))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for place, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from _different(one, other, (*path, place))
    elif old != new or type(old) is not type(new):
        yield path, old, new
