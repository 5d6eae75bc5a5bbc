"""Completions out of a file in place of a model: of a former evaluation, or of another tool."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rlctl.data.completions import completion_rows, is_logged, prompt_of, token_ids
from rlctl.errors import DataError
from rlctl.evaluation.samples import Drawn
from rlctl.rewards.batch import text_of


@dataclass
class Completions:
    """Completions by checkpoint, all of the same prompts.

    Args:
        prompts: Rows with `prompt` and the columns that rewards read.
        drawn: Checkpoint → its completions.
    """

    prompts: list[dict[str, Any]] = field(default_factory=list)
    drawn: dict[str, list[Drawn]] = field(default_factory=dict)

    def of(self, names: Iterable[str]) -> "Completions":
        """Those of some checkpoints, and the prompts that these have; others are nobody's question."""
        chosen = {name: self.drawn[name] for name in dict.fromkeys(names)}
        had = sorted({one.prompt for drawn in chosen.values() for one in drawn})
        place = {old: new for new, old in enumerate(had)}
        drawn = {
            name: [replace(one, prompt=place[one.prompt]) for one in mine] for name, mine in chosen.items()
        }
        return Completions([self.prompts[old] for old in had], drawn)


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
    for line, (where, row) in enumerate(completion_rows(path, mapping), start=1):
        if row.get("split") == "train" and "step" in row and is_logged(row):
            continue
        prompt = prompt_of(row)
        asked = [row.get("prompt_index"), prompt["prompt"], *(prompt.get(name) for name in reads)]
        key = json.dumps(asked if "prompt" in row else line, default=str)
        if key not in places:
            places[key] = len(found.prompts)
            found.prompts.append(prompt)
        name = str(row.get("checkpoint") or _step(row) or default)
        drawn = _drawn(row, places[key], where)
        counts[name, drawn.prompt] = counts.get((name, drawn.prompt), 0) + (not drawn.greedy)
        if per_prompt is None or drawn.greedy or counts[name, drawn.prompt] <= per_prompt:
            found.drawn.setdefault(name, []).append(drawn)
    if not found.drawn:
        raise DataError("has completions of training only, and none of an evaluation", where=path)
    return found


def _step(row: Mapping[str, Any]) -> str | None:
    """What an evaluation in a run's log is called."""
    return f"step-{row['step']}" if row.get("split") == "eval" and is_logged(row) else None


def _drawn(row: Mapping[str, Any], prompt: int, where: str) -> Drawn:
    for name, kinds in (("greedy", bool), ("truncated", bool), ("kl", int | float), ("entropy", int | float)):
        if row.get(name) is not None and not isinstance(row[name], kinds):
            raise DataError(f"`{name}` is {row[name]!r}", where=where)
    return Drawn(
        prompt,
        bool(row.get("greedy")),
        text_of(row["completion"]),
        token_ids(row, where),
        row.get("truncated"),
        row.get("kl"),
        row.get("entropy"),
    )
