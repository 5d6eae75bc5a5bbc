"""The YAML as JSON Schema, for editors, and as a list of keys, for `rlctl list` and the reference."""

import json
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from rlctl.config import catalogue
from rlctl.config.base import Section, fields_of
from rlctl.config.config import Config
from rlctl.config.shape import Place, Wanted, place_of, place_of_field

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_ABOUT = "A run of rlctl: one YAML, one command (`rlctl train CONFIG`)."

_TYPES: dict[str, dict[str, Any]] = {
    "bool": {"type": "boolean"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "str": {"type": "string"},
    "dict": {"type": "object"},
    "null": {"type": "null"},
    "list[str]": {"type": "array", "items": {"type": "string"}},
    "list[float]": {"type": "array", "items": {"type": "number"}},
}


@dataclass(frozen=True)
class Key:
    """One key of a section, described.

    Args:
        name: The key.
        kind: What may stand there, in words.
        default: The default as it stands in a YAML; None where the key is required.
        description: One line.
        sections: Classes of the sections that may stand there.
    """

    name: str
    kind: str
    default: str | None
    description: str
    sections: tuple[type[Section], ...] = ()


def keys(section: type[Section]) -> list[Key]:
    """Every key of a section, in order."""
    return [_key(name, field) for name, field in fields_of(section).items()]


def _key(name: str, field: FieldInfo) -> Key:
    place = place_of_field(field)
    default = field.get_default(call_default_factory=True)
    return Key(
        name=name,
        kind=_words(place),
        default=None if default is PydanticUndefined else as_yaml(default),
        description=" ".join((field.description or "").split()),
        sections=_sections(place),
    )


def _words(place: Place) -> str:
    """What may stand at a place, e.g. `a number, above 0`; null goes without saying, as a default."""
    return " or ".join(_word(one) for one in place.wanted if one.kind != "null")


def _word(wanted: Wanted) -> str:
    if wanted.kind == "section":
        return "a section"
    if wanted.kind == "list":
        items = place_of(wanted.items)
        return "a list of sections" if items.classes() else f"a list of {_words(items)}"
    return wanted.describe()


def _sections(place: Place) -> tuple[type[Section], ...]:
    """Sections that may stand at a place, or be items of a list there."""
    items = place.only("list")
    return place.classes() or (place_of(items.items).classes() if items else ())


def as_yaml(value: Any) -> str:
    """A default in the flow style of YAML."""
    if isinstance(value, BaseModel):
        return "{}"
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)


def schema() -> dict[str, Any]:
    """JSON Schema of the YAML, with the arguments that `algorithm.trl` takes."""
    found = Config.model_json_schema(mode="validation")
    for definition in [*found["$defs"].values(), found]:
        properties = definition.get("properties", {})
        if "trl" in properties:
            properties["trl"] |= _trl(properties["type"]["const"])
        for item in properties.values():
            item.pop("title", None)
            if "description" in item:
                item["description"] = " ".join(item["description"].split())
            if item.get("default") == "" and "pattern" in item:
                del item["default"]  # filled in from another key
    return {"$schema": DIALECT, "$id": "rlctl.schema.json", **found, "title": "rlctl", "description": _ABOUT}


def render() -> str:
    """The schema as text, as it is committed in rlctl.schema.json."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _trl(algorithm_type: str) -> dict[str, Any]:
    entries = catalogue.passed_through(algorithm_type)
    return {
        "properties": {name: _argument(entry) for name, entry in entries.items()},
        "additionalProperties": False,
    }


def _argument(entry: catalogue.Entry) -> dict[str, Any]:
    """One argument of TRL as JSON Schema; choices bind strings alone, bounds numbers alone."""
    limits = {key: entry[key] for key in catalogue.BOUNDS if key in entry}
    options = []
    for kind in entry["types"]:
        option = dict(_TYPES[kind])
        if kind in ("int", "float"):
            option |= limits
        if kind == "str" and "choices" in entry:
            option["enum"] = list(dict.fromkeys([*entry["choices"], *_string(entry["default"])]))
        options.append(option)
    body = options[0] if len(options) == 1 else {"anyOf": options}
    return {**body, "default": entry["default"], "description": entry["help"]}


def _string(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else []
