"""Checkpoints on disk: complete or absent, verified before they are used, and rotated.

A checkpoint is written elsewhere, forced to the disk, described by a manifest with the size and hash of every
file, and renamed into place. What a kill or a full disk leaves behind never bears a checkpoint's name.
"""

import json
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xxhash import xxh3_128

from rlctl.files import THREADS, sync

MANIFEST = "checkpoint.json"
UNFINISHED = ".unfinished"
"""Folder beside the checkpoints where they are written, and where they go before they are removed."""
CHUNK = 2**20

_MASK = os.umask(0o077)
os.umask(_MASK)
READABLE = 0o666 & ~_MASK
"""Mode of every file, as a user has set it; safetensors would keep the weights to the owner."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that has its place.

    Args:
        path: Its folder.
        step: Optimizer steps that were done.
        about: What the run said of itself: offsets of its logs, number of processes.
    """

    path: Path
    step: int
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.name


class Checkpoints:
    """The folder `checkpoints` of a run.

    Args:
        folder: The folder; made with the first checkpoint.
        limit: Checkpoints to keep; None for all.

    `run` is the identity of the run that they must be of; None for any.
    """

    def __init__(self, folder: Path, limit: int | None = None) -> None:
        self.folder = folder
        self.limit = limit
        self.run: str | None = None

    def steps(self) -> list[int]:
        """Steps of the checkpoints that have a folder, ascending; whether they are sound is not looked at."""
        names = (path.name.removeprefix("checkpoint-") for path in self.folder.glob("checkpoint-*"))
        return sorted(int(name) for name in names if name.isdecimal())

    def path(self, step: int) -> Path:
        """Folder of the checkpoint of a step."""
        return self.folder / f"checkpoint-{step}"

    def unfinished(self, step: int) -> Path:
        """Folder in which the checkpoint of a step is written."""
        return self.folder / UNFINISHED / f"checkpoint-{step}"

    def prepare(self, step: int) -> Path:
        """Make that folder, empty."""
        folder = self.unfinished(step)
        if folder.exists():
            shutil.rmtree(folder)
        for part in (self.folder, folder.parent):  # never the run's folder: its drive may be lost
            if not part.exists():
                part.mkdir()
                sync([part.parent])
        folder.mkdir()
        return folder

    def commit(self, step: int, about: dict[str, Any]) -> Checkpoint:
        """Give what was written to `prepare`'s folder its manifest and its place.

        Raises:
            OSError: It cannot be written; then it is not there.
        """
        unfinished = self.unfinished(step)
        files = sorted(file for file in unfinished.rglob("*") if file.is_file())
        for file in files:
            file.chmod(READABLE)
        with ThreadPoolExecutor(THREADS) as pool:
            synced = [pool.submit(sync, [file]) for file in files]
            found = list(pool.map(_describe, files))
            for done in synced:
                done.result()
        described = {str(file.relative_to(unfinished)): one for file, one in zip(files, found, strict=True)}
        manifest = unfinished / MANIFEST
        manifest.write_text(_sealed({"step": step, **about, "files": described}))
        sync([manifest, *(path for path in unfinished.rglob("*") if path.is_dir()), unfinished])
        place = self.path(step)
        if place.exists():  # its name was not forced to the disk when it was written first
            self._bury(place)
        unfinished.rename(place)
        sync([self.folder])
        return Checkpoint(place, step, about)

    def clear(self) -> None:
        """Remove what was being written or removed; never a checkpoint."""
        shutil.rmtree(self.folder / UNFINISHED, ignore_errors=True)

    def newest(self) -> tuple[Checkpoint | None, list[str]]:
        """The newest sound checkpoint, and what is wrong with each one that is newer."""
        damaged: list[str] = []
        for step in reversed(self.steps()):
            fault = self.fault(step)
            if fault is None:
                return self.read(step), damaged
            damaged.append(f"{self.path(step)}: {fault}")
        return None, damaged

    def read(self, step: int) -> Checkpoint:
        """The checkpoint of a step with its manifest."""
        about = _unsealed((self.path(step) / MANIFEST).read_text())
        del about["files"]
        return Checkpoint(self.path(step), about.pop("step"), about)

    def fault(self, step: int) -> str | None:
        """What is wrong with the checkpoint of a step, every byte of it read; None if nothing is."""
        folder = self.path(step)
        try:
            manifest = _unsealed((folder / MANIFEST).read_text())
            files: dict[str, dict[str, Any]] = manifest["files"]
            if manifest["step"] != step:
                return f"it is the checkpoint of step {manifest['step']}"
            if self.run is not None and manifest.get("run") != self.run:
                return "it is of another run"
        except FileNotFoundError:
            return f"it has no {MANIFEST}"
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            return f"its {MANIFEST} cannot be read ({error})"
        for name, expected in files.items():
            try:
                found = _describe(folder / name)
            except OSError as error:
                return f"{name} cannot be read ({error.strerror})"
            if found != expected:
                what = "is not as long as" if found["bytes"] != expected["bytes"] else "is not the same as"
                return f"{name} {what} when it was written"
        return None

    def rotate(self, best: int | None = None) -> None:
        """Remove the oldest checkpoints above the limit.

        Args:
            best: Step of the best checkpoint, which stays: as one of `limit`, or beside the newest where the
                limit is 1.

        Raises:
            OSError: One cannot be removed.
        """
        if self.limit is None:
            return
        steps = self.steps()
        kept = [step for step in steps if step == best]
        others = [step for step in steps if step != best]
        stay = {*kept, *steps[-1:], *others[-(self.limit - len(kept)) or len(others) :]}
        for step in steps:
            if step not in stay:
                self._discard(self.path(step))

    def set_aside(self, *, after: int) -> None:
        """Take the name from checkpoints of later steps, which are damaged; what is in them stays."""
        for step in self.steps():
            if step > after:
                aside = self.folder / f"damaged-checkpoint-{step}"
                shutil.rmtree(aside, ignore_errors=True)
                self.path(step).rename(aside)

    def _discard(self, folder: Path) -> None:
        """Take the name away first: a checkpoint that is half removed is none."""
        shutil.rmtree(self._bury(folder))

    def _bury(self, folder: Path) -> Path:
        grave = self.folder / UNFINISHED / f"removed-{folder.name}"
        shutil.rmtree(grave, ignore_errors=True)
        grave.parent.mkdir(exist_ok=True)
        return folder.rename(grave)


