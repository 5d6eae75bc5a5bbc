"""Each key of the YAML changes the resolved config, and the resolved config says what each key is."""

import copy
import os
from typing import Any

import pytest

from rlctl import registry
from rlctl.config.base import fields_of
from rlctl.config.config import Config
from rlctl.config.load import config_from_dict
from rlctl.config.shape import Place, choices_of, place_of, place_of_field, root, section_name
from rlctl.config.yaml_marks import Path
from rlctl.errors import EXIT_MISSING, ConfigError, dotted

SMALL = {"size": 64}
BASE: dict[str, Any] = {
    "model": {"path": "builtin:tiny-math", "lora": {}},
    "data": {
        "train": [
            {"path": "builtin:arithmetic", "args": SMALL},
            {"path": "builtin:arithmetic", "args": SMALL},
        ],
        "eval": [{"path": "builtin:arithmetic", "split": "test", "args": SMALL}],
    },
    "rewards": {
        "components": [{"type": "exact_match", "name": "first"}, {"type": "exact_match", "name": "second"}],
        "tests": [{"completion": "7", "expect": ">0.5", "row": {"answer": "7"}}],
    },
    "algorithm": {"type": "grpo"},
}
BASE["eval"] = {"lm_eval": {"tasks": ["gsm8k"]}}
HUB = {"path": "someone/rows", "args": {}}
PYTHON = {"function": "math:sqrt"}
REGEX = {"pattern": "(a)"}
CHANGES: dict[str, tuple[Any, dict[str, Any]]] = {
    # key → another value, and what must stand beside it
    "model.path": ("someone/model", {}),
    "model.tokenizer": ("someone/tokenizer", {}),
    "model.revision": ("v2", {"path": "someone/model"}),
    "model.chat_template": (__file__, {}),
    "model.quantization": ("8bit", {}),
    "data.train": ([{"path": "builtin:arithmetic", "args": SMALL}], {}),
    "data.train.path": ("someone/rows", {"args": {}}),
    "data.train.split": ("test", {}),
    "data.train.name": ("main", HUB),
    "data.train.revision": ("v2", HUB),
    "data.train.columns": ({"carries": "carry"}, {}),
    "data.train.args": ({"levels": [1]}, {}),
    "data.eval.path": ("someone/rows", {"args": {}}),
    "data.eval.split": ("train", {}),
    "data.eval.name": ("main", HUB),
    "data.eval.revision": ("v2", HUB),
    "data.eval.columns": ({"carries": "carry"}, {}),
    "data.eval.args": ({"levels": [1]}, {}),
    "data.columns": ({"carries": "carry"}, {}),
    "data.prompt_template": ("Q: {prompt}", {}),
    "data.max_length": (400, {}),
    "rewards.components": ([{"type": "exact_match"}], {}),
    "rewards.invalid_penalty.per_group": (3.0, {}),
    "rewards.tests": ([], {}),
    "eval.pass": ({"second": ">0"}, {}),
    "eval.group_by": (["carry"], {}),
    "eval.metric": ("greedy_pass", {}),
    "eval.lm_eval": (None, {}),
    "eval.lm_eval.tasks": (["mmlu"], {}),
    "eval.lm_eval.include_path": (os.path.dirname(__file__), {}),
    "rewards.components.gate": ({"second": ">0"}, {}),
    "rewards.components.transform": ({"type": "clip", "max": 2}, {}),
    "rewards.components.column": ("prompt", {}),
    "rewards.components.regex.pattern": ("b", {}),
    "rewards.components.regex.column": ("answer", {"group": 1, **REGEX}),
    "rewards.components.regex.group": (0, {"column": "answer", **REGEX}),
    "rewards.components.format.tags": (["answer"], {}),
    "rewards.components.format.sections": (["Answer:"], {"tags": []}),
    "rewards.components.format.opened": (True, {"tags": ["answer"]}),
    "rewards.components.python.function": ("math:exp", {}),
    "rewards.components.python.args": ({"k": 2}, {}),
    "rewards.tests.expect": ("invalid", {}),
    "rewards.tests.row": ({"answer": "8"}, {}),
    "algorithm.trl": ({"delta": 2.0}, {}),
    "algorithm.epsilon_high": (0.3, {}),
    "training.num_epochs": (2.0, {}),
    "generation.max_completion_length": (8, {}),
    "model.lora": (None, {}),
    "data.eval": (None, {}),
    "tracking.report_to": (["tensorboard"], {}),
}
NEEDED = {"regex": REGEX, "python": PYTHON, "format": {"tags": ["think"]}}
REFUSED = {("data", "eval", 0, "weight")}
"""Keys that a section has for another place of it only."""


