"""Rows of a data file, one dict each, read here rather than by `datasets`.

`datasets` would keep a copy of the file in its cache, guess types (18.0 for 18) and lose a mistake's line.
Nothing here imports torch or `datasets`, so `rlctl check` can look into a file.
"""

import csv
import gzip
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

from rlctl.errors import DataError
from rlctl.registry import did_you_mean

Row = dict[str, Any]


def kind_of(path: Path) -> str:
    """`jsonl`, `json`, `csv`, `tsv` or `parquet`, by the name without `.gz`.

    Raises:
        DataError: The file's name has another ending.
    """
    ending = Path(path.name.removesuffix(".gz")).suffix.lower().removeprefix(".")
    ending = {"ndjson": "jsonl"}.get(ending, ending)
    if ending not in READERS:
        raise DataError(
            f"not a data file that rlctl reads: its name ends with {path.suffix or 'nothing'!r}",
            where=str(path),
            hint="it takes .jsonl, .json, .csv, .tsv, .parquet (.gz too), or a folder from `save_to_disk`",
        )
    return ending


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of a data file, one after another.

    Args:
        path: A .jsonl, .json, .csv, .tsv or .parquet file, also with .gz.

    Raises:
        DataError: The file is missing, empty or broken; the line is named.
    """
    must_exist(path)
    reader = READERS[kind_of(path)]
    empty = True
    try:
        for row in reader(path):
            empty = False
            yield row
    except (gzip.BadGzipFile, EOFError) as error:
        raise DataError(f"broken or cut-off gzip file ({error})", where=str(path)) from error
    except UnicodeDecodeError as error:
        raise DataError(f"not UTF-8 text ({error.reason} at byte {error.start})", where=str(path)) from error
    except RecursionError as error:
        raise DataError("JSON nested too deeply", where=str(path)) from error
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror or error})", where=str(path)) from error
    if empty:
        raise DataError("has no rows", where=str(path))


def must_exist(path: Path) -> None:
    """Raise DataError, with the name that was probably meant, unless the path is there."""
    if path.exists():
        return
    if path.parent.is_dir():
        hint = did_you_mean(path.name, sorted(item.name for item in path.parent.iterdir()))
    else:
        hint = f"there is no folder {path.parent} either"
    raise DataError("no such file or folder", where=str(path), hint=hint)


def open_text(path: Path) -> TextIO:
    """The file as UTF-8 text, unpacked where its name ends with .gz; a byte order mark is skipped."""
    if path.name.endswith(".gz"):
        return io.TextIOWrapper(gzip.open(path, "rb"), encoding="utf-8-sig", newline="")
    return open(path, encoding="utf-8-sig", newline="")


def _jsonl(path: Path) -> Iterator[Row]:
    with open_text(path) as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield _json_row(line, f"{path}:{number}")


def _json_row(line: str, where: str) -> Row:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(f"broken JSON: {error.msg} (column {error.colno})", where=where) from error
    if not isinstance(row, dict):
        hint = "every line of a .jsonl file is one JSON object; a file that is one list is a .json file"
        raise DataError(f"expected an object {{...}}, found a {_json_type(row)}", where=where, hint=hint)
    return row


def _json(path: Path) -> Iterator[Row]:
    """A list of objects, an object of equally long lists, or an object whose only list holds objects."""
    with open_text(path) as file:
        text = file.read()
    if not text.strip():
        return
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data" and text.lstrip().startswith("{"):
            yield from _jsonl(path)
            return
        where = f"{path}:{error.lineno}"
        raise DataError(f"broken JSON: {error.msg} (column {error.colno})", where=where) from error
    yield from _rows_of(content, str(path))


def _rows_of(content: Any, where: str) -> Iterator[Row]:
    if isinstance(content, dict):
        lists = {key: value for key, value in content.items() if isinstance(value, list)}
        if len(lists) == 1 and all(isinstance(item, dict) for item in next(iter(lists.values()))):
            content = next(iter(lists.values()))
        elif lists and len(lists) == len(content):
            yield from _rows_of_columns(lists, where)
            return
    if not isinstance(content, list):
        hint = "a .json file holds a list of objects, or an object of lists that are equally long"
        raise DataError(f"no rows in this {_json_type(content)}", where=where, hint=hint)
    for number, row in enumerate(content, start=1):
        if not isinstance(row, dict):
            message = f"row {number}: expected an object {{...}}, found a {_json_type(row)}"
            raise DataError(message, where=where)
        yield row


def _rows_of_columns(columns: dict[str, list[Any]], where: str) -> Iterator[Row]:
    lengths = {key: len(values) for key, values in columns.items()}
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"{key}: {length}" for key, length in lengths.items())
        raise DataError(f"columns of different length ({found})", where=where)
    for values in zip(*columns.values(), strict=True):
        yield dict(zip(columns, values, strict=True))


def _json_type(value: Any) -> str:
    names = {dict: "object", list: "list", str: "string", bool: "true/false", type(None): "null"}
    return names.get(type(value), "number")


def _csv(path: Path, delimiter: str = ",") -> Iterator[Row]:
    """Cells stay the text that they are (`007` is no number); an empty cell is None."""
    csv.field_size_limit(2**31 - 1)
    with open_text(path) as file:
        lines = csv.reader(file, delimiter=delimiter, strict=True)
        header: list[str] | None = None
        try:
            for cells in lines:
                if header is None:
                    header = _header(cells, f"{path}:{lines.line_num}")
                elif cells:
                    yield _csv_row(header, cells, f"{path}:{lines.line_num}")
        except csv.Error as error:
            raise DataError(f"broken CSV: {error}", where=f"{path}:{lines.line_num}") from error


def _header(cells: list[str], where: str) -> list[str]:
    names = [cell.strip() for cell in cells]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"the header names a column twice: {', '.join(map(repr, twice))}", where=where)
    return names


def _csv_row(header: list[str], cells: list[str], where: str) -> Row:
    if len(cells) != len(header):
        hint = "a cell with a comma or a line break in it must stand in quotes"
        raise DataError(f"{len(cells)} cells, but the header has {len(header)}", where=where, hint=hint)
    return {name: cell if cell != "" else None for name, cell in zip(header, cells, strict=True)}


def _tsv(path: Path) -> Iterator[Row]:
    return _csv(path, delimiter="\t")


def _parquet(path: Path) -> Iterator[Row]:
    with open_parquet(path) as file:
        for batch in file.iter_batches(batch_size=1024):
            yield from batch.to_pylist()


def open_parquet(path: Path) -> Any:
    """The `pyarrow.parquet.ParquetFile`; DataError where it is none."""
    import pyarrow
    import pyarrow.parquet

    source: Any = path
    if path.name.endswith(".gz"):
        with gzip.open(path, "rb") as packed:
            source = io.BytesIO(packed.read())
    try:
        return pyarrow.parquet.ParquetFile(source)
    except pyarrow.ArrowInvalid as error:
        raise DataError(f"broken Parquet file ({_first_line(error)})", where=str(path)) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]


READERS: dict[str, Callable[[Path], Iterator[Row]]] = {
    "jsonl": _jsonl,
    "json": _json,
    "csv": _csv,
    "tsv": _tsv,
    "parquet": _parquet,
}
"""Ending of a file's name → what reads its rows."""
