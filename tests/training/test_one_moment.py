"""A save is of one moment, the end of a step, or there is none: whatever fails or comes while it is taken."""

import errno
import json
import os
import pty
import select
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from faulty_disk import FaultyDisk
from same_runs import differences, tree
from small_runs import merged, small_config
from transformers import AutoModelForCausalLM, AutoTokenizer

import rlctl
from rlctl.cli.app import run as command
from rlctl.config.load import config_from_dict
from rlctl.errors import Stopped
from rlctl.training import stopping
from rlctl.training.checkpoints import Checkpoints
from rlctl.training.stopping import StopSignals
from rlctl.training.trl import grpo as backend
from rlctl.training.trl.seams import PolicyTrainer

REWARDS = '''
import pathlib
import time


class Counts:
    """A score that depends on how many batches came before; it says so in a way that a file chooses."""

    def __init__(self):
        self.batches = 0

    def __call__(self, completions, **columns):
        self.batches += 1
        return [float(sum(map(ord, text)) * self.batches % 7) for text in completions]

    def state_dict(self):
        trouble = pathlib.Path(__file__).with_name("trouble")
        if self.batches == 3 and trouble.exists():
            how = trouble.read_text()
            trouble.unlink()
            if how == "slow":
                time.sleep(0.5)
            if how == "fails":
                raise RuntimeError("the state is not to be had")
            if how == "no plain data":
                return {"batches": object()}
        return {"batches": self.batches}

    def load_state_dict(self, state):
        self.batches = state["batches"]
'''


def counting(*, isolate: bool = False) -> dict[str, Any]:
    part = {"type": "python", "name": "own", "function": "rewards.py:Counts", "isolate": isolate}
    return {"rewards": {"components": [part]}}


def config(folder: Path, name: str, model: Path, changes: dict[str, Any]) -> dict[str, Any]:
    """Five steps, never saved before the last."""
    (folder / "rewards.py").write_text(REWARDS)
    base: dict[str, Any] = {
        "run": {"name": name},
        "algorithm": {"num_generations": 2},
        "training": {"max_steps": 5, "prompts_per_step": 2, "learning_rate": 1.0e-2, "save_steps": 1000},
    }
    return small_config(folder, model, **merged(base, changes))


def train(folder: Path, name: str, path: Path, /, *arguments: str, **changes: Any) -> int:
    """The command; how it ended."""
    file = folder / "config.yaml"
    file.write_text(json.dumps(config(folder, name, path, changes)))
    return command(["train", str(file), "--quiet", *arguments])


def steps(folder: Path, name: str) -> list[int]:
    return Checkpoints(folder / "runs" / name / "checkpoints").steps()


def log(folder: Path, name: str) -> str:
    return (folder / "runs" / name / "logs/training_log.txt").read_text(encoding="utf-8")


def at_step(patch: pytest.MonkeyPatch, owner: Any, name: str, step: int, happens: Any) -> None:
    """Call `happens` before a method of the trainer, in the step after `step`."""
    original = getattr(owner, name)

    def wrapped(self: Any, *args: Any, **keys: Any) -> Any:
        if self.state.global_step == step:
            happens()
        return original(self, *args, **keys)

    patch.setattr(owner, name, wrapped)


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize(
    ("how", "every", "left"),
    [
        ("fails", 1000, []),
        ("no plain data", 2, [2]),
        pytest.param("fails", 2, [2], marks=pytest.mark.full),
        pytest.param("no plain data", 1000, [], marks=pytest.mark.full),
    ],
)
def test_a_state_that_cannot_be_told(
    how: str,
    every: int,
    left: list[int],
    tmp_path: Path,
    tiny_model_folder: Path,
    capfd: pytest.CaptureFixture,
) -> None:
    """Weights of step 3 are never saved with states of step 2."""
    assert train(tmp_path, "straight", tiny_model_folder, **counting()) == 0
    changes = merged(counting(), {"training": {"save_steps": every}})
    (tmp_path / "trouble").write_text(how)
    assert train(tmp_path, "run", tiny_model_folder, **changes) == 3
    assert "Traceback" not in capfd.readouterr().err
    assert not (tmp_path / "trouble").exists()
    assert steps(tmp_path, "run") == left
    assert train(tmp_path, "run", tiny_model_folder, "--resume", **changes) == 0
    assert differences(tmp_path / "runs/straight", tmp_path / "runs/run") == []


