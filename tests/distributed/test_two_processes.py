"""Two processes, started with `accelerate launch`, give what one gives: totals, dealt out, logs, weights."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from safetensors.torch import load_file

SCRIPT = Path(__file__).with_name("fixed_completions.py")
REWARDS = """
import zlib
from rlctl import Invalid

def odd(completions, **kwargs):
    return [one(text) for text in completions]

def one(text):
    kind = zlib.crc32(text.encode()) % 12
    if kind == 4:
        raise ValueError("four")
    special = {0: float("nan"), 1: None, 2: Invalid("two"), 3: float("inf"), 5: "five"}
    return special.get(kind, kind / 12)

def length(completions, **kwargs):
    return [float(len(text)) for text in completions]
"""

NEVER = """
import rlctl

def odd(completions, **kwargs):
    return [rlctl.Invalid("never") for _ in completions]

def length(completions, **kwargs):
    return [float(len(text)) for text in completions]
"""


def write_config(folder: Path, model: Path) -> Path:
    (folder / "rewards.py").write_text(REWARDS)
    rows = [
        {"prompt": f"{word} and more"}
        for word in ("one", "two", "three", "four", "five", "six", "seven", "ten")
    ]
    (folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = {
        "model": {"path": str(model)},
        "data": {
            "train": {"path": "data.jsonl"},
            "eval": {"path": "data.jsonl", "limit": 5},
            "max_length": 64,
        },
        "eval": {"num_samples": 2},
        "rewards": {
            "max_failure_rate": 1.0,
            "shuffle": True,
            "invalid_penalty": "auto",
            "components": [
                {"name": "odd", "type": "python", "function": "rewards.py:odd"},
                {
                    "name": "length",
                    "type": "python",
                    "function": "rewards.py:length",
                    "normalize": "batch_std",
                    "weight": 0.5,
                },
            ],
        },
        "generation": {"max_completion_length": 8},
        "algorithm": {
            "type": "grpo",
            "num_generations": 4,
            "loss_type": "grpo",
            "dead_groups": "drop",
            "beta": 0.1,
        },
        "training": {
            "max_steps": 3,
            "prompts_per_step": 4,
            "learning_rate": 0.1,
            "optim": "sgd",
            "per_device_train_batch_size": 4,
            "save_steps": None,
        },
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def run(folder: Path, config: Path, processes: int) -> Path:
    done = started(folder, config, processes)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / f"on{processes}"


def started(folder: Path, config: Path, processes: int) -> subprocess.CompletedProcess[str]:
    # `--cpu` would start a single process and say nothing; `--multi_gpu` means torchrun, with gloo on CPUs.
    launch = [
        sys.executable,
        "-m",
        "accelerate.commands.launch",
        "--multi_gpu",
        "--num_processes",
        str(processes),
    ]
    launch += [
        "--num_machines",
        "1",
        "--mixed_precision",
        "no",
        "--dynamo_backend",
        "no",
        "--main_process_port",
        "0",
    ]
    command = launch if processes > 1 else [sys.executable]
    name = f"on{processes}"
    return subprocess.run(
        [
            *command,
            str(SCRIPT),
            "train",
            str(config),
            "--output-dir",
            str(folder),
            "--set",
            f"run.name={name}",
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=300,
        check=False,
    )


def test_two_processes_give_what_one_gives(tmp_path: Path, tiny_model_folder: Path) -> None:
    config = write_config(tmp_path, tiny_model_folder)
    one, two = run(tmp_path, config, 1), run(tmp_path, config, 2)

    def rows(folder: Path, name: str) -> list[dict]:
        return [json.loads(line) for line in (folder / "logs" / name).read_text().splitlines()]

    completions = rows(one, "completions.jsonl"), rows(two, "completions.jsonl")
    trained = [[row for row in each if row["split"] == "train"] for each in completions]
    assert len(trained[0]) == 3 * 16
    for alone, together in zip(*trained, strict=True):
        assert alone["advantage"] == pytest.approx(together["advantage"], abs=1e-6)
        assert {**alone, "advantage": 0} == {**together, "advantage": 0}
    before = [[row for row in each if row["split"] == "eval" and row["step"] == 0] for each in completions]
    assert len(before[0]) == 5 * 2 + 5, "sampled and greedy, each once"
    assert before[0] == before[1]
    assert any(row["total"] != row["shuffled_total"] for row in trained[1]), "the totals are dealt out"
    outcomes = {row["outcome"] for row in completions[0]}
    assert outcomes == {"scored", "invalid", "failed"}, "the test must see the odd values"
    reasons = " ".join(row["reason"] or "" for row in completions[0])
    for word in ("nan", "inf", "four", "two"):
        assert word in reasons

    assert json.loads((one / "logs/rewards.json").read_text()) == json.loads(
        (two / "logs/rewards.json").read_text()
    )
    names = (
        "train/reward",
        "train/odd",
        "train/invalid_fraction",
        "train/failed_fraction",
        "train/dead_group_fraction",
    )
    for alone, together in zip(rows(one, "metrics.jsonl"), rows(two, "metrics.jsonl"), strict=True):
        for name in names:
            assert alone.get(name) == pytest.approx(together.get(name), abs=1e-5), name
    weights = load_file(one / "final/model.safetensors"), load_file(two / "final/model.safetensors")
    moved = load_file(tiny_model_folder / "model.safetensors")
    assert any((weights[0][name] - moved[name]).abs().max() > 1e-4 for name in moved)
    for name, tensor in weights[0].items():
        assert (tensor - weights[1][name]).abs().max() < 1e-5, name
    records = [json.loads((folder / "run.json").read_text()) for folder in (one, two)]
    assert records[1]["hardware"]["processes"] == 2
    assert records[0]["penalty"] == records[1]["penalty"]
    assert {row["total"] for row in completions[1] if row["outcome"] == "invalid"} == {
        records[1]["penalty"]["value"]
    }


@pytest.mark.full
def test_where_no_penalty_can_be_chosen_all_processes_end(tmp_path: Path, tiny_model_folder: Path) -> None:
    config = write_config(tmp_path, tiny_model_folder)
    (tmp_path / "rewards.py").write_text(NEVER)
    done = started(tmp_path, config, 2)
    assert "`auto` finds no penalty from 32 completions: no completion is valid" in done.stdout + done.stderr
    assert done.returncode != 0  # the launcher makes 1 of 3
    assert not (tmp_path / "on2").exists()
