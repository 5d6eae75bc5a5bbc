"""`rewards.invalid_penalty: auto`: the penalty is chosen once, from what the policy does before training."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from rlctl.calibration.collect import Completions
from rlctl.calibration.penalty import Advice, advise
from rlctl.calibration.policy import completions_of_policy
from rlctl.calibration.scoring import as_table, score_all
from rlctl.config.config import Config
from rlctl.config.rewards import LARGEST_PENALTY
from rlctl.errors import RewardError
from rlctl.evaluation.audience import Audience
from rlctl.rewards.compose import Scorer
from rlctl.rewards.failures import check, examples
from rlctl.rewards.statistics import OUTCOMES

COMPLETIONS = 512
"""Completions that the penalty is chosen from, where there are prompts enough: above the 400 valid ones from
which the 0.5 % quantile is taken as known."""
CURE = (
    "Write a number there, or {per_group: 2.5}; `rlctl analyze-rewards CONFIG` shows what was sampled and "
    "how it was scored."
)


@dataclass(frozen=True)
class Choice:
    """The penalty that was chosen, and why.

    Args:
        value: The penalty, in units of `rewards.invalid_penalty`.
        advice: What it rests on.
        outcomes: Outcome → number of completions.
        source: Where the completions are from.
    """

    value: float
    advice: Advice
    outcomes: dict[str, int]
    source: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """For `results/penalty.json`."""
        return {"value": self.value, "source": self.source, **self.outcomes, **self.advice.as_dict()}

    def summary(self) -> dict[str, Any]:
        """For `run.json`."""
        return {"value": self.value, "reason": self.advice.reason, **self.outcomes}

    def describe(self) -> str:
        """`invalid penalty: -1.5, chosen from 512 completions (480 valid): …`"""
        number = sum(self.outcomes.values())
        return (
            f"invalid penalty: {self.value:g}, chosen from {number:,} completions "
            f"({self.outcomes['scored']:,} valid): {self.advice.reason}"
        )


def choose_for(config: Config, scorer: Scorer, audience: Audience) -> Choice:
    """The same for the config's own model and training prompts, which it loads."""
    return choose(scorer, completions_of_policy(config, COMPLETIONS, audience), config)


def choose(scorer: Scorer, completions: Completions, config: Config) -> Choice:
    """Score completions in the batches of training steps, and choose the penalty that is advised for them.

    What the rewards remember of it is forgotten again.

    Args:
        scorer: The composed reward, loaded.
        completions: What the policy has sampled.
        config: The config.

    Raises:
        RewardError: Too many could not be scored, or there is nothing to choose by: no valid completion, or
            no spread among them.
    """
    rewards, size = config.rewards, config.algorithm.num_generations
    with scorer.unchanged():
        rows = score_all(scorer, completions, batch_size=config.training.prompts_per_step * size).rows
    scores = {part.name: [row.scores[part.name] for row in rows] for part in rewards.components}
    check(rewards, rows, examples(scores, completions.plain_texts))
    table = as_table(rows, completions, rewards)
    advice = advise(
        table.totals[table.valid],
        table.groups[table.valid],
        current=None,
        invalid=int(table.penalised.sum()),
        group_size=size,
        scale=config.algorithm.scale_rewards,
    )
    value = advice.recommended
    if value is None:
        raise RewardError(
            f"`auto` finds no penalty from {len(rows):,} completions: {advice.reason}",
            where="rewards.invalid_penalty",
            hint=CURE,
        )
    if abs(value) > LARGEST_PENALTY:
        raise RewardError(
            f"`auto` finds {value:g}, beyond ±{LARGEST_PENALTY:g}: {advice.reason}",
            where="rewards.invalid_penalty",
            hint="Bring the rewards to another scale, by `weight` or `transform`.",
        )
    counted: dict[str, int] = Counter(row.outcome for row in rows)
    return Choice(value, advice, {one: counted.get(one, 0) for one in OUTCOMES}, completions.source)
