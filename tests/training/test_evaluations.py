"""What evaluations lead to: the best checkpoint stays, patience ends a run, the watch warns or stops it.

The runs are real, what they find on held-out prompts is planned, step by step.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from same_runs import differences
from small_runs import merged, read_rows, small_config

import rlctl
from rlctl.cli.app import run as command
from rlctl.config.load import config_from_dict
from rlctl.errors import CheckpointError, RewardError, TrainingError
from rlctl.evaluation.held_out import HeldOut
from rlctl.models.resolve import resolve
from rlctl.models.trained import find_run
from rlctl.training.trl import grpo as backend

RISING = """
def rising(completions, trainer_state, **columns):
    return [0.1 + trainer_state.global_step / 10 + 0.01 * (i % 3) for i in range(len(completions))]
"""
PROMPTS = 20

Train = Callable[..., Any]


@pytest.fixture
def train(tmp_path: Path, tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Train:
    """Trains for twelve steps, with an evaluation after every second one."""

    def run(
        planned: dict[int, float] | list[float],
        *,
        resume: bool = False,
        left_out: dict[int, float] | None = None,
        **changes: Any,
    ) -> Any:
        values = dict(zip(range(0, 14, 2), planned, strict=True)) if isinstance(planned, list) else planned

        def evaluate(*args: Any, step: int, **keys: Any) -> HeldOut:
            each = [values[step] + 0.01 * (-1) ** i for i in range(PROMPTS)]
            share = (left_out or {}).get(step, 0.0)
            return HeldOut({"val/reward": values[step], "val/left_out_fraction": share}, [*each], [])

        monkeypatch.setattr(backend, "evaluate", evaluate)
        (tmp_path / "rewards.py").write_text(RISING)
        part = {"name": "rising", "type": "python", "function": "rewards.py:rising", "isolate": False}
        base: dict[str, Any] = {
            "data": {"eval": {"path": "train.jsonl"}},
            "rewards": {"components": [part]},
            "algorithm": {"num_generations": 2},
            "training": {"max_steps": 12, "prompts_per_step": 2, "eval_steps": 2, "save_steps": 1000},
        }
        config = small_config(tmp_path, tiny_model_folder, **merged(base, changes))
        return rlctl.train(config_from_dict(config, folder=tmp_path), quiet=True, resume=resume)

    return run


def steps(run: Path) -> list[int]:
    names = [path.name.removeprefix("checkpoint-") for path in (run / "checkpoints").glob("checkpoint-*")]
    return sorted(map(int, names))


def record(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "run.json").read_text())
    return found


def logged(run: Path) -> str:
    return (run / "logs/training_log.txt").read_text(encoding="utf-8")


# the best


def test_the_best_is_saved_at_once_and_kept(train: Train) -> None:
    """New bests after steps 2 and 6; the last step is saved as always."""
    run = train([0, 1, 0.5, 2, 1, 1, 1])
    assert steps(run.path) == [2, 6, 12]
    assert run.summary["best"] == {"step": 6, "metric": "reward", "value": 2}
    assert resolve(f"{run.path}@best") == str(run.path / "checkpoints/checkpoint-6")
    assert find_run(f"{run.path}@best").checkpoint == 6
    assert "best         step 6 by reward, sampled: 2.000" in logged(run.path)
    assert run.summary["stopped_early"] is None


@pytest.mark.parametrize(("limit", "left"), [(1, [6, 12]), (2, [6, 12])])
def test_rotation_keeps_the_best(train: Train, limit: int, left: list[int]) -> None:
    run = train([0, 1, 0.5, 2, 1, 1, 1], training={"save_total_limit": limit, "save_steps": 3})
    assert steps(run.path) == left


def test_without_checkpoints_the_best_is_not_saved(train: Train) -> None:
    run = train([0, 1, 0.5, 2, 1, 1, 1], training={"save_steps": None})
    assert steps(run.path) == []
    with pytest.raises(CheckpointError, match=r"step 6, and it is gone\n  No other is there") as caught:
        resolve(f"{run.path}@best")
    assert caught.value.exit_code == 3


def test_the_model_before_training_is_no_checkpoint_but_may_be_the_best(train: Train) -> None:
    run = train([9, 1, 0.5, 2, 1, 1, 1])
    assert run.summary["best"]["step"] == 0
    assert steps(run.path) == [12], "nothing is better than before"
    with pytest.raises(CheckpointError, match=f"The best that is there is {run.path}@12"):
        resolve(f"{run.path}@best")


def test_an_evaluation_of_a_selection_is_not_the_best(train: Train) -> None:
    """After step 6 a tenth of the completions has no value, and the others look best. It is said."""
    run = train([0, 1, 0.5, 2, 1, 1, 1], left_out={6: 0.1})
    assert run.summary["best"] == {"step": 2, "metric": "reward", "value": 1}
    assert (steps(run.path), resolve(f"{run.path}@best")) == (
        [2, 12],
        str(run.path / "checkpoints/checkpoint-2"),
    )
    [notice] = [one for one in record(run.path)["watch"] if one["kind"] == "left_out"]
    assert (notice["step"], notice["severity"]) == (6, "warning")
    assert "10.0% of the held-out completions have no value of reward, and 0.0% at" in notice["text"]
    assert "without a value of the metric 10.0%" in logged(run.path)


def test_what_is_left_out_every_time_is_no_selection(train: Train) -> None:
    """A metric that half of the prompts have nothing of."""
    run = train([0, 1, 0.5, 2, 1, 1, 1], left_out=dict.fromkeys(range(0, 14, 2), 0.5))
    assert run.summary["best"]["step"] == 6
    assert not [one for one in record(run.path)["watch"] if one["kind"] == "left_out"]


# patience


def test_an_evaluation_of_a_selection_takes_no_patience(train: Train) -> None:
    """The best is after step 4, and that after step 6 does not count: it is enough after step 10, not 8."""
    run = train([0, 1, 2, 1, 1, 1, 1], left_out={6: 0.1}, eval={"patience": 2})
    assert run.summary["stopped_early"]["step"] == 10


def test_patience_ends_a_run_that_is_done_then(train: Train, capsys: pytest.CaptureFixture[str]) -> None:
    """The best is after step 4; two evaluations later, after step 8, it is enough. Steps up to 8 are logged,
    though only every third is asked for."""
    plan = [0, 1, 2, 1, 1, 1, 1]
    run = train(plan, eval={"patience": 2}, training={"logging_steps": 3})
    why = "no better reward in 2 evaluations, as eval.patience has it; the best is 2 at step 4"
    assert run.summary["steps"] == 8
    assert run.summary["stopped_early"] == {"step": 8, "reason": why}
    assert (record(run.path)["status"], record(run.path)["stopped_early"]["step"]) == ("done", 8)
    assert f"stopped early after step 8 of 12: {why}" in logged(run.path)
    assert [row["step"] for row in read_rows(run.path / "logs/metrics.jsonl") if "train/reward" in row][
        -1
    ] == 8
    assert steps(run.path) == [2, 4, 8]
    assert (run.path / "final/model.safetensors").exists()

    assert command(["train", str(run.path / "config.yaml"), "--resume"]) == 0
    assert f"8 steps, stopped early: {why}" in capsys.readouterr().out
    for changes in ({"max_steps": 20}, {"max_steps": 9}):  # it is not length that it lacks
        again = train(plan, resume=True, eval={"patience": 2}, training={"logging_steps": 3, **changes})
        assert again.summary["stopped_early"]["step"] == 8
        assert len(record(run.path).get("resumed", [])) == 0


@pytest.mark.parametrize("patience", [None, 4])
def test_more_patience_takes_the_run_up(train: Train, patience: int | None) -> None:
    """Taken up it is the run that had that much patience from the start, bit for bit."""
    plan = [0, 1, 2, 1, 1, 1, 1]
    train(plan, eval={"patience": 2}, run={"name": "early"})
    run = train(plan, eval={"patience": patience}, run={"name": "early"}, resume=True)
    straight = train(plan, eval={"patience": patience}, run={"name": "straight"})
    assert run.summary["steps"] == 12
    assert "stopped_early" not in record(run.path)
    found = differences(straight.path, run.path)
    assert [one for one in found if "eval.patience 2 →" not in one and "long" not in one] == []


def test_a_run_that_is_done_goes_on_only_while_there_is_patience(train: Train) -> None:
    plan = dict(zip(range(0, 22, 2), [0, 1, 2, 3, 4, 5, 4, 4, 4, 4, 4], strict=True))
    run = train(plan, training={"max_steps": 12})
    assert run.summary["steps"] == 12
    longer = train(plan, resume=True, training={"max_steps": 20}, eval={"patience": 2})
    assert longer.summary["steps"] == 14
    assert longer.summary["stopped_early"]["step"] == 14


def test_killed_when_patience_ran_out_it_ends_there(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = [0, 1, 2, 1, 1, 1, 1]
    with monkeypatch.context() as patch, pytest.raises(KeyError):
        patch.setattr(backend.Summary, "finish", lambda *args: {}["killed"])
        train(plan, eval={"patience": 2}, run={"name": "killed"})
    run = train(plan, eval={"patience": 2}, run={"name": "killed"}, resume=True)
    straight = train(plan, eval={"patience": 2}, run={"name": "straight"})
    assert record(run.path)["stopped_early"] == record(straight.path)["stopped_early"]
    assert differences(straight.path, run.path) == []


# the watch


FALLING = [0.9, 0.9, 0.5, 0.4, 0.3, 0.2, 0.1]
ALARM = "training reward 0.11 → 0.41, held-out reward 0.90 → 0.50 (−0.40 on each of 20 prompts): they part"


def test_a_warning_is_said_where_it_can_be_seen(train: Train) -> None:
    """Four steps that rise are the fewest to tell a trend by, so the fall is seen after step 4; it is said
    again where it has doubled, after step 12."""
    run = train(FALLING)
    found = record(run.path)
    assert found["status"] == "done"
    assert [(one["step"], one["kind"], one["severity"]) for one in found["watch"]] == [
        (4, "metric_fell", "alarm"),
        (12, "metric_fell", "alarm"),
    ]
    assert f"alarm: step 4: {ALARM}" in logged(run.path)


def test_what_it_sees_is_the_same_however_often_is_logged(train: Train) -> None:
    """Twelve steps, two to a generation: six rewards, and twelve times entropy and KL."""
    seen = []
    for every in (1, 5, 1000):
        run = train(
            FALLING,
            algorithm={"num_iterations": 2, "beta": 0.1},
            run={"name": f"every-{every}"},
            training={"logging_steps": every, "eval_steps": 2},
        )
        states = torch.load(run.path / "checkpoints/checkpoint-12/state-0.pt", weights_only=True)
        seen.append((record(run.path)["watch"], states["watch"]))
    assert seen[0] == seen[1] == seen[2]
    notices, state = seen[0]
    assert [one["step"] for one in notices] == [8], "after the fourth generation"
    figures = [point[-1] for point in state["course"]["points"]]
    names = ["reward", "reward_std", "completion_length", "truncated_fraction", "repetition_fraction"]
    for name, steps_with in [*((name, range(0, 12, 2)) for name in names), ("entropy", range(12))]:
        assert [i for i, one in enumerate(figures) if f"train/{name}" in one] == [*steps_with], name
    assert [i for i, one in enumerate(figures) if "train/kl_div" in one] == [*range(12)]


def test_it_stops_the_run_before_the_first_line_of_the_log(train: Train) -> None:
    with pytest.raises(TrainingError, match=f"stopped by the watch after step 4: {ALARM[:8]}"):
        train(FALLING, eval={"watch": "stop"}, training={"logging_steps": 1000})


def test_trackers_get_what_it_says(train: Train) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = train(FALLING, tracking={"report_to": ["tensorboard"]})
    events = EventAccumulator(str(run.path / "logs/tensorboard"), {"tensors": 0})
    events.Reload()
    said = events.Tensors("watch/text_summary")
    assert [one.step for one in said] == [4, 12]
    assert f"| alarm | {ALARM}".encode() in said[0].tensor_proto.string_val[0]


def test_off_it_says_nothing(train: Train) -> None:
    run = train(FALLING, eval={"watch": "off"})
    assert "watch" not in record(run.path)
    assert "alarm" not in logged(run.path)


def test_it_stops_the_run_and_stays_stopped_until_it_may_go_on(train: Train) -> None:
    for again in (False, True):
        with pytest.raises(TrainingError) as caught:
            train(FALLING, eval={"watch": "stop"}, resume=again)
        assert caught.value.exit_code == 5
        text = caught.value.render()
        assert f"stopped by the watch after step 4: {ALARM}" in text
        assert "The best evaluation is of step 0: before training (" in text
        assert "checkpoints/checkpoint-4; to go on all the same: --resume --set eval.watch=warn" in text
    run = Path(text.split("Saved in ")[1].split("/checkpoints")[0])
    assert (record(run)["status"], steps(run), (run / "final").exists()) == ("failed", [4], False)

    went_on = train(FALLING, eval={"watch": "warn"}, resume=True)
    assert went_on.summary["steps"] == 12
    assert [one["step"] for one in record(run)["watch"]] == [4, 12]
    straight = train(FALLING, eval={"watch": "warn"}, run={"name": "straight"})
    found = differences(straight.path, run)
    assert [one for one in found if 'eval.watch "stop"' not in one and "long" not in one] == []


def test_at_the_last_step_it_stops_the_run_from_being_done(train: Train) -> None:
    plan = [0.9] * 6 + [0.1]
    with pytest.raises(TrainingError, match="stopped by the watch after step 12"):
        train(plan, eval={"watch": "stop"}, training={"save_steps": None})
    run = train(plan, eval={"watch": "warn"}, training={"save_steps": None}, resume=True)
    assert run.summary["steps"] == 12
    assert (run.path / "final/model.safetensors").exists()


# independent rewards


def test_independent_rewards_and_their_tests(tmp_path: Path, tiny_model_folder: Path) -> None:
    """Training is paid for one thing, held-out completions are scored by another."""
    changes: dict[str, Any] = {
        "data": {"eval": {"path": "train.jsonl"}},
        "eval": {"rewards": {"components": [{"type": "length", "name": "words", "unit": "words"}]}},
    }
    raw = small_config(tmp_path, tiny_model_folder, **changes)
    run = rlctl.train(config_from_dict(raw, folder=tmp_path), quiet=True)
    rows = read_rows(run.path / "logs/completions.jsonl")
    parts = {
        split: {*(name for row in rows if row["split"] == split for name in row["components"])}
        for split in ("train", "eval")
    }
    assert parts == {"train": {"length"}, "eval": {"words"}}
    assert "val/words" in run.summary["after"]

    changes["eval"]["rewards"]["tests"] = [{"completion": "one two", "expect": 3}]
    raw = small_config(tmp_path, tiny_model_folder, **merged(changes, {"run": {"name": "other"}}))
    with pytest.raises(RewardError, match="expected 3"):
        rlctl.train(config_from_dict(raw, folder=tmp_path), quiet=True)
    assert not (tmp_path / "runs/other").exists()


@pytest.mark.parametrize("measured", [True, False])
def test_the_distance_from_the_base_is_measured_where_it_is_wanted(
    measured: bool, tmp_path: Path, tiny_model_folder: Path
) -> None:
    changes: dict[str, Any] = {
        "model": {"lora": {"r": 2}},
        "data": {"eval": {"path": "train.jsonl", "limit": 2}},
        "eval": {"kl": measured},
        "training": {"max_steps": 1},
    }
    raw = small_config(tmp_path, tiny_model_folder, **changes)
    run = rlctl.train(config_from_dict(raw, folder=tmp_path), quiet=True)
    assert ("val/kl_div" in run.summary["after"]) is measured


def test_repetition_is_logged(tmp_path: Path, tiny_model_folder: Path) -> None:
    raw = small_config(tmp_path, tiny_model_folder, generation={"max_completion_length": 30})
    run = rlctl.train(config_from_dict(raw), quiet=True)
    values = [row["train/repetition_fraction"] for row in read_rows(run.path / "logs/metrics.jsonl")]
    assert all(0 <= value < 1 for value in values)
