"""The files below `logs/`. They only grow, so a checkpoint needs no more than their length to go back to."""

import gzip
import json
import os
import shutil
from pathlib import Path
from typing import Any

from rlctl.files import sync, write_json
from rlctl.training.provenance import now

GROWING = ("metrics.jsonl", "completions.jsonl", "training_log.txt")
GZIP_ABOVE = 100 * 2**20
"""Bytes from which the log of completions is compressed when the run ends."""


class RunLogs:
    """The folder `logs` of a run.

    Args:
        folder: The folder.
        main: Whether this process writes; the others call the same methods without effect.
    """

    def __init__(self, folder: Path, *, main: bool = True) -> None:
        self.folder = folder
        self.main = main

    def metrics(self, step: int, metrics: dict[str, Any]) -> None:
        """Append one line to `metrics.jsonl`."""
        self._append("metrics.jsonl", [{"step": step, **metrics}])

    def completions(self, rows: list[dict[str, Any]]) -> None:
        """Append scored completions to `completions.jsonl`."""
        self._append("completions.jsonl", rows)

    def text(self, text: str) -> None:
        """Append a line that a person reads to `training_log.txt`, with the time before it."""
        if self.main:
            stamp = now()[:19].replace("T", " ")
            with (self.folder / "training_log.txt").open("a", encoding="utf-8") as file:
                file.writelines(f"{stamp}  {line}\n" if line else "\n" for line in text.splitlines())

    def result(self, name: str, content: dict[str, Any]) -> None:
        """Replace `logs/<name>` with this JSON; readers see the old content or the new, never half."""
        if self.main:
            write_json(self.folder / name, content)

    def lengths(self) -> dict[str, int]:
        """Bytes of every log that grows."""
        files = {name: self.folder / name for name in GROWING}
        return {name: file.stat().st_size if file.exists() else 0 for name, file in files.items()}

    def sync(self) -> None:
        """Force the logs to the disk, so that they are as long as a checkpoint says."""
        sync(file for name in GROWING if (file := self.folder / name).exists())

    def cut(self, lengths: dict[str, int]) -> list[str]:
        """Go back to these lengths; returns what is missing, where a log is shorter."""
        short = []
        for name, length in lengths.items():
            file = self.folder / name
            _unpack(file)
            size = file.stat().st_size if file.exists() else 0
            if size < length:
                short.append(f"{file} has lost {length - size:,} bytes")
                _cut_half_a_line(file)
            elif size > length:
                os.truncate(file, length)
        return short

    def pack(self) -> None:
        """Compress the completions if there are many; the run is over."""
        path = self.folder / "completions.jsonl"
        if not path.exists() or path.stat().st_size <= GZIP_ABOVE:
            return
        packed, unfinished = _packed(path), self.folder / ".completions.tmp"
        with path.open("rb") as plain, gzip.open(unfinished, "wb") as out:
            shutil.copyfileobj(plain, out)
        unfinished.replace(packed)
        path.unlink()

    def _append(self, name: str, rows: list[dict[str, Any]]) -> None:
        if self.main:
            with (self.folder / name).open("a", encoding="utf-8") as file:
                file.writelines(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows)


def _cut_half_a_line(file: Path) -> None:
    if file.exists():
        os.truncate(file, file.read_bytes().rfind(b"\n") + 1)


def _packed(path: Path) -> Path:
    return path.with_name(path.name + ".gz")


def _unpack(path: Path) -> None:
    """Undo `pack`: a run that was over goes on."""
    packed = _packed(path)
    if not packed.exists():
        return
    if not path.exists():
        unfinished = path.with_name(f".{path.name}.tmp")
        with gzip.open(packed, "rb") as out, unfinished.open("wb") as plain:
            shutil.copyfileobj(out, plain)
        unfinished.replace(path)
    packed.unlink()
