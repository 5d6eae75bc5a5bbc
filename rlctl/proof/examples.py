"""Which prompts a proof shows, by a rule that the page states: nobody picks them by hand."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from rlctl.config.evaluation import TOTAL
from rlctl.proof.measured import Measured

EACH = 3
"""Wins, losses and ties that are shown, each at most."""
GREEDY = "greedy_"


@dataclass(frozen=True)
class Chosen:
    """A prompt that is shown.

    Args:
        kind: `win`, `loss` or `tie`.
        prompt: Its place among the held-out prompts.
        difference: Trained minus base, mean over seeds.
    """

    kind: str
    prompt: int
    difference: float


def choose(base: Sequence[float | None], trained: Sequence[Sequence[float | None]]) -> list[Chosen]:
    """The largest wins, the largest losses and the first ties; of equal ones those that come first.

    Args:
        base: The metric of the base model, per prompt.
        trained: The same of each seed's model.
    """
    rows = []
    for prompt, values in enumerate(zip(base, *trained, strict=True)):
        known = [value for value in values if value is not None]
        if len(known) == len(values):
            rows.append((fmean(known[1:]) - known[0], prompt))
    wins = sorted((row for row in rows if row[0] > 0), key=lambda row: (-row[0], row[1]))
    losses = sorted(row for row in rows if row[0] < 0)
    ties = [row for row in rows if row[0] == 0]
    kinds = {"win": wins, "loss": losses, "tie": ties}
    return [Chosen(kind, prompt, change) for kind, found in kinds.items() for change, prompt in found[:EACH]]


def rule(metric: str, seed: int) -> str:
    """The rule in words."""
    which = "the greedy completion" if metric.startswith(GREEDY) else "the first sampled completion"
    return (
        f"Chosen by rule: the {EACH} prompts that gained most in {metric} (mean over seeds), the {EACH} that "
        f"lost most, and the first {EACH} without a difference; of equal ones those that come first in the "
        f"data. Of each model, {which} is shown, whatever it is; of the trained ones that of seed {seed}. "
        "They show extremes, not what is usual."
    )


def examples(metric: str, base: Measured, trained: Sequence[Measured]) -> list[dict[str, Any]]:
    """The prompts with a completion of the base and of the first seed's model.

    Args:
        metric: What decides.
        base: The base model.
        trained: The model of each seed.
    """
    chosen = choose(base.per_prompt[metric], [one.per_prompt[metric] for one in trained])
    greedy, places = metric.startswith(GREEDY), [one.prompt for one in chosen]
    before = base.completions(places, greedy=greedy)
    after = trained[0].completions(places, greedy=greedy)
    return [
        {
            "kind": one.kind,
            "prompt_index": one.prompt,
            "difference": one.difference,
            "prompt": before[one.prompt]["prompt"],
            "base": _shown(before[one.prompt], metric),
            "trained": _shown(after[one.prompt], metric),
        }
        for one in chosen
        if one.prompt in before and one.prompt in after
    ]


def _shown(row: dict[str, Any], metric: str) -> dict[str, Any]:
    """A completion with its own score, where the metric is of single completions."""
    parts = row["components"]
    score = row["total"] if metric in (TOTAL, f"{GREEDY}{TOTAL}") else parts.get(metric, {}).get("raw")
    return {
        "completion": row["completion"],
        "score": score,
        "passed": row["passed"],
        "outcome": row["outcome"],
    }
