"""A run that is told to end saves what it has and ends with 75, wherever it was; then it can go on."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from same_runs import differences
from small_runs import merged, small_config

import rlctl.training.trl.grpo as grpo
from rlctl.cli.app import run as command
from rlctl.training.checkpoints import Checkpoints
from rlctl.training.run import Run
from rlctl.training.trl.bridge import RewardBridge
from rlctl.training.trl.seams import PolicyTrainer

FULL = pytest.mark.full
SLOW = """
import os, pathlib, signal, threading, time

def score(completions, trainer_state, **columns):
    flag = pathlib.Path(__file__).with_name("asleep")
    if trainer_state and trainer_state.global_step == 2 and not flag.exists():
        flag.write_text(str(os.getpid()))
        threading.Timer(0.3, os.kill, (os.getppid(), signal.SIGTERM)).start()
        time.sleep(25)
    return [float(len(text)) for text in completions]
"""
"""A reward in a process of its own that tells the trainer to end while it sleeps, in the third step, once."""
CHANGES: dict[str, Any] = {
    "training": {"max_steps": 4, "save_steps": 2, "eval_steps": 1},
    "rewards": {
        "components": [{"type": "python", "name": "slow", "function": "rewards.py:score"}],
        "timeout": 30,
    },
}


def prepare(folder: Path, model: Path, **changes: Any) -> dict[str, Any]:
    base = small_config(folder, model)
    rows = base["data"]["train"]["path"]
    CHANGES["data"] = {"eval": {"path": rows, "limit": 2}}
    (folder / "rewards.py").write_text(SLOW)
    config = merged(merged(base, CHANGES), changes)
    (folder / "config.yaml").write_text(json.dumps(config))
    return config


def train(folder: Path, *arguments: str, place: str = "runs") -> int:
    where = ("--output-dir", str(folder / place))
    return command(["train", str(folder / "config.yaml"), "--quiet", *where, *arguments])


def straight(folder: Path) -> Path:
    (folder / "asleep").write_text("")
    assert train(folder, place="straight") == 0
    return folder / "straight/small"


class Sent:
    """Sends this process a signal at the n-th call of a function, in its middle or at its end."""

    def __init__(self, number: int = signal.SIGTERM) -> None:
        self.number = number
        self.at = 0.0

    def __call__(self) -> None:
        self.at = time.monotonic()
        os.kill(os.getpid(), self.number)

    def when(
        self, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, nth: int, *, later: float = 0.0
    ) -> None:
        original, calls = getattr(owner, name), []

        def called(*args: Any, **kwargs: Any) -> Any:
            calls.append(name)
            if len(calls) == nth and later:
                threading.Timer(later, self).start()
            elif len(calls) == nth:
                self()
            return original(*args, **kwargs)

        monkeypatch.setattr(owner, name, called)


Moment = Callable[[Sent, pytest.MonkeyPatch], None]
MOMENTS: dict[str, tuple[Moment, set[int]]] = {
    "generation": (
        lambda sent, patch: sent.when(patch, PolicyTrainer, "_generate_single_turn", 3),
        {2},
    ),
    "scoring": (lambda sent, patch: sent.when(patch, RewardBridge, "__call__", 2), {1}),
    "a later evaluation": (lambda sent, patch: sent.when(patch, grpo, "evaluate", 3), {2}),
    "the update": (lambda sent, patch: sent.when(patch, PolicyTrainer, "_get_grad_norm", 3), {3}),
    "a save": (lambda sent, patch: sent.when(patch, Checkpoints, "commit", 1), {2, 3}),
    "rotation": (lambda sent, patch: sent.when(patch, Checkpoints, "rotate", 1), {2, 3}),
    "the last evaluation": (lambda sent, patch: sent.when(patch, grpo, "evaluate", 5), {4}),
}
"""When the signal comes, and the steps that are done then; the disk works beside the next step."""


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize(
    "number",
    [signal.SIGTERM, pytest.param(signal.SIGINT, marks=FULL), pytest.param(signal.SIGUSR1, marks=FULL)],
)
def test_a_signal_saves_wherever_it_comes(
    moment: str,
    number: signal.Signals,
    tmp_path: Path,
    tiny_model_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture,
) -> None:
    prepare(tmp_path, tiny_model_folder)
    expected = straight(tmp_path)
    sent, (arrange, steps) = Sent(number), MOMENTS[moment]
    with monkeypatch.context() as patch:
        arrange(sent, patch)
        code = train(tmp_path, "--json")
    seconds = time.monotonic() - sent.at
    out, err = capfd.readouterr()
    run = tmp_path / "runs/small"
    assert (code, seconds < 10) == (75, True), err
    document = json.loads(out)
    step = document["step"]
    assert step in steps
    checkpoint = str(run / f"checkpoints/checkpoint-{step}")
    assert document == {
        "status": "stopped",
        "step": step,
        "checkpoint": checkpoint,
        "exit_code": 75,
        "message": f"stopped by {number.name} after step {step}; saved in {checkpoint}",
    }
    record = json.loads((run / "run.json").read_text())
    assert (record["status"], record["step"]) == ("stopped", step)
    assert Checkpoints(run / "checkpoints").newest()[0].step == step
    assert "Traceback" not in err
    assert train(tmp_path, "--resume") == 0
    assert differences(expected, run) == []


def test_a_reward_that_sleeps_is_not_waited_for(
    tmp_path: Path, tiny_model_folder: Path, capfd: pytest.CaptureFixture
) -> None:
    """Its timeout is 30 s; it is ended, and does not survive."""
    prepare(tmp_path, tiny_model_folder)
    expected = straight(tmp_path)
    (tmp_path / "asleep").unlink()
    start = time.monotonic()
    assert train(tmp_path) == 75
    assert time.monotonic() - start < 20
    assert "stopped by SIGTERM after step 2" in capfd.readouterr().err
    worker = int((tmp_path / "asleep").read_text())
    assert not Path(f"/proc/{worker}").exists()
    assert train(tmp_path, "--resume") == 0
    assert differences(expected, tmp_path / "runs/small") == []


def test_a_long_generation_is_not_waited_for(tmp_path: Path, tiny_model_folder: Path) -> None:
    """900 tokens at least, which take about two seconds."""
    long = {"algorithm": {"trl": {"generation_kwargs": {"min_new_tokens": 900}}}}
    prepare(
        tmp_path,
        tiny_model_folder,
        **long,
        generation={"max_completion_length": 900},
        data={"eval": None, "max_length": 1000},
        training={"max_steps": 1},
    )
    (tmp_path / "asleep").write_text("")
    sent = Sent()
    with pytest.MonkeyPatch.context() as patch:
        sent.when(patch, PolicyTrainer, "_generate_single_turn", 1, later=0.2)
        assert train(tmp_path) == 75
    assert time.monotonic() - sent.at < 1.0
    assert not (tmp_path / "runs/small").exists()


BEFORE: dict[str, Moment] = {
    "the first evaluation": lambda sent, patch: sent.when(patch, grpo, "evaluate", 1),
    "the first generation": lambda sent, patch: sent.when(patch, PolicyTrainer, "_generate", 1),
    "loading": lambda sent, patch: sent.when(patch, grpo, "load_inputs", 1),
    "making the folder": lambda sent, patch: sent.when(patch, Run, "_write_start", 1),
    "building the trainer": lambda sent, patch: sent.when(patch, grpo, "build_trainer", 1),
}


@pytest.mark.parametrize("moment", BEFORE)
def test_before_the_first_step_there_is_nothing_to_save(
    moment: str,
    tmp_path: Path,
    tiny_model_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture,
) -> None:
    prepare(tmp_path, tiny_model_folder)
    (tmp_path / "asleep").write_text("")
    BEFORE[moment](Sent(), monkeypatch)
    assert train(tmp_path, "--json") == 75
    out, err = capfd.readouterr()
    document = json.loads(out)
    assert (document["step"], document["checkpoint"], document["exit_code"]) == (0, None, 75)
    assert "stopped by SIGTERM before the first step" in err
    assert "Traceback" not in err
    assert not (tmp_path / "runs/small").exists()


TWICE = """
import os, signal, sys, time
from rlctl.cli.app import run
from rlctl.training import checkpoints

