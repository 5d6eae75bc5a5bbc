"""A value that may not stand where it stands: what is wrong with it, and how it should be written."""

from collections.abc import Iterable
from typing import Any

from rlctl.config import aliases
from rlctl.config.base import fields_of
from rlctl.config.shape import NOUNS, Kind, Place, Wanted, choices_of, section_name
from rlctl.config.yaml_marks import Path, scalar
from rlctl.registry import did_you_mean

Said = tuple[str, str | None]
"""What is wrong, and what to do."""
LATER = ("sft", "ppo", "dpo", "reward_model", "diffusion_grpo", "autoencoder", "latent_diffusion")
"""Algorithms that rlctl is made for and that this version may not have yet."""
CONDITIONS = ("gate", "pass")
"""Keys that hold names of components and conditions on their scores."""
_KINDS: tuple[tuple[type, Kind], ...] = (
    (type(None), "null"),
    (bool, "boolean"),
    (int, "integer"),
    (float, "number"),
    (str, "text"),
    (list, "list"),
    (dict, "mapping"),
)


def wrong_value(path: Path, value: Any, place: Place) -> Said:
    """What is wrong with a value that may not stand at a place, and what to write.

    Args:
        path: Where it stands in the YAML.
        value: The value.
        place: What may stand there.
    """
    name = section_name(path)
    if name == "algorithm.type":
        return _algorithm(value, place)
    choice = place.only("choice")
    if choice and (isinstance(value, str) or aliases.value_answer(name, value)):
        return _no_choice(name, value, choice, place)
    for wanted in place.wanted:
        if fault := _fault(value, wanted):
            return fault
    return _wrong_kind(path, value, place)


def _algorithm(value: Any, place: Place) -> Said:
    has = types_at(place) or (place.only("choice") or Wanted("choice")).choices
    listed = f"this version has {_names(has)}"
    if value in LATER:
        return f"{value!r} is not available in this version", listed
    meant = aliases.value_answer("algorithm.type", value)
    hint = f"write `{meant}`" if meant else did_you_mean(value, has) if isinstance(value, str) else None
    return f"{shown(value)} is no algorithm", f"{hint} ({listed})" if hint else listed


def _no_choice(name: str, value: Any, choice: Wanted, place: Place) -> Said:
    """A word, or a value that another tool would take, where only some words may stand."""
    meant = aliases.value_answer(name, value)
    words = [str(one) for one in choice.choices]
    rest = [one.describe() for one in place.wanted if one.kind not in ("choice", "null")]
    message = f"{shown(value)} is not one of {', '.join(words)}"
    if rest:
        message = f"{shown(value)} is neither {', '.join(words)} nor {', nor '.join(rest)}"
    if meant:
        return message, f"write `{meant}`"
    key = next((one.only_key for one in place.wanted if one.only_key), None)
    if key and value == key:
        return message, f"give it a value: `{{{key}: ...}}`"
    return message, did_you_mean(value, words) or _unquoted(value, place)


def _fault(value: Any, wanted: Wanted) -> Said | None:
    """What is wrong with a value of the right kind (size, length, form); None where the kind is wrong."""
    if kind_of(value) != wanted.kind and not (wanted.kind == "number" and kind_of(value) == "integer"):
        return None
    if wanted.kind in ("integer", "number"):
        return f"must be {wanted.bounds()}, not {shown(value)}", None
    if wanted.kind == "text" and wanted.limit("pattern") and value:
        return f"{shown(value)} holds a character that is not allowed here", _form(wanted.limit("pattern"))
    if wanted.kind in ("text", "list", "mapping"):
        return (f"{shown(value)} must be {wanted.bounds()}", None) if value else ("is empty", "give a value")
    return None


def _form(pattern: str) -> str:
    signs = [f", `{sign}`" for sign in "._-" if sign in pattern.rpartition("[")[2]]
    first = "a letter or a digit" if pattern.startswith("^[A-Za-z0-9]") else "a letter"
    return f"use letters, digits{''.join(signs)}, and begin with {first}"


def _wrong_kind(path: Path, value: Any, place: Place) -> Said:
    """A value of another kind than any that may stand here."""
    wanted = [one for one in place.wanted if one.kind != "null"] or [Wanted("anything")]
    nouns = " or ".join(dict.fromkeys(_noun(one) for one in wanted))
    if value is None:
        optional = "or leave the key out" if len(path) > 1 else "or leave it out"
        return "is empty", f"give {nouns}, {optional}"
    what = "" if isinstance(value, bool) else f"{_what(value)}, "
    return f"{shown(value)} is {what}not {nouns}", _rewrite(path, value, place)


def _noun(wanted: Wanted) -> str:
    if wanted.kind == "list":
        inner = _items(wanted)
        return "a list of sections" if inner.only("section") else "a list"
    return (
        wanted.describe() if wanted.kind == "choice" or wanted.only_key else NOUNS.get(wanted.kind, "a value")
    )


def _items(wanted: Wanted) -> Place:
    """The place of what a list holds."""
    return Place((wanted,)).child(0)


