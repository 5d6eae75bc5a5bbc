"""Samples with scores that are written down, for figures that are worked out by hand."""

from collections.abc import Sequence
from typing import Any

from rlctl.config.config import Config
from rlctl.config.load import config_from_dict
from rlctl.evaluation.judge import Judge
from rlctl.evaluation.samples import Drawn, Sample
from rlctl.rewards.aggregate import aggregate
from rlctl.rewards.outcome import Score

EVAL = {"path": "builtin:arithmetic", "split": "test"}


def config_with(components: Sequence[dict[str, Any]] = (), **evaluation: Any) -> Config:
    """A config on the built-in task: `math_answer` named `right`, and -2 for an invalid completion."""
    parts = list(components) or [{"name": "right", "type": "math_answer"}]
    return config_from_dict(
        {
            "model": {"path": "builtin:tiny-math"},
            "data": {"train": {"path": "builtin:arithmetic"}, "eval": EVAL},
            "rewards": {"components": parts, "invalid_penalty": -2.0},
            "algorithm": {"type": "grpo"},
            "eval": evaluation,
        }
    )


def sample(
    config: Config, prompt: int, text: str, *scores: Score, greedy: bool = False, **drawn: Any
) -> Sample:
    """A completion to which the components gave these raw scores, in their order."""
    names = [part.name for part in config.eval_rewards.components]
    [row] = aggregate(config.eval_rewards, {name: [score] for name, score in zip(names, scores, strict=True)})
    judge = Judge(config)
    return Sample(Drawn(prompt, greedy, text, **drawn), row, judge.passed(row), judge.answer(text))