sync, calls = checkpoints.Checkpoints.commit, []

def commit(self, step, about):
    if step == 4:
        children = open(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read()
        print("children", children, flush=True)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(1.5)  # the main thread heeds it, and waits for this one
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(30)
    return sync(self, step, about)

checkpoints.Checkpoints.commit = commit
sys.exit(run(sys.argv[1:]))
"""


def test_a_second_signal_ends_at_once(tmp_path: Path, tiny_model_folder: Path) -> None:
    """In the middle of a save: the checkpoint before it stays whole, and the workers end."""
    prepare(tmp_path, tiny_model_folder)
    expected = straight(tmp_path)
    where = ["train", str(tmp_path / "config.yaml"), "--quiet", "--output-dir", str(tmp_path / "runs")]
    done = subprocess.run([sys.executable, "-c", TWICE, *where], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGTERM, done.stderr
    workers = [int(number) for number in done.stdout.split("children")[1].split()]
    assert workers
    deadline = time.monotonic() + 5
    while any(alive(worker) for worker in workers):
        assert time.monotonic() < deadline, "a worker survives"
        time.sleep(0.05)
    run = tmp_path / "runs/small"
    assert Checkpoints(run / "checkpoints").steps() == [2]
    assert Checkpoints(run / "checkpoints").fault(2) is None
    assert train(tmp_path, "--resume") == 0
    assert differences(expected, run) == []


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@FULL
def test_twenty_signals_at_random_moments(
    tmp_path: Path, tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the moment that the folder is made to the end; one that comes too late does not count."""
    prepare(tmp_path, tiny_model_folder, training={"max_steps": 20, "learning_rate": 1e-2})
    expected = straight(tmp_path)
    begin, began = Run.begin, []
    seconds: list[float] = []
    over = threading.Event()

    def send() -> None:
        if not over.wait(seconds[-1]):
            os.kill(os.getpid(), signal.SIGTERM)

    def begun(self: Run, record: dict[str, Any]) -> None:
        began.append(time.monotonic())
        if seconds:
            threading.Thread(target=send, daemon=True).start()
        begin(self, record)

    monkeypatch.setattr(Run, "begin", begun)
    assert train(tmp_path, place="again") == 0
    length = time.monotonic() - began[0]
    chance = random.Random(7)
    codes, steps = [], set()
    while codes.count(75) < 20:
        run = tmp_path / f"life-{len(codes)}" / "small"
        over.clear()
        seconds.append(chance.uniform(0, length))
        codes.append(train(tmp_path, place=run.parent.name))
        over.set()
        steps.add(json.loads((run / "run.json").read_text()).get("step", 0) if run.exists() else 0)
        with monkeypatch.context() as patch:
            patch.setattr(Run, "begin", begin)
            assert train(tmp_path, "--resume", place=run.parent.name) == 0
        assert differences(expected, run) == [], codes
        assert codes[-1] in (75, 0)
        assert len(codes) < 60
    assert len(steps) > 4  # signals of many moments, on a busy machine too
