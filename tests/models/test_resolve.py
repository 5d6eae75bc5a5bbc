"""From `model.path` to a folder."""

import json
from pathlib import Path

import pytest

from rlctl.errors import CheckpointError
from rlctl.models.resolve import resolve


def touch(file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("{}")
    return file.parent


def test_builtin_model_is_a_folder_of_the_package() -> None:
    assert (Path(resolve("builtin:tiny-math")) / "config.json").is_file()


def test_folders_runs_checkpoints_and_hub_ids(tmp_path: Path) -> None:
    model = touch(tmp_path / "model" / "config.json")
    assert resolve(str(model)) == str(model)
    run = tmp_path / "run"
    touch(run / "config.yaml")
    step = touch(run / "checkpoints" / "checkpoint-50" / "config.json")
    assert resolve(f"{run}@50") == str(step)
    assert resolve(str(step)) == str(step)
    final = touch(run / "final" / "adapter_config.json")
    assert resolve(str(run)) == str(final)
    assert resolve("Qwen/Qwen2.5-0.5B") == "Qwen/Qwen2.5-0.5B"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("builtin:tiny-mth", "did you mean 'tiny-math'"),
        ("builtin:whatever", "there is tiny-math"),
        ("hub:nothing", "no published checkpoint"),
        ("tiny-math", "did you mean 'builtin:tiny-math'"),
        ("{tmp}/modle", "did you mean 'model'"),
        ("{tmp}/run", "it has 9, 50"),
        ("{tmp}/run/checkpoints", "it has 9, 50"),
        ("{tmp}/run@51", "no checkpoint '51'\n  it has 9, 50"),
        ("{tmp}/model@3", "it has no checkpoints"),
        ("{tmp}/empty", "no model in this folder"),
        ("{tmp}/model/config.json", "a file, not a model folder"),
    ],
)
def test_mistakes(tmp_path: Path, path: str, message: str) -> None:
    touch(tmp_path / "model" / "config.json")
    (tmp_path / "empty").mkdir()
    for step in (50, 9):
        touch(tmp_path / "run" / "checkpoints" / f"checkpoint-{step}" / "config.json")
    with pytest.raises(CheckpointError) as caught:
        resolve(path.format(tmp=tmp_path))
    assert message in str(caught.value)
    assert caught.value.exit_code == 3


def log(run: Path, *rewards: tuple[int, float], metric: str = "reward") -> None:
    rows = [{"step": step, f"val/{metric}": value} for step, value in rewards]
    (run / "logs").mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(row) + "\n" for row in [{"step": 1, "train/reward": 9.0}, *rows]]
    (run / "logs/metrics.jsonl").write_text("".join(lines) + '{"step": 60, "val/rew')  # being written
    (run / "config.yaml").write_text(f"eval: {{metric: {metric}}}\n")


def test_the_best_checkpoint_is_that_of_the_logs(tmp_path: Path) -> None:
    """The first of equals; before training is no checkpoint; by `eval.metric`."""
    run = tmp_path / "run"
    for step in (10, 20, 30):
        touch(run / "checkpoints" / f"checkpoint-{step}" / "config.json")
    log(run, (0, 9.0), (10, 0.5), (20, 0.7), (30, 0.7))
    assert resolve(f"{run}@best") == str(run / "checkpoints/checkpoint-20")
    log(run, (10, 0.9), (20, 0.7), metric="pass_at_1")
    assert resolve(f"{run}@best") == str(run / "checkpoints/checkpoint-10")


def test_the_best_may_be_the_final_model_alone(tmp_path: Path) -> None:
    run = tmp_path / "run"
    log(run, (0, 0.1), (10, 0.5), (20, 0.7))
    final = touch(run / "final" / "config.json")
    assert resolve(f"{run}@best") == str(final)


def test_a_best_that_is_not_known_or_gone(tmp_path: Path) -> None:
    run = tmp_path / "run"
    touch(run / "checkpoints" / "checkpoint-10" / "config.json")
    with pytest.raises(CheckpointError, match=r"config\.yaml: cannot be read"):
        resolve(f"{run}@best")
    log(run, (0, 0.1))
    with pytest.raises(CheckpointError, match="is not known: no evaluation with 'reward' after a step"):
        resolve(f"{run}@best")
    log(run, (0, 0.1), (10, 0.5), (20, 0.7), (30, 0.6))
    with pytest.raises(CheckpointError, match=r"is that of step 20, and it is gone\n.*is .*run@10\."):
        resolve(f"{run}@best")
