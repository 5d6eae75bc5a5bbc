"""`invalid_penalty: auto`: chosen once, then it is the run with this number in its YAML, stops and all."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from same_runs import differences, learnt
from small_runs import PROMPTS, merged, read_rows, small_config

import rlctl
from rlctl.calibration.policy import first_prompts, training_prompts
from rlctl.config.config import Config
from rlctl.config.load import config_from_dict
from rlctl.errors import CheckpointError, ConfigError, RewardError
from rlctl.evaluation.audience import Audience
from rlctl.models.tokenizer import load_tokenizer
from rlctl.training.penalty import recorded, settled
from rlctl.training.trl.seams import PolicyTrainer

REWARDS = '''
import random

import numpy
import rlctl


class Picky:
    """Novelty and luck; a text with an even number of letters is invalid."""

    def __init__(self):
        self.seen = {}

    def __call__(self, completions, **columns):
        scores = []
        for text in completions:
            self.seen[text[:1]] = self.seen.get(text[:1], 0) + 1
            luck = random.random() + numpy.random.random()
            score = len(text) - 0.5 * self.seen[text[:1]] + luck
            scores.append(score if len(text) % 2 else rlctl.Invalid("even"))
        return scores

    def state_dict(self):
        return {"seen": self.seen}

    def load_state_dict(self, state):
        self.seen = state["seen"]


def never(completions, **columns):
    return [rlctl.Invalid("never") for _ in completions]


def level(completions, **columns):
    return [1.0 if len(text) % 2 else rlctl.Invalid("even") for text in completions]
'''


class Fallen(BaseException):
    """Nothing is saved, as when a process is killed."""


def config_of(folder: Path, model: Path, name: str, function: str = "Picky", penalty: Any = "auto") -> Config:
    (folder / "rewards.py").write_text(REWARDS)
    part = {"type": "python", "name": "own", "function": f"rewards.py:{function}", "isolate": False}
    changes: dict[str, Any] = {
        "run": {"name": name},
        "data": {"eval": {"path": "train.jsonl", "limit": 3}},
        "rewards": {"components": [part], "invalid_penalty": penalty, "scale": 2.0},
        "eval": {"num_samples": 4},
        "training": {"max_steps": 4, "save_steps": 2, "eval_steps": 2, "learning_rate": 1.0e-2},
    }
    return config_from_dict(small_config(folder, model, **changes), folder=folder)


def record_of(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "run.json").read_text())
    return found


@pytest.fixture(scope="module")
def auto(tmp_path_factory: pytest.TempPathFactory, tiny_model_folder: Path) -> tuple[Path, Config]:
    """A run that has chosen its penalty, fell in its third step, and was taken up again."""
    folder = tmp_path_factory.mktemp("auto")
    config = config_of(folder, tiny_model_folder, "auto")
    original = PolicyTrainer._generate_single_turn

    def falls(self: Any, *args: Any, **keys: Any) -> Any:
        if self.state.global_step == 2:
            raise Fallen
        return original(self, *args, **keys)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Fallen):
        patch.setattr(PolicyTrainer, "_generate_single_turn", falls)
        rlctl.train(config, quiet=True)
    return rlctl.train(config, quiet=True, resume=True).path, config


def test_it_is_the_run_with_the_chosen_number(auto: tuple[Path, Config], tiny_model_folder: Path) -> None:
    run, _ = auto
    value = record_of(run)["penalty"]["value"]
    fixed = config_of(run.parent.parent, tiny_model_folder, "fixed", penalty=value)
    other = rlctl.train(fixed, quiet=True).path
    assert learnt(run, tiny_model_folder)
    assert [one for one in differences(run, other) if not one.startswith("training_log.txt")] == []
    assert "invalid_penalty: auto" in (run / "config.yaml").read_text()


def test_what_was_chosen_is_kept_and_said(auto: tuple[Path, Config]) -> None:
    run, _ = auto
    kept = json.loads((run / "results" / "penalty.json").read_text())
    short = record_of(run)["penalty"]
    assert kept["value"] == kept["recommended"] == short["value"]
    assert kept["scored"] + kept["invalid"] == 6 * 4  # each of the six prompts, four times
    assert min(kept["scored"], kept["invalid"]) > 0
    log = (run / "logs" / "training_log.txt").read_text()
    assert log.count("invalid penalty: choosing it from 512 completions") == 1
    assert f"invalid penalty: {kept['value']:g}, chosen from 24 completions ({kept['scored']} valid)" in log


def test_it_is_chosen_on_the_prompts_that_come_first(auto: tuple[Path, Config]) -> None:
    run, config = auto
    dataset = training_prompts(config, load_tokenizer(config.model)).dataset
    rows = read_rows(run / "logs" / "completions.jsonl")
    seen = dict.fromkeys(row["prompt"] for row in rows if row["split"] == "train" and row["step"] <= 2)
    assert [row["prompt"] for row in first_prompts(dataset, config, 100)] == list(
        seen
    )  # three prompts a step
    unshuffled = config.model_copy(update={"data": config.data.model_copy(update={"shuffle": False})})
    assert [row["prompt"] for row in first_prompts(dataset, unshuffled, 2)] == PROMPTS[:2]


def test_every_invalid_completion_gets_it_in_training_and_evaluation(auto: tuple[Path, Config]) -> None:
    run, _ = auto
    value = record_of(run)["penalty"]["value"]
    rows = read_rows(run / "logs" / "completions.jsonl")
    for split in ("train", "eval"):
        totals = {row["total"] for row in rows if row["split"] == split and row["outcome"] == "invalid"}
        assert totals == {2 * value}  # times rewards.scale


def test_eval_takes_the_value_of_the_run(auto: tuple[Path, Config], tiny_model_folder: Path) -> None:
    run, config = auto
    value, said = record_of(run)["penalty"]["value"], []
    found = rlctl.evaluate(config, [str(run), "base"], audience=Audience(tell=said.append))
    assert f"invalid penalty: {value:g}, as the run auto has chosen it" in said
    for figures in found.figures.values():
        assert {one.row.total for one in figures.samples if one.row.outcome == "invalid"} == {2 * value}
    assert found.request["rewards"]["invalid_penalty"] == value
    # A config whose run is not there yet takes the value of the checkpoint's run.
    untrained = config_of(run.parent.parent, tiny_model_folder, "untrained")
    assert settled(untrained, [run]).rewards.invalid_penalty == value
    for words in ("train it first", "analyze-rewards CONFIG --apply", "--set rewards.invalid_penalty"):
        with pytest.raises(ConfigError, match=words) as caught:
            rlctl.evaluate(untrained, ["base"])
    assert caught.value.problems[0].path == ("rewards", "invalid_penalty")


def test_the_value_of_the_own_run_comes_first(tmp_path: Path, tiny_model_folder: Path) -> None:
    config = config_of(tmp_path, tiny_model_folder, "own")
    own, first, second = tmp_path / "runs" / "own", tmp_path / "first", tmp_path / "second"
    for run, penalty in ((own, None), (first, {"value": -2.0}), (second, {"value": -3.0})):
        run.mkdir(parents=True)
        (run / "run.json").write_text(json.dumps({"penalty": penalty}))
    assert settled(config, [tmp_path, second, first]).rewards.invalid_penalty == -3.0
    assert settled(config, [first, second]).rewards.invalid_penalty == -2.0
    (own / "run.json").write_text('{"penalty": {"value": -1.0}}')
    said: list[str] = []
    assert settled(config, [first, second, own], said.append).rewards.invalid_penalty == -1.0
    assert said == ["invalid penalty: -1, as the run own has chosen it"]


def test_an_evaluation_with_rewards_of_its_own_needs_no_value(
    tmp_path: Path, tiny_model_folder: Path
) -> None:
    config = config_of(tmp_path, tiny_model_folder, "own")
    own = merged(config.model_dump(), {"eval": {"rewards": {"components": [{"type": "length"}]}}})
    changed = config_from_dict(own)
    assert settled(changed) is changed


def test_the_card_says_it(auto: tuple[Path, Config]) -> None:
    from rlctl.models.card import rewards
    from rlctl.models.trained import find_run

    run, _ = auto
    value = record_of(run)["penalty"]["value"]
    text = "\n".join(rewards(find_run(str(run))))
    assert f"An invalid completion is worth {value:g} (chosen before the first step) instead." in text


def test_a_run_whose_value_is_lost_does_not_go_on(auto: tuple[Path, Config], tiny_model_folder: Path) -> None:
    run, config = auto
    file = run / "run.json"
    kept, final = file.read_text(), run / "final"
    record = json.loads(kept)
    del record["penalty"]
    longer = config.model_copy(
        update={"training": config.training.model_copy(update={"max_steps": 5, "eval_steps": None})}
    )
    try:
        file.write_text(json.dumps(record))
        with pytest.raises(CheckpointError, match=r"run.json: does not say which invalid penalty"):
            rlctl.train(longer, quiet=True, resume=True)
    finally:
        file.write_text(kept)
    assert final.is_dir()


@pytest.mark.parametrize(
    ("function", "reason"), [("never", "no completion is valid"), ("level", "all .* valid rewards are 1")]
)
def test_where_nothing_can_be_chosen_no_step_is_taken(
    function: str, reason: str, tmp_path: Path, tiny_model_folder: Path
) -> None:
    config = config_of(tmp_path, tiny_model_folder, "none", function)
    with pytest.raises(RewardError, match=reason) as caught:
        rlctl.train(config, quiet=True)
    assert caught.value.exit_code == 3
    assert caught.value.where == "rewards.invalid_penalty"
    assert "{per_group: 2.5}" in str(caught.value)
    assert not (tmp_path / "runs" / "none").exists()


@pytest.mark.parametrize(
    ("record", "value"),
    [
        ({}, None),
        ({"penalty": {"value": -1}}, -1.0),
        ({"penalty": {"value": "x"}}, None),
        ({"penalty": 3}, None),
    ],
)
def test_what_a_record_says(record: dict[str, Any], value: float | None) -> None:
    assert recorded(record) == value
    assert value is None or math.isfinite(value)