@contextmanager
def complete_or_absent(folder: Path, *, main: bool = True) -> Iterator[Path]:
    """A place to write a folder to; it gets there when all is written, and nothing is left when that fails.

    Args:
        folder: Where the folder belongs; one that is there is replaced.
        main: Whether this process moves it and clears up; the others only write.
    """
    unfinished = folder.with_name(f".{folder.name}{UNFINISHED}")
    former = folder.with_name(f".{folder.name}.former")
    if main:
        shutil.rmtree(unfinished, ignore_errors=True)
        if folder.exists():
            shutil.rmtree(former, ignore_errors=True)
        elif former.exists():  # a kill came between the two renames below
            former.rename(folder)
    try:
        yield unfinished
        if main:
            for path in unfinished.rglob("*"):
                if path.is_file():
                    path.chmod(READABLE)
            sync([*unfinished.rglob("*"), unfinished])
            if folder.exists():
                folder.rename(former)
            try:
                unfinished.rename(folder)
            except OSError:
                if former.exists():
                    former.rename(folder)
                raise
            sync([folder, folder.parent])
    finally:
        if main:
            shutil.rmtree(unfinished, ignore_errors=True)
            shutil.rmtree(former, ignore_errors=True)


def _sealed(manifest: dict[str, Any]) -> str:
    """A manifest as JSON, with a hash of its own."""
    return json.dumps({**manifest, "xxh3": _seal(manifest)}, indent=1) + "\n"


def _unsealed(text: str) -> dict[str, Any]:
    """A manifest, which must be as it was written.

    Raises:
        ValueError: It is not.
    """
    manifest: dict[str, Any] = json.loads(text)
    if manifest.pop("xxh3") != _seal(manifest):
        raise ValueError("not the same as when it was written")
    return manifest


def _seal(manifest: dict[str, Any]) -> str:
    return xxh3_128(json.dumps(manifest).encode()).hexdigest()


def _describe(file: Path) -> dict[str, Any]:
    """Size and hash of a file (XXH3, as fast as memory)."""
    digest, size, chunk = xxh3_128(), 0, memoryview(bytearray(CHUNK))
    with file.open("rb", buffering=0) as handle:
        while count := handle.readinto(chunk):
            digest.update(chunk[:count])
            size += count
    return {"bytes": size, "xxh3": digest.hexdigest()}
