"""Where the watch or patience ends a run on several processes, all of them end: none waits for another."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

SCRIPT = Path(__file__).with_name("planned_evaluations.py")
RISING = """
def rising(completions, trainer_state, **columns):
    return [0.1 + trainer_state.global_step / 10 + 0.01 * (i % 3) for i in range(len(completions))]
"""
STEADY = [0.9] * 4
FALLING = [0.9, 0.9, 0.5, 0.5]


def write_config(folder: Path, model: Path, **evaluation: Any) -> Path:
    """Six steps, with an evaluation after every second one."""
    (folder / "rewards.py").write_text(RISING)
    rows = [{"prompt": f"{word} and more"} for word in ("one", "two", "three", "four")]
    (folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    part = {"type": "python", "name": "rising", "function": "rewards.py:rising", "isolate": False}
    config = {
        "run": {"name": "ends", "output_dir": str(folder)},
        "model": {"path": str(model)},
        "data": {"train": {"path": "data.jsonl"}, "eval": {"path": "data.jsonl"}, "max_length": 64},
        "eval": evaluation,
        "rewards": {"components": [part]},
        "generation": {"max_completion_length": 4},
        "algorithm": {"type": "grpo", "num_generations": 2},
        "training": {
            "max_steps": 6,
            "prompts_per_step": 2,
            "per_device_train_batch_size": 1,
            "gradient_checkpointing": False,
            "eval_steps": 2,
            "save_steps": 1000,
        },
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def train(config: Path, planned: list[list[float]], *more: str) -> tuple[int, str]:
    """On two processes; how the launcher ended, and what was printed."""
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    launch += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
    launch += ["--main_process_port", "0", str(SCRIPT), "train", str(config), *more]
    process = subprocess.Popen(
        launch,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PLANNED": json.dumps(planned)},
        start_new_session=True,
    )
    try:
        printed, _ = process.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    return process.returncode, printed


def record(config: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((config.parent / "ends/run.json").read_text())
    return found


@pytest.mark.full
@pytest.mark.parametrize("sees", [0, 1])
def test_one_that_sees_them_part_stops_all(sees: int, tmp_path: Path, tiny_model_folder: Path) -> None:
    """What processes compute may differ in the last digit; here only one of them sees a fall."""
    config = write_config(tmp_path, tiny_model_folder, watch="stop")
    planned = [FALLING if rank == sees else STEADY for rank in range(2)]
    for more in ([], ["--resume"]):
        code, printed = train(config, planned, *more)
        assert code != 0, printed
        found = record(config)
        assert (found["status"], found["error"].count("they part")) == ("failed", 1), printed
        assert "stopped by the watch after step 4" in found["error"]
        assert (tmp_path / "ends/checkpoints/checkpoint-4/state-1.pt").exists()
        assert not (tmp_path / "ends/final").exists()


@pytest.mark.full
def test_patience_ends_all(tmp_path: Path, tiny_model_folder: Path) -> None:
    config = write_config(tmp_path, tiny_model_folder, patience=2, watch="off")
    code, printed = train(config, [STEADY] * 2)
    assert code == 0, printed
    found = record(config)
    assert (found["status"], found["stopped_early"]["step"]) == ("done", 4)
    assert (tmp_path / "ends/final/model.safetensors").exists()
    assert (tmp_path / "ends/checkpoints/checkpoint-4/state-1.pt").exists()
