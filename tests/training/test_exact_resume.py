"""A run that was put down, or fell, and was taken up again is the run that never stopped, bit for bit."""

import gc
import json
import re
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from same_runs import differences, learnt
from small_runs import merged, small_config

import rlctl
from rlctl.config.load import config_from_dict
from rlctl.errors import Stopped
from rlctl.training.stopping import StopSignals
from rlctl.training.trl import grpo as backend
from rlctl.training.trl.bridge import RewardBridge
from rlctl.training.trl.seams import PolicyTrainer

REWARDS = '''
class Novelty:
    """The length of a completion, less for every earlier one with the same first letter."""

    def __init__(self):
        self.seen = {}

    def __call__(self, completions, **columns):
        scores = []
        for text in completions:
            self.seen[text[:1]] = self.seen.get(text[:1], 0) + 1
            scores.append(len(text) - 0.5 * self.seen[text[:1]])
        return scores

    def state_dict(self):
        return {"seen": self.seen}

    def load_state_dict(self, state):
        self.seen = state["seen"]


def half(completions, answer, **columns):
    """Nothing to learn from every other prompt."""
    return [len(text) * (int(right) % 2) for text, right in zip(completions, answer)]


def lucky(completions, **columns):
    import random

    import numpy

    return [len(text) + random.random() + numpy.random.random() for text in completions]
'''
BASE: dict[str, Any] = {
    "rewards": {"components": [{"type": "length", "unit": "characters"}]},
    "algorithm": {"num_generations": 2},
    "training": {"max_steps": 5, "prompts_per_step": 2, "learning_rate": 1.0e-2},
}
"""Six prompts, two in a step: three steps an epoch."""


class Fallen(BaseException):
    """Nothing is saved, as when a process is killed."""


@dataclass(frozen=True)
class Case:
    """One run, and where it ends before it is taken up.

    Args:
        changes: Its config, over `BASE`.
        after: Steps that were done then.
        where: In the next step: while it `generates`, once it has `scored`, or in the last of its
            `micro`-batches; or, of the last step done, before it `ends` or while its model is `evaluated`; or
            while the `final` model is written.
        saved: The step of the checkpoint that it goes on from, where it falls; None where a signal ends it.
        arguments: Arguments of TRL that no YAML has.
    """

    changes: dict[str, Any] = field(default_factory=dict)
    after: int = 2
    where: str = "generates"
    saved: int | None = None
    arguments: dict[str, Any] = field(default_factory=dict)


def reward(name: str, **keys: Any) -> dict[str, Any]:
    part = {"type": "python", "name": "own", "function": f"rewards.py:{name}", "isolate": False, **keys}
    return {"rewards": {"components": [part]}}


def trl(**keys: Any) -> dict[str, Any]:
    return {"algorithm": {"trl": keys}}


HALVES = {"training": {"per_device_train_batch_size": 2}}
TWICE = {"algorithm": {"num_iterations": 2}}
REFERENCE = {"algorithm": {"beta": 0.5}}
ENTROPY = trl(use_adaptive_entropy=True, entropy_coef=0.1, entropy_coef_delta=0.05, entropy_target=6.9)
FOLLOWING = merged(REFERENCE, trl(sync_ref_model=True, ref_model_sync_steps=2, ref_model_mixup_alpha=0.5))
EVALUATED = {"data": {"eval": {"path": "train.jsonl", "limit": 2}}, "training": {"eval_steps": 2}}
BEST = merged(EVALUATED, {"training": {"eval_steps": 1, "save_total_limit": 1}})
PATIENCE = merged(
    EVALUATED,
    {"eval": {"patience": 1, "metric": "valid_fraction"}, "training": {"eval_steps": 2, "logging_steps": 3}},
)
"""Every completion is valid from the start, so no evaluation is a new best: the run ends after two steps."""
WATCHED = {
    "data": {"eval": {"path": "train.jsonl", "limit": 6}},
    "eval": {"rewards": {"components": [{"type": "length", "unit": "characters", "weight": -1.0}]}},
    "training": {"max_steps": 15, "eval_steps": 5, "logging_steps": 4},
}
"""What is paid for in training is a loss on held-out prompts: the watch has something to say."""
LONG = {
    "data": {"eval": {"path": "train.jsonl", "limit": 6}},
    "eval": {"num_samples": 16},
    "generation": {"max_completion_length": 32},
}
"""Enough held-out tokens to tell a model that computes, or ends, in another way from this one."""
LORA = {"model": {"lora": {"r": 4, "alpha": 8, "dropout": 0.1}}}
FOUR = {"steps_per_generation": 4}

