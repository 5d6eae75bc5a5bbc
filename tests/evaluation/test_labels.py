"""Figures of evaluations as a person reads them."""

from rlctl.config.load import config_from_dict
from rlctl.evaluation.labels import describe, figure, label, shown

CONFIG = config_from_dict(
    {
        "model": {"path": "builtin:tiny-math"},
        "data": {
            "train": {"path": "builtin:arithmetic"},
            "eval": {"path": "builtin:arithmetic", "split": "test"},
        },
        "rewards": {"components": [{"type": "length"}]},
        "eval": {
            "num_samples": 4,
            "metric": "pass_at_2",
            "rewards": {"components": [{"type": "math_answer", "name": "correct"}]},
        },
        "algorithm": {"type": "grpo"},
    }
)
METRICS = {
    "val/reward": 0.5,
    "val/reward_low": 0.4,
    "val/reward_high": 0.625,
    "val/correct": 0.5,
    "val/pass_at_1": 0.5,
    "val/pass_at_2": 0.75,
    "val/pass_at_3": 0.8,
    "val/pass_at_4": 0.875,
    "val/greedy_pass": 0.25,
    "val/valid_fraction": 1.0,
    "val/failed_fraction": 0.0,
    "val/truncated_fraction": 0.125,
    "val/completion_length": 3.25,
}


def test_what_is_shown() -> None:
    """The parts of `eval.rewards`, the first and last pass@k, the metric; no failures, where none failed."""
    names = ["reward", "correct", "pass_at_1", "pass_at_4", "greedy_pass", "valid_fraction"]
    assert shown(CONFIG, [METRICS]) == [*names, "completion_length", "pass_at_2", "truncated_fraction"]
    assert shown(CONFIG, []) == []


def test_a_figure() -> None:
    assert figure(METRICS, "reward") == "0.500 [0.400, 0.625]"
    assert figure({"val/reward": 0.5}, "reward") == "0.500"
    assert figure(METRICS, "greedy_pass") == "25.0%"
    assert figure(METRICS, "completion_length") == "3.250"
    assert figure(METRICS, "majority") == "–"
    assert label("pass_at_4") == "pass@4"


def test_an_evaluation_in_a_line() -> None:
    assert describe(METRICS, CONFIG) == (
        "reward, sampled 0.500 [0.400, 0.625], correct 0.500, pass, greedy 25.0%, valid 100.0%, "
        "tokens per completion 3.250, pass@2 75.0%, truncated 12.5%"
    )
    assert describe({}, CONFIG) == "nothing could be scored"
