"""What goes wrong is said in a few words, with the right exit code, and leaves nothing half-written."""

import errno
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import PROMPTS, merged, read_rows, small_config, write_rows
from transformers import AutoModelForCausalLM, AutoTokenizer, Qwen2ForCausalLM

import rlctl
from rlctl.cli.app import run as command
from rlctl.config.load import config_from_dict
from rlctl.errors import RewardError, TrainingError

Change = Callable[[Path, Path], dict[str, Any]]
"""Folder of the test, folder of a good model → what is changed in a good config."""


def one(section: str, **values: Any) -> Change:
    return lambda folder, model: {section: values}


def model_with(change: Callable[[Path], None]) -> Change:
    def changed(folder: Path, model: Path) -> dict[str, Any]:
        shutil.copytree(model, folder / "model")
        change(folder / "model")
        return {"model": {"path": str(folder / "model")}}

    return changed


def cut_off(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def without_tokenizer(folder: Path) -> None:
    for file in folder.glob("tokenizer*"):
        file.unlink()


def rows(lines: list[dict[str, Any]], **data: Any) -> Change:
    def changed(folder: Path, model: Path) -> dict[str, Any]:
        return {"data": {"train": {"path": str(write_rows(folder / "rows.jsonl", lines))}, **data}}

    return changed


def reward(body: str, **rewards: Any) -> Change:
    def changed(folder: Path, model: Path) -> dict[str, Any]:
        (folder / "mine.py").write_text(body)
        part = {"type": "python", "name": "mine", "function": f"{folder}/mine.py:score"}
        return {"rewards": {"components": [part], **rewards}}

    return changed


LONG = {"prompt": "word " * 100}
GOOD = [{"prompt": text} for text in PROMPTS]
HALF = """
def score(completions, **columns):
    return [one(i) for i in range(len(completions))]


def one(i):
    return float("nan") if i % 2 else 1.0
"""
CASES: dict[str, tuple[Change, int, str]] = {
    # the model
    "missing model": (one("model", path="/nowhere/model"), 3, r"model\.path: /nowhere/model: no such file"),
    "model cut off": (model_with(cut_off), 3, r"weights file is broken or cut off .*\n  copy or download"),
    "broken config.json": (
        model_with(lambda folder: (folder / "config.json").write_text("{") and None),
        3,
        "config.json: not readable as JSON .* the model folder is broken",
    ),
    "no tokenizer": (model_with(without_tokenizer), 3, "no tokenizer in this folder"),
    "model of the hub": (
        one("model", path="some/model"),
        3,
        "some/model: the Hugging Face Hub cannot be reached",
    ),
    "no GPU": (one("model", device="cuda"), 4, "no cuda device here"),
    "quantised without a GPU": (
        one("model", device="auto", quantization="4bit", lora={}),
        4,
        "4bit weights need (bitsandbytes|a CUDA GPU)",
    ),
    "lora module": (
        one("model", lora={"target_modules": ["q_prj"]}),
        2,
        "no module 'q_prj'; did you mean 'q_proj'",
    ),
    # the data
    "missing data": (
        one("data", train={"path": "/nowhere/x.jsonl"}),
        3,
        r"data\.train\.path: .*no such file",
    ),
    "empty data": (rows([]), 3, "rows.jsonl: has no rows"),
    "no prompt": (
        rows([{"question": text} for text in PROMPTS]),
        3,
        r"no column 'prompt'.*`data.columns: \{prompt: question\}`",
    ),
    "dataset of the hub": (one("data", train={"path": "some/rows"}), 3, "some/rows .*cannot be reached"),
    "prompt too long": (rows([LONG, *GOOD], overlong="fail"), 3, "row 1: the prompt has .* tokens, 58 fit"),
    "all prompts too long": (rows([LONG] * 4), 3, r"no prompt is left \(4 longer than 58 tokens, 0 empty\)"),
    "too few prompts": (rows(GOOD[:2]), 2, r"prompts_per_step: one step needs 3 .* `data.train` has 2"),
    "too few are left": (
        rows([LONG, LONG, *GOOD[:2]]),
        2,
        r"has 2 \(2 more were dropped as too long or empty\)",
    ),
    "longer than the context": (one("data", max_length=5000), 2, "5000 tokens are more than the 1024"),
    "no room": (one("generation", max_completion_length=64), 2, "leave no room for a prompt"),
    "system prompt": (one("data", system_prompt="Be brief."), 3, "a system prompt needs a chat template"),
    # the reward
    "column of a reward": (
        one("rewards", components=[{"type": "math_answer", "column": "anwser"}]),
        3,
        r"reads the column 'anwser', .* did you mean 'answer'|`data.columns: \{anwser: NAME\}`",
    ),
    "column of a function": (
        reward("def score(completions, solution, **k): return [0.0] * len(completions)"),
        3,
        "reads the column 'solution'",
    ),
    "reward raises": (
        reward("def score(completions, **k): raise ValueError('broken')"),
        3,
        r"'mine' failed on every completion\n  mine: 12 × ValueError: broken \(mine.py:1\)",
    ),
    "reward hangs": (
        reward("import time\ndef score(completions, **k): time.sleep(60)", timeout=0.1),
        3,
        r"mine: 12 × took longer than 0.1 s",
    ),
    "reward exits": (
        reward("import os\ndef score(completions, **k): os._exit(7)"),
        3,
        r"mine: 12 × its process died \(exit code 7\)",
    ),
    "reward is NaN": (
        reward("def score(completions, **k): return [float('nan')] * len(completions)"),
        3,
        "mine: 12 × returned nan",
    ),
    "reward is NaN for half": (
        reward(HALF),
        3,
        r"6 of 12 completions could not be scored, more than rewards.max_failure_rate allows \(20%\)",
    ),
    "reward cannot be loaded": (
        reward("raise RuntimeError('no')\ndef score(completions, **k): ..."),
        3,
        r"cannot be loaded: mine.py raised RuntimeError: no \(mine.py:1\)",
    ),
    "reward test": (
        reward(
            "def score(completions, **k): return [0.5] * len(completions)",
            tests=[{"completion": "7", "expect": 1}],
        ),
        3,
        r"rewards.tests\[0\]: expected 1.0, got 0.5 for '7'",
    ),
    # what is not here
    "place that cannot be written": (one("run", output_dir="/proc/runs"), 2, "cannot write here"),
    "place that is a file": (one("run", output_dir="/dev/null/runs"), 2, "cannot write here"),
}


def train(folder: Path, config: dict[str, Any], *arguments: str) -> int:
    file = folder / "config.yaml"
    file.write_text(json.dumps(config))
    return command(["train", str(file), "--quiet", *arguments])


@pytest.mark.parametrize("case", CASES)
def test_bad_input(case: str, tmp_path: Path, tiny_model_folder: Path, capfd: pytest.CaptureFixture) -> None:
    change, code, words = CASES[case]
    config = merged(small_config(tmp_path, tiny_model_folder), change(tmp_path, tiny_model_folder))
    if case == "quantised without a GPU" and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    assert (train(tmp_path, config), code) == (code, code), capfd.readouterr().err
    out, err = capfd.readouterr()
    assert out == ""
    assert re.search(words, err), err
    assert "Traceback" not in err
    assert len(err.splitlines()) <= 4
    assert not list((tmp_path / "runs").glob("*")), "nothing is left behind"


@pytest.mark.parametrize("overlong", ["drop", "truncate"])
def test_long_prompts_are_counted(
    overlong: str, tmp_path: Path, tiny_model_folder: Path, capfd: pytest.CaptureFixture
) -> None:
    change = rows([LONG, *GOOD], overlong=overlong)(tmp_path, tiny_model_folder)
    config = merged(small_config(tmp_path, tiny_model_folder), change)
    (tmp_path / "config.yaml").write_text(json.dumps(config))
    assert command(["train", str(tmp_path / "config.yaml")]) == 0
    words = {"drop": "6 from .*, 1 dropped as too long", "truncate": "7 from .*, 1 shortened"}[overlong]
    assert re.search(words, capfd.readouterr().out)
    assert re.search(words, (tmp_path / "runs/small/logs/training_log.txt").read_text())
    report = json.loads((tmp_path / "runs/small/run.json").read_text())["data"]["train"]
    assert (report["dropped_overlong"], report["truncated"]) == ((1, 0) if overlong == "drop" else (0, 1))


def test_an_existing_run_is_not_touched(
    tmp_path: Path, tiny_model_folder: Path, capfd: pytest.CaptureFixture
) -> None:
    (tmp_path / "runs/small").mkdir(parents=True)
    (tmp_path / "runs/small/notes.txt").write_text("mine")
    assert train(tmp_path, small_config(tmp_path, tiny_model_folder)) == 2
    assert "--set run.name=small-2" in capfd.readouterr().err
    assert [path.name for path in (tmp_path / "runs/small").iterdir()] == ["notes.txt"]


NAN_AFTER_THE_FIRST_STEP = """
def score(completions, trainer_state, **columns):
    return [float("nan") if trainer_state.global_step else i for i in range(len(completions))]
"""


@pytest.mark.parametrize("isolate", [True, False])
def test_a_reward_that_breaks_later_leaves_the_weights_of_its_step(
    tmp_path: Path, tiny_model_folder: Path, isolate: bool
) -> None:
    """The first step is kept and logged; the second, whose rewards are all NaN, changes nothing."""
    change = reward(NAN_AFTER_THE_FIRST_STEP)(tmp_path, tiny_model_folder)
    change["rewards"]["components"][0]["isolate"] = isolate
    base = merged(small_config(tmp_path, tiny_model_folder), change)
    weights = []
    for name, steps in (("one", 1), ("two", 2)):
        training = {"max_steps": steps, "lr_scheduler_type": "constant"}
        config = config_from_dict(merged(base, {"run": {"name": name}, "training": training}))
        model = AutoModelForCausalLM.from_pretrained(tiny_model_folder, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(tiny_model_folder)
        stops = pytest.raises(RewardError, match="failed on every completion") if steps > 1 else nullcontext()
        with stops:
            rlctl.train(config, model=model, tokenizer=tokenizer, quiet=True)
        weights.append([parameter.detach().clone() for parameter in model.parameters()])
    assert all(a.equal(b) for a, b in zip(*weights, strict=True))
    record = json.loads((tmp_path / "runs/two/run.json").read_text())
    assert record["status"] == "failed"
    assert "failed on every completion" in record["error"]
    assert [line["step"] for line in read_rows(tmp_path / "runs/two/logs/metrics.jsonl")] == [1]
    assert not (tmp_path / "runs/two/final").exists()


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory. Tried 2 GiB"), MemoryError()])
def test_out_of_memory(
    tmp_path: Path,
    tiny_model_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture,
    error: BaseException,
) -> None:
    def forward(*args: Any, **kwargs: Any) -> Any:
        raise error

    monkeypatch.setattr(Qwen2ForCausalLM, "forward", forward)
    assert train(tmp_path, small_config(tmp_path, tiny_model_folder)) == 5
    message = capfd.readouterr().err
    for key in ("per_device_train_batch_size: less than 12", "gradient_checkpointing: true", "model.lora"):
        assert key in message
    assert "Traceback" not in message
    assert not list((tmp_path / "runs").glob("*"))


@pytest.mark.parametrize("steps", [1, 2])
def test_numbers_that_are_no_longer_finite(
    steps: int, tmp_path: Path, tiny_model_folder: Path, capfd: pytest.CaptureFixture
) -> None:
    """Beyond measure: the second step has nothing to sample from, the last has nothing to save."""
    change = reward("def score(completions, **k): return [1e14 * i for i in range(len(completions))]")
    config = merged(small_config(tmp_path, tiny_model_folder), change(tmp_path, tiny_model_folder))
    training = {"learning_rate": 1e30, "max_grad_norm": 0.0, "optim": "sgd", "max_steps": steps}
    changes = {"algorithm": {"scale_rewards": "none"}, "training": training}
    assert train(tmp_path, merged(config, changes)) == 5
    message = capfd.readouterr().err
    assert "finite" in message
    assert "training.learning_rate" in message
    assert "Traceback" not in message
    run = tmp_path / "runs/small"
    assert json.loads((run / "run.json").read_text())["status"] == "failed"
    assert not (run / "final").exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 1 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("cannot mount a file system here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_full_disk(
    small_disk: Path, tmp_path: Path, tiny_model_folder: Path, capfd: pytest.CaptureFixture
) -> None:
    """No checkpoint (weights, twice as much of the optimizer) fits; training goes on, and the model fits."""
    config = small_config(tmp_path, tiny_model_folder, training={"save_steps": 1})
    assert train(tmp_path, config, "--output-dir", str(small_disk)) == 0
    run = small_disk / "small"
    log = (run / "logs/training_log.txt").read_text()
    words = "could not be saved: the disk is full (there is no checkpoint). Training goes on."
    assert [f"warning: step {step} {words}" in log for step in (1, 2)] == [True, True]
    assert not list((run / "checkpoints").iterdir()), "complete or absent"
    assert (run / "final/model.safetensors").exists()
    assert json.loads((run / "run.json").read_text())["status"] == "done"
    assert "Traceback" not in capfd.readouterr().err


def test_full_disk_at_the_end(
    small_disk: Path, tmp_path: Path, tiny_model_folder: Path, capfd: pytest.CaptureFixture
) -> None:
    """The final model does not fit either."""
    (small_disk / "other").write_bytes(bytes(700_000))
    config = small_config(tmp_path, tiny_model_folder)
    assert train(tmp_path, config, "--output-dir", str(small_disk)) == 5
    err = capfd.readouterr().err
    assert "the disk is full" in err
    assert "training.save_total_limit" in err
    assert "Traceback" not in err
    assert len(err.splitlines()) <= 3
    run = small_disk / "small"
    assert json.loads((run / "run.json").read_text())["status"] == "failed"
    assert not (run / "final").exists()


def test_full_disk_before_anything_is_written(
    tmp_path: Path, tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("rlctl.training.run.write_json", full)
    with pytest.raises(TrainingError, match="the disk is full"):
        rlctl.train(config_from_dict(small_config(tmp_path, tiny_model_folder)), quiet=True)
    assert not list((tmp_path / "runs").glob("*"))


def test_old_checkpoints_go(tmp_path: Path, tiny_model_folder: Path) -> None:
    training = {"save_steps": 1, "save_total_limit": 2, "max_steps": 4}
    assert train(tmp_path, small_config(tmp_path, tiny_model_folder, training=training)) == 0
    found = sorted(path.name for path in (tmp_path / "runs/small/checkpoints").iterdir())
    assert found == ["checkpoint-3", "checkpoint-4"]


def test_an_error_with_json_is_one_document(
    tmp_path: Path, tiny_model_folder: Path, capfd: pytest.CaptureFixture
) -> None:
    change = reward("def score(completions, **k): raise ValueError('broken')")
    config = merged(small_config(tmp_path, tiny_model_folder), change(tmp_path, tiny_model_folder))
    assert train(tmp_path, config, "--json") == 3
    out, err = capfd.readouterr()
    document = json.loads(out)
    assert document["error"]["exit_code"] == 3
    assert document["error"]["type"] == "RewardError"
    assert "Traceback" not in err


def test_verbose_shows_the_traceback(
    tmp_path: Path, tiny_model_folder: Path, capfd: pytest.CaptureFixture
) -> None:
    change = reward("def score(completions, **k): raise ValueError('broken')")
    config = merged(small_config(tmp_path, tiny_model_folder), change(tmp_path, tiny_model_folder))
    assert train(tmp_path, config, "-v") == 3
    assert "Traceback" in capfd.readouterr().err
