"""A quick look at a source before anything heavy is imported: is it there, which columns, how many rows.

`rlctl check` uses it, so it imports neither torch nor `datasets`. It finds what can be found in a moment;
reading the source for training (`sources.py`) finds the rest.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rlctl import registry
from rlctl.config.base import looks_local
from rlctl.config.data import Source
from rlctl.data.files import Row, kind_of, must_exist, open_parquet, read_rows
from rlctl.errors import DataError

ROWS_READ = 1000
"""Rows that are parsed; mistakes further down are found when the file is read for training."""
BYTES_READ = 16 * 2**20
"""Files up to this size are read to the end to count their rows."""


@dataclass(frozen=True)
class Peek:
    """What is known of a source without loading it; None where that would take long or need the network.

    Args:
        columns: Names of the data's own columns, before any mapping.
        rows: Rows that will be read (`limit` counted in).
        first: The first row.
    """

    columns: tuple[str, ...] | None = None
    rows: int | None = None
    first: Mapping[str, Any] | None = None


def peek(source: Source) -> Peek:
    """Look into a source.

    Args:
        source: A source of `data.train` or `data.eval`.

    Returns:
        Columns, number of rows and first row; all None for a dataset of the Hub.

    Raises:
        DataError: The file, built-in dataset or split does not exist, is empty, or is broken near its start.
    """
    if source.path.startswith("builtin:"):
        return _peek_rows(iter(builtin_rows(source)[split_names(source.split)[0]]), source, countable=True)
    if not is_local(source.path):
        return Peek()
    path = Path(source.path)
    must_exist(path)
    if path.is_dir():
        return _peek_folder(path, source)
    check_split(source, ("train",), "a data file has")
    if kind_of(path) == "parquet":
        return _peek_parquet(path, source)
    small = path.stat().st_size <= BYTES_READ
    if not small and kind_of(path) == "json":
        return Peek()
    return _peek_rows(read_rows(path), source, countable=small)


def is_local(path: str) -> bool:
    """Whether a source's path means something on this machine, rather than a dataset of the Hub."""
    return looks_local(path) or Path(path).exists()


def builtin_rows(source: Source) -> dict[str, list[Row]]:
    """Split → rows of `builtin:NAME`, for the splits that the source names.

    Raises:
        DataError: There is no such dataset or split, or `args` does not fit it.
    """
    name = source.path.removeprefix("builtin:")
    known = registry.names("datasets")
    if name not in known:
        hint = registry.did_you_mean(name, known) or f"there is {', '.join(sorted(known))}"
        raise DataError(f"no built-in dataset {name!r}", where=source.path, hint=hint)
    section = registry.load(known[name])
    check_split(source, section.splits, "it has")
    try:
        dataset = section.model_validate(source.args)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(["args", *map(str, first["loc"])])
        meant = registry.did_you_mean(str(first["loc"][-1]), section.model_fields) if first["loc"] else None
        raise DataError(f"{place}: {first['msg']}", where=source.path, hint=meant) from error
    return {name: dataset.rows(name) for name in split_names(source.split)}


def split_names(spec: str) -> list[str]:
    """The splits in `train`, `train[:100]` or `train+test[50%:]`."""
    return [re.sub(r"\[.*\]", "", part).strip() for part in spec.split("+")]


def check_split(source: Source, known: tuple[str, ...], has: str) -> None:
    """Raise DataError unless every split that the source names is one of `known`."""
    for name in split_names(source.split):
        if name not in known:
            meant = registry.did_you_mean(name, known)
            hint = f"{has} {', '.join(known)}" + (f"; {meant}" if meant and len(known) > 1 else "")
            raise DataError(f"no split {name!r}", where=source.path, hint=hint)


def _peek_rows(rows: Iterator[Row], source: Source, *, countable: bool) -> Peek:
    """Columns of the first rows; all of them are counted where that is quick."""
    read = list(islice(rows, ROWS_READ))
    columns = tuple(dict.fromkeys(key for row in read for key in row))
    total = len(read) + sum(1 for _ in rows) if countable else None
    return Peek(columns, _limited(total, source), read[0] if read else None)


def _limited(rows: int | None, source: Source) -> int | None:
    if rows is None or "[" in source.split or "+" in source.split:
        return None
    return min(rows, source.limit or rows)


def _peek_parquet(path: Path, source: Source) -> Peek:
    with open_parquet(path) as file:
        rows = file.metadata.num_rows
        if not rows:
            raise DataError("has no rows", where=str(path))
        first = next(file.iter_batches(batch_size=1)).to_pylist()[0]
        return Peek(tuple(file.schema_arrow.names), _limited(rows, source), first)


def _peek_folder(path: Path, source: Source) -> Peek:
    """A folder that `datasets` wrote with `save_to_disk`: one split, or several with a list of them."""
    splits = saved_splits(path)
    check_split(source, tuple(splits), "this saved dataset has")
    folder = splits[split_names(source.split)[0]]
    info = _read_json(folder / "dataset_info.json")
    return Peek(tuple(info.get("features") or ()) or None)


def saved_splits(path: Path) -> dict[str, Path]:
    """Split → folder of a saved dataset. One that was saved without splits is its own `train`.

    Raises:
        DataError: The folder is no saved dataset.
    """
    if (path / "dataset_dict.json").is_file():
        names = _read_json(path / "dataset_dict.json").get("splits", [])
        return {name: path / name for name in names}
    if (path / "state.json").is_file() and (path / "dataset_info.json").is_file():
        own = _read_json(path / "state.json").get("_split")
        return {"train": path} | ({own: path} if own else {})
    hint = "name a file in it, or write one with `datasets.Dataset.save_to_disk`"
    raise DataError("a folder, but not a saved dataset", where=str(path), hint=hint)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"cannot be read ({error})", where=str(path)) from error
