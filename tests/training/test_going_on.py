"""What `resume` does beside being exact: nothing to go on with, nothing left to do, a failure mended."""

import json
from pathlib import Path
from typing import Any

import pytest
from small_runs import read_rows, small_config
from transformers import AutoModelForCausalLM, AutoTokenizer

import rlctl
from rlctl.config.load import config_from_dict
from rlctl.errors import RewardError, UsageError

REWARD = """
def score(completions, trainer_state, **columns):
    if trainer_state.global_step == 2 and {fails}:
        raise RuntimeError("the service is down")
    return [float(len(text)) for text in completions]
"""


def going_on(folder: Path, model: Path | str, **changes: Any) -> Any:
    return rlctl.train(config_from_dict(small_config(folder, model, **changes)), quiet=True, resume=True)


def test_a_run_that_does_not_exist_starts(tmp_path: Path, tiny_model_folder: Path) -> None:
    run = going_on(tmp_path, tiny_model_folder)
    assert [row["step"] for row in read_rows(run.path / "logs/metrics.jsonl")] == [1, 2]
    assert "resumed" not in json.loads((run.path / "run.json").read_text())


def test_a_run_that_is_done_is_returned_as_it_is(tmp_path: Path, tiny_model_folder: Path) -> None:
    first = going_on(tmp_path, tiny_model_folder)
    before = {path: path.stat().st_mtime_ns for path in first.path.rglob("*")}
    again = going_on(tmp_path, tiny_model_folder)
    assert {path: path.stat().st_mtime_ns for path in first.path.rglob("*")} == before
    assert again.summary == first.summary
    weights = again.model.state_dict()
    assert all(weights[name].equal(value) for name, value in first.model.state_dict().items())


def test_a_run_that_is_done_without_a_checkpoint_is_not_begun_again(
    tmp_path: Path, tiny_model_folder: Path
) -> None:
    """It cannot be made longer, and starting at step 0 would write over it."""
    first = going_on(tmp_path, tiny_model_folder)
    logs = (first.path / "logs/metrics.jsonl").read_bytes()
    with pytest.raises(UsageError, match="has no checkpoint to go on from"):
        going_on(tmp_path, tiny_model_folder, training={"max_steps": 3})
    assert (first.path / "logs/metrics.jsonl").read_bytes() == logs


def test_a_failure_is_saved_and_a_mended_reward_goes_on(tmp_path: Path, tiny_model_folder: Path) -> None:
    """The reward breaks in step 3 of 4: two steps are kept, and the log says that its code has changed."""
    file = tmp_path / "mine.py"
    changes: dict[str, Any] = {
        "rewards": {"components": [{"name": "mine", "type": "python", "function": f"{file}:score"}]},
        "training": {"max_steps": 4},
    }
    file.write_text(REWARD.format(fails=True))
    with pytest.raises(RewardError, match="the service is down"):
        going_on(tmp_path, tiny_model_folder, **changes)
    folder = tmp_path / "runs/small"
    assert [path.name for path in (folder / "checkpoints").iterdir()] == ["checkpoint-2"]
    assert json.loads((folder / "run.json").read_text())["status"] == "failed"

    file.write_text(REWARD.format(fails=False))
    going_on(tmp_path, tiny_model_folder, **changes)
    assert [row["step"] for row in read_rows(folder / "logs/metrics.jsonl")] == [1, 2, 3, 4]
    assert "no longer exactly as without a stop: rewards: mine.py has changed" in (
        folder / "logs/training_log.txt"
    ).read_text(encoding="utf-8")
    record = json.loads((folder / "run.json").read_text())
    assert record["status"] == "done"
    assert "error" not in record
    assert [one["step"] for one in record["resumed"]] == [2]


def test_a_model_object_goes_on(tmp_path: Path, tiny_model_folder: Path) -> None:
    """The checkpoint's weights replace those of the object."""

    def objects() -> dict[str, Any]:
        return {
            "model": AutoModelForCausalLM.from_pretrained(tiny_model_folder),
            "tokenizer": AutoTokenizer.from_pretrained(tiny_model_folder, padding_side="left"),
        }

    def trained(name: str, steps: int) -> Any:
        changes = {"run": {"name": name}, "training": {"max_steps": steps, "save_steps": 1}}
        config = config_from_dict(
            small_config(tmp_path, tiny_model_folder, algorithm={"num_generations": 4}, **changes)
        )
        return rlctl.train(config, **objects(), quiet=True, resume=True)

    trained("two", 2)
    longer = trained("two", 3)
    assert longer.summary["steps"] == 3
    assert json.loads((longer.path / "run.json").read_text())["model"] == "a model object"