CASES = {
    "epoch 1": Case(after=2, saved=2),
    "epoch 1, put down": Case(after=1),
    "gradient accumulation": Case(HALVES, after=2, saved=2),
    "between micro-batches": Case(HALVES, after=2, where="micro"),
    "adaptive entropy": Case(ENTROPY, after=3, saved=2),
    "epoch 2": Case(after=4, saved=4),
    "boundary of epochs": Case(after=4, saved=3),
    "boundary of epochs, put down": Case(after=3, where="scored"),
    "epoch 2 with gradient accumulation": Case(HALVES, after=4, saved=4),
    "amid a generation's steps": Case(after=2, where="micro", saved=2, arguments=FOUR),
    "two iterations, odd step": Case(TWICE, after=3, where="micro", saved=3),
    "both": Case(TWICE, after=3, where="micro", arguments=FOUR),
    "reference that follows": Case(FOLLOWING, after=3, saved=3),
    "reference": Case(REFERENCE, after=2, where="scored"),
    "LoRA": Case(LORA, after=2, saved=2),
    "continued adapter with reference": Case(merged(LORA, REFERENCE), after=3, saved=2),
    "logged every third step": Case(merged(REFERENCE, {"training": {"logging_steps": 3}}), after=2, saved=2),
    "evaluation due": Case(EVALUATED, after=2, where="ends"),
    "evaluated after the save": Case(EVALUATED, after=2, saved=2, where="scored"),
    "evaluated, then put down": Case(EVALUATED, after=2, where="scored"),
    "in an evaluation": Case(EVALUATED, after=2, where="evaluated"),
    "dead groups amid iterations": Case(
        merged(merged(TWICE, reward("half")), {"algorithm": {"dead_groups": "drop"}}),
        after=3,
        where="micro",
        saved=3,
    ),
    "reward that remembers": Case(merged(EVALUATED, reward("Novelty")), after=2, where="scored"),
    "reward that draws lots": Case(reward("lucky"), after=2, saved=2),
    "reward that draws lots, evaluated": Case(merged(EVALUATED, reward("lucky")), after=2, saved=2),
    "a new best, then killed": Case(BEST, after=3, saved=3),
    "a new best, put down": Case(BEST, after=3, where="scored"),
    "patience runs out after a stop": Case(PATIENCE, after=1),
    "patience runs out after a kill": Case(PATIENCE, after=1, saved=1),
    "patience has run out": Case(PATIENCE, after=2, where="final", saved=2),
    "watch, killed between evaluations": Case(WATCHED, after=11, saved=10),
    "watch, put down in an evaluation": Case(WATCHED, after=10, where="evaluated"),
    "final model": Case(after=5, where="final", saved=5),
    "last evaluation": Case(EVALUATED, after=5, where="evaluated"),
    "last evaluation in bfloat16": Case(
        merged(LONG, {"training": {"bf16": True}}), after=5, where="evaluated", saved=5
    ),
    "last evaluation, other end tokens": Case(LONG, after=5, where="evaluated"),
    "epochs, and prompts left over": Case(
        {"training": {"max_steps": None, "num_epochs": 1.7, "prompts_per_step": 4}}, after=1, saved=1
    ),
    "dropout": Case(after=2, saved=2),
    "as the data come": Case({"data": {"shuffle": False}}, after=4, saved=4),
    "sgd": Case({"training": {"optim": "sgd", "learning_rate": 1.0}}, after=2, saved=2),
    "adafactor, cosine": Case(
        {"training": {"optim": "adafactor", "lr_scheduler_type": "cosine", "warmup_steps": 1}},
        after=2,
        saved=2,
    ),
}


