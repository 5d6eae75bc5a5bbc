"""Configs and files for runs that take a second: a tiny model, a few prompts, two steps."""

import json
from pathlib import Path
from typing import Any

PROMPTS = ["one and two", "three", "the sum of four and five", "six", "seven", "eight and nine"]


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def read_rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`base` with the sections of `changes` put over it, level by level."""
    result = dict(base)
    for key, value in changes.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return result


def small_config(folder: Path, path: Path | str, /, **changes: Any) -> dict[str, Any]:
    """A config of two steps over six prompts, four completions each; writes the prompts into `folder`."""
    data = write_rows(
        folder / "train.jsonl", [{"prompt": text, "answer": str(i)} for i, text in enumerate(PROMPTS)]
    )
    base: dict[str, Any] = {
        "run": {"name": "small", "output_dir": str(folder / "runs")},
        "model": {"path": str(path), "device": "cpu"},
        "data": {"train": {"path": str(data)}, "max_length": 64},
        "rewards": {"components": [{"type": "length", "max": 40}]},
        "generation": {"max_completion_length": 6},
        "algorithm": {"type": "grpo", "num_generations": 4},
        "training": {
            "max_steps": 2,
            "prompts_per_step": 3,
            "learning_rate": 1.0e-3,
            "save_steps": None,
            "gradient_checkpointing": False,
        },
    }
    return merged(base, changes)
