"""What an evaluation found, and the folder that keeps it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rlctl.config.config import Config
from rlctl.errors import UsageError
from rlctl.evaluation.figures import Figures
from rlctl.files import replace_text, write_json
from rlctl.statistics.paired import Comparison, compare, holm
from rlctl.statistics.selection import is_selection

RESULTS, SAMPLES, DOCUMENTS = "results.json", "samples.jsonl", "benchmarks.jsonl"


@dataclass(frozen=True)
class NamedComparison:
    """A checkpoint against another.

    Args:
        a: The checkpoint.
        b: What it is held against.
        metric: `eval.metric`.
        found: The comparison by this metric.
        p_adjusted: Its p-value adjusted for the number of comparisons (Holm); None where there is no p-value.
        left_out: The greater share of completions that a or b has no value for, of the prompts that a or b
            has; a verdict on the rest would be one on a selection.
        one_sided: How many of these prompts only one of the two has completions of; of them each counts as
            one that the other has no value for.
        others: The same comparison by every other metric, to look at; not adjusted.
    """

    a: str
    b: str
    metric: str
    found: Comparison
    p_adjusted: float | None = None
    left_out: float = 0.0
    one_sided: int = 0
    others: dict[str, Comparison] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        others = {name: one.as_dict() for name, one in self.others.items()}
        head = {"a": self.a, "b": self.b, "metric": self.metric, **self.found.as_dict()}
        missing = {"left_out": self.left_out, "one_sided": self.one_sided}
        more = {"p_adjusted": self.p_adjusted, **missing, "verdict": self.verdict}
        return {**head, **more, "other_metrics": others}

    @property
    def verdict(self) -> str:
        """`better`, `worse` or `no evidence`, at 5 % over all pairs; `not judged`: too much left out."""
        if self.found.difference is None or is_selection(self.left_out):
            return "not judged"
        if self.p_adjusted is None or self.p_adjusted >= 0.05 or not self.found.difference:
            return "no evidence"
        return "better" if self.found.difference > 0 else "worse"


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found.

    Args:
        config: The config, `num_samples` included.
        request: What was asked for; names the folder.
        folder: Where `results.json` and `samples.jsonl` are.
        figures: Checkpoint → its figures.
        comparisons: Every checkpoint against every one of `against`.
        benchmarks: Results of the lm-evaluation-harness; empty where it was not asked for.
    """

    config: Config
    request: dict[str, Any]
    folder: Path
    figures: dict[str, Figures]
    comparisons: list[NamedComparison]
    benchmarks: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """What `rlctl eval --json` prints."""
        figures = list(self.figures.values())
        comparisons = [one.as_dict() for one in self.comparisons]
        return {
            "prompts": max((len(one.prompts) for one in figures), default=0),
            "samples_per_prompt": max((one.samples_per_prompt for one in figures), default=0),
            "metric": self.config.eval.metric,
            "independent_rewards": self.config.eval.rewards is not None,
            "seed": self.config.run.seed,
            "checkpoints": {name: one.as_dict() for name, one in self.figures.items()},
            "comparison": comparisons[0] if comparisons else None,
            "comparisons": comparisons,
            **self.benchmarks,
            "folder": str(self.folder),
        }

    def write(self, samples: Iterable[Mapping[str, Any]], documents: Sequence[Mapping[str, Any]]) -> None:
        """Write `samples.jsonl`, `benchmarks.jsonl` where there are benchmarks, and `results.json`.

        Args:
            samples: Every completion.
            documents: Every question of the benchmarks.

        Raises:
            UsageError: The folder cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            replace_text(self.folder / SAMPLES, _lines(samples))
            if documents:
                replace_text(self.folder / DOCUMENTS, _lines(documents))
            write_json(self.folder / RESULTS, {**self.as_dict(), "request": self.request})
        except OSError as error:
            message = f"the results cannot be written ({error.strerror or error})"
            raise UsageError(message, where=str(self.folder), hint="Choose another: --output DIR.") from error


def _lines(rows: Iterable[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows)


def compared(
    figures: Mapping[str, Figures], pairs: Sequence[tuple[str, str]], metric: str
) -> list[NamedComparison]:
    """Hold checkpoints against others, prompt by prompt.

    Args:
        figures: Checkpoint → its figures, of the same prompts.
        pairs: Which against which.
        metric: What decides.
    """
    found = [_pair(figures[a], figures[b], metric) for a, b in pairs]
    known = [one.p_value for one in found if one.p_value is not None]
    adjusted = iter(holm(known))
    return [
        NamedComparison(
            a,
            b,
            metric,
            one,
            None if one.p_value is None else next(adjusted),
            *_missing(figures[a], figures[b], metric),
            {
                name: _pair(figures[a], figures[b], name)
                for name in figures[a].metrics()
                if name != metric and name in figures[b].metrics()
            },
        )
        for (a, b), one in zip(pairs, found, strict=True)
    ]


def _missing(a: Figures, b: Figures, metric: str) -> tuple[float, int]:
    """`left_out` and `one_sided`. A prompt that only other checkpoints have says nothing of these two."""
    of_a, of_b = a.completed(metric), b.completed(metric)
    shares = [one.left_out(metric, of_a | of_b) for one in (a, b)]
    return max(shares), len(of_a ^ of_b)


def _pair(a: Figures, b: Figures, metric: str) -> Comparison:
    bounds = a.bounds(metric) if b.bounds(metric) else None
    return compare(a.per_prompt(metric), b.per_prompt(metric), bounds=bounds)
