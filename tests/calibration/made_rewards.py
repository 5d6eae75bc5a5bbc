"""Configs whose rewards are what the rows say, and files with such rows."""

import json
from pathlib import Path
from typing import Any

from rlctl.calibration.analyze import analyze_rewards
from rlctl.config.load import config_from_dict

CODE = """
from rlctl import Invalid


def _said(value):
    if value == "invalid":
        return Invalid("made so")
    if value == "raise":
        raise ValueError("made so")
    return float("nan") if value == "nan" else value


def first(prompt, completion, first):
    return _said(first)


def second(prompt, completion, second):
    return _said(second)
"""


def config(folder: Path, *components: dict[str, Any], **sections: Any):
    """A config on the tiny model; components `first` and `second` give what the columns of that name hold."""
    (folder / "made.py").write_text(CODE, encoding="utf-8")
    train = [{"prompt": f"p{i}", "first": 1.0, "second": 2.0} for i in range(4)]
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in train), encoding="utf-8")
    parts = [
        one
        if "type" in one
        else {"type": "python", "isolate": False, "function": f"{folder / 'made.py'}:{one['name']}", **one}
        for one in components
    ]
    rewards = {"components": parts, "invalid_penalty": -1.0, "max_failure_rate": 1.0}
    rewards.update(sections.pop("rewards", {}))
    return config_from_dict(
        {
            "run": {"output_dir": str(folder / "outputs")},
            "model": {"path": "builtin:tiny-math"},
            "data": {"train": {"path": str(folder / "train.jsonl")}},
            "rewards": rewards,
            "algorithm": {"type": "grpo", "num_generations": 4},
            "training": {"prompts_per_step": 4},
            **sections,
        }
    )


def rows(groups: list[list[Any]], second: list[list[Any]] | None = None) -> list[dict[str, Any]]:
    """Rows of groups of rewards."""
    return [
        {
            "prompt": f"prompt {number}",
            "completion": f"completion {number}.{place}",
            "first": value,
            **({} if second is None else {"second": second[number][place]}),
        }
        for number, group in enumerate(groups)
        for place, value in enumerate(group)
    ]


def analyse(
    folder: Path, made: list[dict[str, Any]], *components: dict[str, Any], keep: bool = False, **sections: Any
):
    """The document of an analysis of these rows."""
    file = folder / "completions.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in made), encoding="utf-8")
    parts = components or ({"name": "first"},)
    return analyze_rewards(config(folder, *parts, **sections), completions=str(file), keep=keep).as_dict()


def codes(document: dict[str, Any]) -> list[str]:
    """The codes of its findings."""
    return [one["code"] for one in document["findings"]]
