"""Experiment trackers, through accelerate: one set of names, histograms and tables where they exist."""

from pathlib import Path
from typing import Any

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

EXTRAS = {"tensorboard": "tensorboard", "wandb": "wandb", "trackio": "trackio", "mlflow": "mlflow"}


class Trackers:
    """Every tracker of `tracking.report_to`, as one.

    Args:
        config: The resolved config; stored in each tracker.
        folder: The run's folder; TensorBoard and wandb write below it.

    Raises:
        MissingError: A tracker is not installed, or cannot start.
    """

    def __init__(self, config: Config, folder: Path) -> None:
        self.trackers: dict[str, GeneralTracker] = {}
        for wanted in config.tracking.report_to:
            self.trackers[wanted] = _start(wanted, config, folder)
        for name, tracker in self.trackers.items():
            if name == "tensorboard":  # accelerate would write a folder named after the time for it
                tracker.tracker.add_text(
                    "config", "\n".join(f"    {line}" for line in to_yaml(config).splitlines())
                )
            else:
                tracker.store_init_configuration(flatten(config.model_dump(mode="json")))

    def log(self, step: int, metrics: dict[str, Any]) -> None:
        """Scalars of one step; values that do not exist are left out."""
        known = {name: float(value) for name, value in metrics.items() if isinstance(value, int | float)}
        for tracker in self.trackers.values():
            tracker.log(known, step=step)

    def log_rewards(self, step: int, values: dict[str, list[float]]) -> None:
        """Distributions of rewards, as histograms in TensorBoard and wandb."""
        for name, numbers in values.items():
            if not numbers:
                continue
            if "tensorboard" in self.trackers:
                import numpy

                self.trackers["tensorboard"].tracker.add_histogram(
                    name, numpy.asarray(numbers), global_step=step
                )
            if "wandb" in self.trackers:
                import wandb

                self.trackers["wandb"].log({f"{name}_histogram": wandb.Histogram(numbers)}, step=step)

    def log_samples(self, step: int, rows: list[dict[str, Any]]) -> None:
        """Scored completions: a table in wandb, trackio and mlflow, text in TensorBoard."""
        if not rows:
            return
        columns = ["prompt", "completion", "total", "outcome"]
        data = [[_text(row.get(column)) for column in columns] for row in rows]
        for name, tracker in self.trackers.items():
            if name == "wandb":
                tracker.log_table("samples", columns=columns, data=data, step=step)
            elif name == "tensorboard":
                tracker.tracker.add_text("samples", markdown_table(columns, data), global_step=step)
            elif name == "trackio":
                import pandas
                import trackio

                tracker.log(
                    {"samples": trackio.Table(dataframe=pandas.DataFrame(data, columns=columns))}, step=step
                )
            elif name == "mlflow":
                import mlflow

                content = {column: [line[i] for line in data] for i, column in enumerate(columns)}
                mlflow.log_table({"step": [step] * len(data), **content}, artifact_file="samples.json")

    def close(self) -> None:
        """Flush and finish every tracker."""
        for tracker in self.trackers.values():
            tracker.finish()


def _start(name: str, config: Config, folder: Path) -> GeneralTracker:
    tracking, run = config.tracking, config.run.name
    try:
        if name == "tensorboard":
            tracker: GeneralTracker = TensorBoardTracker("tensorboard", logging_dir=folder / "logs")
        elif name == "wandb":
            tracker = WandBTracker(
                tracking.project,
                name=run,
                entity=tracking.entity,
                group=tracking.group,
                tags=tracking.tags,
                dir=str(folder),
            )
        elif name == "trackio":
            tracker = TrackioTracker(
                tracking.project, name=run, group=tracking.group, space_id=tracking.entity
            )
        else:
            tags = {"group": tracking.group or "", **dict.fromkeys(tracking.tags, "true")}
            tracker = MLflowTracker(experiment_name=tracking.project, run_name=run, tags=tags)
        tracker.start()
    except ImportError as error:
        raise MissingError(
            f"the tracker {name!r} is not installed", hint=f"pip install 'rlctl[{EXTRAS[name]}]'"
        ) from error
    except Exception as error:
        raise MissingError(
            f"the tracker {name!r} did not start: {error}",
            where="tracking.report_to",
            hint="Log in to it, set its offline mode, or leave it out of tracking.report_to.",
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
