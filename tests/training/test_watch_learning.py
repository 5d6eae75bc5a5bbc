"""The claim of the watch, over seeds: it finds out a reward that pays for the wrong thing, and that alone."""

import json
from pathlib import Path
from typing import Any

import pytest

import rlctl
from rlctl.errors import TrainingError

QUICKSTART = Path(__file__).resolve().parents[2] / "configs" / "quickstart.yaml"
SEEDS = [42, 1, 2, 3, 4]
INDEPENDENT = {"components": [{"name": "correct", "type": "math_answer"}]}

LENGTH = """
def score(completions, completion_ids, **columns):
    return [len(ids) / 8 for ids in completion_ids]
"""


def quickstart(folder: Path, seed: int, **changes: Any) -> Any:
    """The quickstart, evaluated more often; the watch may end it."""
    keys = {
        "run.seed": seed,
        "run.output_dir": str(folder),
        "training.eval_steps": 10,
        "eval.watch": "stop",
        **changes,
    }
    return rlctl.load_config(QUICKSTART, [f"{key}={json.dumps(value)}" for key, value in keys.items()])


def notices(run: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((run / "run.json").read_text())["watch"]
    return found


@pytest.mark.full
@pytest.mark.parametrize("seed", SEEDS)
def test_a_reward_that_pays_for_length_is_found_out(seed: int, tmp_path: Path) -> None:
    """The longer the better, says the reward; whether the answer is right, it does not ask."""
    (tmp_path / "longer.py").write_text(LENGTH)
    part = {
        "name": "longer",
        "type": "python",
        "function": f"{tmp_path / 'longer.py'}:score",
        "isolate": False,
    }
    rewards = {"components": [part]}
    config = quickstart(
        tmp_path, seed, rewards=rewards, **{"eval.rewards": INDEPENDENT, "eval.metric": "correct"}
    )
    with pytest.raises(TrainingError, match="stopped by the watch") as caught:
        rlctl.train(config, quiet=True)
    run = tmp_path / "quickstart"
    (alarm,) = [one for one in notices(run) if one["severity"] == "alarm"]
    print(f"seed {seed}: step {alarm['step']}: {caught.value}")  # noqa: T201  shown with -rP
    assert alarm["step"] <= 60
    assert (run / f"checkpoints/checkpoint-{alarm['step']}").is_dir()


@pytest.mark.full
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("independent", [False, True])
def test_an_honest_reward_is_left_in_peace(independent: bool, seed: int, tmp_path: Path) -> None:
    changes = {"eval.rewards": INDEPENDENT, "eval.metric": "greedy_pass"} if independent else {}
    config = quickstart(tmp_path, seed, **changes)
    run = rlctl.train(config, quiet=True)
    print(f"seed {seed}: {notices(run.path)}, best {run.summary['best']}")  # noqa: T201
    assert notices(run.path) == []
