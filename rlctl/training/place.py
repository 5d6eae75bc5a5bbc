"""Where a run lives, and that one process at a time may write there. Torch-free."""

import os
from pathlib import Path

from filelock import FileLock, Timeout

from rlctl.config.config import Config
from rlctl.errors import UsageError
from rlctl.registry import did_you_mean

ELSEWHERE = "Choose another folder: --output-dir DIR, or run.output_dir."
LOCK = ".lock"


def folder_of(config: Config) -> Path:
    """`<output_dir>/<name>`, absolute."""
    return Path(config.run.output_dir).expanduser().resolve() / config.run.name


def refuse_existing(config: Config) -> None:
    """Raise where the run's folder exists or cannot be made; a run is never overwritten.

    Raises:
        UsageError: The folder exists, or its parent cannot be written.
    """
    path = folder_of(config)
    if path.exists():
        raise name_taken(path)
    refuse_unwritable(path)


def refuse_unwritable(path: Path) -> None:
    """Raise where a folder cannot be made.

    Raises:
        UsageError: Its parent is no folder, or may not be written to.
    """
    parent = next(folder for folder in path.parents if folder.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise UsageError("cannot write here", where=str(parent), hint=ELSEWHERE)


def name_taken(path: Path) -> UsageError:
    """That a run of this name is there already, and the ways out."""
    go_on = "Go on with it (--resume), give" if (path / "run.json").exists() else "Give"
    return UsageError(
        f"the run {path.name!r} exists",
        where=str(path),
        hint=f"{go_on} it another name (--set run.name={free_name(path)}), another place (--output-dir), "
        "or remove the folder.",
    )


def free_name(path: Path) -> str:
    """The first of name-2, name-3, … that is not taken."""
    count = 2
    while path.with_name(f"{path.name}-{count}").exists():
        count += 1
    return f"{path.name}-{count}"


def lock(path: Path) -> FileLock:
    """Hold a run's folder until the lock is released or this process ends, in whatever way.

    Raises:
        UsageError: Another process holds it.
        OSError: The lock file cannot be written.
    """
    held = FileLock(path / LOCK, thread_local=False)
    try:
        held.acquire(blocking=False)
    except Timeout:
        raise UsageError(
            "another process is writing this run",
            where=str(path),
            hint="Wait until it ends, or stop it (it saves and ends with SIGTERM).",
        ) from None
    return held


def near(path: Path) -> str:
    """A run beside this one whose name may be meant, as a remark; empty where there is none."""
    names = [one.name for one in path.parent.glob("*/")] if path.parent.is_dir() else []
    hint = did_you_mean(path.name, names)
    return f" ({hint})" if hint else ""
