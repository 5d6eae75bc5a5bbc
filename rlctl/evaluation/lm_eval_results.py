"""Reads what the lm-evaluation-harness returns: figures, what they depend on, and every document."""

import math
from collections.abc import Iterable, Iterator, Mapping
from statistics import fmean
from typing import Any

from rlctl.evaluation.benchmarks import Document, Score


def scores(results: Any) -> dict[str, dict[str, Score]]:
    """Task or group → metric → figure; groups without a figure of their own are left out.

    Args:
        results: What the harness's `evaluate` returns, samples included.
    """
    read: dict[str, dict[str, Score]] = {}
    for task, found in results["results"].items():
        leaves = _leaves(task, results["group_subtasks"])
        for key in found:
            metric, comma, name = key.partition(",")
            if not comma or metric.endswith("_stderr"):
                continue
            value = _number(found[key])
            values = _per_document(leaves, metric, name, results["samples"])
            is_mean = (
                values and value is not None and math.isclose(fmean(values.values()), value, abs_tol=1e-9)
            )
            read.setdefault(task, {})[metric if name == "none" else f"{metric},{name}"] = Score(
                value,
                _number(found.get(f"{metric}_stderr,{name}")),
                found.get("sample_count", {}).get(key) or len(values) or found["sample_len"],
                results["higher_is_better"].get(task, {}).get(metric),
                values if is_mean else {},
            )
    return read


def _leaves(name: str, inside: Mapping[str, list[str]]) -> list[str]:
    """The tasks of a group, groups in it opened; of a task, itself."""
    return [leaf for child in inside[name] for leaf in _leaves(child, inside)] if name in inside else [name]


def _per_document(
    tasks: Iterable[str], metric: str, name: str, samples: Mapping[str, list[dict[str, Any]]]
) -> dict[Document, float]:
    """Each document's value; empty where one has none that is a number (F1, perplexity per word)."""
    values: dict[Document, float | None] = {
        (task, one["doc_id"], one["doc_hash"]): _number(one[metric])
        for task in tasks
        for one in samples.get(task, ())
        if one["filter"] == name and metric in one["metrics"]
    }
    known = {document: value for document, value in values.items() if value is not None}
    return known if len(known) == len(values) else {}


def _number(value: Any) -> float | None:
    try:
        number = float(value) if not isinstance(value, str) else math.nan
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def task_settings(results: Any, own: Iterable[str]) -> dict[str, Any]:
    """Task or group → its version, examples in the prompt, and documents.

    Args:
        results: What the harness's `evaluate` returns.
        own: Tasks that are the user's and not the harness's.
    """
    counts = results["n-samples"]
    return {
        task: {
            "version": results["versions"].get(task),
            "num_fewshot": results["n-shot"].get(task),
            "documents": counts[task]["effective"] if task in counts else None,
            "of": counts[task]["original"] if task in counts else None,
            "own": task in own,
        }
        for task in results["results"]
    }


def answers(samples: Mapping[str, list[dict[str, Any]]]) -> Iterator[dict[str, Any]]:
    """Every document with what was asked and answered, ready for JSON.

    Args:
        samples: Task → what the harness logs of each document.
    """
    for task, found in samples.items():
        for one in found:
            yield {
                "task": task,
                "document": one["doc_id"],
                "filter": one["filter"],
                "requests": [[_plain(part) for part in request] for request in one["arguments"]],
                "responses": _plain(one["resps"]),
                "filtered": _plain(one["filtered_resps"]),
                "target": _plain(one["target"]),
                "scores": {metric: _plain(one[metric]) for metric in one["metrics"]},
            }


def _plain(value: Any) -> Any:
    """A value as JSON can hold it."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if value is None or isinstance(value, str | bool | int):
        return value
    number = _number(value)
    return str(value) if number is None else number
