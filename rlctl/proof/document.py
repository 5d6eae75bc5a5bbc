"""`proof.json`: everything that a proof found, as plain data. The page shows this and nothing else."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rlctl.config.config import Config
from rlctl.proof.charts import thinned
from rlctl.proof.examples import examples
from rlctl.proof.examples import rule as rule_of_examples
from rlctl.proof.measured import Measured, mean
from rlctl.proof.runs import BASE, CONTROL, ProofRun
from rlctl.proof.verdict import Verdict, effect, minus
from rlctl.proof.wording import about_control, basis, detectable, headline, limits
from rlctl.statistics.paired import Comparison

PAGE, FILE = "proof.html", "proof.json"
OTHER_METRICS = ("completion_length", "truncated_fraction", "repetition_fraction", "kl_div", "entropy")
"""Figures of a model that are shown beside the metrics; whether more of them is better, nobody can say."""


def build(
    config: Config,
    plan: dict[str, Any],
    runs: Sequence[ProofRun],
    measured: dict[str, Measured],
    verdict: Verdict,
    provenance: dict[str, Any],
) -> dict[str, Any]:
    """The document.

    Args:
        config: The resolved config, as the user gave it.
        plan: What was fixed beforehand.
        runs: The seeds in their order, then the control.
        measured: What was found of `base`, each run, and `control`.
        verdict: What follows.
        provenance: Versions, commit, command, hardware, hashes.
    """
    metric = plan["metric"]
    trained = [one for one in runs if not one.is_control]
    models = [measured[one.name] for one in trained]
    document: dict[str, Any] = {
        "name": config.run.name,
        "verdict": verdict.word,
        "because": verdict.because,
        "metric": metric,
        "prompts": plan["prompts"]["count"],
        "samples_per_prompt": plan["num_samples"],
        "seeds": plan["seeds"],
        "base": mean(measured[BASE], metric),
        "trained": _mean_of(models, metric),
        "gain": verdict.gain.as_dict(),
        "over_control": verdict.over_control.as_dict(),
        "control": {**verdict.control.as_dict(), "improved": verdict.control_improved},
        "by_seed": [_seed(one, found) for one, found in zip(trained, verdict.by_seed, strict=True)],
        "metrics": [_row(name, measured, models) for name in _names(measured[BASE])],
    }
    words = {
        "headline": headline(document),
        "basis": basis(document),
        "about_control": about_control(document),
    }
    return {
        **document,
        **words,
        "detectable": detectable(document),
        "limits": limits(config, len(trained)),
        "alarms": [{"run": one.label, **notice} for one in runs for notice in one.record.get("watch") or []],
        "examples": examples(metric, measured[BASE], models),
        "rule_of_examples": rule_of_examples(metric, plan["seeds"][0]),
        "curves": {
            "train/reward": _curves(runs, "train/reward"),
            f"val/{metric}": _curves(runs, f"val/{metric}"),
        },
        "checkpoints": {name: one.figures for name, one in measured.items()},
        "runs": {one.name: _run(one) for one in runs},
        "plan": plan,
        "provenance": provenance,
    }


def _names(base: Measured) -> list[str]:
    return [name for name in base.per_prompt if mean(base, name) is not None or name not in OTHER_METRICS]


def _row(name: str, measured: dict[str, Measured], models: Sequence[Measured]) -> dict[str, Any]:
    """A line of the table: a figure of the base, of the trained models, of the control, and what changed."""
    base = measured[BASE].per_prompt[name]
    known = [one.per_prompt[name] for one in models if name in one.per_prompt]
    change = effect([minus(values, base) for values in known]) if known else None
    return {
        "name": name,
        "decides_nothing": name in OTHER_METRICS,
        "base": mean(measured[BASE], name),
        "trained": _mean_of(models, name),
        "control": mean(measured[CONTROL], name),
        "change": None if change is None else change.as_dict(),
    }


def _mean_of(models: Sequence[Measured], name: str) -> float | None:
    values = [value for one in models if (value := mean(one, name)) is not None]
    return sum(values) / len(values) if values else None


def _seed(run: ProofRun, found: Comparison) -> dict[str, Any]:
    return {"seed": run.config.run.seed, "run": run.name, **found.as_dict()}


def _run(run: ProofRun) -> dict[str, Any]:
    """What a run says of itself."""
    record = run.record
    names = ("id", "seed", "start", "end", "resumed", "packages", "git", "hardware", "hashes")
    summary = record.get("summary", {})
    figures = {name: summary.get(name) for name in ("steps", "seconds")}
    changed = [words for one in record.get("resumed") or [] for words in one.get("changed", [])]
    return {
        "folder": run.name,
        **{name: record.get(name) for name in names},
        **figures,
        "changed_on_the_way": changed,
    }


def _curves(runs: Sequence[ProofRun], name: str) -> list[dict[str, Any]]:
    """A metric of every run by step."""
    return [
        {"run": run.name, "kind": "control" if run.is_control else "trained", "step": step, "value": value}
        for run in runs
        for step, value in thinned(logged(run.folder / "logs" / "metrics.jsonl", name))
    ]


def logged(file: Path, name: str) -> list[tuple[int, float]]:
    """A metric by step, where it was logged; of a run that has no log yet, nothing."""
    if not file.exists():
        return []
    with file.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [(row["step"], row[name]) for row in rows if row.get(name) is not None]
