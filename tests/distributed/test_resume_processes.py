"""A run on several processes that was put down, or of which one fell, goes on as if nothing had happened."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from same_runs import differences, learnt

from rlctl.training.checkpoints import Checkpoints

REWARDS = '''
import os
import signal
import time


class Novelty:
    """The length, less for a first letter that was seen. It can have its run end in the third batch."""

    def __init__(self):
        self.seen = {}
        self.batches = 0

    def __call__(self, completions, **columns):
        self.batches += 1
        if self.batches == 3 and os.environ["RANK"] == "1":
            end(os.environ.get("END_BY"))
        scores = []
        for text in completions:
            self.seen[text[:1]] = self.seen.get(text[:1], 0) + 1
            scores.append(len(text) - 0.5 * self.seen[text[:1]])
        return scores

    def state_dict(self):
        if self.batches == 3 and os.environ["RANK"] == "1":
            told = at_the_state(os.environ.get("END_BY"))
            if told is not None:
                return told
        return {"seen": self.seen, "batches": self.batches}

    def load_state_dict(self, state):
        self.seen, self.batches = state["seen"], state["batches"]


def end(by):
    if by == "SIGTERM to the launcher":
        os.kill(os.getppid(), signal.SIGTERM)
        time.sleep(3)
    elif by == "SIGTERM to one process":
        os.kill(os.getpid(), signal.SIGTERM)
    elif by == "SIGKILL of one process":
        os.kill(os.getpid(), signal.SIGKILL)


def at_the_state(by):
    if by == "SIGTERM as a reward tells its state":
        os.kill(os.getppid(), signal.SIGTERM)
        time.sleep(1)
    elif by == "a state that is no plain data":
        return {"batches": object()}
'''
"""`END_BY` also names what happens while the state of the third batch is told; the parent of a reward in
a process of its own is the run."""


@dataclass(frozen=True)
class Place:
    """A config, and a run of it that never stopped."""

    config: Path
    never: Path
    processes: int

    def run(self, name: str, *more: str, processes: int = 0, end_by: str = "") -> tuple[int, str]:
        return run(self.config, name, *more, processes=processes or self.processes, end_by=end_by)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, tiny_model_folder: Path) -> Place:
    return begin(tmp_path_factory.mktemp("two-processes"), tiny_model_folder, 2)


def begin(folder: Path, model: Path, processes: int) -> Place:
    (folder / "rewards.py").write_text(REWARDS)
    rows = [{"prompt": f"{word} and more"} for word in ("one", "two", "three", "four", "five", "six", "ten")]
    (folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    own = {"type": "python", "name": "own", "function": "rewards.py:Novelty", "isolate": False}
    config = {
        "model": {"path": str(model)},
        "data": {
            "train": {"path": "data.jsonl"},
            "eval": {"path": "data.jsonl", "limit": 2},
            "max_length": 64,
        },
        "rewards": {"components": [own]},
        "generation": {"max_completion_length": 8},
        "algorithm": {"type": "grpo", "num_generations": 2, "num_iterations": 2, "beta": 0.1},
        "training": {
            "max_steps": 8,
            "prompts_per_step": processes,
            "gradient_checkpointing": True,  # without it, DDP keeps the buckets that it begins with
            "learning_rate": 0.01,
            "per_device_train_batch_size": 1,
            "save_steps": 3,
            "eval_steps": 4,
            "logging_steps": 3,
        },
    }
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump(config))
    code, printed = run(file, "never", processes=processes)
    assert code == 0, printed
    never = folder / "runs/never"
    assert learnt(never, model)
    return Place(file, never, processes)


def run(config: Path, name: str, *more: str, processes: int, end_by: str = "") -> tuple[int, str]:
    """`rlctl train` under accelerate: how the launcher ended, and what was printed."""
    launcher = ["accelerate.commands.launch", "--multi_gpu", "--num_processes", str(processes)]
    launcher += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
    launcher += ["--main_process_port", "0", "-m"]
    command = ["rlctl", "train", str(config), "--output-dir", str(config.parent / "runs")]
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            *(launcher if processes > 1 else []),
            *command,
            "--set",
            f"run.name={name}",
            *more,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "RANK": "0"} | {"END_BY": end_by},
        start_new_session=True,
    )
    try:
        printed, _ = process.communicate(timeout=180)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    return process.returncode, printed


@pytest.mark.full
@pytest.mark.parametrize(
    "end_by", ["SIGTERM to the launcher", "SIGTERM to one process", "SIGKILL of one process"]
)
def test_it_goes_on_as_if_nothing_had_happened(end_by: str, place: Place) -> None:
    name = end_by.replace(" ", "-")
    code, printed = place.run(name, end_by=end_by)
    assert code != 0
    run = place.never.with_name(name)
    assert not (run / "final").exists()
    steps = sorted(path.name for path in (run / "checkpoints").glob("checkpoint-*"))
    if "KILL" in end_by:
        assert steps == ["checkpoint-3"]
    else:
        assert json.loads((run / "run.json").read_text())["status"] == "stopped", printed
        assert "saved in" in printed
    code, printed = place.run(name, "--resume")
    assert code == 0, printed
    assert f"going on after step {steps[-1].partition('-')[2]}" in printed
    assert differences(place.never, run) == []


@pytest.mark.full
@pytest.mark.parametrize(
    ("end_by", "steps"),
    [("SIGTERM as a reward tells its state", [3, 4, 5]), ("a state that is no plain data", [3, 4])],
)
def test_all_processes_save_the_same_moment(end_by: str, steps: list[int], place: Place) -> None:
    """Step 4 is the best evaluation so far, so it is saved too."""
    name = end_by.replace(" ", "-")
    config = yaml.safe_load(place.config.read_text())
    config["rewards"]["components"][0]["isolate"] = True
    own = Place(place.config.with_name(f"{name}.yaml"), place.never, place.processes)
    own.config.write_text(yaml.safe_dump(config))
    code, printed = own.run(name, end_by=end_by)
    assert code != 0, printed
    run = place.never.with_name(name)
    checkpoints = Checkpoints(run / "checkpoints")
    assert checkpoints.steps() == steps, printed
    assert [checkpoints.fault(step) for step in steps] == [None] * len(steps)
    code, printed = own.run(name, "--resume")
    assert code == 0, printed
    assert differences(place.never, run) == []


@pytest.mark.full
def test_on_one_process_it_does_not_go_on(place: Place) -> None:
    place.run("alone", end_by="SIGTERM to one process")
    code, printed = place.run("alone", "--resume", processes=1)
    assert code == 2
    assert "this run has 2 processes, and now there are 1" in printed
    assert "Start it with 2 again" in printed


@pytest.mark.full
def test_sums_over_three_processes_round_as_before(tmp_path: Path, tiny_model_folder: Path) -> None:
    place = begin(tmp_path, tiny_model_folder, 3)
    place.run("stopped", end_by="SIGTERM to one process")
    code, printed = place.run("stopped", "--resume")
    assert code == 0, printed
    assert differences(place.never, place.never.with_name("stopped")) == []
