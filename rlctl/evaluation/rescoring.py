"""Completions out of a file in place of a model: of a former evaluation, or of another tool."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rlctl.config.data import Source
from rlctl.data.files import read_rows
from rlctl.data.peek import is_local
from rlctl.errors import DataError
from rlctl.evaluation.samples import Drawn
from rlctl.registry import did_you_mean
from rlctl.rewards.batch import text_of

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


@dataclass
class Completions:
    """Completions by checkpoint, all of the same prompts.

    Args:
        prompts: Rows with `prompt` and the columns that rewards read.
        drawn: Checkpoint → its completions.
    """

    prompts: list[dict[str, Any]] = field(default_factory=list)
    drawn: dict[str, list[Drawn]] = field(default_factory=dict)


def read_completions(
    path: str, mapping: Mapping[str, str], columns: Iterable[str], *, per_prompt: int | None = None
) -> Completions:
    """Read completions that are to be scored.

    Rows of `samples.jsonl` are taken back as they were, and of a run's `completions.jsonl` those of its
    evaluations, as checkpoints `step-0` and so on. Any other row needs `completion`; `prompt` (or else
    each row is a prompt of its own), `checkpoint`, `greedy`, `completion_ids` and `truncated` are used where
    they are there, and all other columns go to the rewards.

    Args:
        path: A data file, a saved dataset, or a Hub id: whatever `data.train` takes.
        mapping: `data.columns`: names that rewards use → columns of the file.
        columns: What rewards read: rows that are equal in it and in their prompt are of one prompt.
        per_prompt: Take the first so many samples of each prompt; None for all.

    Raises:
        DataError: The file is missing or broken, or a row has no completion.
    """
    found, places, reads = Completions(), dict[str, int](), list(columns)
    counts: dict[tuple[str, int], int] = {}
    default = Path(path).name.removesuffix(".gz").rpartition(".")[0] or path
    for line, row in enumerate(_rows(path), start=1):
        renamed = {name: row[column] for name, column in mapping.items() if column in row}
        row = {**{name: value for name, value in row.items() if name not in mapping.values()}, **renamed}
        if row.get("split") == "train" and "step" in row and "components" in row:
            continue
        if "completion" in row and row["completion"] is None and _is_table(path):
            row["completion"] = ""  # an empty cell
        _check(row, f"{path}: row {line}")
        prompt = _prompt(row)
        asked = [row.get("prompt_index"), prompt["prompt"], *(prompt.get(name) for name in reads)]
        key = json.dumps(asked if "prompt" in row else line, default=str)
        if key not in places:
            places[key] = len(found.prompts)
            found.prompts.append(prompt)
        name = str(row.get("checkpoint") or _step(row) or default)
        drawn = _drawn(row, places[key], f"{path}: row {line}")
        counts[name, drawn.prompt] = counts.get((name, drawn.prompt), 0) + (not drawn.greedy)
        if per_prompt is None or drawn.greedy or counts[name, drawn.prompt] <= per_prompt:
            found.drawn.setdefault(name, []).append(drawn)
    if not found.drawn:
        raise DataError("has completions of training only, and none of an evaluation", where=path)
    return found


def _is_table(path: str) -> bool:
    return path.removesuffix(".gz").endswith((".csv", ".tsv"))


def _check(row: Mapping[str, Any], where: str) -> None:
    """Raise DataError unless a row has a completion."""
    if isinstance(row.get("completion"), str | list):
        return
    if "completion" in row:
        kind = "null" if row["completion"] is None else f"a {type(row['completion']).__name__}"
        raise DataError(f"`completion` is {kind}, not text or chat messages", where=where)
    near = did_you_mean("completion", row) or f"the columns are {', '.join(row)}"
    raise DataError("has no completion (text, or chat messages)", where=where, hint=near)


def _step(row: Mapping[str, Any]) -> str | None:
    """What an evaluation in a run's log is called."""
    return f"step-{row['step']}" if row.get("split") == "eval" and "components" in row else None


def _rows(path: str) -> Iterable[dict[str, Any]]:
    if is_local(path) and not Path(path).is_dir():
        return read_rows(Path(path))
    from rlctl.data.sources import read_source

    try:
        return read_source(Source(path=path)).to_list()
    except ValidationError as error:
        raise DataError(f"{path!r} names no data", where="--completions") from error


def _prompt(row: Mapping[str, Any]) -> dict[str, Any]:
    """The prompt of a row, with the columns that rewards may read."""
    kept = row.get("columns")
    if isinstance(kept, dict) and "components" in row:  # written by rlctl
        return {"prompt": row.get("prompt") or "", **kept}
    columns = {name: value for name, value in row.items() if name not in (*OURS, "prompt")}
    return {"prompt": row.get("prompt") or "", **columns}


def _drawn(row: Mapping[str, Any], prompt: int, where: str) -> Drawn:
    ids = row.get("completion_ids")
    if ids is not None and not (isinstance(ids, list) and all(isinstance(one, int) for one in ids)):
        raise DataError("`completion_ids` is no list of whole numbers", where=where)
    for name, kinds in (("greedy", bool), ("truncated", bool), ("kl", int | float), ("entropy", int | float)):
        if row.get(name) is not None and not isinstance(row[name], kinds):
            raise DataError(f"`{name}` is {row[name]!r}", where=where)
    return Drawn(
        prompt,
        bool(row.get("greedy")),
        text_of(row["completion"]),
        ids,
        row.get("truncated"),
        row.get("kl"),
        row.get("entropy"),
    )
