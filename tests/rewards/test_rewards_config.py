"""The section `rewards` of the YAML: what is refused, where, and in which words."""

from typing import Any

import pytest
from pydantic import ValidationError

from rlctl.config.rewards import Rewards, RewardTest

LENGTH = {"type": "length"}
EXACT = {"type": "exact_match"}


def complaints(section: dict[str, Any]) -> list[tuple[str, str]]:
    with pytest.raises(ValidationError) as caught:
        Rewards.model_validate(section)
    return [(".".join(map(str, error["loc"])), error["msg"]) for error in caught.value.errors()]


def test_the_name_is_the_type_unless_it_is_given():
    parts = Rewards.model_validate({"components": [LENGTH, {**LENGTH, "name": "brevity"}]}).components
    assert [part.name for part in parts] == ["length", "brevity"]
    assert parts[0].model_dump()["name"] == "length"


def test_two_of_one_name():
    assert complaints({"components": [LENGTH, EXACT, LENGTH]}) == [
        ("components.2.name", "components[0] is named 'length' too; give each its own `name`")
    ]


@pytest.mark.parametrize(
    "name",
    [
        "reward",
        "kl_div",
        "valid_fraction",
        "majority",
        "greedy_pass",
        "reward_low",
        "pass_at_1",
        "pass_at_16",
    ],
)
def test_names_that_the_logs_need(name: str):
    ((_, message),) = complaints({"components": [{**LENGTH, "name": name}]})
    assert "choose another" in message


@pytest.mark.parametrize(
    ("gate", "place", "message"),
    [
        ({"lenght": ">1"}, "components.0.gate.lenght", "no part is named 'lenght'; did you mean 'length'?"),
        ({"zzz": ">1"}, "components.0.gate.zzz", "no part is named 'zzz'; there are 'exact_match', 'length'"),
        ({"exact_match": ">1"}, "components.0.gate.exact_match", "a part cannot be its own gate"),
        ({"length": "1"}, "components.0.exact_match.gate.length", "'1' is not a comparison with a number"),
        (
            {"length": "=> 1"},
            "components.0.exact_match.gate.length",
            "'=> 1' is not a comparison with a number",
        ),
        (
            {"length": ">= one"},
            "components.0.exact_match.gate.length",
            "'>= one' is not a comparison with a number",
        ),
    ],
)
def test_gates(gate: dict[str, str], place: str, message: str):
    ((found, said),) = complaints({"components": [{**EXACT, "gate": gate}, LENGTH]})
    assert found == place
    assert message in said


def test_gates_in_a_circle():
    parts = [{**EXACT, "gate": {"length": ">1"}}, {**LENGTH, "gate": {"exact_match": ">=1"}}]
    ((place, message),) = complaints({"components": parts})
    assert place == "components.0.gate"
    assert "in a circle" in message


def test_gates_that_hold():
    gate = {"length": ">= 1.5e0"}
    Rewards.model_validate({"components": [{**EXACT, "gate": gate}, LENGTH]})


def test_without_any_weight():
    ((place, message),) = complaints({"components": [{**EXACT, "weight": 0.0}]})
    assert (place, message) == ("components.0.weight", "every weight is 0, so every total would be missing")


def test_normalizing_twice():
    section = {"components": [{**EXACT, "normalize": "batch_std"}], "aggregate": "normalize_then_sum"}
    assert complaints(section) == [
        ("components.0.normalize", "`aggregate: normalize_then_sum` already normalizes every part")
    ]


@pytest.mark.parametrize(
    ("part", "place"),
    [
        (LENGTH, "transform"),
        ({"type": "regex", "pattern": "a", "mode": "count"}, "transform"),
        ({**EXACT, "transform": {"type": "linear", "slope": 2.0}}, "transform"),
        ({**LENGTH, "max": 5.0, "transform": {"type": "clip", "min": -1.0, "max": 0.0}}, "transform"),
        ({**EXACT, "weight": -1.0}, "weight"),
        ({**EXACT, "normalize": "batch_std"}, "normalize"),
    ],
)
def test_what_a_geometric_mean_cannot_take(part: dict[str, Any], place: str):
    section = {"components": [{**EXACT, "name": "fine"}, part], "aggregate": "weighted_geometric_mean"}
    assert [found for found, _ in complaints(section)] == [f"components.1.{place}"]


@pytest.mark.parametrize(
    "part",
    [
        EXACT,
        {"type": "format", "tags": ["a"]},
        {"type": "repetition"},
        {"type": "math_answer"},
        {"type": "regex", "pattern": "a"},
        {"type": "python", "function": "m:f"},
        {**LENGTH, "transform": {"type": "sigmoid", "low": 0.0, "high": 9.0}},
        {**LENGTH, "transform": {"type": "clip", "min": 0.0, "max": 1.0}},
        {**EXACT, "transform": {"type": "linear", "slope": -1.0, "offset": 1.0}},
    ],
)
def test_what_a_geometric_mean_can_take(part: dict[str, Any]):
    Rewards.model_validate({"components": [part], "aggregate": "weighted_geometric_mean"})


@pytest.mark.parametrize("expect", ["invalid", "none", ">0.8", "==1", 0.5, 1])
def test_expectations(expect: Any):
    assert RewardTest(completion="", expect=expect).expect == expect


@pytest.mark.parametrize("expect", ["valid", "0.8", "> x", ""])
def test_expectations_that_nobody_understands(expect: str):
    with pytest.raises(ValidationError, match="is not `invalid`, `none`, a number or a comparison"):
        RewardTest(completion="", expect=expect)


def test_several_complaints_come_at_once():
    parts = [{**EXACT, "gate": {"exact_match": ">1"}}, LENGTH, LENGTH]
    assert [place for place, _ in complaints({"components": parts})] == [
        "components.2.name",
        "components.0.gate.exact_match",
    ]
