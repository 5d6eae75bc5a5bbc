"""Time to save a checkpoint: rlctl against the trainer's own save, of the same trainer and model.

    python -m benchmarks saving

One run of a step; at its end the same state is saved again and again, in turn by TRL's `_save_checkpoint`,
which does not wait for the disk, and by rlctl: once as in a run, where hashes, fsync, manifest, rename and
rotation come while training goes on, and once until all of that is done.
Before every save the disk is given time to write what is still in memory, outside the clock.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

MODELS = {"built-in, 0.8 M": 20, "random Qwen2, 124 M": 7}
"""Model, and pairs that are measured."""
LIMIT = 2
WARM_UP = 3
"""Turns that do not count: old checkpoints must be there to be removed, and memory to have been used once."""
SIDES = ("TRL", "rlctl", "rlctl, until it has its place")


def build_large(folder: Path) -> str:
    """A random model of 124 million weights with the built-in tokenizer."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    from rlctl.config.model import Model
    from rlctl.models.tokenizer import load_tokenizer

    config = Qwen2Config(
        vocab_size=50_000,
        hidden_size=768,
        intermediate_size=2048,
        num_hidden_layers=12,
        num_attention_heads=12,
        num_key_value_heads=12,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
    )
    model = Qwen2ForCausalLM(config)
    tokenizer = load_tokenizer(Model(path="builtin:tiny-math"))
    model.config.eos_token_id, model.config.pad_token_id = tokenizer.eos_token_id, tokenizer.pad_token_id
    model.save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    return str(folder / "model")


def settings(folder: Path, model: str) -> dict[str, Any]:
    """One step of two completions."""
    return {
        "run": {"name": "saving", "output_dir": str(folder / "outputs")},
        "model": {"path": model, "device": "cpu", "dtype": "float32"},
        "data": {"train": {"path": "builtin:arithmetic", "split": "train"}, "max_length": 64},
        "rewards": {"components": [{"type": "length", "max": 1}]},
        "generation": {"max_completion_length": 4},
        "algorithm": {"type": "grpo", "num_generations": 2},
        "training": {
            "max_steps": 1,
            "prompts_per_step": 1,
            "gradient_checkpointing": False,
            "save_steps": 1,
            "save_total_limit": LIMIT,
        },
    }


def timed(work: Callable[[], object]) -> dict[str, float]:
    """Wall and CPU seconds of a save; before it, nothing waits to be written."""
    os.sync()
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


class Pairs:
    """Saves one state on both sides, in turn."""

    def __init__(self, saver: Any, trainer: Any, beside: Path, pairs: int) -> None:
        self.saver, self.trainer, self.beside, self.pairs = saver, trainer, beside, pairs
        self.seconds: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}

    def measure(self) -> dict[str, Any]:
        """All pairs, after one that does not count."""
        works = dict(zip(SIDES, (self.theirs, self.ours, self.ours_to_the_end), strict=True))
        step = 1
        for turn in range(-WARM_UP, self.pairs):
            order = SIDES[turn % 3 :] + SIDES[: turn % 3]
            for side in order:
                step += 1  # so that every save writes a folder and removes the oldest of three
                self.saver.step = self.trainer.state.global_step = step
                found = timed(works[side])
                fault = self.saver.settle()
                assert fault is None, fault
                if turn >= 0:
                    self.seconds[side].append(found)
        newest = self.saver.checkpoints.path(self.saver.checkpoints.steps()[-1])
        theirs = next(self.beside.glob("checkpoint-*"))
        return {"seconds": self.seconds, "bytes": size(newest), "bytes_theirs": size(theirs)}

    def ours(self) -> None:
        self.saver.saved = None
        self.saver.save(wait=False)

    def ours_to_the_end(self) -> None:
        self.saver.saved = None
        fault = self.saver.save()
        assert fault is None, fault

    def theirs(self) -> None:
        from trl import GRPOTrainer

        trainer = self.trainer
        ours, place, limit = type(trainer), trainer.args.output_dir, trainer.args.save_total_limit
        trainer.__class__ = GRPOTrainer
        trainer.args.output_dir, trainer.args.save_total_limit = str(self.beside), LIMIT
        try:
            trainer._save_checkpoint(trainer.model, None)
        finally:
            trainer.__class__ = ours
            trainer.args.output_dir, trainer.args.save_total_limit = place, limit


def size(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def measure(name: str, folder: Path) -> dict[str, Any]:
    """Both sides in this process."""
    import rlctl
    from rlctl.config.load import config_from_dict
    from rlctl.training.saver import Saver

    model = "builtin:tiny-math" if name.startswith("built-in") else build_large(folder)
    save: Callable[..., Exception | None] = Saver.save
    found: dict[str, Any] = {}

    def measured(self: Saver, *, wait: bool = True) -> Exception | None:
        Saver.save = save
        trainer = self.parts["trainer"]
        found.update(Pairs(self, trainer, folder / "theirs", MODELS[name]).measure())
        self.step = trainer.state.global_step = 1
        shutil.rmtree(self.checkpoints.folder)
        self.saved = None
        return self.save(wait=wait)

    Saver.save = measured
    rlctl.train(config_from_dict(settings(folder, model)), quiet=True)
    return found


def main() -> None:
    """Print milliseconds of every side and the medians of the ratios, for each model and place."""
    places = {"disk": None, "memory (tmpfs)": "/dev/shm"}
    for name in MODELS:
        for place, root in places.items():
            if root is not None and not Path(root).is_dir():
                continue
            with tempfile.TemporaryDirectory(dir=root) as folder:
                environment = {**os.environ, "OMP_NUM_THREADS": "1"}
                command = [sys.executable, "-m", "benchmarks.saving", name, folder]
                done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
            if done.returncode:
                raise SystemExit(done.stdout + done.stderr)
            describe(name, place, json.loads(done.stdout.splitlines()[-1]))


def describe(name: str, place: str, found: dict[str, Any]) -> None:
    """One block of the report."""
    megabytes = " and ".join(f"{found[key] / 1e6:.1f} MB" for key in ("bytes_theirs", "bytes"))
    print(f"{name}, {place}: {megabytes}")
    seconds = found["seconds"]
    for side in SIDES:
        line = f"  {side}:"
        for clock in ("wall", "cpu"):
            ratios = [a[clock] / b[clock] for a, b in zip(seconds[side], seconds["TRL"], strict=True)]
            middle = median(one[clock] for one in seconds[side])
            line += f" {clock} {1000 * middle:.0f} ms, ratio {median(ratios):.2f}"
            line += f" ({min(ratios):.2f} to {max(ratios):.2f});"
        print(line.rstrip(";"))


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], Path(sys.argv[2]))))
