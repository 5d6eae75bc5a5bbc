"""Writes the folder of a run that has ended, as training would have left it, without training."""

import json
from pathlib import Path
from typing import Any

from rlctl.config.config import Config
from rlctl.config.dump import to_yaml
from rlctl.config.load import config_from_dict
from rlctl.config.model import Model

PROMPTS = ["one and two", "three", "the sum of four and five", "six", "seven", "eight and nine"]


def write_lines(file: Path, rows: list[dict[str, Any]]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def evaluation(step: int, reward: float, greedy: float) -> dict[str, Any]:
    interval = {"val/reward_low": reward - 0.125, "val/reward_high": reward + 0.125}
    return {"step": step, "val/reward": reward, **interval, "val/greedy_pass": greedy}


def small_config(folder: Path, model: dict[str, Any], **sections: Any) -> Config:
    """A config whose data lie in `folder`."""
    for name in ("train.jsonl", "eval.jsonl"):
        write_lines(folder / "data" / name, [{"prompt": text} for text in PROMPTS])
    base: dict[str, Any] = {
        "run": {"name": "small", "output_dir": str(folder / "runs")},
        "model": model,
        "data": {
            "train": {"path": str(folder / "data/train.jsonl")},
            "eval": {"path": str(folder / "data/eval.jsonl")},
            "max_length": 64,
        },
        "rewards": {"components": [{"type": "length", "max": 40}]},
        "generation": {"max_completion_length": 12},
        "algorithm": {"type": "grpo", "num_generations": 4},
        "training": {"max_steps": 4, "prompts_per_step": 3, "learning_rate": 1.0e-3},
    }
    return config_from_dict({**base, **sections})


def write_run(folder: Path, model: dict[str, Any], *, seed: int = 1, **sections: Any) -> Path:
    """A run with `final/` and a checkpoint of step 2, whose weights are not those that it started from."""
    config = small_config(folder, model, **sections)
    run = folder / "runs" / config.run.name
    logs = run / "logs"
    logs.mkdir(parents=True)
    (run / "config.yaml").write_text(to_yaml(config), encoding="utf-8")
    hashes = {"data": {str(folder / "data/train.jsonl"): "ab" * 32}, "rewards": {}}
    record = {"status": "done", "python": "3.11.7", "packages": {"torch": "2.13.0"}, "hashes": hashes}
    (run / "run.json").write_text(json.dumps(record))
    evaluations = [evaluation(0, 0.25, 0.125), evaluation(4, 0.75, 0.5)]
    (logs / "eval_results.json").write_text(json.dumps({"evaluations": evaluations}))
    write_lines(logs / "metrics.jsonl", [{"step": step, "train/reward": 0.5} for step in (1, 2, 3, 4)])
    write_lines(logs / "completions.jsonl", [{"split": "eval", "prompt": text} for text in PROMPTS])
    write_weights(config.model, run / "final", seed)
    write_weights(config.model, run / "checkpoints/checkpoint-2", seed + 100)
    return run


def write_weights(section: Model, folder: Path, seed: int) -> None:
    """Load as training does, change what it would train, and save as it does."""
    import peft
    import torch

    from rlctl.models.load import load_model
    from rlctl.models.tokenizer import load_tokenizer

    loaded = load_model(section, gradient_checkpointing=False)
    model = loaded.model
    if loaded.peft_config is not None:
        model = peft.get_peft_model(model, loaded.peft_config)
    generator = torch.Generator().manual_seed(seed)
    for weight in model.parameters():
        if weight.requires_grad:
            weight.data += (0.1 * torch.randn(weight.shape, generator=generator)).to(weight.dtype)
    model.save_pretrained(folder)
    load_tokenizer(section).save_pretrained(folder)
