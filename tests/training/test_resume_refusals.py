"""What a run does not go on with, and what it tells of where it does."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from same_runs import differences, tree
from small_runs import merged, small_config

from rlctl.cli.app import run as command
from rlctl.training.checkpoints import Checkpoints
from rlctl.training.place import lock

BASE: dict[str, Any] = {
    "rewards": {
        "components": [{"type": "length", "max": 40}, {"type": "regex", "pattern": "a", "weight": 0.5}]
    },
    "training": {"max_steps": 4, "save_steps": 2, "save_total_limit": 5},
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny_model_folder: Path) -> Path:
    """A folder with a config and its run, which is done; to be copied."""
    folder = tmp_path_factory.mktemp("finished")
    assert train(folder, write(folder, tiny_model_folder)) == 0
    return folder


def write(folder: Path, model: Path, **changes: Any) -> Path:
    config = merged(merged(small_config(folder, model), BASE), changes)
    config["data"]["train"]["path"] = str(folder / "train.jsonl")
    file = folder / "config.yaml"
    file.write_text(json.dumps(config))
    return file


def train(folder: Path, file: Path, *arguments: str) -> int:
    return command(["train", str(file), "--output-dir", str(folder / "runs"), "--quiet", *arguments])


@pytest.fixture
def run(finished: Path) -> Path:
    """The run, as one that was killed after its third step."""
    folder = finished / "runs/small"
    copy = finished / "copies"
    shutil.rmtree(finished / "original", ignore_errors=True)
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder, copy / "small")
    shutil.rmtree(copy / "small/checkpoints/checkpoint-4")
    shutil.rmtree(copy / "small/final")
    record = json.loads((copy / "small/run.json").read_text())
    (copy / "small/run.json").write_text(json.dumps({**record, "status": "running"}))
    return copy / "small"


def resume(run: Path, *arguments: str) -> int:
    file = run.parents[1] / "config.yaml"
    return command(["train", str(file), "--output-dir", str(run.parent), "--resume", "--quiet", *arguments])


def changed(*settings: str) -> list[str]:
    return [part for setting in settings for part in ("--set", setting)]


def test_changed_keys_are_refused_all_at_once(run: Path, capfd: pytest.CaptureFixture) -> None:
    before = tree(run)
    settings = changed(
        "training.learning_rate=0.5",
        "rewards.components.1.weight=0.25",
        "run.seed=7",
        "training.max_steps=9",
        "algorithm.beta=0.1",
    )
    assert resume(run, *settings) == 2
    err = capfd.readouterr().err
    for words in (
        "training.learning_rate: 0.001 when this run began, and now 0.5",
        "rewards.components[1].weight: 0.5 when this run began, and now 0.25",
        "run.seed: 42 when this run began, and now 7",
        "algorithm.beta: 0.0 when this run began, and now 0.1",
        "4 problems",
    ):
        assert words in err
    assert "max_steps" not in err
    assert tree(run) == before


def test_other_sections_are_refused_too(run: Path, tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    one = json.dumps([{"type": "length", "max": 40}])
    assert resume(run, *changed(f"rewards.components={one}", "model.path=builtin:tiny-math")) == 2
    err = capfd.readouterr().err
    assert "rewards.components: " in err
    assert "model.path: " in err
    assert '"builtin:tiny-math"' in err


def test_cadence_tracking_and_length_may_change(run: Path, finished: Path) -> None:
    """The log and the record say so; with another length, the learning rate takes another course."""
    settings = (
        "training.max_steps=5",
        "training.save_steps=1",
        "training.save_total_limit=2",
        "training.logging_steps=2",
        "tracking.tags=[again]",
    )
    assert resume(run, *changed(*settings)) == 0
    entry = json.loads((run / "run.json").read_text())["resumed"][0]
    assert entry["step"] == 2
    assert len(entry["changed"]) == 5
    assert "training.max_steps 4 → 5" in entry["changed"]
    line = "going on after step 2, no longer exactly as without a stop: "
    assert line in (run / "logs/training_log.txt").read_text()
    assert Checkpoints(run / "checkpoints").steps() == [4, 5]
    assert "max_steps: 5" in (run / "config.yaml").read_text()


def test_without_a_change_the_log_says_nothing(run: Path, finished: Path) -> None:
    assert resume(run) == 0
    assert differences(finished / "runs/small", run) == []
    assert "no longer" not in (run / "logs/training_log.txt").read_text()


def test_another_data_file_is_told(run: Path, finished: Path, capfd: pytest.CaptureFixture) -> None:
    data = finished / "train.jsonl"
    former = data.read_text()
    data.write_text(former.replace("seven", "eleven"))
    try:
        assert resume(run) == 0
    finally:
        data.write_text(former)
    assert "data: train.jsonl has changed" in (run / "logs/training_log.txt").read_text()


def test_a_finished_run_is_left_as_it_is(finished: Path, capfd: pytest.CaptureFixture) -> None:
    folder = finished / "runs/small"
    before = {name: (folder / name).read_bytes() for name in tree(folder)}
    capfd.readouterr()
    assert train(finished, finished / "config.yaml", "--resume", "--json") == 0
    summary = json.loads(capfd.readouterr().out)
    assert summary["steps"] == 4
    assert {name: (folder / name).read_bytes() for name in tree(folder)} == before


def test_a_finished_run_can_be_made_longer_but_not_shorter(
    run: Path, finished: Path, capfd: pytest.CaptureFixture
) -> None:
    shutil.rmtree(run)
    shutil.copytree(finished / "runs/small", run)
    assert resume(run, *changed("training.max_steps=3")) == 2
    assert "done 4 steps already, and is to have 3" in capfd.readouterr().err
    assert Checkpoints(run / "checkpoints").steps() == [2, 4]
    assert resume(run, *changed("training.max_steps=6")) == 0
    assert Checkpoints(run / "checkpoints").steps() == [2, 4, 6]
    record = json.loads((run / "run.json").read_text())
    assert (record["status"], record["summary"]["steps"]) == ("done", 6)
    assert resume(run) == 2 or json.loads((run / "run.json").read_text())["status"] == "done"


def damage(folder: Path, kind: str) -> None:
    weights = folder / "model.safetensors"
    if kind == "flipped":
        content = bytearray(weights.read_bytes())
        content[len(content) // 2] ^= 1
        weights.write_bytes(content)
    elif kind == "cut":
        os.truncate(weights, 1000)
    elif kind == "missing":
        (folder / "optimizer.pt").unlink()
    else:
        shutil.rmtree(folder)
        folder.mkdir()


@pytest.mark.parametrize(
    "kind", ["flipped", *(pytest.param(k, marks=pytest.mark.full) for k in ("cut", "missing", "empty"))]
)
def test_a_damaged_checkpoint_is_set_aside(
    kind: str, run: Path, finished: Path, capfd: pytest.CaptureFixture
) -> None:
    """The newest one is damaged: the run goes on from the one before, to the same end."""
    shutil.rmtree(run)
    shutil.copytree(finished / "runs/small", run)
    shutil.rmtree(run / "final")
    damage(run / "checkpoints/checkpoint-4", kind)
    file = run.parents[1] / "config.yaml"
    assert command(["train", str(file), "--output-dir", str(run.parent), "--resume"]) == 0
    out, err = capfd.readouterr()
    assert f"damaged, and not used: {run}/checkpoints/checkpoint-4" in out + err
    assert (run / "checkpoints/damaged-checkpoint-4").is_dir()
    assert differences(finished / "runs/small", run) == []


def test_all_are_damaged(run: Path, capfd: pytest.CaptureFixture) -> None:
    damage(run / "checkpoints/checkpoint-2", "flipped")
    before = tree(run)
    assert resume(run) == 3
    assert "no checkpoint of this run can be used" in capfd.readouterr().err
    assert [name for name in tree(run) if name != ".lock"] == [name for name in before if name != ".lock"]


def test_no_run_and_a_run_that_cannot_be_read(run: Path, capfd: pytest.CaptureFixture) -> None:
    (run / "run.json").write_text("{")
    assert resume(run) == 3
    assert "run.json: cannot be read" in capfd.readouterr().err
    (run / "run.json").unlink()
    assert resume(run) == 2
    assert "this is no run: it holds" in capfd.readouterr().err
    (run / "run.json").write_text('{"status": "running"}')
    shutil.rmtree(run / "checkpoints")
    shutil.rmtree(run / "final", ignore_errors=True)
    (run / "config.yaml").write_text("nonsense: true")
    assert resume(run) == 3
    assert "the config of this run cannot be read" in capfd.readouterr().err


def test_the_runs_own_config_is_no_way_around_a_refusal(run: Path, capfd: pytest.CaptureFixture) -> None:
    """What counts is the config in the checkpoint, whatever became of the one beside it."""
    own = run / "config.yaml"
    text = own.read_text()
    rate = next(line for line in text.splitlines() if "learning_rate:" in line)
    own.write_text(text.replace(rate, "  learning_rate: 0.5"))
    assert command(["train", str(own), "--resume", "--quiet"]) == 2
    line = text.splitlines().index(rate) + 1
    assert f"{own}:{line}: training.learning_rate: " in capfd.readouterr().err
    own.unlink()
    assert resume(run, "--set", "training.learning_rate=0.5") == 2
    assert "--set training.learning_rate=0.5: training.learning_rate: 0.001" in capfd.readouterr().err
    assert resume(run) == 0
    assert rate in own.read_text().splitlines()


def test_a_checkpoint_of_another_run_is_not_used(run: Path, capfd: pytest.CaptureFixture) -> None:
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**record, "id": "another"}))
    assert resume(run) == 3
    assert "it is of another run" in "".join(capfd.readouterr())


def test_one_process_at_a_time(run: Path, capfd: pytest.CaptureFixture) -> None:
    """Another one holds the folder; when that one is killed, the folder is free."""
    holder = (
        "import sys, time, pathlib; from rlctl.training.place import lock\n"
        "held = lock(pathlib.Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", holder, str(run)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    before = tree(run)
    try:
        assert resume(run) == 2
        assert "another process is writing this run" in capfd.readouterr().err
        file = run.parents[1] / "config.yaml"
        assert command(["train", str(file), "--output-dir", str(run.parent), "--quiet"]) == 2
        assert "the run 'small' exists" in capfd.readouterr().err
        assert tree(run) == before
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert resume(run) == 0


SLEEPY = """
import os, pathlib, time

