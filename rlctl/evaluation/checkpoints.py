"""What a user calls a checkpoint (a path, a run, one of its steps, the base) as a model to load."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rlctl.config.config import Config
from rlctl.config.model import Model
from rlctl.errors import CheckpointError, UsageError
from rlctl.models.resolve import is_adapter, resolve
from rlctl.models.trained import find_run
from rlctl.registry import closest
from rlctl.training.place import folder_of

BASE = "base"
"""The name of the model before training."""


@dataclass(frozen=True)
class Checkpoint:
    """A model to evaluate.

    Args:
        name: As the user calls it.
        model: The section that loads it.
        run: The folder of its run; None where it is of none.
    """

    name: str
    model: Model
    run: Path | None = None

    @property
    def is_base(self) -> bool:
        """Whether it is the model before training."""
        return self.name == BASE


def find_checkpoint(name: str, config: Config) -> Checkpoint:
    """Find what a user names, before anything is loaded.

    Args:
        name: A model or adapter folder, a run's folder (its final model), `RUN@STEP`, `RUN@best`, a Hub id,
            or `base`, the model that the config names.
        config: What is evaluated with; how its model is loaded holds for every checkpoint.

    Raises:
        CheckpointError: There is no such model, or it is damaged.
    """
    plain = config.model.model_copy(update={"lora": None})
    if name == BASE:
        return Checkpoint(name, plain)
    if not name:
        raise CheckpointError("no checkpoint ''", where="--checkpoint", hint="did you mean 'base'?")
    folder = None
    if _is_of_a_run(name, config):
        found = find_run(name)
        folder, source = found.folder, str(found.weights)
    else:
        source = resolve(name)
    section = plain.model_copy(update={"path": source, "revision": _revision(source, plain)})
    return Checkpoint(name, section, folder)


def _revision(source: str, base: Model) -> str | None:
    """The revision to load: an adapter's base model comes in one, a folder of weights in none."""
    from rlctl.models.adapters import base_of, revision_of

    if not is_adapter(source):
        return None
    same = base_of(source) == resolve(base.path)
    return revision_of(source, base.revision if same else None)


def _is_of_a_run(name: str, config: Config) -> bool:
    """Whether a name is a run's, or can only be meant to be one: `outputs/x` is no Hub id where runs are."""
    run = Path(name if Path(name).is_dir() else name.rpartition("@")[0] or name)
    if run.exists():
        return (run / "run.json").is_file()
    return run.absolute().parent == folder_of(config).parent


def find_all(names: Iterable[str], config: Config) -> list[Checkpoint]:
    """Each checkpoint once, in their order.

    Raises:
        CheckpointError: One is missing or damaged.
    """
    return [find_checkpoint(name, config) for name in dict.fromkeys(names)]


def fetch(checkpoint: Checkpoint) -> None:
    """Read the settings and the tokenizer of a checkpoint, so that what it is is settled and in the cache.

    A Hub id says nothing of its commit before something of it is here.

    Raises:
        CheckpointError: There is no such model, or it is damaged.
    """
    from rlctl.models.load import read_config
    from rlctl.models.tokenizer import load_tokenizer

    try:
        read_config(checkpoint.model)
        load_tokenizer(checkpoint.model)
    except CheckpointError as error:
        if checkpoint.is_base or not closest(checkpoint.name, [BASE]):
            raise
        hint = "; ".join(filter(None, [error.hint, f"did you mean {BASE!r}?"]))
        raise CheckpointError(error.message, where=error.where, hint=hint) from error


def default_name(config: Config) -> str:
    """What is evaluated where no checkpoint is named: the config's own run if it has ended, else the base."""
    folder = folder_of(config)
    if not (folder / "final").is_dir():
        return BASE
    try:
        return str(folder.relative_to(Path.cwd()))
    except ValueError:
        return str(folder)


def unfinished(config: Config) -> str:
    """Words about the config's own run where it has checkpoints and no final model; else empty."""
    folder = folder_of(config)
    if (folder / "final").is_dir() or not any((folder / "checkpoints").glob("checkpoint-*")):
        return ""
    return f" (the run {config.run.name} has no final model; its checkpoints are {folder}@STEP and @best)"


def starts_from(checkpoint: Checkpoint, base: Model) -> bool:
    """Whether a checkpoint is an adapter over exactly the base model, so that both are in memory at once."""
    from rlctl.models.adapters import base_of

    if not is_adapter(checkpoint.model.path):
        return False
    source = resolve(base.path)
    same = base_of(checkpoint.model.path) == source and checkpoint.model.revision == base.revision
    return same and not is_adapter(source)


def refuse_itself(names: Iterable[str], against: Iterable[str]) -> None:
    """Raise where a checkpoint would be compared with itself alone.

    Raises:
        UsageError: It would.
    """
    first, second = set(names), set(against)
    if len(first) == 1 and first == second:
        raise UsageError(
            f"{next(iter(first))} is to be compared with itself",
            where="--against",
            hint="Name another checkpoint: a run, RUN@STEP, a folder, or base.",
        )
