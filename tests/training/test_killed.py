"""A run that is killed at any moment, and taken up until it is done, is the run that never stopped."""

import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from killing import At, Lives
from same_runs import differences, learnt, tree
from small_runs import small_config

REWARDS = '''
class Novelty:
    """Nothing to learn from the last prompts; else the length, less for a first letter that was seen."""

    def __init__(self):
        self.seen = {}

    def __call__(self, completions, answer, **columns):
        scores = []
        for text, right in zip(completions, answer):
            self.seen[text[:1]] = self.seen.get(text[:1], 0) + 1
            scores.append((len(text) - 0.5 * self.seen[text[:1]]) * (int(right) < 4))
        return scores

    def state_dict(self):
        return {"seen": self.seen}

    def load_state_dict(self, state):
        self.seen = state["seen"]
'''
CHANGES = {
    "rewards": {"components": [{"type": "python", "name": "own", "function": "rewards.py:Novelty"}]},
    "data": {"eval": {"path": "train.jsonl", "limit": 2}},
    "algorithm": {
        "num_generations": 2,
        "num_iterations": 2,
        "dead_groups": "drop",
        "beta": 0.1,
        "trl": {"sync_ref_model": True, "ref_model_sync_steps": 3, "ref_model_mixup_alpha": 0.5},
    },
    "training": {
        "max_steps": 9,
        "prompts_per_step": 2,
        "per_device_train_batch_size": 2,
        "learning_rate": 1.0e-2,
        "save_steps": 2,
        "save_total_limit": 2,
        "eval_steps": 3,
        "logging_steps": 2,
    },
}
"""Everything at once: saves within the steps of a generation, rows that leave, a reference that follows."""


class World:
    """A folder of runs of one config.

    Args:
        folder: The folder.
        model: The model that they start from.
        lives: What starts their lives.
    """

    def __init__(self, folder: Path, model: Path, lives: Lives) -> None:
        self.folder, self.model, self.lives = folder, model, lives
        (folder / "rewards.py").write_text(REWARDS)
        (folder / "config.yaml").write_text(yaml.safe_dump(small_config(folder, model, **CHANGES)))
        self.count = 0
        start = time.monotonic()
        assert lives.live(self.command("never")) == 0, lives.log.read_text()
        self.seconds = time.monotonic() - start
        self.never = folder / "runs/never"
        assert learnt(self.never, model)

    def command(self, name: str) -> list[str]:
        return ["train", str(self.folder / "config.yaml"), "--set", f"run.name={name}", "--quiet", "--resume"]

    def new(self) -> str:
        self.count += 1
        return f"run-{self.count}"

    def end(self, name: str) -> None:
        """Take a run up until it is done; it must be the run that never stopped."""
        assert self.lives.live(self.command(name)) == 0, self.lives.log.read_text()[-3000:]
        run = self.folder / "runs" / name
        assert differences(self.never, run) == []
        assert tree(run) == tree(self.never), "something is left lying about"

    def kill(self, name: str, at: At) -> None:
        ended = self.lives.live(self.command(name), at)
        assert ended == -(signal.SIGKILL if at.size is None else signal.SIGXFSZ), (
            f"ended with {ended}\n{self.lives.log.read_text()[-3000:]}"
        )


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, tiny_model_folder: Path) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("killed")
    with Lives(folder / "printed.txt") as lives:
        yield World(folder, tiny_model_folder, lives)


SECOND = "checkpoint-4"
FEW = {
    "in the middle of a save": At("os.rename", f".unfinished/{SECOND}"),
    "in the middle of rotation": At("shutil.rmtree", "removed-checkpoint-2"),
    "in the middle of generation": At("forward", nth=60),
}


@pytest.mark.parametrize("moment", FEW)
def test_killed(moment: str, world: World) -> None:
    name = world.new()
    world.kill(name, FEW[moment])
    world.end(name)


