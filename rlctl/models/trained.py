"""A run's folder, read back: its config, record, weights, evaluations and prompts. Torch-free.

The config is not held against this machine again: a run that was copied here is whole without its data.
"""

import gzip
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlctl.config.config import Config
from rlctl.config.load import load_config
from rlctl.config.yaml_marks import parse
from rlctl.errors import CheckpointError
from rlctl.models.best import BEST, best_step
from rlctl.models.resolve import is_adapter, resolve
from rlctl.registry import closest
from rlctl.training.checkpoints import MANIFEST, Checkpoints

Prompt = str | list[dict[str, Any]]


@dataclass(frozen=True)
class Trained:
    """A trained model in the folder of its run.

    Args:
        folder: The run's folder, as the user named it.
        checkpoint: Step of the checkpoint that was named; None for the final model.
        weights: Folder of the model or adapter.
        config: The run's config.
        record: What `run.json` holds; empty where it is missing.
    """

    folder: Path
    checkpoint: int | None
    weights: Path
    config: Config
    record: dict[str, Any]

    @property
    def is_adapter(self) -> bool:
        """Whether the weights are an adapter over a base model."""
        return is_adapter(str(self.weights))

    @property
    def step(self) -> int | None:
        """Steps that this model was trained for; None where no log says it."""
        if self.checkpoint is not None:
            return self.checkpoint
        steps = (row["step"] for row in self._rows("metrics.jsonl") if "step" in row)
        return max(steps, default=None)

    def evaluations(self) -> dict[int, dict[str, float]]:
        """Step → the `val/…` figures of its evaluation on held-out prompts."""
        file = self.folder / "logs" / "eval_results.json"
        rows = _json(file).get("evaluations", []) if file.is_file() else list(self._rows("metrics.jsonl"))
        return {row["step"]: row for row in rows if "step" in row and any(name[:4] == "val/" for name in row)}

    def prompts(self, limit: int) -> list[Prompt]:
        """Distinct prompts out of the run's own log, held-out ones where there are any.

        Args:
            limit: How many at most.
        """
        found: dict[str, dict[str, Prompt]] = {"eval": {}, "train": {}}
        for row in self._rows("completions.jsonl"):
            prompt, same_split = row.get("prompt"), found.get(str(row.get("split")))
            if prompt and same_split is not None and len(same_split) < limit:
                same_split.setdefault(json.dumps(prompt), prompt)
            wanted = "train" if self.config.data.eval is None else "eval"
            if len(found[wanted]) == limit:
                break
        prompts = list((found["eval"] or found["train"]).values())
        return [prompt for prompt in prompts if type(prompt) is type(prompts[0])]

    def _rows(self, name: str) -> Iterator[dict[str, Any]]:
        """Objects of a log, packed or not; a line that is being written is left out."""
        file = self.folder / "logs" / name
        packed = file.with_name(f"{name}.gz")
        if not file.is_file() and not packed.is_file():
            return
        try:
            with gzip.open(packed, "rb") if not file.is_file() else file.open("rb") as lines:
                for line in lines:
                    try:
                        row = json.loads(line)
                    except ValueError:
                        continue
                    if isinstance(row, dict):
                        yield row
        except (OSError, EOFError) as error:
            raise CheckpointError(f"cannot be read ({error})", where=str(file)) from error


def find_run(name: str) -> Trained:
    """Find what a user names.

    Args:
        name: A run's folder, `RUN@STEP` or `RUN@best`.

    Raises:
        CheckpointError: No such run, no model in it, or its files are broken.
        ConfigError: Its `config.yaml` is broken.
    """
    folder, step = _split(name)
    if not (folder / "config.yaml").is_file():
        raise CheckpointError(
            "not the folder of a run: it has no config.yaml", where=name, hint=_run_of(folder)
        )
    if step == BEST:
        best = best_step(folder)
        step, name = (None, str(folder)) if best is None else (str(best), f"{folder}@{best}")
    record = _json(folder / "run.json") if (folder / "run.json").is_file() else {}
    if step is None and not any((folder / place).is_dir() for place in ("final", "checkpoints")):
        message = f"the run has no model; its status is {record.get('status', 'unknown')!r}"
        raise CheckpointError(message, where=name)
    weights = Path(resolve(name if step is not None else str(folder)))
    if step is not None and (weights / MANIFEST).is_file():
        fault = Checkpoints(weights.parent).fault(int(step))
        if fault is not None:
            hint = "Name another of its steps, or its final model."
            raise CheckpointError(f"the checkpoint is damaged: {fault}", where=str(weights), hint=hint)
    config = _config(folder / "config.yaml")
    return Trained(folder, None if step is None else int(step), weights, config, record)


def _split(name: str) -> tuple[Path, str | None]:
    """The run's folder, and the step after the @."""
    if Path(name).is_dir():
        return Path(name), None
    run, at, step = name.rpartition("@")
    if at and Path(run).is_dir():
        return Path(run), step
    wanted = Path(run if at else name)
    hint = None
    for place in (wanted.parent, Path("outputs") / wanted.parent):
        known = (
            [path.name for path in place.iterdir() if (path / "config.yaml").is_file()]
            if place.is_dir()
            else []
        )
        if hint is None and (near := closest(wanted.name, known)):
            hint = f"did you mean {str(place / near) + (f'@{step}' if at else '')!r}?"
    raise CheckpointError("no such run", where=name, hint=hint or "name the folder of a run: outputs/NAME")


def _run_of(folder: Path) -> str:
    """How to name the run that a folder is in."""
    for parent in folder.absolute().parents[:2]:
        if (parent / "config.yaml").is_file() and (parent / "logs").is_dir():
            step = folder.name.removeprefix("checkpoint-")
            return f"did you mean {os.path.relpath(parent) + (f'@{step}' if step.isdecimal() else '')!r}?"
    return "a run is the folder that `rlctl train` made: outputs/NAME"


def _config(file: Path) -> Config:
    try:
        document = parse(file.read_text(encoding="utf-8"), str(file))
        return Config.model_validate(document.data, context={"folder": file.parent})
    except (OSError, ValueError):
        return load_config(file)  # which says what is wrong, with its line


def _json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"cannot be read ({error})", where=str(file)) from error
    if not isinstance(content, dict):
        raise CheckpointError("not a JSON object", where=str(file))
    return content
