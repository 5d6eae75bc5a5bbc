"""What a policy is sampled with before training."""

from pathlib import Path

from rlctl.calibration.collect import Completions
from rlctl.calibration.policy import completions_of_policy
from rlctl.config.load import config_from_dict
from rlctl.evaluation.audience import Audience


def sampled(seed: int, folder: Path) -> Completions:
    """Four completions of each of four prompts, which are the same whatever the seed."""
    lines = [f'{{"prompt": "{i}+{i}=", "answer": "{2 * i}"}}\n' for i in range(4)]
    (folder / "train.jsonl").write_text("".join(lines), encoding="utf-8")
    config = config_from_dict(
        {
            "run": {"seed": seed},
            "model": {"path": "builtin:tiny-math", "device": "cpu"},
            "data": {"train": {"path": "train.jsonl"}, "shuffle": False, "max_length": 32},
            "rewards": {"components": [{"type": "math_answer"}]},
            "generation": {"max_completion_length": 8, "temperature": 2.0},
            "algorithm": {"type": "grpo", "num_generations": 4},
            "training": {"prompts_per_step": 2, "max_steps": 1},
        },
        folder=folder,
    )
    return completions_of_policy(config, 16, Audience())


def test_its_seed_is_that_of_the_run(tmp_path: Path) -> None:
    first, again, other = (sampled(seed, tmp_path) for seed in (1, 1, 2))
    assert first.texts == again.texts
    assert [row["prompt"] for row in first.rows] == [row["prompt"] for row in other.rows]
    assert first.texts != other.texts
    assert other.source["seed"] == 2
