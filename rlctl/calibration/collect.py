"""The completions that a reward is measured on: of a file, of a run's log, or of the policy, in groups."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from rlctl.calibration.table import Integers
from rlctl.data.completions import completion_rows, is_logged, prompt_of, token_ids
from rlctl.errors import CheckpointError, DataError
from rlctl.rewards.batch import Batch, text_of

Row = dict[str, Any]


@dataclass(frozen=True)
class Completions:
    """Completions with what the rewards read; those of one group are neighbours.

    Args:
        rows: `prompt` and the columns of each completion.
        texts: The completions: text, or chat messages.
        sizes: How many completions each group has.
        ids: Tokens of each completion; None where they are not all known.
        source: Where they are from, for the report: `kind` and more.
        truncated: Whether each was cut at its greatest length; None where that is not known.
    """

    rows: list[Row]
    texts: list[Any]
    sizes: list[int]
    source: dict[str, Any]
    ids: list[list[int]] | None = None
    truncated: list[bool | None] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.texts)

    @cached_property
    def groups(self) -> Integers:
        """(N,) number of each row's group: 0, 0, 0, 1, 1, …"""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)

    @cached_property
    def plain_texts(self) -> list[str]:
        """The completions as text."""
        return [text_of(text) for text in self.texts]

    @cached_property
    def columns(self) -> list[str]:
        """Names of the columns that any row has."""
        return [name for name in dict.fromkeys(name for row in self.rows for name in row) if name != "prompt"]

    def batches(self, size: int) -> Iterator[tuple[range, list[int]]]:
        """Places of whole groups, about `size` completions at a time, and the sizes of these groups.

        A group that is larger than a batch, as where all completions are of one prompt, is cut: training
        would score it in parts too.
        """
        first, sizes = 0, list[int]()
        for whole in self.sizes:
            for part in [size] * (whole // size) + [whole % size] if whole > size else [whole]:
                sizes += [part] if part else []
                if sum(sizes) >= size:
                    yield range(first, first + sum(sizes)), sizes
                    first, sizes = first + sum(sizes), []
        if sizes:
            yield range(first, first + sum(sizes)), sizes

    def batch(self, places: Sequence[int]) -> Batch:
        """Some of the completions, as rewards get them."""
        columns = {name: [self.rows[i].get(name) for i in places] for name in self.columns}
        if self.ids is not None:
            columns["completion_ids"] = [self.ids[i] for i in places]
        prompts = [self.rows[i]["prompt"] for i in places]
        return Batch(prompts, [self.texts[i] for i in places], columns)


@dataclass
class _Group:
    rows: list[Row] = field(default_factory=list)
    texts: list[Any] = field(default_factory=list)
    ids: list[list[int] | None] = field(default_factory=list)
    truncated: list[bool | None] = field(default_factory=list)


def from_file(path: str, mapping: Mapping[str, str], *, limit: int | None = None) -> Completions:
    """Completions of a file. Equal prompts are one group; a row without a prompt is alone.

    Of what rlctl has logged, evaluations and greedy completions are left out where there are others.

    Args:
        path: A data file, a saved dataset, or a Hub id: whatever `data.train` takes.
        mapping: `data.columns`: names that rewards use → columns of the file.
        limit: Take the first so many rows; None for all.

    Raises:
        DataError: The file is missing or broken, or a row has no completion.
    """
    rows = _until(limit, _training_rows(completion_rows(path, mapping)))
    return _grouped(rows, {"kind": "completions", "path": path})


def from_run(run: Path, *, limit: int | None = None) -> Completions:
    """What a run has sampled for training; a prompt of another step is another group.

    Args:
        run: The run's folder.
        limit: Take the last so many rows; None for all.

    Raises:
        CheckpointError: There is no such run, or it has logged no completion of training.
    """
    file = log_of(run)
    rows = [(where, row) for where, row in completion_rows(str(file), {}) if row.get("split") != "eval"]
    if not rows:
        raise CheckpointError("has logged no completion of training yet", where=str(run))
    rows = rows if limit is None else rows[-limit:]
    steps = [row["step"] for _, row in rows if isinstance(row.get("step"), int)]
    source = {"kind": "run", "path": str(run)}
    if steps:
        source |= {"first_step": min(steps), "last_step": max(steps)}
    return _grouped(rows, source)


def log_of(run: Path) -> Path:
    """The file with the completions of a run.

    Raises:
        CheckpointError: There is no such run, or it has logged none.
    """
    file = next((file for name in LOGS if (file := run / "logs" / name).is_file()), None)
    if file is None:
        hint = "name the folder of a run that has taken a step"
        raise CheckpointError("has no logs/completions.jsonl", where=str(run), hint=hint)
    return file


LOGS = ("completions.jsonl", "completions.jsonl.gz")


def of_drawn(drawn: Iterable[Any], prompts: Sequence[Row], source: dict[str, Any]) -> Completions:
    """Completions that a policy was asked for.

    Args:
        drawn: `evaluation.samples.Drawn`, those of one prompt next to each other.
        prompts: The prompts that they belong to.
        source: Where they are from.
    """
    chosen = list(drawn)
    changes = [i for i, (a, b) in enumerate(pairwise(chosen), start=1) if a.prompt != b.prompt]
    ends = [0, *changes, len(chosen)] if chosen else [0]
    return Completions(
        rows=[prompts[one.prompt] for one in chosen],
        texts=[one.text for one in chosen],
        sizes=[b - a for a, b in pairwise(ends)],
        source=source,
        ids=[one.ids or [] for one in chosen],
        truncated=[one.truncated for one in chosen],
    )


def _until(limit: int | None, rows: Iterator[tuple[str, Row]]) -> Iterator[tuple[str, Row]]:
    for count, row in enumerate(rows):
        if limit is not None and count >= limit:
            return
        yield row


def _training_rows(rows: Iterator[tuple[str, Row]]) -> Iterator[tuple[str, Row]]:
    """The rows; of a log the evaluations only where there is nothing else, and no greedy completions."""
    evaluations, others = [], False
    for where, row in rows:
        if row.get("greedy") is True and is_logged(row):
            continue
        if row.get("split") == "eval" and is_logged(row):
            evaluations.append((where, row))
            continue
        others = True
        yield where, row
    if not others:
        yield from evaluations


def _grouped(rows: Iterable[tuple[str, Row]], source: dict[str, Any]) -> Completions:
    """Rows as groups, in the order in which their prompts come first."""
    groups: dict[Any, _Group] = {}
    for number, (where, row) in enumerate(rows):
        kept = prompt_of(row)
        group = groups.setdefault(number if row.get("prompt") is None else _key(row, kept), _Group())
        group.rows.append(kept)
        group.texts.append(row["completion"])
        group.ids.append(token_ids(row, where))
        group.truncated.append(row.get("truncated") if isinstance(row.get("truncated"), bool) else None)
    if not groups:
        raise DataError("has no completion", where=str(source["path"]))
    ids = [one for group in groups.values() for one in group.ids]
    return Completions(
        rows=[one for group in groups.values() for one in group.rows],
        texts=[one for group in groups.values() for one in group.texts],
        sizes=[len(group.texts) for group in groups.values()],
        source=source,
        ids=None if any(one is None for one in ids) else [one or [] for one in ids],
        truncated=[one for group in groups.values() for one in group.truncated],
    )


def _key(row: Row, kept: Row) -> Any:
    """What rows of one group have in common: the prompt, and of a log the step and the model too."""
    prompt = kept["prompt"]
    found = prompt if isinstance(prompt, str) else json.dumps(prompt, sort_keys=True, default=str)
    return (
        (found, row.get("prompt_index"), row.get("checkpoint"), row.get("step")) if is_logged(row) else found
    )
