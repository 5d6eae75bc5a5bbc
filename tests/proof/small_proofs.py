"""A config for proofs that take seconds: a tiny model, a few prompts, two steps."""

import json
from pathlib import Path
from typing import Any

TRAIN = ["one and two", "three", "the sum of four and five", "six", "seven", "eight and nine"]
HELD_OUT = ["ten", "eleven and twelve", "thirteen", "the sum of one and ten"]


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def proof_config(folder: Path, model: Path | str, **sections: Any) -> dict[str, Any]:
    """The config; each of `sections` is put over its section. Writes the prompts into `folder`."""
    train, held_out = (
        write_rows(folder / name, [{"prompt": text, "answer": str(i)} for i, text in enumerate(texts)])
        for name, texts in (("train.jsonl", TRAIN), ("eval.jsonl", HELD_OUT))
    )
    base: dict[str, Any] = {
        "run": {"name": "small", "output_dir": str(folder / "runs")},
        "model": {"path": str(model), "device": "cpu"},
        "data": {"train": {"path": str(train)}, "eval": {"path": str(held_out)}, "max_length": 64},
        "rewards": {"components": [{"type": "length", "max": 4}]},
        "generation": {"max_completion_length": 6},
        "algorithm": {"type": "grpo", "num_generations": 4},
        "training": {
            "max_steps": 2,
            "prompts_per_step": 3,
            "learning_rate": 1.0e-3,
            "save_steps": None,
            "eval_steps": 1,
            "gradient_checkpointing": False,
        },
        "eval": {"num_samples": 2},
    }
    for section, keys in sections.items():
        base[section] = {**base.get(section, {}), **keys}
    return base
