"""Every argument of the TRL config classes, known without importing TRL: what `algorithm.trl` may hold.

TRL finds a misspelt loss only inside the loss and takes `epsilon: -1`. The catalogue (trl_catalogue.json,
written by scripts/make_trl_catalogue.py) is checked before anything heavy is imported, and it pins every
default, so that another TRL cannot change a run in silence.
"""

import json
import math
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from rlctl.config.trl_keys import GENERATION_OWNED, NEEDS, OWNED, REFUSED
from rlctl.registry import closest, did_you_mean

Entry = dict[str, Any]
"""`types`, `choices`, `minimum`, `maximum`, `exclusiveMinimum`, `exclusiveMaximum`, `default`, `help`."""
Found = tuple[str, str, str | None]
"""An argument, what is wrong with it, and what to do."""

_WORDS = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "str": "a string",
    "dict": "a mapping",
    "list[str]": "a list of strings",
    "list[float]": "a list of numbers",
    "null": "null",
}
BOUNDS = {
    "exclusiveMinimum": ("above", lambda value, bound: value > bound),
    "minimum": ("at least", lambda value, bound: value >= bound),
    "exclusiveMaximum": ("below", lambda value, bound: value < bound),
    "maximum": ("at most", lambda value, bound: value <= bound),
}
"""Keyword of JSON Schema → its words, and whether a value keeps it."""


@cache
def _file() -> dict[str, Any]:
    return json.loads(files("rlctl.config").joinpath("trl_catalogue.json").read_text(encoding="utf-8"))


def versions() -> dict[str, str]:
    """The versions of `trl` and `transformers` that the catalogue was made from."""
    return {name: _file()[name] for name in ("trl", "transformers")}


def algorithms() -> list[str]:
    """The algorithm types whose trainer is TRL's."""
    return list(_file()["algorithms"])


def arguments(algorithm_type: str) -> dict[str, Entry]:
    """Every argument of the algorithm's TRL config class."""
    entries: dict[str, Entry] = _file()["algorithms"][algorithm_type]
    return entries


def passed_through(algorithm_type: str) -> dict[str, Entry]:
    """The arguments that `algorithm.trl` takes: neither owned by another key nor refused."""
    return {
        name: entry
        for name, entry in arguments(algorithm_type).items()
        if name not in OWNED and name not in REFUSED
    }


def passed_defaults(algorithm_type: str) -> dict[str, Any]:
    """The pinned defaults of the arguments that `algorithm.trl` takes."""
    return {name: entry["default"] for name, entry in passed_through(algorithm_type).items()}


def defaults(algorithm_type: str) -> dict[str, Any]:
    """Every TRL argument that no key of the YAML sets, with its pinned default; the trainer passes all."""
    return {name: entry["default"] for name, entry in arguments(algorithm_type).items() if name not in OWNED}


def problems(
    algorithm_type: str, trl: Mapping[str, Any], settings: Mapping[str, Any] | None = None
) -> list[Found]:
    """What is wrong with `algorithm.trl`.

    Args:
        algorithm_type: `algorithm.type`.
        trl: The mapping as the user wrote it.
        settings: Values of other keys under their TRL names (`beta`, `loss_type`), for combinations that
            cannot work.

    Returns:
        Argument, message and suggestion of each problem.
    """
    if algorithm_type not in algorithms():
        return []
    known = arguments(algorithm_type)
    found = [problem for name, value in trl.items() for problem in _problems_of(name, value, known)]
    if not found:
        values = {name: entry["default"] for name, entry in known.items() if name not in OWNED}
        found = _unmet(trl, {**values, **(settings or {}), **trl}, known)
    return found


def _problems_of(name: str, value: Any, known: dict[str, Entry]) -> list[Found]:
    """Problems of one argument by itself: its name, its owner, its type, its choices, its range."""
    if name in OWNED:
        return [(name, "is set by another key", f"write `{OWNED[name]}`")]
    if name in REFUSED:
        return [(name, "is not taken here", REFUSED[name])]
    if name not in known:
        return [(name, "is no argument of TRL", _meant(name, known))]
    message = value_problem(value, known[name])
    if message:
        choices = known[name].get("choices", [])
        return [(name, message, did_you_mean(value, choices) if isinstance(value, str) else None)]
    if name == "generation_kwargs" and isinstance(value, dict):
        taken = [key for key in value if key in GENERATION_OWNED]
        return [
            (name, f"holds {key}, which another key sets", f"write `{GENERATION_OWNED[key]}`")
            for key in taken
        ]
    return []


def _meant(name: str, known: Iterable[str]) -> str | None:
    meant = closest(name, known)
    if meant in OWNED:
        return f"did you mean {meant!r}? write `{OWNED[meant]}`"
    return f"did you mean {meant!r}?" if meant and meant not in REFUSED else None


def value_problem(value: Any, entry: Entry) -> str | None:
    """Why a value does not fit an entry of the catalogue, or None."""
    if not any(_is(value, kind) for kind in entry["types"]):
        wanted = " or ".join(_WORDS[kind] for kind in entry["types"])
        return f"must be {wanted}, not {_shown(value)}"
    if isinstance(value, str | list) and value != entry["default"] and (choices := entry.get("choices")):
        for item in value if isinstance(value, list) else [value]:
            if item not in choices:
                return f"must be one of {', '.join(choices)}, not {_shown(item)}"
    if isinstance(value, int | float) and not isinstance(value, bool):
        limits = {key: entry[key] for key in BOUNDS if key in entry}
        if not all(BOUNDS[key][1](value, bound) for key, bound in limits.items()):
            return f"must be {bounds(entry)}, not {_shown(value)}"
    return None


def kind(entry: Entry) -> str:
    """What an argument takes, in words: `a number, above 0 and at most 1`."""
    words = " or ".join(_WORDS[one] for one in entry["types"])
    extra = [bounds(entry), f"one of {', '.join(entry['choices'])}" if "choices" in entry else ""]
    return ", ".join([words, *filter(None, extra)])


def bounds(entry: Entry) -> str:
    """`above 0 and at most 1`; empty where there are none."""
    return " and ".join(f"{words} {entry[key]:g}" for key, (words, _) in BOUNDS.items() if key in entry)


def _unmet(trl: Mapping[str, Any], values: Mapping[str, Any], known: dict[str, Entry]) -> list[Found]:
    """Arguments that change nothing, or fail late, because another setting is off."""
    return [
        (name, "has no effect", f"it needs {need.words}")
        for need in NEEDS
        for name in need.arguments
        if name in trl
        and trl[name] != known[name]["default"]
        and need.setting in values
        and not need.holds(values[need.setting])
    ]


def _is(value: Any, kind: str) -> bool:
    """Whether a YAML value is of a kind; true is no number, and NaN and infinity are none either."""
    match kind:
        case "null":
            return value is None
        case "bool":
            return isinstance(value, bool)
        case "int":
            return isinstance(value, int) and not isinstance(value, bool)
        case "float":
            return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        case "str":
            return isinstance(value, str)
        case "dict":
            return isinstance(value, dict)
        case _:
            element = kind.removeprefix("list[").removesuffix("]")
            return isinstance(value, list) and all(_is(item, element) for item in value)


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return f"the string {value!r}"
    if value is None or isinstance(value, bool | int | float):
        return json.dumps(value)
    return {"dict": "a mapping", "list": "a list"}.get(type(value).__name__, f"a {type(value).__name__}")
