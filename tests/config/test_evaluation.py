"""The section `eval`: names of metrics, what passes, the keys `pass` and `eval.rewards` wherever they go."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from rlctl.config.config import Config
from rlctl.config.dump import to_yaml
from rlctl.config.load import config_from_dict, load_config
from rlctl.config.schema import schema
from rlctl.config.shape import keys_below
from rlctl.errors import ConfigError
from rlctl.rewards.conditions import parse
from rlctl.training.resume import FREE, allowed_changes, changes

MATH = {"name": "correct", "type": "math_answer"}
LENGTH = {"name": "short", "type": "length"}


def config(evaluation: dict[str, Any], components: list[dict[str, Any]] | None = None) -> Config:
    return config_from_dict(data(evaluation, components))


def data(evaluation: dict[str, Any], components: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return {
        "model": {"path": "builtin:tiny-math"},
        "data": {
            "train": {"path": "builtin:arithmetic"},
            "eval": {"path": "builtin:arithmetic", "split": "test"},
        },
        "rewards": {"components": components or [MATH]},
        "algorithm": {"type": "grpo"},
        "eval": evaluation,
    }


def problems(evaluation: dict[str, Any], components: list[dict[str, Any]] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        config(evaluation, components)
    return [problem.render() for problem in caught.value.problems]


def test_names_of_metrics() -> None:
    found = config({"num_samples": 3}, [MATH, LENGTH]).metric_names
    samples = ("pass_at_1", "pass_at_2", "pass_at_3")
    rest = ("greedy_reward", "greedy_pass", "valid_fraction")
    assert found == ("reward", "correct", "short", *samples, "majority", *rest)
    assert config({}, [LENGTH]).metric_names == ("reward", "short", "pass_at_1", *rest)
    for name in found:
        assert config({"num_samples": 3, "metric": name}, [MATH, LENGTH]).eval.metric == name


def test_metrics_are_those_of_the_rewards_that_evaluate() -> None:
    found = config({"rewards": {"components": [LENGTH]}})
    assert [part.name for part in found.eval_rewards.components] == ["short"]
    assert found.metric_names[:2] == ("reward", "short")
    assert config({}).eval_rewards == config({}).rewards


@pytest.mark.parametrize(
    ("conditions", "parts", "name"),
    [
        (None, [LENGTH, MATH], "short"),  # the first component decides
        ({"correct": ">=1"}, [LENGTH, MATH], "correct"),
        ({"short": ">0", "correct": ">=1"}, [LENGTH, MATH], "correct"),  # the one that knows answers
        ({"reward": ">0.5"}, [LENGTH, MATH], "correct"),  # the total: any of them
        ({"short": ">0"}, [LENGTH, MATH], "short"),
    ],
)
def test_whose_answers_are_voted_on(conditions: Any, parts: list[dict[str, Any]], name: str) -> None:
    found = config({"pass": conditions}, parts)
    assert found.judged.name == name
    assert ("majority" in found.metric_names) == (name == "correct")
    assert found.pass_conditions == (conditions or {parts[0]["name"]: ">=1"})


def test_pass_is_called_pass_everywhere(tmp_path: Path) -> None:
    """Python has no such name; YAML, JSON, the schema, overrides and problems know no other."""
    found = config({"pass": {"correct": ">=1"}})
    assert found.eval.pass_ == {"correct": ">=1"}
    assert found.model_dump()["eval"]["pass"] == {"correct": ">=1"}
    assert json.loads(found.model_dump_json())["eval"]["pass"] == {"correct": ">=1"}
    assert "pass" in schema()["$defs"]["Eval"]["properties"]
    assert ("eval", "pass") in [path for path, _ in keys_below(Config)]
    file = tmp_path / "config.yaml"
    file.write_text(to_yaml(found))
    assert "pass_" not in file.read_text()
    assert load_config(file) == found
    changed = load_config(file, ["eval.pass.correct='>=0.5'"])
    assert changes(found, changed) == [(("eval", "pass", "correct"), ">=1", ">=0.5")]
    with pytest.raises(ConfigError) as caught:
        load_config(file, ["eval.pass={corect: '>=1'}"])
    assert caught.value.problems[0].path == ("eval", "pass", "corect")
    with pytest.raises(ConfigError, match=r"eval\.pass: '>=1' when this run began, and now|correct.*began"):
        allowed_changes(file, changed)


@pytest.mark.parametrize("text", [">1", ">=1", " >= 0.5", "<1", "==1", "!=1", "'>1'", '">=1"'])
def test_conditions_on_the_command_line_need_no_quotes_of_yaml(text: str) -> None:
    found = config_from_dict(data({}, [LENGTH]), overrides=[f"eval.pass.short={text}"]).eval.pass_
    assert found == {"short": text.strip(" '\"")}


def test_what_a_run_may_go_on_with_changed(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    before = {"patience": 2, "watch": "warn", "num_samples": 2}
    file.write_text(to_yaml(config(before)))
    free = {"patience": 5, "watch": "stop", "lm_eval": {"tasks": ["gsm8k"]}}
    found = allowed_changes(file, config({**before, **free}))
    assert {path[:2] for path, _, _ in found} == {("eval", key) for key in free} <= set(FREE)
    for key, value in {"metric": "pass_at_1", "batch_size": 8, "group_by": "carry", "num_samples": 4}.items():
        with pytest.raises(ConfigError, match=f"eval.{key}"):
            allowed_changes(file, config({**before, key: value}))


def test_group_by_is_one_column_or_several() -> None:
    assert config({"group_by": "carry"}).eval.group_by == ["carry"]
    assert config({"group_by": ["carry", "operation"]}).eval.group_by == ["carry", "operation"]
    mapped = data({"group_by": "carries"})
    mapped["data"]["columns"] = {"carries": "carry"}
    assert config_from_dict(mapped).eval.group_by == ["carries"]


def test_paths_in_rewards_of_evaluation_start_from_the_yaml(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def score(completions):\n    return [0.0] * len(completions)\n")
    part = {"type": "python", "function": "mine.py:score"}
    (tmp_path / "config.yaml").write_text(json.dumps(data({"rewards": {"components": [part]}})))
    found = load_config(tmp_path / "config.yaml").eval_rewards.components[0]
    assert found.model_dump()["function"] == f"{tmp_path / 'mine.py'}:score"


def test_each_set_of_rewards_reads_the_columns_of_its_own_prompts(tmp_path: Path) -> None:
    """What training never sees may need columns that training has not, and the other way round."""
    train, held_out = tmp_path / "train.jsonl", tmp_path / "eval.jsonl"
    train.write_text('{"prompt": "1+1=", "hint": "two"}\n' * 16)
    held_out.write_text('{"prompt": "2+2=", "gold": "4"}\n')
    given = data({"rewards": {"components": [{"type": "exact_match", "column": "gold"}]}})
    given["data"] = {"train": {"path": str(train)}, "eval": {"path": str(held_out)}}
    given["rewards"] = {"components": [{"type": "exact_match", "column": "hint"}]}
    assert config_from_dict(given).eval_rewards.components[0].columns() == ("gold",)
    wrong = copy.deepcopy(given)
    wrong["eval"]["rewards"]["components"][0]["column"] = "hint"
    with pytest.raises(ConfigError, match=r"eval.rewards.components\[0\].column: .* reads the column 'hint'"):
        config_from_dict(wrong)
    wrong = {**given, "eval": {}}
    with pytest.raises(
        ConfigError, match=r"rewards.components\[0\].column: .* reads the column 'hint', .*eval"
    ):
        config_from_dict(wrong)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("pass@2", "pass_at_2"),
        ("pass-at-2", "pass_at_2"),
        ("val/pass@1", "pass_at_1"),
        ("eval_accuracy", "pass_at_1"),
        ("greedy_accuracy", "greedy_pass"),
        ("maj@2", "majority"),
        ("val/majority", "majority"),
        ("eval/correct", "correct"),
        ("mean_reward", "reward"),
        ("Reward", "reward"),
    ],
)
def test_metrics_by_the_names_of_others(written: str, meant: str) -> None:
    (said,) = problems({"metric": written, "num_samples": 2})
    assert said.endswith(f"write `{meant}`")


def test_an_evaluating_part_that_is_wrong_says_one_thing() -> None:
    """The rest rests on its name and says nothing."""
    evaluation = {"metric": "first", "pass": {"first": ">0"}, "rewards": {"components": [{"type": "lenght"}]}}
    (said,) = problems(evaluation)
    assert said.startswith("eval.rewards.components[0].type")


def test_conditions_that_nothing_can_meet() -> None:
    for text, holds in {
        ">1": False,
        ">=1": True,
        "<0": False,
        "<=0": True,
        "==0.5": True,
        "==2": False,
    }.items():
        assert parse(text).possible(0.0, 1.0) is holds
    assert parse("!=1").possible(0.0, 1.0)
    assert not parse("!=1").possible(1.0, 1.0)


def test_benchmarks_of_other_tools_need_no_held_out_prompts() -> None:
    given = data({"lm_eval": {"tasks": ["gsm8k"], "limit": 5}})
    del given["data"]["eval"]
    assert config_from_dict(given).eval.lm_eval.tasks == ["gsm8k"]
    again = config_from_dict(given).model_dump()
    assert again["data"]["eval"] is None  # as a resolved config says it, and `--set data.eval=null`
    assert config_from_dict(again).eval == config_from_dict(given).eval
