"""Which prompts a proof shows, by a rule that the page states: nobody picks them by hand."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from rlctl.proof.measured import Measured, Row
from rlctl.statistics.intervals import difference

EACH = 3
"""Wins, losses and ties that are shown, each at most."""
SAMPLES = 4
"""Samples of a model that are shown of each, at most."""
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
            rows.append((difference(fmean(known[1:]), known[0]), prompt))
    wins = sorted((row for row in rows if row[0] > 0), key=lambda row: (-row[0], row[1]))
    losses = sorted(row for row in rows if row[0] < 0)
    ties = [row for row in rows if row[0] == 0]
    kinds = {"win": wins, "loss": losses, "tie": ties}
    return [Chosen(kind, prompt, change) for kind, found in kinds.items() for change, prompt in found[:EACH]]


def rule(metric: str, seed: int) -> str:
    """The rule in words."""
    which = "the greedy completion is" if metric.startswith(GREEDY) else f"the first {SAMPLES} samples are"
    return (
        f"Chosen by rule: the {EACH} prompts that gained most in {metric} (mean over seeds), the {EACH} that "
        f"lost most, and the first {EACH} without a difference; of equal ones those that come first in the "
        f"data. Of each model, {which} shown; the trained one is that of seed {seed}. They show extremes, "
        "not what is usual."
    )


def examples(metric: str, base: Measured, trained: Sequence[Measured]) -> list[dict[str, Any]]:
    """The prompts with completions of the base and of the first seed's model.

    Args:
        metric: What decides.
        base: The base model.
        trained: The model of each seed.
    """
    chosen = choose(base.per_prompt[metric], [one.per_prompt[metric] for one in trained])
    places, greedy = [one.prompt for one in chosen], metric.startswith(GREEDY)
    before, after = (one.completions(places, greedy=greedy, most=SAMPLES) for one in (base, trained[0]))
    return [
        {
            "kind": one.kind,
            "prompt_index": one.prompt,
            "difference": one.difference,
            "prompt": before[one.prompt][0]["prompt"],
            "base": [_shown(row, metric) for row in before[one.prompt]],
            "trained": [_shown(row, metric) for row in after[one.prompt]],
        }
        for one in chosen
    ]


def _shown(row: Row, metric: str) -> dict[str, Any]:
    """A completion with its score in the metric; where single completions have none, with its total."""
    part = row["components"].get(metric)
    score = row["total"] if part is None else part["raw"]
    return {"completion": row["completion"], "score": score, "outcome": row["outcome"]}
