"""What the schema wants at a place of the YAML, read from the annotations of its sections.

pydantic says that something is wrong; this says what would be right, in words, and where a key is known.
"""

import types
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from rlctl.config.base import Section, fields_of
from rlctl.config.yaml_marks import Path

Kind = Literal[
    "null", "boolean", "integer", "number", "text", "choice", "list", "mapping", "section", "anything"
]
NOUNS: dict[str, str] = {
    "null": "nothing",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "text": "text",
    "list": "a list",
    "mapping": "keys with values",
    "section": "a section with keys",
}


@dataclass(frozen=True)
class Wanted:
    """One kind of value that may stand at a place.

    Args:
        kind: What sort of value.
        limits: Constraints of annotated-types: Ge, Gt, Le, Lt, MinLen, MaxLen, and pydantic's pattern.
        choices: The values of a `choice`.
        sections: The classes of a `section`; several are told apart by their key `type`.
        items: Annotation of what a list or mapping holds.
    """

    kind: Kind
    limits: tuple[Any, ...] = ()
    choices: tuple[Any, ...] = ()
    sections: tuple[type[Section], ...] = ()
    items: Any = None

    def limit(self, name: str) -> Any:
        """The constraint of that name (`ge`, `min_length`, `pattern`, ...), or None."""
        return next((getattr(one, name) for one in self.limits if getattr(one, name, None) is not None), None)

    def describe(self) -> str:
        """In words, e.g. `a whole number, 1 or more`."""
        if self.kind == "choice":
            return _either([f"`{choice}`" for choice in self.choices])
        if self.only_key:
            return f"`{{{self.only_key}: ...}}`"
        noun = NOUNS.get(self.kind, "a value")
        bounds = self.bounds()
        return f"{noun}, {bounds}" if bounds else noun

    @property
    def only_key(self) -> str | None:
        """The key of a section that has one alone, which is then its name."""
        names = [name for cls in self.sections for name in fields_of(cls)]
        return names[0] if len(names) == 1 else None

    def bounds(self) -> str:
        """In words, e.g. `above 0 and at most 1`; empty where there are none."""
        low = _bound(self.limit("ge"), "{} or more") or _bound(self.limit("gt"), "above {}")
        high = _bound(self.limit("le"), "at most {}") or _bound(self.limit("lt"), "below {}")
        length = "not empty" if self.limit("min_length") == 1 else ""
        longest = self.limit("max_length")
        most = f"at most {longest} characters" if longest is not None and self.kind == "text" else ""
        return " and ".join(part for part in (low, high, length, most) if part)


@dataclass(frozen=True)
class Place:
    """A place of the schema, and everything that may stand there."""

    wanted: tuple[Wanted, ...]

    def only(self, kind: Kind) -> Wanted | None:
        """The alternative of that kind, if there is one."""
        return next((one for one in self.wanted if one.kind == kind), None)

    def classes(self, value: Any = None) -> tuple[type[Section], ...]:
        """Sections that may stand here; only the one that `value` names with `type`, if it names one."""
        section = self.only("section")
        if section is None:
            return ()
        if len(section.sections) > 1 and isinstance(value, dict):
            named = [cls for cls in section.sections if value.get("type") in choices_of(cls, "type")]
            return tuple(named) or section.sections
        return section.sections

    @property
    def tagged(self) -> bool:
        """Whether a key `type` chooses between sections here; pydantic then puts its value into locations."""
        return len(self.classes()) > 1

    def child(self, step: str | int, value: Any = None) -> "Place":
        """The place one step below; `value` is what stands at this one."""
        listed = self.only("list")
        if isinstance(step, int):
            return place_of(listed.items) if listed else _NOWHERE
        if listed and isinstance(value, dict) and not self.classes():
            return place_of(listed.items).child(step, value)  # one section in place of a list of one
        for cls in self.classes(value):
            if step in fields_of(cls):
                return place_of_field(fields_of(cls)[step])
        holder = self.only("mapping")
        return place_of(holder.items) if holder else _NOWHERE


_NOWHERE = Place(())
ANYWHERE = Place((Wanted("anything"),))


def root(cls: type[Section]) -> Place:
    """The place of a whole section."""
    return Place((Wanted("section", sections=(cls,)),))


def place_of_field(field: FieldInfo) -> Place:
    """The place that a field of a section is."""
    return Place(tuple(_wanted(field.annotation, tuple(field.metadata))))


def place_of(annotation: Any) -> Place:
    """The place that an annotation stands for."""
    return Place(tuple(_wanted(annotation, ())))


def section_name(path: Path) -> str:
    """A path without its list indices: `rewards.components.weight`."""
    return ".".join(step for step in path if isinstance(step, str))


def choices_of(cls: type[Section], key: str) -> tuple[Any, ...]:
    """Values of a key that is a choice, such as `type`."""
    field = cls.model_fields.get(key)
    choice = place_of_field(field).only("choice") if field else None
    return choice.choices if choice else ()


@cache
def keys_below(cls: type[Section]) -> tuple[tuple[Path, FieldInfo], ...]:
    """Every key of the schema with its path; 0 stands for any index; keys of all types of a union are in."""
    return tuple(_keys(root(cls), ()))


def _keys(place: Place, path: Path) -> Iterator[tuple[Path, FieldInfo]]:
    for section in place.classes():
        for name, field in fields_of(section).items():
            yield (*path, name), field
            yield from _keys(place_of_field(field), (*path, name))
    holder = place.only("list")
    if holder:
        yield from _keys(place_of(holder.items), (*path, 0))


def _wanted(annotation: Any, limits: tuple[Any, ...]) -> Iterator[Wanted]:
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *extra = get_args(annotation)
        found = [part for one in extra for part in (one.metadata if isinstance(one, FieldInfo) else [one])]
        yield from _wanted(inner, (*limits, *found))
    elif origin in (Union, types.UnionType):
        parts = [one for member in get_args(annotation) for one in _wanted(member, limits)]
        sections = tuple(cls for one in parts for cls in one.sections)
        yield from (one for one in parts if one.kind != "section")
        if sections:
            yield Wanted("section", limits, sections=sections)
    elif origin is Literal:
        yield Wanted("choice", choices=get_args(annotation))
    elif origin is list:
        yield Wanted("list", limits, items=get_args(annotation)[0])
    elif origin is dict:
        yield Wanted("mapping", limits, items=get_args(annotation)[1])
    elif isinstance(annotation, type) and issubclass(annotation, Section):
        yield Wanted("section", limits, sections=(annotation,))
    else:
        yield Wanted(_PLAIN.get(annotation, "anything"), limits)


_PLAIN: dict[Any, Kind] = {
    None: "null",
    type(None): "null",
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "text",
}


def _either(words: list[str]) -> str:
    return " or ".join(part for part in (", ".join(words[:-1]), words[-1]) if part)


def _bound(value: Any, text: str) -> str:
    if value is None:
        return ""
    return text.format(int(value) if float(value).is_integer() else f"{value:g}")