def keys(place: Place, path: Path = ()) -> list[tuple[Path, str, Place]]:
    """Every key, with the name that CHANGES may know it by."""
    found = []
    for cls in place.classes():
        kind = choices_of(cls, "type") if place.tagged else ()
        for name, field in fields_of(cls).items():
            here, inner = (*path, *kind, name), place_of_field(field)
            found.append((here, ".".join(step for step in here if isinstance(step, str)), inner))
            found += keys(inner, here)
            listed = inner.only("list")
            found += keys(place_of(listed.items), (*here, 0)) if listed else []
    return found


def other(place: Place, old: Any) -> Any:
    """Another value that may stand at a place."""
    for wanted in place.wanted:
        new = {
            "boolean": not old,
            "choice": next((one for one in wanted.choices if one != old), None),
            "text": f"{old}x" if old else "x",
            "list": ["x"],
            "mapping": {"x": "y"},
        }.get(wanted.kind)
        if wanted.kind in ("integer", "number"):
            top = wanted.limit("le") or wanted.limit("lt")
            new = old + 1 if isinstance(old, int | float) else 2
            new = new if top is None or new < top else (old or 0.5) / 2
            new = int(new) if wanted.kind == "integer" else new
        if new is not None and new != old:
            return new
    raise AssertionError(f"no other value for {place}")


def get(value: Any, path: Path) -> Any:
    for step in path:
        value = value[step] if not isinstance(value, dict) else value.get(step)
    return value


def resolved(data: dict[str, Any]) -> dict[str, Any]:
    """The config, where at most this machine lacks something."""
    try:
        return config_from_dict(data).model_dump()
    except ConfigError as error:
        if error.exit_code != EXIT_MISSING:
            raise
        pytest.skip(error.problems[0].message)


ALL = [
    one
    for one in keys(root(Config))
    if one[0][-1] != "type"
    and len(one[0]) > 1
    and one[0] not in REFUSED
    and one[0][:2] != ("eval", "rewards")
]


@pytest.mark.parametrize(("path", "name", "place"), ALL, ids=[dotted(path) for path, _, _ in ALL])
def test_changing_it_changes_the_resolved_config(path: Path, name: str, place: Place) -> None:
    data = copy.deepcopy(BASE)
    kinds = set(registry.names("rewards"))
    kind = next((str(step) for step in path if step in kinds), None) if path[0] == "rewards" else None
    if kind:
        part = data["rewards"]["components"][0]
        part |= {"type": kind, **NEEDED.get(kind, {})}
    where = tuple(step for step in path if step not in ("grpo", kind))
    if "transform" in where and where[-1] != "transform":
        shape = str(where[4])
        where = (*where[:4], *where[5:])
        part["transform"] = {"type": shape, **TRANSFORMS[shape]}
    if name.startswith("rewards.invalid_penalty."):
        data["rewards"]["invalid_penalty"] = {"per_group": 2.0}
        data["eval"] = {"metric": "valid_fraction"}
    before = get(resolved(data), where)
    short = section_name(where)
    new, beside = CHANGES.get(name) or CHANGES.get(short) or (other(place, before), {})
    holder = data
    for step in where[:-1]:
        holder = holder.setdefault(step, {}) if isinstance(step, str) else holder[step]
    holder.update(beside)
    holder[where[-1]] = new
    after = resolved(data)
    assert get(after, where) != before
    if not isinstance(new, dict | list):
        assert get(after, where) == new


TRANSFORMS: dict[str, dict[str, Any]] = {
    "clip": {"min": -1.0},
    "linear": {},
    "sigmoid": {"low": 0.0, "high": 9.0},
    "reverse_sigmoid": {"low": 0.0, "high": 9.0},
    "double_sigmoid": {"low": 0.0, "high": 9.0},
    "step": {"low": 0.0, "high": 9.0},
    "exponential_decay": {"k": 0.5},
}


def test_rewards_of_evaluation_resolve_as_rewards_do() -> None:
    data = copy.deepcopy(BASE)
    section = {"components": [{"type": "length", "max": 7, "weight": 2.0}], "timeout": 3.0}
    data["eval"] = {"rewards": section}
    found = resolved(data)
    data["rewards"] = section
    assert found["eval"]["rewards"] == resolved(data)["rewards"] != found["rewards"]
    data["eval"] = {"rewards": None}
    assert resolved(data)["eval"]["rewards"] is None


def test_every_key_is_there() -> None:
    assert len(ALL) > 100
    with pytest.raises(AssertionError):
        other(Place(()), None)