POINTS = {
    "before anything is written": At("os.mkdir", "runs/"),
    "in the first record": At("open", ".run.json.tmp", size=500),
    "before the config": At("open", "config.yaml"),
    "in the config": At("open", "config.yaml", size=1000),
    "first forward pass": At("forward"),
    "first evaluation": At("evaluate"),
    "first evaluation, done": At("evaluate", after=True),
    "while it scores the first step": At("score"),
    "while it scores": At("score", nth=3),
    "when it has scored": At("scored", nth=3, after=True),
    "between micro-batches": At("micro-batch", nth=8),
    "amid the steps of a generation": At("micro-batch", nth=6, after=True),
    "before the weights change": At("optimizer", nth=5),
    "when the weights have changed": At("optimizer", nth=5, after=True),
    "before a border": At("boundary", nth=4),
    "at a border": At("boundary", nth=4, after=True),
    "a later evaluation": At("evaluate", nth=2),
    "a later evaluation, done": At("evaluate", nth=2, after=True),
    "half a line of completions": At("open", "completions.jsonl", nth=4, size=300),
    "half a line of metrics": At("open", "metrics.jsonl", nth=4, size=300),
    "half a line of the log": At("open", "training_log.txt", nth=12, size=10),
    "half of the statistics": At("open", ".rewards.json.tmp", size=100),
    "before a save": At("save", nth=2),
    "100 kB into the weights": At("save", nth=2, size=100_000),
    "500 kB into the optimizer": At("save", nth=2, size=500_000),
    "5 kB into the states": At("state", nth=2, size=5_000),
    "before the manifest": At("open", "checkpoint.json", nth=2),
    "in the manifest": At("open", "checkpoint.json", nth=2, size=300),
    "first save, before it has its place": At("os.rename", ".unfinished/checkpoint-2"),
    "before it has its place": At("os.rename", ".unfinished/checkpoint-4"),
    "a save, done": At("save", nth=2, after=True),
    "before rotation": At("os.rename", "removed-checkpoint-2"),
    "its name is taken away": At("shutil.rmtree", "removed-checkpoint-2"),
    "half removed": At("os.remove", "optimizer.pt"),
    "before the last rotation": At("os.rename", "/removed-", nth=3),
    "last save, done": At("save", nth=5, after=True),
    "last evaluation": At("evaluate", nth=4),
    "before the final model": At("final"),
    "100 kB into the final model": At("final", size=100_000),
    "before the final model has its place": At("os.rename", ".final.unfinished"),
    "before the results": At("summary"),
    "in the results": At("open", ".eval_results.json.tmp", size=100),
    "before the last record": At("open", ".run.json.tmp", nth=3),
    "before the last record has its place": At("os.rename", ".run.json.tmp", nth=3),
}
"""Moments of a first life."""


@pytest.mark.full
@pytest.mark.parametrize("moment", POINTS)
def test_killed_at_every_named_moment(moment: str, world: World) -> None:
    name = world.new()
    world.kill(name, POINTS[moment])
    world.end(name)


LATER = {
    "in the record": At("open", ".run.json.tmp", size=500),
    "before the config": At("open", "config.yaml"),
    "in the config": At("open", "config.yaml", size=1000),
    "before a log is cut": At("os.truncate"),
    "between two logs": At("os.truncate", nth=2),
    "before what is left is cleared": At("shutil.rmtree", ".unfinished"),
    "before it is restored": At("restore"),
    "restored": At("restore", after=True),
    "before a step is done": At("forward"),
    "at the first border": At("boundary"),
    "before its first save": At("save"),
}
"""Moments of a second life, which begins where the first was killed: amid a save, logs longer than it."""


@pytest.mark.full
@pytest.mark.parametrize("moment", LATER)
def test_killed_again_as_it_is_taken_up(moment: str, world: World) -> None:
    name = world.new()
    world.kill(name, At("open", "checkpoint.json", nth=3))
    world.kill(name, LATER[moment])
    world.kill(name, At("boundary"))
    world.end(name)


ENDS = {
    "before the final model has its place": At("os.rename", ".final.unfinished"),
    "the former final model is moved away": At("os.rename", "final.former"),
    "before the former one is removed": At("shutil.rmtree", ".final.former"),
}
"""Moments of a life that has a final model already."""


@pytest.mark.full
@pytest.mark.parametrize("moment", ENDS)
def test_killed_with_a_final_model(moment: str, world: World) -> None:
    name = world.new()
    world.kill(name, At("summary"))
    assert (world.folder / "runs" / name / "final").is_dir()
    world.kill(name, ENDS[moment])
    world.kill(name, At("summary"))
    world.end(name)


@pytest.mark.full
def test_thirty_runs_killed_at_random_moments(world: World) -> None:
    """Up to four kills in a run, each at any moment of a life that would have gone on to the end."""
    draw = random.Random(7)
    killed = 0
    for _ in range(30):
        name = world.new()
        for kill in range(draw.choice([1, 1, 2, 3, 4])):
            share = draw.uniform(0.1, 0.95 if kill == 0 else 0.7)  # of a life; one that goes on is shorter
            ended = world.lives.live(world.command(name), seconds=share * world.seconds)
            assert ended in (0, -signal.SIGKILL), world.lives.log.read_text()
            killed += ended != 0
        world.end(name)
    assert killed >= 30
