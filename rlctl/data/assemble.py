"""One dataset out of the prompts of several sources, and the report of what became of every row."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from rlctl.data.chat import Prompt
from rlctl.data.columns import REWARD_ARGUMENTS, renamed, shadowed
from rlctl.data.fit import Fitted
from rlctl.data.mixture import mix
from rlctl.data.sources import from_columns, media_columns

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True)
class PromptSet:
    """Prompts, ready for a trainer.

    Args:
        dataset: Column `prompt` (texts, or lists of messages); other columns under their names in rlctl.
        report: What was read, kept, dropped and renamed; JSON.
    """

    dataset: "Dataset"
    report: dict[str, Any]

    def describe(self, what: str) -> list[str]:
        """What was read, in a few lines; what was dropped or shortened is said.

        Args:
            what: What the prompts are for.
        """
        report = self.report
        sources = ", ".join(source["source"] for source in report["sources"])
        counts = {
            "dropped as too long": report["dropped_overlong"],
            "dropped as empty": report["dropped_empty"],
            "shortened": report["truncated"],
            "with a prompt that came before": report["duplicates"],
        }
        said = "".join(f", {count:,} {words}" for words, count in counts.items() if count)
        lines = [
            f"{what}: {report['rows']:,} from {sources}{said}; longest {report['longest_prompt']} tokens"
        ]
        for source in report["sources"]:
            if source["dropped_columns"]:
                columns = ", ".join(source["dropped_columns"])
                lines.append(f"  columns of {source['source']} that are not passed on: {columns}")
        if len(report["sources"]) > 1:
            lines += [f"  {source['used']:,} from {source['source']}" for source in report["sources"]]
        return lines


@dataclass(frozen=True)
class Rows:
    """Rows of one source, as they were read.

    Args:
        dataset: The rows under the data's own column names.
        name: The source, for the report and errors.
        columns: The source's own mapping of columns.
        weight: Its weight in the mixture; None in all of them joins the sources.
    """

    dataset: "Dataset"
    name: str
    columns: Mapping[str, str] | None = None
    weight: float | None = None


@dataclass(frozen=True)
class SourceReport:
    """What became of one source, in rows; `used` is how many an epoch takes from it."""

    source: str
    read: int
    kept: int
    dropped_overlong: int
    dropped_empty: int
    truncated: int
    used: int
    longest_prompt: int
    shadowed_columns: list[str]
    dropped_columns: list[str]


@dataclass(frozen=True)
class Kept:
    """The rows of one source that are left, and their prompts."""

    rows: list[int]
    prompts: list[Prompt]
    empty: int
    fitted: Fitted


def assemble(parts: Sequence[Rows], mappings: list[dict[str, str]], kept: list[Kept], seed: int) -> PromptSet:
    """One dataset in the order of the mixture, and the report."""
    order = mix([len(one.rows) for one in kept], [part.weight for part in parts], seed)
    tables = [_columns(part, mapping, one) for part, mapping, one in zip(parts, mappings, kept, strict=True)]
    names = dict.fromkeys(name for table in tables for name in table)
    columns: dict[str, list[Any]] = {
        name: [tables[source][name][row] if name in tables[source] else None for source, row in order]
        for name in names
    }
    used = Counter(source for source, _ in order)
    reports = [
        _report(part, mapping, one, used[source])
        for source, (part, mapping, one) in enumerate(zip(parts, mappings, kept, strict=True))
    ]
    dataset = from_columns(columns, ", ".join(part.name for part in parts))
    return PromptSet(dataset, _total(reports, columns["prompt"]))


def _columns(part: Rows, mapping: Mapping[str, str], kept: Kept) -> dict[str, list[Any]]:
    """`prompt`, and the other columns under the names that rewards use, for the rows that are left."""
    names = renamed(mapping, part.dataset.column_names)
    rows = part.dataset.select(kept.rows)
    media = media_columns(part.dataset)
    others = {name: rows[column][:] for name, column in names.items() if column not in media}
    return {"prompt": kept.prompts, **others}


def _report(part: Rows, mapping: Mapping[str, str], kept: Kept, used: int) -> SourceReport:
    present = part.dataset.column_names
    reserved = [name for name in present if name in REWARD_ARGUMENTS and name not in mapping.values()]
    return SourceReport(
        source=part.name,
        read=len(part.dataset),
        kept=len(kept.rows),
        dropped_overlong=kept.fitted.dropped,
        dropped_empty=kept.empty,
        truncated=kept.fitted.truncated,
        used=used,
        longest_prompt=kept.fitted.longest,
        shadowed_columns=shadowed(mapping, present),
        dropped_columns=sorted({*reserved, *media_columns(part.dataset)}),
    )


def _total(reports: list[SourceReport], prompts: list[Prompt]) -> dict[str, Any]:
    """The report of all sources together; `duplicates` are rows whose prompt came before."""
    summed = ("read", "kept", "dropped_overlong", "dropped_empty", "truncated")
    return {
        "rows": len(prompts),
        **{key: sum(getattr(report, key) for report in reports) for key in summed},
        "duplicates": len(prompts) - len({prompt_key(prompt) for prompt in prompts}),
        "longest_prompt": max(report.longest_prompt for report in reports),
        "sources": [asdict(report) for report in reports],
    }


def prompt_key(prompt: Prompt) -> str:
    """Equal for prompts that differ in white space at most."""
    if isinstance(prompt, str):
        return " ".join(prompt.split())
    return json.dumps([[message["role"], " ".join(message["content"].split())] for message in prompt])
