"""Who this run is, and who is told about it."""

from typing import Annotated, Literal

from pydantic import Field

from rlctl.config.base import Section


class Run(Section):
    """Name, place and seed of the run."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)] = "run"
    """Folder of the run below `output_dir`, and its name in trackers; the YAML's file name by default."""
    output_dir: Annotated[str, Field(min_length=1)] = "outputs"
    """Folder that holds the runs, relative to the current folder."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 42
    """Seed of everything random: sampling, data order, adapters."""


class Tracking(Section):
    """Experiment trackers, beside the files that every run writes."""

    report_to: list[Literal["tensorboard", "wandb", "trackio", "mlflow"]] = []
    """Trackers to write to."""
    project: str = "rlctl"
    """Project (wandb, trackio) or experiment (mlflow)."""
    entity: str | None = None
    """Team or user that owns the project (wandb); the trackio space."""
    group: str | None = None
    """Group of runs that belong together (wandb, trackio); a tag in mlflow."""
    tags: list[str] = []
    """Words to find the run by (wandb, mlflow)."""
