"""From `model.path` to a folder."""

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
