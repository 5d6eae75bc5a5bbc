"""What `rlctl export` is asked to do, and what cannot work about it. Torch-free."""

import os
import shlex
from dataclasses import dataclass
from pathlib import Path

from rlctl.config.model_files import HUB_ID
from rlctl.errors import UsageError
from rlctl.models.trained import Trained, find_run
from rlctl.registry import did_you_mean

DTYPES = ("float32", "bfloat16", "float16")


@dataclass(frozen=True)
class Request:
    """An export that can begin.

    Args:
        run: The trained model.
        folder: Where the export belongs; does not exist, or is empty.
        adapter: Whether an adapter stays an adapter.
        dtype: Type of the weights; None for that of the base model, or of the run without an adapter.
        repository: `OWNER/NAME` on the Hub; None to stay here.
        private: Whether the repository must be private.
    """

    run: Trained
    folder: Path
    adapter: bool = False
    dtype: str | None = None
    repository: str | None = None
    private: bool = False

    @property
    def merged(self) -> bool:
        """Whether an adapter becomes part of the weights."""
        return self.run.is_adapter and not self.adapter


def request(
    name: str,
    output: str | None = None,
    *,
    adapter: bool = False,
    dtype: str | None = None,
    repository: str | None = None,
    private: bool = False,
) -> Request:
    """Check what a user asks for.

    Args:
        name: A run's folder, `RUN@STEP` or `RUN@best`.
        output: Folder to write; None for `export` or `export-STEP` in the run's.
        adapter: Export the adapter as it is.
        dtype: `float32`, `bfloat16` or `float16`.
        repository: Where to push to on the Hub.
        private: Whether that place must be private.

    Raises:
        UsageError: Options that do not go together, or a folder that cannot be written.
        CheckpointError: No such run, or no model in it.
    """
    if dtype is not None and dtype not in DTYPES:
        hint = did_you_mean(dtype, DTYPES) or f"there is {', '.join(DTYPES)}"
        raise UsageError(f"no such type {dtype!r}", where="--dtype", hint=hint)
    if adapter and dtype is not None:
        hint = "Leave one of them out."
        raise UsageError(
            "--adapter keeps the type that the adapter has; --dtype is for merged weights", hint=hint
        )
    if private and repository is None:
        raise UsageError("--private is for --push", hint="Add --push OWNER/NAME, or leave it out.")
    if repository is not None and not ("/" in repository and HUB_ID.fullmatch(repository)):
        hint = "Give the user or organisation and the name: --push OWNER/NAME"
        raise UsageError(f"{repository!r} is no repository of the Hub", where="--push", hint=hint)
    run = find_run(name)
    if adapter and not run.is_adapter:
        hint = "Leave --adapter out."
        raise UsageError("the run trained all weights; it has no adapter", where=name, hint=hint)
    default = run.folder / ("export" if run.checkpoint is None else f"export-{run.checkpoint}")
    folder = Path(output).expanduser() if output is not None else default
    _can_be_written(folder, repository, private=private)
    return Request(run, folder, adapter, dtype, repository, private)


def upload_command(folder: Path, repository: str, *, private: bool = False) -> str:
    """What to type to send an export later.

    Args:
        folder: The export.
        repository: `OWNER/NAME`.
        private: Send nothing unless a new, private repository could be made; `hf upload --private` would
            send it to a public one too.
    """
    made = f"hf repos create {repository} --private && " if private else ""
    return f"{made}hf upload {repository} {shlex.quote(str(folder))} ."


def _can_be_written(folder: Path, repository: str | None, *, private: bool) -> None:
    """An export never touches what is there."""
    hint = "Choose another folder (--output DIR), or remove it."
    if repository is not None:
        hint += f" `{upload_command(folder, repository, private=private)}` sends what is there."
    if folder.is_dir() and any(folder.iterdir()):
        raise UsageError("the folder exists and is not empty", where=str(folder), hint=hint)
    if folder.exists() and not folder.is_dir():
        raise UsageError("a file of this name exists", where=str(folder), hint=hint)
    parent = next(one for one in folder.absolute().parents if one.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise UsageError("cannot write here", where=str(parent), hint="Choose another folder: --output DIR.")
