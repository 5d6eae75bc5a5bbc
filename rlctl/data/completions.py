"""Completions out of a file, one row each: of a former evaluation, of a run's log, or of another tool."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rlctl.config.data import Source
from rlctl.data.files import read_rows
from rlctl.data.peek import is_local
from rlctl.errors import DataError
from rlctl.registry import did_you_mean

Row = dict[str, Any]

OURS = (
    "checkpoint",
    "prompt_index",
    "greedy",
    "completion",
    "completion_ids",
    "truncated",
    "kl",
    "entropy",
    "columns",
)
"""Columns that are not passed on to the rewards as such."""


NAMES = ("completion", "response", "output", "generation", "generated_text", "model_output")
"""What completions are called, here and by others."""


def name_of_completion(columns: Iterable[str]) -> str | None:
    """The column with the completions: `completion`, else the only one with another tool's name for it."""
    known = [name for name in NAMES if name in set(columns)]
    return known[0] if known[:1] == ["completion"] or len(known) == 1 else None


def completion_rows(path: str, mapping: Mapping[str, str]) -> Iterator[tuple[str, Row]]:
    """Every row of a file with completions, and where it stands; other tools' names for them will do.

    Args:
        path: A data file, a saved dataset, or a Hub id: whatever `data.train` takes.
        mapping: `data.columns`: names that rewards use → columns of the file.

    Raises:
        DataError: The file is missing or broken, or a row has no completion.
    """
    table = path.removesuffix(".gz").endswith((".csv", ".tsv"))
    for line, found in enumerate(_rows(path), start=1):
        row = _renamed(found, mapping)
        if "completion" not in row and (name := name_of_completion(row)):
            row["completion"] = row.pop(name)
        if table and row.get("completion", "") is None:
            row["completion"] = ""  # an empty cell
        where = f"{path}: row {line}"
        _check(row, where)
        yield where, row


def is_logged(row: Mapping[str, Any]) -> bool:
    """Whether a row was written by rlctl, with its scores."""
    return "components" in row


def prompt_of(row: Mapping[str, Any]) -> Row:
    """The prompt of a row, with the columns that rewards may read."""
    kept = row.get("columns")
    if isinstance(kept, dict) and is_logged(row):
        return {"prompt": row.get("prompt") or "", **kept}
    columns = {name: value for name, value in row.items() if name not in (*OURS, "prompt")}
    return {"prompt": row.get("prompt") or "", **columns}


def token_ids(row: Mapping[str, Any], where: str) -> list[int] | None:
    """The tokens of a row's completion, where it has them.

    Raises:
        DataError: They are something else.
    """
    ids = row.get("completion_ids")
    if ids is None or (isinstance(ids, list) and all(isinstance(one, int) for one in ids)):
        return ids
    raise DataError("`completion_ids` is no list of whole numbers", where=where)


def _renamed(row: Row, mapping: Mapping[str, str]) -> Row:
    if not mapping:
        return dict(row)
    renamed = {name: row[column] for name, column in mapping.items() if column in row}
    return {**{name: value for name, value in row.items() if name not in mapping.values()}, **renamed}


def _rows(path: str) -> Iterable[Row]:
    if is_local(path) and not Path(path).is_dir():
        return read_rows(Path(path))
    from rlctl.data.sources import read_source

    try:
        return read_source(Source(path=path)).to_list()
    except ValidationError as error:
        raise DataError(f"{path!r} names no data", where="--completions") from error


def _is_text(value: Any) -> bool:
    """Whether a value is text, or chat messages."""
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(one, dict) for one in value))


def _check(row: Mapping[str, Any], where: str) -> None:
    """Raise DataError unless a row has a completion, and a prompt that is one, if any."""
    prompt = row.get("prompt")
    if prompt is not None and not _is_text(prompt):
        raise DataError(f"`prompt` is a {type(prompt).__name__}, not text or chat messages", where=where)
    if _is_text(row.get("completion")):
        return
    if "completion" in row:
        kind = "null" if row["completion"] is None else f"a {type(row['completion']).__name__}"
        raise DataError(f"`completion` is {kind}, not text or chat messages", where=where)
    near = did_you_mean("completion", row) or f"the columns are {', '.join(row)}"
    raise DataError("has no completion (text, or chat messages)", where=where, hint=near)
