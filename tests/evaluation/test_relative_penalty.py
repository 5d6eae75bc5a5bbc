"""A penalty relative to a group, in evaluation: invalid completions have no reward; they are counted."""

from pathlib import Path
from typing import Any

import pytest

from rlctl.cli.check import notices, summary
from rlctl.config.config import Config
from rlctl.config.load import config_from_dict
from rlctl.evaluation.audience import Audience
from rlctl.evaluation.evaluate import evaluate
from rlctl.evaluation.figures import Figures
from rlctl.evaluation.judge import Judge
from rlctl.evaluation.result import compared
from rlctl.evaluation.samples import Drawn, score
from rlctl.rewards.compose import Scorer


def config_of(folder: Path, **sections: Any) -> Config:
    (folder / "rewards.py").write_text(
        "import rlctl\n\n\ndef number(completions, **columns):\n"
        "    return [rlctl.Invalid('none') if text == 'bad' else float(text) for text in completions]\n"
    )
    part = {"type": "python", "name": "own", "function": "rewards.py:number", "isolate": False}
    base: dict[str, Any] = {
        "run": {"output_dir": str(folder)},
        "model": {"path": "builtin:tiny-math", "device": "cpu"},
        "data": {
            "train": {"path": "builtin:arithmetic"},
            "eval": {"path": "builtin:arithmetic", "split": "test", "limit": 2},
            "max_length": 32,
        },
        "rewards": {"components": [part], "invalid_penalty": {"per_group": 2.0}},
        "generation": {"max_completion_length": 8},
        "algorithm": {"type": "grpo"},
        "eval": {"metric": "valid_fraction"},
    }
    return config_from_dict({**base, **sections}, folder=folder)


def test_the_reward_is_of_the_valid_ones_and_a_comparison_by_it_is_not_judged(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    prompts = [{"prompt": "a"}, {"prompt": "b"}]
    texts = ["1", "bad", "3", "bad"]
    drawn = [Drawn(i // 2, False, text) for i, text in enumerate(texts)]
    with Scorer(config.eval_rewards) as scorer:
        samples = score(drawn, prompts, scorer, Judge(config))
    assert [one.row.total for one in samples] == [1.0, None, 3.0, None]
    assert [one.passed for one in samples] == [True, False, True, False]
    figures = Figures(samples, prompts, config)
    assert figures.mean("reward") == 2.0
    assert figures.mean("valid_fraction") == 0.5
    assert figures.left_out("reward") == 0.5
    [found] = compared({"a": figures, "b": figures}, [("a", "b")], "reward")
    assert found.verdict == "not judged"


def test_scored_in_another_batch_it_is_the_same(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    texts, prompts = ["1", "bad", "9"], [{"prompt": "a"}]
    with Scorer(config.eval_rewards) as scorer:
        for chosen in (texts, texts[::-1], texts[:2]):
            found = score([Drawn(0, False, one) for one in chosen], prompts, scorer, Judge(config))
            assert {one.drawn.text: one.row.total for one in found}["bad"] is None


def test_it_is_said(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    assert "held-out reward: of valid completions alone" in " ".join(notices(config))
    assert any(
        "invalid: 2 standard deviations below the mean of its group's" in one for one in summary(config)
    )
    said: list[str] = []
    right = {"components": [{"type": "math_answer", "name": "right"}], "invalid_penalty": {"per_group": 2.0}}
    evaluate(config_of(tmp_path, rewards=right), ["base"], audience=Audience(tell=said.append))
    assert any(one.startswith("held-out reward: of valid completions alone") for one in said)


@pytest.mark.parametrize(
    "more", [{"eval": {"metric": "own"}}, {"eval": {"rewards": {"components": [{"type": "length"}]}}}]
)
def test_what_may_decide(more: dict[str, Any], tmp_path: Path) -> None:
    assert config_of(tmp_path, **more).rewards.penalty is None


def test_auto_is_said_in_words(tmp_path: Path) -> None:
    part = {"type": "length"}
    config = config_of(tmp_path, rewards={"components": [part], "invalid_penalty": "auto"}, eval={})
    assert any("invalid: auto (chosen before the first step, then fixed)" in one for one in summary(config))
    assert config.about_held_out == ()
