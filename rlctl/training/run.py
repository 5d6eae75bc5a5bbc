"""One life for every run: its folder, its logs, its provenance, and what is said when it ends badly.

Whatever the algorithm, a run starts by claiming a folder that does not exist yet and ends with a status in
`run.json`. Only the main process writes.
"""

import gzip
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from rlctl.config.config import Config
from rlctl.config.dump import to_yaml
from rlctl.errors import RlctlError, UsageError
from rlctl.training.faults import explain
from rlctl.training.provenance import now, provenance

GZIP_ABOVE = 100 * 2**20
"""Bytes from which the log of completions is compressed when the run ends."""

ELSEWHERE = "Choose another folder: --output-dir DIR, or run.output_dir."


class Run:
    """A run's folder, open for writing.

    Args:
        config: The resolved config; `run.output_dir` and `run.name` name the folder.
        main: Whether this process writes (rank 0); the others call the same methods without effect.

    `worth_keeping` is set after the first step: from then on the folder stays, whatever happens.
    """

    def __init__(self, config: Config, *, main: bool = True) -> None:
        self.config = config
        self.main = main
        self.path = folder_of(config)
        self.record: dict[str, Any] = {}
        self.worth_keeping = False

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def final(self) -> Path:
        """Folder of the trained model."""
        return self.path / "final"

    @property
    def logs(self) -> Path:
        """Folder of the logs."""
        return self.path / "logs"

    def __enter__(self) -> "Run":
        if self.main:
            refuse_existing(self.config)
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self.path.mkdir()  # of two runs that start together with one name, one gets the folder
            except FileExistsError:
                raise name_taken(self.path) from None
            except OSError as error:
                raise self._unwritable(error) from error
            try:
                self._begin()
            except OSError as error:
                shutil.rmtree(self.path, ignore_errors=True)
                raise self._unwritable(error) from error
        return self

    def _begin(self) -> None:
        self.logs.mkdir()
        (self.path / "config.yaml").write_text(to_yaml(self.config), encoding="utf-8")
        self.record = {**provenance(self.config), "start": now(), "status": "running"}
        self._write_record()

    def _unwritable(self, error: OSError) -> RlctlError:
        message = f"cannot write here ({error.strerror})"
        where = str(error.filename or self.path)
        return explain(error, self.config) or UsageError(message, where=where, hint=ELSEWHERE)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._end("done")
            return
        if self.main and not self.worth_keeping:
            # It failed before the first step: leave nothing behind, so that the next try may have the name.
            shutil.rmtree(self.path, ignore_errors=True)
        if isinstance(error, KeyboardInterrupt):
            self._end("interrupted")
            return
        explained = explain(error, self.config)
        self._end("failed", error=str(explained or error))
        if explained is not None and explained is not error:
            raise explained from error

    def _end(self, status: str, **more: Any) -> None:
        if not self.main or not self.path.exists():
            return
        self.record.update(status=status, end=now(), **more)
        try:
            self._write_record()
            if status == "done":
                _compress_if_large(self.logs / "completions.jsonl")
        except OSError:
            if status == "done":
                raise

    def _write_record(self) -> None:
        write_json(self.path / "run.json", self.record)

    def log_metrics(self, step: int, metrics: dict[str, Any]) -> None:
        """Append one line to `metrics.jsonl`."""
        self._append("metrics.jsonl", [{"step": step, **metrics}])

    def log_completions(self, rows: list[dict[str, Any]]) -> None:
        """Append scored completions to `completions.jsonl`."""
        self._append("completions.jsonl", rows)

    def log_text(self, text: str) -> None:
        """Append a line that a person reads to `training_log.txt`, with the time before it."""
        if self.main:
            stamp = now()[:19].replace("T", " ")
            with (self.logs / "training_log.txt").open("a", encoding="utf-8") as file:
                file.writelines(f"{stamp}  {line}\n" if line else "\n" for line in text.splitlines())

    def write_result(self, name: str, content: dict[str, Any]) -> None:
        """Replace `logs/<name>` with this JSON; readers see the old content or the new, never half."""
        if self.main:
            write_json(self.logs / name, content)

    def _append(self, name: str, rows: list[dict[str, Any]]) -> None:
        if self.main:
            with (self.logs / name).open("a", encoding="utf-8") as file:
                file.writelines(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows)


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
    parent = next(folder for folder in path.parents if folder.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise UsageError(
            "cannot write here",
            where=str(parent),
            hint=ELSEWHERE,
        )


def name_taken(path: Path) -> UsageError:
    """That a run of this name is there already, and the ways out."""
    return UsageError(
        f"the run {path.name!r} exists",
        where=str(path),
        hint=f"Give it another name (--set run.name={free_name(path)}), another place (--output-dir), "
        "or remove the folder.",
    )


def free_name(path: Path) -> str:
    """The first of name-2, name-3, … that is not taken."""
    count = 2
    while path.with_name(f"{path.name}-{count}").exists():
        count += 1
    return f"{path.name}-{count}"


@contextmanager
def complete_or_absent(folder: Path, *, main: bool = True) -> Iterator[Path]:
    """A place to write a folder to; it gets there when all is written, and nothing is left when that fails.

    Args:
        folder: Where the folder belongs; must not exist.
        main: Whether this process moves it and clears up; the others only write.
    """
    unfinished = folder.parent / ".unfinished" / folder.name
    try:
        yield unfinished
        if main:
            unfinished.rename(folder)
    finally:
        if main:
            shutil.rmtree(unfinished.parent, ignore_errors=True)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write JSON to a temporary neighbour, then rename it into place."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(
        json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8"
    )
    temporary.replace(path)


def _compress_if_large(path: Path) -> None:
    if not path.exists() or path.stat().st_size <= GZIP_ABOVE:
        return
    packed = path.with_name(path.name + ".gz")
    with path.open("rb") as plain, gzip.open(packed, "wb") as out:
        shutil.copyfileobj(plain, out)
    path.unlink()