def test_a_signal_while_a_reward_tells_its_state(
    tmp_path: Path, tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It came in the update, and waits until the process of the reward has answered."""
    changes = counting(isolate=True)
    assert train(tmp_path, "straight", tiny_model_folder, **changes) == 0
    (tmp_path / "trouble").write_text("slow")
    with monkeypatch.context() as patch:
        at_step(patch, PolicyTrainer, "_get_grad_norm", 2, terminate)
        assert train(tmp_path, "run", tiny_model_folder, **changes) == 75
    assert not (tmp_path / "trouble").exists()
    assert steps(tmp_path, "run") == [3]
    assert train(tmp_path, "run", tiny_model_folder, "--resume", **changes) == 0
    assert differences(tmp_path / "runs/straight", tmp_path / "runs/run") == []


def test_a_failure_amid_the_update(
    tmp_path: Path, tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The weights of step 4 have changed and its end has not come: the checkpoint before it is the newest."""
    assert train(tmp_path, "straight", tiny_model_folder) == 0
    for name, every, left in (("saved", 2, [2]), ("never-saved", 1000, [])):
        done: list[int] = []
        step = torch.optim.AdamW.step

        def breaks(self: Any, *args: Any, step: Any = step, done: list[int] = done, **keys: Any) -> Any:
            result = step(self, *args, **keys)
            done.append(1)
            if len(done) == 4:
                raise RuntimeError("the device is lost")
            return result

        changes = {"training": {"save_steps": every}}
        with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="the device is lost"):
            patch.setattr(torch.optim.AdamW, "step", breaks)
            raw = config(tmp_path, name, tiny_model_folder, changes)
            rlctl.train(config_from_dict(raw, folder=tmp_path), quiet=True)
        assert steps(tmp_path, name) == left
        assert not (tmp_path / "runs" / name / "checkpoints/.unfinished").exists()
        assert train(tmp_path, name, tiny_model_folder, "--resume", **changes) == 0
        assert differences(tmp_path / "runs/straight", tmp_path / "runs" / name) == []


