"""Reads a source of the YAML into a `datasets.Dataset` that lives in memory.

Nothing is cached and nothing is written beside the user's files: a file that changed gives its new content.
Only datasets of the Hub go through the cache of `datasets`.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlctl import registry
from rlctl.config.data import Source
from rlctl.data.files import must_exist, read_rows
from rlctl.data.peek import builtin_rows, check_split, is_local, saved_splits
from rlctl.errors import DataError

if TYPE_CHECKING:
    from datasets import Dataset

MEDIA = {"Image", "Audio", "Video", "Pdf"}
"""Features of `datasets` that are no text."""


def read_source(source: Source) -> "Dataset":
    """All rows of a source, `split` and `limit` applied, under the data's own column names.

    Args:
        source: A source of `data.train` or `data.eval`.

    Raises:
        DataError: The source is missing, empty, broken, has no such split, or is on a Hub out of reach.
    """
    if source.path.startswith("builtin:"):
        splits = {name: from_rows(rows, source.path) for name, rows in builtin_rows(source).items()}
        dataset = _select(splits, source)
    elif is_local(source.path):
        dataset = _read_local(source)
    else:
        dataset = _read_hub(source)
        if not len(dataset):
            raise DataError(f"split {source.split!r} has no rows", where=source.path)
    return dataset.select(range(min(source.limit or len(dataset), len(dataset))))


def from_rows(rows: Iterable[Mapping[str, Any]], where: str) -> "Dataset":
    """A dataset of rows whose keys may differ; what a row does not have is None.

    Args:
        rows: The rows.
        where: Where they come from, for errors.

    Raises:
        DataError: A value cannot be kept in a table.
    """
    rows = list(rows)
    names = dict.fromkeys(key for row in rows for key in row)
    return from_columns({name: [row.get(name) for row in rows] for name in names}, where)


def from_columns(columns: Mapping[str, list[Any]], where: str) -> "Dataset":
    """A dataset of equally long lists. Columns of mixed types keep their values (1 beside 2.5 stays 1).

    Args:
        columns: Name → values.
        where: Where they come from, for errors.

    Raises:
        DataError: A value cannot be kept in a table.
    """
    from datasets import Dataset, Features

    stored: dict[str, list[Any]] = {}
    features: dict[str, Any] = {}
    for name, values in columns.items():
        try:
            stored[name], features[name] = _column(values)
        except Exception as error:
            reason = str(error).strip().split("\n")[0]
            raise DataError(f"column {name!r} cannot be read: {reason}", where=where) from error
    return Dataset.from_dict(stored, features=Features(features))


def _column(values: list[Any]) -> tuple[list[Any], Any]:
    """The values as a table stores them, and their type: JSON where types differ, also further inside.

    They are turned into JSON here, because `datasets` takes a text that happens to be JSON for JSON: `007`
    would come back as 7.
    """
    from datasets import Dataset, Json

    kinds = {type(value) for value in values} - {type(None)}
    huge = kinds == {int} and any(abs(value) >= 2**63 for value in values if value is not None)
    if len(kinds) <= 1 and not huge:
        feature = Dataset.from_dict({"column": values}, on_mixed_types="use_json").features["column"]
        if "Json(" not in repr(feature):
            return values, feature
    return [None if value is None else json.dumps(value) for value in values], Json()


def _read_local(source: Source) -> "Dataset":
    path = Path(source.path)
    must_exist(path)
    if not path.is_dir():
        check_split(source, ("train",), "a data file has")
        return _select({"train": from_rows(read_rows(path), source.path)}, source)
    from datasets import load_from_disk

    folders = saved_splits(path)
    check_split(source, tuple(folders), "this saved dataset has")
    splits: dict[str, Dataset] = {}
    for name, folder in folders.items():
        try:
            splits[name] = load_from_disk(str(folder), keep_in_memory=True)
        except Exception as error:
            reason = str(error).strip().split("\n")[0]
            raise DataError(f"this saved dataset is broken ({reason})", where=str(folder)) from error
    return _select(splits, source)


def _select(splits: Mapping[str, "Dataset"], source: Source) -> "Dataset":
    """The part that `split` asks for, with the slices of `datasets`: `train[:100]`, `train[50%:]+test`."""
    from datasets import ReadInstruction, concatenate_datasets

    try:
        wanted = ReadInstruction.from_spec(source.split)
        parts = wanted.to_absolute({name: len(split) for name, split in splits.items()})
    except (ValueError, AssertionError) as error:
        hint = "write e.g. train, train[:1000] or train[50%:]"
        raise DataError(f"split {source.split!r}: {error}", where=source.path, hint=hint) from error
    filled = [part for part in parts if part.from_ < part.to]
    chosen = [splits[part.splitname].select(range(part.from_, part.to)) for part in filled]
    if not chosen:
        raise DataError(f"split {source.split!r} has no rows", where=source.path)
    return chosen[0] if len(chosen) == 1 else concatenate_datasets(chosen)


def _read_hub(source: Source) -> "Dataset":
    from datasets import load_dataset
    from datasets.exceptions import DatasetNotFoundError

    where = f"{source.path} (on the Hugging Face Hub)"
    try:
        return load_dataset(source.path, source.name, split=source.split, revision=source.revision)
    except (ConnectionError, TimeoutError) as error:
        raise DataError(
            "cannot be reached, and it is not in the cache of this machine",
            where=where,
            hint="load it once with a network, or name a downloaded file; for a local file, check the path",
        ) from error
    except DatasetNotFoundError as error:
        hint = "check the name; a private or gated dataset needs `hf auth login`"
        raise DataError("no such dataset, or no access to it", where=where, hint=hint) from error
    except ValueError as error:
        raise _hub_error(str(error), source, where) from error
    except (OSError, RuntimeError) as error:
        reason = str(error).strip().split("\n")[0]
        raise DataError(f"cannot be loaded: {reason}", where=where) from error


def _hub_error(text: str, source: Source, where: str) -> DataError:
    """`datasets` answers a wrong split or configuration with a ValueError that lists the right ones."""
    known = text[text.find("[") + 1 : text.rfind("]")].replace("'", "").split(", ") if "[" in text else []
    if "Config name is missing" in text:
        hint = f"set `name` to one of {', '.join(known)}"
        return DataError("has several configurations", where=where, hint=hint)
    if "BuilderConfig" in text and source.name:
        hint = registry.did_you_mean(source.name, known) or f"it has {', '.join(known)}"
        return DataError(f"no configuration {source.name!r}", where=where, hint=hint)
    if "split" in text.lower():
        hint = registry.did_you_mean(source.split, known) or f"it has {', '.join(known)}"
        return DataError(f"no split {source.split!r}", where=where, hint=hint)
    return DataError(text.strip().split("\n")[0], where=where)


def media_columns(dataset: "Dataset") -> set[str]:
    """Columns that hold pictures, sound or video, which text models cannot use."""

    def holds_media(feature: Any) -> bool:
        inner = getattr(feature, "feature", None)
        return type(feature).__name__ in MEDIA or (inner is not None and holds_media(inner))

    return {name for name, feature in dataset.features.items() if holds_media(feature)}
