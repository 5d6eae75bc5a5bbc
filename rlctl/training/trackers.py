"""Experiment trackers, through accelerate: one set of names, histograms and tables where they exist."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy
import pandas
from accelerate.tracking import (
    GeneralTracker,
    MLflowTracker,
    TensorBoardTracker,
    TrackioTracker,
    WandBTracker,
)

from rlctl.config.config import Config
from rlctl.config.dump import to_yaml
from rlctl.errors import MissingError
from rlctl.evaluation.watch import Notice

HINTS = {
    "tensorboard": "Leave it out of tracking.report_to, or write elsewhere (--output-dir).",
    "wandb": "Log in (wandb login), or set WANDB_MODE=offline.",
    "trackio": "Check tracking.entity, the Space that it writes to, and TRACKIO_DIR.",
    "mlflow": "Set MLFLOW_TRACKING_URI to a server, or to a file such as sqlite:///mlflow.db.",
}
"""Tracker → what to do where it does not start. Each is an extra of rlctl by its own name."""
COLUMNS = ["prompt", "completion", "total", "outcome"]
"""What a table of samples shows."""


class Trackers:
    """Every tracker of `tracking.report_to`, as one.

    Args:
        config: The resolved config; stored in each tracker.
        folder: The run's folder; TensorBoard and wandb write below it.
        former: `identities` of the trackers when a run that goes on was begun; empty for a new run.
        step: Steps that such a run has done.

    `identities` holds what a tracker needs to go on with the same run: wandb's id, mlflow's run id.

    Raises:
        MissingError: A tracker is not installed, or cannot start.
    """

    def __init__(
        self, config: Config, folder: Path, *, former: Mapping[str, str | None] | None = None, step: int = 0
    ) -> None:
        self.trackers: dict[str, GeneralTracker] = {}
        known = former or {}
        self.identities: dict[str, str | None] = dict(known)
        for wanted in config.tracking.report_to:
            more = _going_on(wanted, known[wanted], step) if wanted in known else {}
            self.trackers[wanted] = _start(wanted, config, folder, more)
            self.identities[wanted] = _identity(wanted, self.trackers[wanted])
        for name, tracker in self.trackers.items():
            if name in known:  # it has the config already
                continue
            if name == "tensorboard":  # accelerate would write a folder named after the time for it
                tracker.tracker.add_text(
                    "config", "\n".join(f"    {line}" for line in to_yaml(config).splitlines())
                )
            elif name != "trackio":  # it got the config when it started
                tracker.store_init_configuration(flatten(config.model_dump(mode="json")))

    def log(self, step: int, metrics: dict[str, Any]) -> None:
        """Scalars of one step; values that do not exist are left out."""
        known = {name: float(value) for name, value in metrics.items() if isinstance(value, int | float)}
        for tracker in self.trackers.values():
            tracker.log(known, step=step)

    def log_rewards(self, step: int, values: dict[str, list[float]]) -> None:
        """Distributions of rewards, as histograms; mlflow has none."""
        known = {name: numbers for name, numbers in values.items() if numbers}
        for name, tracker in self.trackers.items():
            if name == "tensorboard":
                for key, numbers in known.items():
                    tracker.tracker.add_histogram(key, numpy.asarray(numbers), global_step=step)
            elif name in ("wandb", "trackio"):
                histogram = import_module(name).Histogram
                drawn = {f"{key}_histogram": histogram(numbers) for key, numbers in known.items()}
                tracker.log(drawn, step=step)

    def log_samples(self, step: int, rows: list[dict[str, Any]]) -> None:
        """Scored completions of one split: a table in wandb, trackio and mlflow, text in TensorBoard."""
        if not rows:
            return
        title = f"{rows[0]['split']}_samples"  # a name of its own: training and evaluation share steps
        data = [[_text(row.get(column)) for column in COLUMNS] for row in rows]
        self._log_table(step, title, COLUMNS, data)

    def log_notices(self, step: int, notices: Sequence[Notice]) -> None:
        """What the watch says, as a table."""
        self._log_table(step, "watch", ["severity", "text"], [[one.severity, one.text] for one in notices])

    def _log_table(self, step: int, title: str, columns: list[str], data: list[list[str]]) -> None:
        for name, tracker in self.trackers.items():
            if name == "wandb":
                tracker.log_table(title, columns=columns, data=data, step=step)
            elif name == "tensorboard":
                tracker.tracker.add_text(title, markdown_table(columns, data), global_step=step)
            elif name == "trackio":
                table = import_module("trackio").Table(dataframe=pandas.DataFrame(data, columns=columns))
                tracker.log({title: table}, step=step)
            else:  # a file per step: mlflow's own log_table reads all former rows again at every call
                content = {"columns": columns, "data": data}
                import_module("mlflow").log_dict(content, f"{title}/{step:06}.json")

    def close(self) -> None:
        """Flush and finish every tracker."""
        for tracker in self.trackers.values():
            tracker.finish()


def _going_on(name: str, identity: str | None, step: int) -> dict[str, Any]:
    """Arguments of a tracker that is to go on with a run of its own after some steps."""
    if name == "tensorboard":
        return {"purge_step": step + 1}  # what it has of later steps is hidden
    if name == "mlflow":
        return {"run_id": identity}
    return {"resume": "allow", "id": identity} if name == "wandb" else {"resume": "allow"}


def _identity(name: str, tracker: GeneralTracker) -> str | None:
    if name == "wandb":
        return str(tracker.tracker.id)
    return str(tracker.tracker.info.run_id) if name == "mlflow" else None


def _start(name: str, config: Config, folder: Path, more: dict[str, Any]) -> GeneralTracker:
    tracking, run = config.tracking, config.run.name
    try:
        if name == "tensorboard":
            tracker: GeneralTracker = TensorBoardTracker("tensorboard", logging_dir=folder / "logs", **more)
        elif name == "wandb":
            tracker = WandBTracker(
                tracking.project,
                name=run,
                entity=tracking.entity,
                group=tracking.group,
                tags=tracking.tags,
                dir=str(folder),
                **more,
            )
        elif name == "trackio":
            tracker = TrackioTracker(
                tracking.project,
                name=run,
                group=tracking.group,
                space_id=tracking.entity,
                config=flatten(config.model_dump(mode="json")),
                **more,
            )
        else:
            tags = dict.fromkeys(tracking.tags, "true")
            if tracking.group is not None:
                tags["group"] = tracking.group
            tracker = MLflowTracker(experiment_name=tracking.project, run_name=run, tags=tags, **more)
        tracker.start()
    except ImportError as error:
        raise MissingError(
            f"the tracker {name!r} is not installed",
            where="tracking.report_to",
            hint=f"pip install 'rlctl[{name}]'",
        ) from error
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise MissingError(
            f"the tracker {name!r} did not start: {reason[:300]}",
            where="tracking.report_to",
            hint=HINTS[name],
        ) from error
    return tracker


def flatten(nested: Any, prefix: str = "") -> dict[str, Any]:
    """Nested sections as `section.key` → value, lists by index, nothing as text."""
    if isinstance(nested, dict):
        items: list[tuple[str, Any]] = [(str(key), value) for key, value in nested.items()]
    elif isinstance(nested, list):
        items = [(str(place), value) for place, value in enumerate(nested)]
    else:
        return {prefix: nested if isinstance(nested, bool | int | float | str) else str(nested)}
    flat: dict[str, Any] = {}
    for key, value in items:
        flat.update(flatten(value, f"{prefix}.{key}" if prefix else key))
    return flat


def markdown_table(columns: list[str], rows: list[list[str]]) -> str:
    """A table as TensorBoard's text panel shows it."""
    lines = [columns, ["---"] * len(columns), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _text(value: Any) -> str:
    return "" if value is None else str(value).replace("\n", " ⏎ ")
