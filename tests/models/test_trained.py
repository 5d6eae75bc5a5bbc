"""A run's folder read back: what a user may call it, its prompts, its evaluations, and what may be wrong."""

import gzip
from pathlib import Path

import pytest
from run_folders import PROMPTS, evaluation, write_lines, write_run

from rlctl.errors import CheckpointError, ConfigError
from rlctl.models.trained import find_run
from rlctl.training.checkpoints import _sealed


@pytest.fixture
def run(tmp_path: Path, tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path, {"path": str(tiny_model_folder)})
    (tmp_path / "runs").rename("outputs")
    return Path("outputs/small")


def test_final_and_checkpoint(run: Path) -> None:
    final = find_run("outputs/small")
    assert (final.weights, final.checkpoint, final.step) == (run / "final", None, 4)
    checkpoint = find_run("outputs/small@2")
    assert (checkpoint.weights, checkpoint.checkpoint, checkpoint.step) == (
        run / "checkpoints/checkpoint-2",
        2,
        2,
    )
    (run / "logs/metrics.jsonl").unlink()
    assert find_run("outputs/small").step is None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("small", "no such run\n  did you mean 'outputs/small'?"),
        ("smal@2", "no such run\n  did you mean 'outputs/small@2'?"),
        ("outputs/smalll", "no such run\n  did you mean 'outputs/small'?"),
        ("zzz", "no such run\n  name the folder of a run: outputs/NAME"),
        ("outputs/small@3", "no checkpoint '3'\n  it has 2"),
        ("outputs/small@two", "no checkpoint 'two'\n  it has 2"),
        (
            "outputs/small/final",
            "not the folder of a run: it has no config.yaml\n  did you mean 'outputs/small'?",
        ),
        ("outputs/small/checkpoints/checkpoint-2", "did you mean 'outputs/small@2'?"),
        ("outputs", "a run is the folder that `rlctl train` made: outputs/NAME"),
    ],
)
def test_names_that_are_none(run: Path, name: str, message: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        find_run(name)
    assert message in str(caught.value)


def test_a_run_that_has_not_finished(run: Path) -> None:
    (run / "final").rename(run / "elsewhere")
    with pytest.raises(CheckpointError, match=r"a run without a final model\n.*outputs/small@STEP; it has 2"):
        find_run("outputs/small")
    assert find_run("outputs/small@2").step == 2
    (run / "checkpoints").rename(run / "gone")
    (run / "run.json").write_text('{"status": "running"}')
    with pytest.raises(CheckpointError, match="the run has no model; its status is 'running'"):
        find_run("outputs/small")


def test_broken_files(run: Path) -> None:
    (run / "run.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"run\.json: cannot be read"):
        find_run("outputs/small")
    (run / "run.json").unlink()
    assert find_run("outputs/small").record == {}
    text = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(text.replace("max_steps:", "max_stepz:"))
    with pytest.raises(ConfigError, match=r"outputs/small/config\.yaml:\d+: training\.max_stepz: "):
        find_run("outputs/small")


def test_a_damaged_checkpoint_is_named(run: Path) -> None:
    manifest = {"step": 2, "files": {"model.safetensors": {"bytes": 1, "xxh3": "0" * 32}}}
    (run / "checkpoints/checkpoint-2/checkpoint.json").write_text(_sealed(manifest))
    with pytest.raises(
        CheckpointError, match=r"damaged: model\.safetensors is not as long as when it was written"
    ):
        find_run("outputs/small@2")


def test_prompts_are_distinct_and_held_out_ones_come_first(run: Path) -> None:
    log = run / "logs/completions.jsonl"
    train = [{"split": "train", "prompt": f"training {i}"} for i in range(20)]
    held_out = [{"split": "eval", "prompt": text} for text in ["a", "a", "b", "a", "c"]]
    write_lines(log, [*train, *held_out])
    log.write_text(log.read_text() + '{"split": "eval", "prom')  # a line that is being written
    assert find_run("outputs/small").prompts(8) == ["a", "b", "c"]
    assert find_run("outputs/small").prompts(2) == ["a", "b"]
    with gzip.open(f"{log}.gz", "wb") as packed:
        packed.write(log.read_bytes())
    log.unlink()
    assert find_run("outputs/small").prompts(8) == ["a", "b", "c"]
    write_lines(log, train)
    assert find_run("outputs/small").prompts(3) == ["training 0", "training 1", "training 2"]
    log.write_text("")
    assert find_run("outputs/small").prompts(8) == []


def test_evaluations_of_a_run_that_goes_on_come_from_its_metrics(run: Path) -> None:
    assert sorted(find_run("outputs/small").evaluations()) == [0, 4]
    (run / "logs/eval_results.json").unlink()
    rows = [evaluation(0, 0.5, 0.5), {"step": 1, "train/reward": 1.0}, {"step": 2, "train/reward": 1.0}]
    write_lines(run / "logs/metrics.jsonl", [*rows, evaluation(2, 0.625, 0.5)])
    found = find_run("outputs/small").evaluations()
    assert {step: row["val/reward"] for step, row in found.items()} == {0: 0.5, 2: 0.625}
    assert len(PROMPTS) == 6
