"""`proof.json`: everything that a proof found, as plain data. The page shows this and nothing else."""

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from rlctl.config.config import Config
from rlctl.errors import CheckpointError
from rlctl.proof.charts import thinned
from rlctl.proof.examples import examples
from rlctl.proof.examples import rule as rule_of_examples
from rlctl.proof.measured import Measured, mean, mean_of
from rlctl.proof.runs import BASE, CONTROL, ProofRun
from rlctl.proof.verdict import Values, Verdict, effect, minus, only
from rlctl.proof.wording import about_control, also_trained_on, basis, detectable, headline, limits
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
    reward: dict[str, Any],
) -> dict[str, Any]:
    """The document.

    Args:
        config: The resolved config, as the user gave it.
        plan: What was fixed beforehand.
        runs: The seeds in their order, then the control.
        measured: What was found of `base`, each run, and `control`.
        verdict: What follows.
        provenance: Versions, commit, command, hardware, hashes.
        reward: What was found of the training reward before training.
    """
    metric = plan["metric"]
    trained = [one for one in runs if not one.is_control]
    models = [measured[one.name] for one in trained]
    metrics = [_row(name, measured, models) for name in _names(measured[BASE])]
    deciding = next(row for row in metrics if row["name"] == metric)
    document: dict[str, Any] = {
        "name": config.run.name,
        "verdict": verdict.word,
        "because": verdict.because,
        "metric": metric,
        "prompts": sum(verdict.counted),
        "prompts_without_value": len(verdict.counted) - sum(verdict.counted),
        "left_out": max(one.figures["left_out"] for one in measured.values()),
        "also_trained_on": also_trained_on(plan["prompts"]),
        "samples_per_prompt": plan["num_samples"],
        "seeds": plan["seeds"],
        "base": deciding["base"],
        "trained": deciding["trained"],
        "detectable_effect": verdict.detectable,
        "gain": verdict.gain.as_dict(),
        "over_control": verdict.over_control.as_dict(),
        "control": {**verdict.control.as_dict(), "improved": verdict.control_improved},
        "by_seed": [_seed(one, found) for one, found in zip(trained, verdict.by_seed, strict=True)],
        "metrics": metrics,
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
        "limits": limits(config, plan),
        "reward": reward,
        "alarms": [{"run": one.label, **notice} for one in runs for notice in one.record.get("watch") or []],
        "examples": examples(metric, measured[BASE], models),
        "rule_of_examples": rule_of_examples(metric, plan["seeds"][0]),
        "curves": {
            "train/reward": _curves(runs, "train/reward"),
            f"val/{metric}": _curves(runs, f"val/{metric}"),
        },
        "checkpoints": {name: one.figures for name, one in measured.items()},
        "runs": {one.name: _run(one) for one in runs},
        "models": {
            BASE: _model(None, measured[BASE]),
            **{one.name: _model(one.identity, measured[one.name]) for one in runs},
        },
        "plan": plan,
        "provenance": provenance,
    }


def read(file: Path) -> dict[str, Any]:
    """What was concluded before; nothing where nothing was.

    Raises:
        CheckpointError: The file cannot be read.
    """
    hint = "Remove it, and prove again: what is done is not done again."
    try:
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise CheckpointError(f"cannot be read ({error})", where=str(file), hint=hint) from error
    models = found.get("models", {}) if isinstance(found, dict) else None
    if not isinstance(models, dict) or not all(isinstance(one, dict) for one in models.values()):
        raise CheckpointError("is not what a proof has written", where=str(file), hint=hint)
    return found


def _model(run: str | None, found: Measured) -> dict[str, Any]:
    """What a model and its completions were, to see later whether they still are."""
    return {"run": run, "weights": found.weights, "samples_sha256": found.sha256}


def _names(base: Measured) -> list[str]:
    return [name for name in base.per_prompt if mean(base, name) is not None or name not in OTHER_METRICS]


def _row(name: str, measured: dict[str, Measured], models: Sequence[Measured]) -> dict[str, Any]:
    """A line of the table: a figure of the base, of the trained models, of the control, and what changed.

    All of them are of the prompts that have a value in every model.
    """
    everyone = [measured[BASE].per_prompt[name], measured[CONTROL].per_prompt[name]]
    everyone += [one.per_prompt[name] for one in models]
    counted = [None not in column for column in zip(*everyone, strict=True)]
    base, control, *trained = (only(values, counted) for values in everyone)
    return {
        "name": name,
        "decides_nothing": name in OTHER_METRICS,
        "prompts": sum(counted),
        "base": mean_of(base),
        "trained": _mean_of(trained),
        "control": mean_of(control),
        "change": effect([minus(values, base) for values in trained]).as_dict(),
    }


def _mean_of(models: Sequence[Values]) -> float | None:
    """The mean over models of their means, all of the same prompts."""
    means = [value for values in models if (value := mean_of(values)) is not None]
    return fmean(means) if means else None


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