def test_a_signal_in_the_last_update(
    tmp_path: Path, tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing polls after it; it is heeded all the same, before the final model is written."""
    assert train(tmp_path, "straight", tiny_model_folder) == 0
    with monkeypatch.context() as patch:
        at_step(patch, PolicyTrainer, "_get_grad_norm", 4, terminate)
        assert train(tmp_path, "run", tiny_model_folder) == 75
    assert steps(tmp_path, "run") == [5]
    assert not (tmp_path / "runs/run/final").exists()
    assert train(tmp_path, "run", tiny_model_folder, "--resume") == 0
    assert differences(tmp_path / "runs/straight", tmp_path / "runs/run") == []


def test_a_boundary_is_passed_once(
    tmp_path: Path, tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taken up at the end of an epoch, where transformers would end the last step once more."""
    passed: list[int] = []
    boundary = backend.RunCallback.boundary

    def passing(self: Any, step: int) -> None:
        passed.append(step)
        boundary(self, step)

    monkeypatch.setattr(backend.RunCallback, "boundary", passing)
    for after in (3, 5):  # three steps an epoch
        passed.clear()
        with monkeypatch.context() as patch:
            at_step(patch, PolicyTrainer, "_get_grad_norm", after - 1, terminate)
            assert train(tmp_path, f"run-{after}", tiny_model_folder) == 75
        assert passed == list(range(1, after + 1))
        assert train(tmp_path, f"run-{after}", tiny_model_folder, "--resume") == 0
        assert passed == [1, 2, 3, 4, 5]


def test_a_disk_that_refuses_beside_the_next_step(
    tmp_path: Path, tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told once, of the right step; training went on meanwhile, and the next save works."""
    every = {"training": {"save_steps": 1}}
    assert train(tmp_path, "straight", tiny_model_folder, **every) == 0
    checkpoints = Checkpoints(tmp_path / "runs/run/checkpoints")
    generating, refused = threading.Event(), []

    def fails(place: int, operation: str) -> bool:
        if refused or not (operation.startswith("fsync") and "/checkpoint-2/" in operation):
            return False
        refused.append(generating.wait(30))
        return True

    with monkeypatch.context() as patch:
        disk = FaultyDisk(patch)
        at_step(patch, PolicyTrainer, "_generate_single_turn", 2, generating.set)
        with disk.failing(checkpoints.folder, errno.EIO, fails):
            assert train(tmp_path, "run", tiny_model_folder, **every) == 0
    assert refused == [True], "the disk was waited for"
    told = [line for line in log(tmp_path, "run").splitlines() if "could not be saved" in line]
    assert len(told) == 1
    assert "warning: step 2 could not be saved: Input/output error" in told[0]
    assert told[0].endswith("(the newest checkpoint is of step 1). Training goes on.")
    assert checkpoints.steps() == [3, 4, 5]
    assert [checkpoints.fault(step) for step in checkpoints.steps()] == [None] * 3
    assert differences(tmp_path / "runs/straight", tmp_path / "runs/run")[0].startswith("training_log.txt")


def test_what_the_disk_is_told_and_in_which_order(
    tmp_path: Path, tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a loss of power, a name stands for what was written before it got that name."""
    with monkeypatch.context() as patch:
        disk = FaultyDisk(patch)
        with disk.failing(tmp_path / "runs", errno.EIO, lambda place, operation: False) as done:
            assert train(tmp_path, "run", tiny_model_folder, training={"max_steps": 2}) == 0
    done = [operation for operation in done if operation.startswith(("fsync", "os.rename"))]
    run = tmp_path / "runs/run"
    checkpoint, unfinished = run / "checkpoints/checkpoint-2", "/run/checkpoints/.unfinished/checkpoint-2"
    named = done.index(f"os.rename {unfinished}")
    before, after = done[:named], done[named:]
    files = [str(file.relative_to(checkpoint)) for file in checkpoint.rglob("*") if file.is_file()]
    assert {"model.safetensors", "optimizer.pt", "state-0.pt", "checkpoint.json"} <= set(files)
    for name in files:
        assert f"fsync {unfinished}/{name}" in before, name
    weights, described = (
        before.index(f"fsync {unfinished}/{name}") for name in ("optimizer.pt", "checkpoint.json")
    )
    assert weights < described
    assert f"fsync {unfinished}" in before[weights:], "the names in the folder"
    for name in ("metrics.jsonl", "completions.jsonl", "training_log.txt"):
        assert f"fsync /run/logs/{name}" in before, name
    assert "fsync /run/checkpoints" in after
    for name in ("run.json", "config.yaml"):
        renamed = done.index(f"os.rename /run/.{name}.tmp")
        assert f"fsync /run/.{name}.tmp" in done[:renamed], name
        assert done[renamed + 1] == "fsync /run", name


def test_inexactness_is_told_for_good(
    tmp_path: Path, tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped again before there is another checkpoint, twice: the log says it still, and says it once."""
    longer = {"training": {"max_steps": 8}}

    def stopped(in_step: int, *arguments: str, **changes: Any) -> None:
        with monkeypatch.context() as patch:
            at_step(patch, PolicyTrainer, "_generate_single_turn", in_step - 1, terminate)
            assert train(tmp_path, "run", tiny_model_folder, *arguments, **changes) == 75

    stopped(3)
    for again in (3, 3, 5):
        stopped(again, "--resume", **longer)
    assert train(tmp_path, "run", tiny_model_folder, "--resume", **longer) == 0
    told = [line for line in log(tmp_path, "run").splitlines() if "no longer exactly" in line]
    assert len(told) == 1
    assert "going on after step 2" in told[0]
    assert "training.max_steps 5 → 8" in told[0]


def test_a_changed_base_of_an_adapter_is_told(
    tmp_path: Path, tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checkpoint holds the adapter alone."""
    base = Path(shutil.copytree(tiny_model_folder, tmp_path / "base"))
    changes = {"model": {"lora": {"r": 4, "alpha": 8}}}
    with monkeypatch.context() as patch:
        at_step(patch, PolicyTrainer, "_generate_single_turn", 2, terminate)
        assert train(tmp_path, "run", base, **changes) == 75
    model = AutoModelForCausalLM.from_pretrained(base)
    with torch.no_grad():
        model.model.norm.weight.mul_(1.5)
    model.save_pretrained(base)
    shutil.copy(tiny_model_folder / "config.json", base)
    shutil.copy(tiny_model_folder / "generation_config.json", base)
    assert train(tmp_path, "run", base, "--resume", **changes) == 0
    told = [line for line in log(tmp_path, "run").splitlines() if "no longer exactly" in line]
    assert len(told) == 1
    assert told[0].endswith("without a stop: model: model.safetensors has changed")


def test_hidden_files_are_somebodys(
    tmp_path: Path, tiny_model_folder: Path, capfd: pytest.CaptureFixture
) -> None:
    folder = tmp_path / "runs/run"
    (folder / ".git").mkdir(parents=True)
    (folder / ".git/HEAD").write_text("ref")
    (folder / ".env").write_text("mine")
    assert train(tmp_path, "run", tiny_model_folder, "--resume") == 2
    assert "this is no run" in capfd.readouterr().err
    assert {".env", ".git/HEAD"} == set(tree(folder)) - {".lock"}


def test_a_model_object_is_free_after_a_stop(
    tmp_path: Path, tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It no longer looks for the signal that ended its run, and the run goes on with it."""
    model = AutoModelForCausalLM.from_pretrained(tiny_model_folder)
    tokenizer = AutoTokenizer.from_pretrained(tiny_model_folder, padding_side="left")
    made = config_from_dict(config(tmp_path, "run", tiny_model_folder, {}), folder=tmp_path)
    stop = StopSignals()
    with monkeypatch.context() as patch, pytest.raises(Stopped, match="after step 2; saved in"):
        at_step(patch, PolicyTrainer, "_generate_single_turn", 2, terminate)
        rlctl.train(made, model=model, tokenizer=tokenizer, quiet=True, stop=stop)
    ids = torch.tensor([[5, 6, 7]])
    assert model(input_ids=ids).logits.isfinite().all()
    assert model.generate(input_ids=ids, max_new_tokens=2).shape[1] > 3
    trained = rlctl.train(made, model=model, tokenizer=tokenizer, quiet=True, resume=True)
    assert trained.summary["steps"] == 5
    assert train(tmp_path, "straight", tiny_model_folder) == 0
    final = [(tmp_path / "runs" / name / "final/model.safetensors") for name in ("run", "straight")]
    assert final[0].read_bytes() == final[1].read_bytes()


SLOWLY = """
import sys, time
from rlctl.cli.app import run
from rlctl.training import checkpoints, stopping

commit = checkpoints.Checkpoints.commit

def slow(self, step, about):
    time.sleep(stopping.SAME_REQUEST + 2)
    return commit(self, step, about)

checkpoints.Checkpoints.commit = slow
sys.exit(run(sys.argv[1:]))
"""
"""A save that is at work when the terminal's second SIGHUP comes."""


@pytest.mark.full
def test_a_terminal_that_closes(tmp_path: Path, tiny_model_folder: Path) -> None:
    """The kernel and the shell both send SIGHUP, and here one more comes later: the run is saved."""
    changes = {"training": {"max_steps": 400, "save_steps": 10}}
    assert train(tmp_path, "straight", tiny_model_folder, **changes) == 0
    file, run = tmp_path / "config.yaml", tmp_path / "runs/run"
    file.write_text(json.dumps(config(tmp_path, "run", tiny_model_folder, changes)))
    (tmp_path / "slowly.py").write_text(SLOWLY)
    words = [sys.executable, str(tmp_path / "slowly.py"), "train", str(file), "--quiet"]
    shell, terminal = pty.fork()
    if shell == 0:
        os.execvp("bash", ["bash", "--norc", "-i"])
    os.write(terminal, f"{shlex.join(words)}\n".encode())
    deadline = time.monotonic() + 180
    while not Checkpoints(run / "checkpoints").steps():
        assert time.monotonic() < deadline
        if select.select([terminal], [], [], 0.05)[0]:
            os.read(terminal, 1000)
    process = json.loads((run / "run.json").read_text())["process"]["pid"]
    os.close(terminal)
    time.sleep(stopping.SAME_REQUEST + 0.5)
    subprocess.run(["kill", "-HUP", str(process)], check=False)
    while json.loads((run / "run.json").read_text())["status"] == "running":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.waitpid(shell, 0)
    record = json.loads((run / "run.json").read_text())
    assert record["status"] == "stopped"
    assert steps(tmp_path, "run")[-1] == record["step"] < 400
    assert train(tmp_path, "run", tiny_model_folder, "--resume", **changes) == 0
    assert differences(tmp_path / "runs/straight", run) == []
