"""pydantic's findings as sentences for people: what is wrong at which key, and what to write instead.

Of pydantic's own wording nothing is used. It says where; the value and the schema at that place say the rest.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from rlctl.config import unknown
from rlctl.config.base import Section, fields_of
from rlctl.config.shape import Place, root
from rlctl.config.wrong_value import example, type_place, types_at, wrong_value
from rlctl.config.yaml_marks import Path
from rlctl.errors import EXIT_CONFIG

_OTHER_KINDS = ("literal_error", "float_type", "int_type", "string_type", "bool_type", "list_type")
"""What pydantic says of a value that only another member of a union would take."""


@dataclass(frozen=True)
class Finding:
    """A problem before it has a file and a line.

    Args:
        path: The key, by the indices of the user's own data.
        message: What is wrong.
        suggestion: What to do.
        missing: Whether the key is absent, so that nothing but its section can be pointed at.
        exit_code: See `errors`.
        reads: Other keys that this rests on; where one of them is wrong itself, this says nothing.
    """

    path: Path
    message: str
    suggestion: str | None = None
    missing: bool = False
    exit_code: int = EXIT_CONFIG
    reads: tuple[Path, ...] = ()


def explain(error: ValidationError, cls: type[Section], data: Any, known_as: Path = ()) -> list[Finding]:
    """Every problem of a validation, at most one per key.

    Args:
        error: What pydantic found.
        cls: The section that was validated.
        data: The data that it was given.
        known_as: Where that section stands in the YAML.

    Returns:
        Findings in pydantic's order.
    """
    found: dict[Path, Finding] = {}
    for detail in error.errors(include_url=False, include_input=False):
        path, place, value = locate(detail["loc"], cls, data)
        if detail["type"] in _OTHER_KINDS and isinstance(value, dict) and place.classes():
            continue  # a section may stand here, and what is wrong in it is said at its keys
        if path not in found:
            found[path] = _finding(detail, path, place, value, cls, data, known_as)
    return list(found.values())


def locate(loc: Iterable[str | int], cls: type[Section], data: Any) -> tuple[Path, Place, Any]:
    """The user's path for a location of pydantic, which also names union members; its place and value."""
    place, value = root(cls), data
    path: Path = ()
    at_tag = False
    for step in loc:
        if at_tag and isinstance(value, dict) and step == value.get("type"):
            at_tag = False
            continue
        if isinstance(step, int):
            place = place.child(step)
            if isinstance(value, list):
                path, value = (*path, step), value[step]
        elif isinstance(value, dict) and (step in value or _has(place, value, step)):
            place = place.child(step, value)
            path, value = (*path, step), value.get(step)
        else:
            continue  # a member of a union, by pydantic's name for it
        at_tag = place.tagged
    return path, place, value


def _has(place: Place, value: Any, key: str) -> bool:
    return any(key in fields_of(cls) for cls in place.classes(value))


def _finding(
    detail: Any, path: Path, place: Place, value: Any, cls: type[Section], data: Any, known_as: Path
) -> Finding:
    kind = detail["type"]
    whole = (*known_as, *path)
    if kind == "extra_forbidden":
        return Finding(whole, "unknown key", unknown.suggest(path, cls, data, known_as))
    if kind == "missing":
        return Finding(whole, "missing", f"write {example(path, place)}", missing=True)
    if kind == "union_tag_not_found" and isinstance(value, dict):
        return Finding((*whole, "type"), "missing", f"one of {', '.join(types_at(place))}", missing=True)
    if kind == "union_tag_invalid":
        path = (*whole, "type")
        return Finding(path, *wrong_value(path, value["type"], type_place(place)))
    if kind in ("value_error", "assertion_error"):
        return Finding(whole, *_own_words(str(detail.get("ctx", {}).get("error", detail["msg"]))))
    return Finding(whole, *wrong_value(whole, value, place))


def _own_words(text: str) -> tuple[str, str | None]:
    """A validator of ours says `what is wrong; what to do`."""
    message, _, suggestion = text.partition("; ")
    return message, suggestion or None