EVERYTHING = merged(
    merged(merged(EVALUATED, reward("Novelty")), merged(FOLLOWING, ENTROPY)),
    {
        "algorithm": {"num_iterations": 2, "dead_groups": "drop"},
        "training": {"per_device_train_batch_size": 2, "max_steps": 9, "eval_steps": 3, "logging_steps": 2},
    },
)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, tiny_model_folder: Path) -> dict[str, Path]:
    """The tiny model, one with dropout, one whose config names other ends than its tokenizer, and an adapter
    of it that has learnt something."""
    folder = tmp_path_factory.mktemp("resumed-models")
    dropout = Path(shutil.copytree(tiny_model_folder, folder / "dropout"))
    config = json.loads((dropout / "config.json").read_text())
    (dropout / "config.json").write_text(json.dumps({**config, "attention_dropout": 0.1}))
    ends = Path(shutil.copytree(tiny_model_folder, folder / "ends"))
    for name in ("config.json", "generation_config.json"):
        config = json.loads((ends / name).read_text())
        (ends / name).write_text(json.dumps({**config, "eos_token_id": [5, 6]}))
    changes = merged(merged(BASE, LORA), {"training": {"max_steps": 1}})
    adapter = train(folder, "adapter", tiny_model_folder, changes)
    return {"plain": tiny_model_folder, "dropout": dropout, "end": ends, "adapter": adapter / "final"}


@pytest.fixture(autouse=True, scope="module")
def _little_garbage() -> Iterator[None]:
    """Each run looks for garbage among all modules that are loaded, which takes longer than its steps."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def train(
    folder: Path,
    name: str,
    model: Path,
    changes: dict[str, Any],
    stop: StopSignals | None = None,
    **keys: Any,
) -> Path:
    (folder / "rewards.py").write_text(REWARDS)
    raw = small_config(folder, model, **merged(changes, {"run": {"name": name}}))
    config = config_from_dict(raw, folder=folder)
    return rlctl.train(config, quiet=True, stop=stop, **keys).path


def interrupt(patch: pytest.MonkeyPatch, case: Case, stop: StopSignals) -> None:
    """Have the next run end where the case says."""
    count = {"micro": 0}

    def now() -> None:
        if case.saved is None:
            stop.requested = signal.SIGTERM
        else:
            raise Fallen

    def before(owner: Any, name: str, due: Any) -> None:
        original = getattr(owner, name)

        def wrapped(self: Any, *args: Any, **keys: Any) -> Any:
            if due(self, *args, **keys):
                now()
            return original(self, *args, **keys)

        patch.setattr(owner, name, wrapped)

    def second_micro(self: Any, *args: Any, **keys: Any) -> bool:
        count["micro"] += self.state.global_step == case.after
        return count["micro"] == self.args.gradient_accumulation_steps

    def step(self: Any, *args: Any, **keys: Any) -> bool:
        return bool(self.state.global_step == case.after)

    places: dict[str, tuple[Any, str, Any]] = {
        "generates": (PolicyTrainer, "_generate_single_turn", step),
        "micro": (PolicyTrainer, "training_step", second_micro),
        "scored": (RewardBridge, "on_scored", lambda self, rows: self._step == case.after + 1),
        "ends": (PolicyTrainer, "_maybe_log_save_evaluate", step),
        "final": (PolicyTrainer, "save_model", lambda self, folder, **keys: ".final" in folder),
    }
    if case.where == "evaluated":
        original = backend.evaluate

        def evaluated(*args: Any, **keys: Any) -> Any:
            if keys["step"] == case.after:
                now()
            return original(*args, **keys)

        patch.setattr(backend, "evaluate", evaluated)
    else:
        before(*places[case.where])


def watched(run: Path) -> Any:
    """What the watch has said."""
    return json.loads((run / "run.json").read_text())["watch"]


def newest(run: Path) -> int:
    return max(int(path.name.partition("-")[2]) for path in (run / "checkpoints").glob("checkpoint-*"))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all runs: the log names the file of the data."""
    return tmp_path_factory.mktemp("resumed")