def score(completions, trainer_state, **columns):
    flag = pathlib.Path(__file__).with_name("asleep")
    if trainer_state.global_step == 1 and not flag.exists():
        flag.write_text(str(os.getpid()))
        time.sleep(30)
    return [float(len(text)) for text in completions]
"""


@pytest.mark.full
def test_the_lock_of_a_run_that_was_killed_is_free_though_its_workers_live(
    tmp_path: Path, tiny_model_folder: Path, capfd: pytest.CaptureFixture
) -> None:
    (tmp_path / "rewards.py").write_text(SLEEPY)
    part = {"type": "python", "name": "own", "function": "rewards.py:score"}
    rewards = {"components": [part], "timeout": 60}
    file = write(tmp_path, tiny_model_folder, rewards=rewards, training={"save_steps": 1, "max_steps": 2})
    where = [str(file), "--output-dir", str(tmp_path / "runs"), "--quiet"]
    process = subprocess.Popen([sys.executable, "-m", "rlctl", "train", *where])
    while not (tmp_path / "asleep").exists():
        assert process.poll() is None
        time.sleep(0.05)
    assert train(tmp_path, file, "--resume") == 2
    assert "another process is writing this run" in capfd.readouterr().err
    process.kill()
    process.wait()
    assert train(tmp_path, file, "--resume") == 0


def test_the_lock_can_be_taken_again_in_one_process(tmp_path: Path) -> None:
    lock(tmp_path).release()
    lock(tmp_path).release()
