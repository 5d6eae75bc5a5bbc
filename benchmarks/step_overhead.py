"""CPU time of a GRPO step: rlctl against TRL's own trainer, with the same rewards and settings.

    python -m benchmarks step_overhead

Five interleaved pairs of processes; each measures its own CPU time and that of its children (reward workers)
between the fifth and the last step, so that start-up does not count. 16 prompts × 8 generations = 128
completions a step, the built-in model and task, two cheap rewards written in Python.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

PAIRS = 5
STEPS = 45
FIRST = 5
PEER = "trl"
VARIANTS = ("isolated", "in_process")

REWARDS = """
def right(prompts, completions, answer, **kwargs):
    return [float(text.strip() == gold) for text, gold in zip(completions, answer)]

def brief(completions, **kwargs):
    return [-abs(len(text) - 2) / 10 for text in completions]
"""


def cpu_seconds() -> float:
    """CPU time of this process and all its children, alive or reaped."""
    import psutil

    me = psutil.Process()
    times = me.cpu_times()
    total = times.user + times.system + times.children_user + times.children_system
    for child in me.children(recursive=True):
        try:
            used = child.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += used.user + used.system
    return total


class Clock:
    """CPU seconds per step between two steps."""

    def __init__(self) -> None:
        self.marks: dict[int, float] = {}

    def mark(self, step: int) -> None:
        if step in (FIRST, STEPS):
            self.marks[step] = cpu_seconds()

    def per_step(self) -> float:
        return (self.marks[STEPS] - self.marks[FIRST]) / (STEPS - FIRST)


def settings(folder: Path, isolate: bool) -> dict:
    """The YAML of the rlctl side, as a dict."""
    parts = [("right", 1.0), ("brief", 0.1)]
    return {
        "run": {"name": "bench", "output_dir": str(folder / "outputs")},
        "model": {"path": "builtin:tiny-math", "device": "cpu"},
        "data": {"train": {"path": "builtin:arithmetic", "split": "train"}, "max_length": 64},
        "rewards": {
            "components": [
                {
                    "name": name,
                    "type": "python",
                    "function": f"{folder / 'rewards.py'}:{name}",
                    "weight": weight,
                    "isolate": isolate,
                }
                for name, weight in parts
            ]
        },
        "generation": {"max_completion_length": 16},
        "algorithm": {"type": "grpo", "num_generations": 8},
        "training": {
            "max_steps": STEPS,
            "prompts_per_step": 16,
            "learning_rate": 1e-6,
            "gradient_checkpointing": False,
            "save_steps": None,
        },
    }


def run_rlctl(folder: Path, isolate: bool) -> float:
    """CPU seconds per step of `rlctl train`."""
    import rlctl
    from rlctl.config.load import config_from_dict
    from rlctl.training.trl.callback import RunCallback

    clock = Clock()
    ended = RunCallback.on_step_end

    def on_step_end(self, args, state, control, **kwargs):
        ended(self, args, state, control, **kwargs)
        clock.mark(state.global_step)

    RunCallback.on_step_end = on_step_end
    rlctl.train(config_from_dict(settings(folder, isolate)), quiet=True)
    return clock.per_step()


def run_trl(folder: Path) -> float:
    """CPU seconds per step of TRL's GRPOTrainer with the same arguments and the same functions."""
    sys.path.insert(0, str(folder))
    import rewards
    from transformers import TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    from rlctl.config.load import config_from_dict
    from rlctl.config.plan import make_plan
    from rlctl.training.inputs import Objects, find_tokenizer, load_inputs
    from rlctl.training.train import calm_libraries
    from rlctl.training.trl.arguments import grpo_arguments

    calm_libraries()
    config = config_from_dict(settings(folder, isolate=False))
    inputs = load_inputs(config, Objects(), find_tokenizer(config, Objects()))
    plan = make_plan(config, num_prompts=len(inputs.train.dataset))
    arguments = grpo_arguments(config, plan, output_dir=str(folder / "trl"), bf16=False)
    clock = Clock()

    class Mark(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            clock.mark(state.global_step)

    trainer = GRPOTrainer(
        model=inputs.model.model,
        reward_funcs=[rewards.right, rewards.brief],
        args=GRPOConfig(**{**arguments, "reward_weights": [1.0, 0.1]}),
        train_dataset=inputs.train.dataset,
        processing_class=inputs.tokenizer,
        callbacks=[Mark()],
    )
    trainer.train()
    return clock.per_step()


def measure(variant: str) -> float:
    """One side, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "rewards.py").write_text(REWARDS)
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "benchmarks.step_overhead", variant, folder]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        if done.returncode:
            raise SystemExit(done.stdout + done.stderr)
        return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Print CPU milliseconds per step of both sides and the median ratio."""
    for variant in VARIANTS:
        pairs = [(measure(PEER), measure(variant)) for _ in range(PAIRS)]
        ratios = [ours / theirs for theirs, ours in pairs]
        print(
            f"rewards {variant.replace('_', ' ')}: TRL {1000 * median(p[0] for p in pairs):.1f} ms, "
            f"rlctl {1000 * median(p[1] for p in pairs):.1f} ms, ratio {median(ratios):.3f} "
            f"(of {', '.join(f'{ratio:.3f}' for ratio in sorted(ratios))})"
        )


if __name__ == "__main__":
    side, place = sys.argv[1], Path(sys.argv[2])
    print(json.dumps(run_trl(place) if side == PEER else run_rlctl(place, isolate=side == "isolated")))