@pytest.fixture(scope="module")
def straight() -> dict[str, Path]:
    """Runs that never stopped, by their config."""
    return {}


@pytest.mark.parametrize("name", CASES)
def test_taken_up_it_is_the_run_that_never_stopped(
    name: str,
    place: Path,
    straight: dict[str, Path],
    models: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    case = CASES[name]
    model = models[next((kind for kind in ("dropout", "adapter", "end") if kind in name.split()), "plain")]
    changes = merged(BASE, case.changes)
    if case.arguments:
        arguments = backend.grpo_arguments
        changed = lambda *args, **keys: {**arguments(*args, **keys), **case.arguments}  # noqa: E731
        monkeypatch.setattr(backend, "grpo_arguments", changed)
        changes = merged(changes, {"training": {"prompts_per_step": 1}})
    key = json.dumps([str(model), changes, case.arguments])
    if key not in straight:
        # Only the cadence of checkpoints is another one; both runs save their last step.
        never = merged(changes, {"training": {"save_steps": 1000}})
        straight[key] = train(place, f"never-{len(straight)}", model, never)
    every = merged(changes, {"training": {"save_steps": case.saved or 1000}})
    stop, run = StopSignals(), re.sub("[^a-zA-Z0-9]+", "-", name)
    with monkeypatch.context() as patch, pytest.raises(Stopped if case.saved is None else Fallen):
        interrupt(patch, case, stop)
        train(place, run, model, every, stop)
    stopped = place / "runs" / run
    assert newest(stopped) == (case.saved or case.after)
    assert train(place, run, model, every, resume=True) == stopped
    assert learnt(straight[key], model)
    found = differences(straight[key], stopped)
    if case.changes == PATIENCE:  # whether it was saved before the last evaluation, or after it, is all one
        evaluated = tuple(f"last checkpoint: state-0.pt['{part}']" for part in ("progress", "watch"))
        found = [one for one in found if not one.startswith(evaluated)]
    assert found == []
    assert watched(straight[key]) == watched(stopped)
    shutil.rmtree(stopped)


@pytest.mark.full
@pytest.mark.parametrize("fall", [False, True])
@pytest.mark.parametrize(
    ("where", "steps"),
    {
        "generates": range(0, 9, 2),
        "scored": range(0, 9, 2),
        "micro": range(9),
        "ends": range(1, 9),
        "evaluated": range(0, 10, 3),
    }.items(),
)
def test_with_everything_at_once_it_may_end_anywhere_and_often(
    where: str,
    steps: range,
    fall: bool,
    place: Path,
    straight: dict[str, Path],
    models: dict[str, Path],
) -> None:
    model = models["dropout"]
    if "everything" not in straight:
        never = merged(merged(BASE, EVERYTHING), {"training": {"save_steps": 1000}})
        straight["everything"] = train(place, "never-everything", model, never)
    run = f"everything-{where}-{fall}"
    changes = merged(merged(BASE, EVERYTHING), {"training": {"save_steps": 1 if fall else 1000}})
    for after in steps:
        case, stop = Case(after=after, where=where, saved=after if fall else None), StopSignals()
        with pytest.MonkeyPatch.context() as patch, pytest.raises(Fallen if fall else Stopped):
            interrupt(patch, case, stop)
            train(place, run, model, changes, stop, resume=True)
    train(place, run, model, changes, resume=True)
    assert differences(straight["everything"], place / "runs" / run) == []