def _rewrite(path: Path, value: Any, place: Place) -> str | None:
    """The same value as it should be written."""
    if isinstance(value, str):
        return _unquoted(value, place) or _as_section(path, value, place)
    if len(path) > 1 and path[-2] in CONDITIONS and isinstance(value, int | float):
        return f"write a comparison such as '>={shown(value)}'"
    if place.only("text") and isinstance(value, int | float):
        return f"put it in quotes: '{shown(value)}'"
    if place.only("integer") and isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return f"write {int(value)}"
    if place.only("section") and value is True and not any(one.only_key for one in place.wanted):
        return f"write `{path[-1]}: {{}}` for the defaults" if path else None
    if place.only("list") and isinstance(value, dict):
        return "begin each item with `- `"
    if place.only("list") and not isinstance(value, list):
        return f"write `[{shown(value)}]`"
    if place.only("section") and isinstance(value, list):
        listed = next((name for name, one in _fields(place) if one.only("list")), None)
        return f"put the list under `{section_name(path)}.{listed}`" if listed and path else None
    return None


def _unquoted(text: str, place: Place) -> str | None:
    """What to do with text that looks like the number, boolean or nothing that may stand here."""
    kinds = {one.kind for one in place.wanted}
    plain = scalar(text.strip())
    if kind_of(plain) in kinds or (kind_of(plain) == "integer" and "number" in kinds):
        return "remove the quotes"
    if number := _repaired(text, kinds):
        return number
    if "boolean" in kinds and text.lower() in ("yes", "on", "y", "no", "off", "n", "true", "false"):
        return "write true" if text.lower() in ("yes", "on", "y", "true") else "write false"
    return "write null" if "null" in kinds and text.lower() in ("none", "nil") else None


def _repaired(text: str, kinds: set[Kind]) -> str | None:
    """`1_000`, `0,1`, `1,000`, `10%` and `1f` as the numbers that they stand for."""
    for candidate in (
        text.replace("_", ""),
        text.replace(",", "."),
        text.replace(",", ""),
        text.rstrip("%f"),
    ):
        number = scalar(candidate.strip())
        if kind_of(number) in kinds or (kind_of(number) == "integer" and "number" in kinds):
            return f"write {float(number) / 100:g}" if "%" in text else f"write {candidate.strip()}"
    return None


def _as_section(path: Path, text: str, place: Place) -> str | None:
    """A word where a section is wanted: the section that it probably stands for."""
    listed = place.only("list")
    if listed and not place.only("section"):
        inner = _items(listed)
        return _as_section(path, text, inner) if inner.only("section") else f"write `[{text}]`"
    if place.only("mapping"):
        return "write `{NAME: '>=1'}`" if path[-1] in CONDITIONS else "write `{key: value}`"
    if not path or not place.only("section"):
        return None
    for key in ("type", "path"):
        if any(name == key for name, _ in _fields(place)):
            return f"write `{{{key}: {text}}}`"
    return None


def _fields(place: Place) -> list[tuple[str, Place]]:
    return [(name, place.child(name)) for cls in place.classes() for name in fields_of(cls)]


def types_at(place: Place) -> list[str]:
    """Values of `type` that choose between the sections of a place."""
    return [str(one) for cls in place.classes() for one in choices_of(cls, "type")]


def type_place(place: Place) -> Place:
    """The place of the key `type` in a section that it chooses."""
    return Place((Wanted("choice", choices=tuple(types_at(place))),))


def _names(words: Iterable[Any]) -> str:
    return ", ".join(str(word) for word in words)


def example(path: Path, place: Place) -> str:
    """A missing key as it could be written."""
    choice = place.only("choice")
    if choice:
        return f"`{path[-1]}: {choice.choices[0]}`" + (" or another" if len(choice.choices) > 1 else "")
    section = place.only("section")
    if section and len(section.sections) == 1:
        required = [name for name, one in fields_of(section.sections[0]).items() if one.is_required()]
        return f"`{path[-1]}: {{{', '.join(f'{name}: ...' for name in required)}}}`"
    nouns = " or ".join(_noun(one) for one in place.wanted if one.kind != "null")
    return f"`{path[-1]}:` and {nouns}"


def kind_of(value: Any) -> str:
    """The sort of a value, in the words of `shape.Kind`."""
    return next((name for cls, name in _KINDS if isinstance(value, cls)), "anything")


def _what(value: Any) -> str:
    return {"mapping": "a section", "anything": f"a {type(value).__name__}"}.get(
        kind_of(value), NOUNS.get(kind_of(value), "a value")
    )


def shown(value: Any) -> str:
    """A value as it stands in the YAML, cut to what fits a line."""
    match kind_of(value):
        case "list":
            return "[...]" if value else "[]"
        case "mapping":
            return "{...}" if value else "{}"
        case "text":
            return _yaml(value)
        case _:
            text = str(value)
            text = text.lower() if isinstance(value, bool) else "null" if value is None else text
            return text if len(text) <= 40 else text[:37] + "..."


def _yaml(text: str) -> str:
    return repr(text) if len(text) <= 60 else repr(text[:57] + "...")
