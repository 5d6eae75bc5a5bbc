"""The resolved config spells out every default and loads again to an equal one, whatever text it holds."""

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from rlctl.config.dump import to_yaml
from rlctl.config.load import config_from_dict, load_config
from rlctl.config.shape import keys_below
from rlctl.config.training import Training

ROOT = Path(__file__).parents[2]
SHIPPED = sorted([*ROOT.glob("configs/**/*.yaml"), *ROOT.glob("rlctl/**/templates/*.yaml")])
SMALL = {
    "model": {"path": "builtin:tiny-math"},
    "data": {"train": {"path": "builtin:arithmetic", "args": {"size": 32}}},
    "rewards": {"components": [{"type": "exact_match"}]},
    "algorithm": {"type": "grpo"},
}
ODD = [
    "1e-5",
    "no",
    "0o14",
    "~",
    "",
    " x ",
    "a: b",
    "# c",
    "two\nlines\n",
    "\tx",
    "[a]",
    "'",
    "\x85",
    "é🙂",
    "<<",
    "=",
]


def again(path: Path, text: str) -> object:
    path.write_text(text, encoding="utf-8")
    return load_config(path)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_configs_come_back_equal(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = load_config(path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    text = to_yaml(config)
    assert again(elsewhere / "config.yaml", text) == config
    assert to_yaml(load_config(elsewhere / "config.yaml")) == text


def test_there_is_a_shipped_config() -> None:
    assert SHIPPED


def test_every_default_is_spelled_out() -> None:
    written = yaml.safe_load(to_yaml(config_from_dict(SMALL)))
    assert set(written["training"]) == {path[0] for path, _ in keys_below(Training)}
    assert written["training"]["learning_rate"] == 1e-6
    assert written["data"]["train"][0]["split"] == "train"
    assert written["rewards"]["components"][0]["name"] == "exact_match"


def test_its_own_name_repeats_the_run(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(to_yaml(config_from_dict(SMALL | {"run": {"name": "first"}})))
    first, second = load_config(path), load_config(path, ["run.name=again"])
    assert (first.run.name, second.run.name) == ("first", "again")
    assert second == first.model_copy(update={"run": first.run.model_copy(update={"name": "again"})})


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(ODD) | st.text(max_size=12), max_size=3), st.floats(-1e6, 1e6))
def test_any_text_and_number_comes_back(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], number: float
) -> None:
    rewards = {"components": [{"type": "exact_match", "weight": number or 1.0}]}
    config = config_from_dict(SMALL | {"tracking": {"tags": texts}, "rewards": rewards})
    path = tmp_path_factory.getbasetemp() / "run.yaml"  # a dict has no file to take the run's name from
    assert again(path, to_yaml(config)) == config


def test_text_from_set_is_plain_text(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(json.dumps(SMALL))
    config = load_config(path, ["tracking.project=mine", "data.columns={carries: carry}"])
    text = to_yaml(config)
    assert "project: mine\n" in text
    assert again(tmp_path / "c.yaml", text) == config
