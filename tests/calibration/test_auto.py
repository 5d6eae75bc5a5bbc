"""The penalty that `auto` chooses, from completions that are given and from a policy's."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch

import rlctl
from rlctl.calibration.auto import choose, choose_for
from rlctl.calibration.collect import Completions
from rlctl.config.config import Config
from rlctl.config.load import config_from_dict
from rlctl.errors import RewardError
from rlctl.evaluation.audience import Audience
from rlctl.rewards.compose import Scorer

REWARDS = '''
import rlctl


def number(completions, **columns):
    return [rlctl.Invalid("no number") if text == "bad" else float(text) for text in completions]


class Counting:
    """How often it was called before."""

    def __init__(self):
        self.calls = 0

    def __call__(self, completions, **columns):
        self.calls += 1
        return [float(text) + self.calls for text in completions]

    def state_dict(self):
        return {"calls": self.calls}

    def load_state_dict(self, state):
        self.calls = state["calls"]
'''


def config_of(folder: Path, function: str = "number", **rewards: Any) -> Config:
    (folder / "rewards.py").write_text(REWARDS)
    part = {"type": "python", "name": "own", "function": f"rewards.py:{function}", "isolate": False}
    data: dict[str, Any] = {
        "model": {"path": "builtin:tiny-math", "device": "cpu"},
        "data": {"train": {"path": "builtin:arithmetic", "limit": 8}, "max_length": 32},
        "rewards": {
            "components": [{**part, **rewards.pop("part", {})}],
            "invalid_penalty": "auto",
            **rewards,
        },
        "generation": {"max_completion_length": 4},
        "algorithm": {"type": "grpo", "num_generations": 3},
        "training": {"prompts_per_step": 3, "max_steps": 1},
    }
    return config_from_dict(data, folder=folder)


def given(*groups: str) -> Completions:
    texts = [text for group in groups for text in group.split()]
    return Completions([{"prompt": "p"}] * len(texts), texts, [len(group.split()) for group in groups], {})


def test_from_the_spread_within_prompts(tmp_path: Path) -> None:
    config = config_of(tmp_path, scale=10.0)
    with Scorer(config.rewards) as scorer:
        found = choose(scorer, given("1 2 3", "11 bad 13"), config)
    # Mean 30/5 = 6. Within: 1² + 0 + 1² and 1² + 1² over 2 + 1 degrees of freedom, s = √(4/3). Below 400
    # valid ones q = min(1, 6 − 2.576 · std of all, √(124 / 4) = √31); it is
    # lowered to q − 0.1 s.
    s, q = math.sqrt(4 / 3), 6 - 2.576 * math.sqrt(31)
    assert found.value == pytest.approx(min(6 - 2.5 * s, q - 0.1 * s))
    assert found.outcomes == {"scored": 5, "invalid": 1, "not_applicable": 0, "failed": 0}
    assert found.advice.provisional


def test_failures_that_get_the_penalty_count(tmp_path: Path) -> None:
    config = config_of(tmp_path, on_error="penalty", max_failure_rate=1.0)
    with Scorer(config.rewards) as scorer:
        found = choose(scorer, given("1 2 seven", "11 bad eight"), config)
    assert found.outcomes == {"scored": 3, "invalid": 1, "not_applicable": 0, "failed": 2}
    assert found.advice.invalid_share == 3 / 6


@pytest.mark.parametrize(
    ("groups", "reason"),
    [
        (["bad bad", "bad bad"], "from 4 completions: no completion is valid"),
        (["1 bad", "1 1"], "from 4 completions: all 3 valid rewards are 1"),
        (["1 bad"], "from 2 completions: one valid reward"),
    ],
)
def test_where_nothing_can_be_chosen(groups: list[str], reason: str, tmp_path: Path) -> None:
    config = config_of(tmp_path)
    with Scorer(config.rewards) as scorer, pytest.raises(RewardError, match=reason) as caught:
        choose(scorer, given(*groups), config)
    assert caught.value.exit_code == 3
    assert caught.value.render().startswith("rewards.invalid_penalty: `auto` finds no penalty")


def test_too_many_failures_stop_as_in_training(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    with Scorer(config.rewards) as scorer, pytest.raises(RewardError, match=r"2 of 4 .* could not be scored"):
        choose(scorer, given("1 seven", "2 eight"), config)


def test_beyond_what_a_penalty_may_be(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    with Scorer(config.rewards) as scorer, pytest.raises(RewardError, match=r"beyond ±1e\+06"):
        choose(scorer, given("1 1e7", "3 2e7"), config)


def test_what_rewards_remember_of_it_is_forgotten(tmp_path: Path) -> None:
    config = config_of(tmp_path, "Counting")
    with Scorer(config.rewards) as scorer:
        before = scorer.state_dict()
        choose(scorer, given("1 2 3", "4 5 6", "7 8 9", "1 1 1"), config)
        assert scorer.state_dict() == before == {"own": {"calls": 0}}


def test_it_is_what_analyze_rewards_recommends(tmp_path: Path) -> None:
    """The same prompts, seed and batches: 8 prompts, three times each."""
    part = {"type": "math_answer", "name": "correct"}
    config = config_of(tmp_path)
    raw = config.model_dump()
    raw["rewards"]["components"] = [part, {"type": "length", "weight": 0.1, "normalize": "batch_std"}]
    raw["run"]["output_dir"] = str(tmp_path)
    config = config_from_dict(raw)
    before = torch.random.get_rng_state()
    with Scorer(config.rewards) as scorer:
        found = choose_for(config, scorer, Audience())
    assert torch.equal(torch.random.get_rng_state(), before)
    analysis = rlctl.analyze_rewards(config, 24).as_dict()
    assert sum(found.outcomes.values()) == analysis["num_samples"] == 24
    assert analysis["penalty"]["recommended"] == found.value
