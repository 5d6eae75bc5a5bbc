"""From `model.path` to a folder or a Hub id. Torch-free, so `rlctl check` can do it."""

from importlib import resources
from pathlib import Path

from rlctl import registry
from rlctl.config.base import looks_local
from rlctl.errors import CheckpointError
from rlctl.models.best import BEST, best_step

WEIGHT_FILES = ("config.json", "adapter_config.json")
"""A folder with one of these is a model, or an adapter."""


def resolve(path: str) -> str:
    """Where a model's files are.

    Args:
        path: `builtin:NAME`, a model or adapter folder, a run's folder (its final model), `RUN@STEP` (one of
            its checkpoints), `RUN@best` (the best of them on held-out prompts), or a Hub id.

    Returns:
        A folder that holds a model or an adapter, or the Hub id as it was.

    Raises:
        CheckpointError: No such model, folder or checkpoint.
    """
    if path.startswith("builtin:"):
        return _builtin(path.removeprefix("builtin:"))
    if path.startswith("hub:"):
        raise CheckpointError(
            "no published checkpoint of that name", where=path, hint="name a Hub id in full"
        )
    folder = Path(path)
    if folder.exists():
        return str(_model_folder(folder))
    run, at, step = path.rpartition("@")
    if at and Path(run).is_dir():
        return str(_checkpoint(Path(run), step))
    if looks_local(path):
        raise _missing(folder)
    if path in registry.names("models"):
        raise CheckpointError("no such folder", where=path, hint=f"did you mean 'builtin:{path}'?")
    return path


def is_adapter(folder: str) -> bool:
    """Whether a folder holds a peft adapter rather than a whole model."""
    return (Path(folder) / "adapter_config.json").is_file()


def _builtin(name: str) -> str:
    known = registry.names("models")
    if name not in known:
        hint = registry.did_you_mean(name, known) or f"there is {', '.join(sorted(known))}"
        raise CheckpointError(f"no built-in model {name!r}", where="model.path", hint=hint)
    return str(resources.files(known[name]))


def _model_folder(folder: Path) -> Path:
    if not folder.is_dir():
        hint = f"name the folder that it is in: {folder.parent}"
        raise CheckpointError("a file, not a model folder", where=str(folder), hint=hint)
    for candidate in (folder, folder / "final"):
        if any((candidate / name).is_file() for name in WEIGHT_FILES):
            return candidate
    steps = _steps(folder if folder.name == "checkpoints" else folder / "checkpoints")
    if steps:
        run = folder.parent if folder.name == "checkpoints" else folder
        hint = f"a checkpoint is named {run}@STEP; it has {', '.join(map(str, sorted(steps)))}"
        raise CheckpointError("a run without a final model", where=str(folder), hint=hint)
    hint = "a model folder holds config.json, an adapter's adapter_config.json, a run's final/"
    raise CheckpointError("no model in this folder", where=str(folder), hint=hint)


def _checkpoint(run: Path, step: str) -> Path:
    if step == BEST:
        best = best_step(run)
        return _model_folder(run if best is None else run / "checkpoints" / f"checkpoint-{best}")
    steps = _steps(run / "checkpoints")
    if step.isdecimal() and int(step) in steps:
        return _model_folder(steps[int(step)])
    hint = f"it has {', '.join(map(str, sorted(steps)))}, and {BEST}" if steps else "it has no checkpoints"
    raise CheckpointError(f"no checkpoint {step!r}", where=str(run), hint=hint)


def _steps(folder: Path) -> dict[int, Path]:
    """Step → folder of the checkpoints below a folder."""
    found = {path.name.removeprefix("checkpoint-"): path for path in folder.glob("checkpoint-*")}
    return {int(step): path for step, path in found.items() if step.isdecimal()}


def _missing(folder: Path) -> CheckpointError:
    hint = None
    if folder.parent.is_dir():
        hint = registry.did_you_mean(folder.name, [path.name for path in folder.parent.iterdir()])
    return CheckpointError("no such folder", where=str(folder), hint=hint)
