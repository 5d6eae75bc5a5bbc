"""Whatever a person or a program writes: a Config or a ConfigError, never anything else."""

import copy
import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rlctl.config.config import Config
from rlctl.config.dump import to_yaml
from rlctl.config.load import config_from_dict, load_config
from rlctl.config.shape import keys_below
from rlctl.errors import ConfigError
from rlctl.registry import REWARDS

VALID: dict[str, Any] = {
    "run": {"name": "fuzz", "seed": 1},
    "model": {"path": "builtin:tiny-math", "lora": {"r": 4, "target_modules": ["q_proj"]}},
    "data": {
        "train": [{"path": "builtin:arithmetic", "args": {"size": 64}}],
        "eval": [{"path": "builtin:arithmetic", "split": "test"}],
        "max_length": 64,
    },
    "rewards": {
        "components": [
            {"type": "exact_match", "name": "correct"},
            {
                "type": "length",
                "max": 9,
                "transform": {"type": "clip", "min": -1},
                "gate": {"correct": ">=1"},
            },
            {"type": "regex", "pattern": "a+"},
        ],
        "tests": [{"completion": "7", "expect": ">0", "row": {"answer": "7"}}],
    },
    "generation": {"max_completion_length": 16},
    "algorithm": {"type": "grpo", "trl": {"delta": 2.0}},
    "training": {"max_steps": 3, "learning_rate": 1e-4},
    "eval": {
        "num_samples": 2,
        "rewards": {"components": [{"type": "math_answer"}, {"type": "repetition", "weight": -1.0}]},
        "pass": {"math_answer": ">=1", "reward": ">0"},
        "group_by": ["carry"],
        "metric": "majority",
        "lm_eval": {"tasks": ["gsm8k"]},
    },
    "tracking": {"report_to": ["tensorboard"], "tags": ["a"]},
}
FAST = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
KEYS = sorted({str(path[-1]) for path, _ in keys_below(Config)})
words = st.sampled_from(
    [*KEYS, *REWARDS, "builtin:x", "auto", "none", "1e-5", "", ">=1", "a/b/c", "x.py:f", "~"]
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    words,
    st.text(string.printable, max_size=8),
    st.text(max_size=4),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path] * bool(path) + [place for key, one in inner for place in places(one, (*path, key))]


def outcome(make: Any) -> Config | ConfigError:
    try:
        found = make()
    except ConfigError as error:
        found = error
    if isinstance(found, Config):
        return found
    assert found.problems
    for problem in found.problems:
        assert "Input should" not in problem.message
        assert "\n" not in problem.render()
    return found


def test_the_starting_point_is_valid() -> None:
    assert isinstance(outcome(lambda: config_from_dict(VALID)), Config)


@FAST
@given(st.data())
def test_mutated_configs(data: st.DataObject) -> None:
    mutant = copy.deepcopy(VALID)
    for _ in range(data.draw(st.integers(1, 3))):
        *way, last = data.draw(st.sampled_from(places(VALID)))
        holder: Any = mutant
        for step in way:
            if not isinstance(holder, dict | list) or (isinstance(holder, dict) and step not in holder):
                break
            holder = holder[step] if isinstance(holder, dict) or step < len(holder) else None
        else:
            mutate(holder, last, data)
    outcome(lambda: config_from_dict(mutant))


def mutate(holder: Any, key: Any, data: st.DataObject) -> None:
    """Replace, remove, rename or double what is at `key`."""
    if isinstance(holder, list) and isinstance(key, int) and key < len(holder):
        how = data.draw(st.sampled_from(["replace", "remove", "double"]))
        holder[key : key + 1] = {"replace": [data.draw(values)], "remove": []}.get(how, [holder[key]] * 2)
    elif isinstance(holder, dict) and isinstance(key, str):
        old = holder.pop(key, None)
        new = data.draw(st.sampled_from([key, f"{key}s", "type"]) | words)
        if data.draw(st.booleans()):
            holder[new] = data.draw(st.just(old) | values)


@FAST
@given(st.dictionaries(st.sampled_from(list(Config.model_fields)) | words, values, max_size=6))
def test_random_structures(data: dict[str, Any]) -> None:
    outcome(lambda: config_from_dict(data))


@FAST
@given(st.data())
def test_mutated_texts(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    text = TEXT
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.integers(0, 12)))
        text = text[:start] + data.draw(st.text("{}[]:,-#&*!|>'\"%@`\t\n 0.eabx", max_size=4)) + text[end:]
    path = tmp_path_factory.getbasetemp() / "fuzz.yaml"
    path.write_text(text)
    outcome(lambda: load_config(path))


@FAST
@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_random_bytes(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "bytes.yaml"
    path.write_bytes(content)
    outcome(lambda: load_config(path))


@FAST
@given(
    st.text(string.printable, max_size=30) | st.builds(lambda k, v: f"{k}={v}", words, st.text(max_size=9))
)
def test_random_overrides(override: str) -> None:
    outcome(lambda: config_from_dict(VALID, overrides=[override]))


TEXT = to_yaml(config_from_dict(VALID))


def test_the_text_is_valid(tmp_path: Path) -> None:
    path = tmp_path / "fuzz.yaml"
    path.write_text(TEXT)
    assert isinstance(outcome(lambda: load_config(path)), Config)
