"""Figures of standard benchmarks, and two checkpoints compared on them, document by document.

What runs the benchmarks is `lm_eval`; nothing here needs the harness.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rlctl.statistics.paired import Comparison, compare, holm

Document = tuple[str, int, str]
"""Task, place in its data, and hash of the content: what two checkpoints must share to be paired."""


@dataclass(frozen=True)
class Score:
    """One metric of a task or of a group of tasks.

    Args:
        value: The figure; None where the harness has none.
        stderr: Its standard error, as the harness gives it; None where there is none.
        n: Documents that it is of.
        higher_is_better: Which way is up; None where the harness does not say.
        documents: Each document's own value where `value` is their mean; else empty.
    """

    value: float | None
    stderr: float | None
    n: int
    higher_is_better: bool | None = None
    documents: Mapping[Document, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """`value, stderr, n, higher_is_better`."""
        return {
            "value": self.value,
            "stderr": self.stderr,
            "n": self.n,
            "higher_is_better": self.higher_is_better,
        }


@dataclass(frozen=True)
class Benchmarks:
    """What the harness found of one checkpoint.

    Args:
        scores: Task or group → metric → figure. A metric is named as in the harness's own tables, with its
            filter where it has one: `acc`, `exact_match,strict-match`.
        settings: What the figures depend on: versions, seeds, examples in the prompt, the chat template.
        samples: Every document with the model's answers, ready for JSON.
    """

    scores: dict[str, dict[str, Score]]
    settings: dict[str, Any]
    samples: list[dict[str, Any]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Task → metric → `value, stderr, n, higher_is_better`."""
        return {
            task: {metric: score.as_dict() for metric, score in metrics.items()}
            for task, metrics in self.scores.items()
        }


def benchmark_results(
    found: Mapping[str, Benchmarks], pairs: Sequence[tuple[str, str]] = ()
) -> dict[str, Any]:
    """What goes into the JSON of an evaluation.

    Args:
        found: Checkpoint → its benchmarks.
        pairs: Which checkpoint is compared with which.

    Returns:
        `benchmarks`, `benchmark_comparisons` and `benchmark_settings`.
    """
    return {
        "benchmarks": {name: one.as_dict() for name, one in found.items()},
        "benchmark_comparisons": [
            {"a": a, "b": b, **comparison}
            for a, b in pairs
            for comparison in compare_benchmarks(found[a], found[b])
        ],
        "benchmark_settings": {name: one.settings for name, one in found.items()},
    }


def benchmark_samples(found: Mapping[str, Benchmarks]) -> Iterator[dict[str, Any]]:
    """Every document of every checkpoint with the answers, as lines of a log."""
    for name, one in found.items():
        for sample in one.samples:
            yield {"checkpoint": name, **sample}


def compare_benchmarks(a: Benchmarks, b: Benchmarks) -> list[dict[str, Any]]:
    """Compare two checkpoints on every figure that is a mean over documents, paired by document.

    Returns:
        For each: `task, metric, higher_is_better`, the fields of `Comparison`, and `p_adjusted`, the p-value
        adjusted (Holm) for the number of them.
    """
    found = [
        (task, metric, score, _paired(score, b.scores[task][metric]))
        for task, metrics in a.scores.items()
        for metric, score in metrics.items()
        if score.documents and metric in b.scores.get(task, {}) and b.scores[task][metric].documents
    ]
    known = [one.p_value for *_, one in found if one.p_value is not None]
    adjusted = iter(holm(known))
    return [
        {
            "task": task,
            "metric": metric,
            "higher_is_better": score.higher_is_better,
            **one.as_dict(),
            "p_adjusted": None if one.p_value is None else next(adjusted),
        }
        for task, metric, score, one in found
    ]


def _paired(a: Score, b: Score) -> Comparison:
    shared = [document for document in a.documents if document in b.documents]
    left, right = ([one.documents[document] for document in shared] for one in (a, b))
    return compare(left, right, bounds=(0, 1) if {*left, *right} <= {0, 1} else None)
