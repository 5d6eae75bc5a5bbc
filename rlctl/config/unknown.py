"""What to say to a key that does not exist: where it belongs, what it is called here, what was meant."""

from functools import cache
from typing import Any

from rlctl.config import aliases
from rlctl.config.base import Section, fields_of
from rlctl.config.config import Config
from rlctl.config.shape import keys_below, root, section_name
from rlctl.config.trl_keys import OWNED, REFUSED
from rlctl.config.yaml_marks import Path
from rlctl.registry import closest, did_you_mean


def suggest(path: Path, cls: type[Section], data: Any, known_as: Path = ()) -> str:
    """What to do about the unknown key at the end of `path`.

    Args:
        path: Where the key stands in `data`.
        cls: The section that `data` was validated as.
        data: The data that hold it.
        known_as: Where `data` stand in the YAML.
    """
    key = str(path[-1])
    siblings = _siblings(path, cls, data)
    section = section_name((*known_as, *path[:-1]))
    return (
        _called(aliases.meant_in(section, key.lower()), section)
        or _belongs(key, section)
        or _called(aliases.key_answer(section, key), section)
        or _trl(key, section)
        or _passed_to_trl(key)
        or did_you_mean(key, siblings)
        or _elsewhere(key, section)
        or f"the keys here are {', '.join(siblings)}"
    )


@cache
def places() -> dict[str, list[str]]:
    """Every key of the YAML → the sections that have it."""
    found: dict[str, list[str]] = {}
    for path, _ in keys_below(Config):
        section = section_name(path[:-1])
        owners = found.setdefault(str(path[-1]), [])
        if section not in owners:
            owners.append(section)
    return found


def _siblings(path: Path, cls: type[Section], data: Any) -> list[str]:
    place, value = root(cls), data
    for step in path[:-1]:
        place, value = place.child(step, value), value[step]
    if not place.classes(value) and place.only("list"):
        place = place.child(0)
    return [name for one in place.classes(value) for name in fields_of(one)]


def _owners(key: str, section: str) -> list[str]:
    """Sections that have a key, as seen from a section; those inside `eval` are seen from `eval` alone."""
    inside = section.partition(".")[0] == "eval"
    return [one for one in places().get(key, []) if not one.startswith("rewards" if inside else "eval.")]


def _called(answer: tuple[str, str] | str | None, section: str) -> str | None:
    if not answer:
        return None
    place, _, remark = answer.partition("; ") if isinstance(answer, str) else (answer[0], "", answer[1])
    if not place:
        return remark
    if place.startswith("rewards") and section.startswith("eval.rewards"):
        place = f"eval.{place}"
    parent, _, key = place.rpartition(".")
    said = f"rlctl calls it `{key if parent == section else place}`"
    return f"{said} ({remark})" if remark else said


def _belongs(key: str, section: str) -> str | None:
    """For a key that one or two other sections have."""
    owners = [owner for owner in _owners(key, section) if owner != section]
    below = [owner for owner in owners if section and owner.startswith(f"{section}.")]
    owners = below or owners
    if not 1 <= len(owners) <= 2:
        return None
    named = " or ".join(f"`{owner}`" for owner in owners)
    return (
        f"belongs under {named}" if owners != [""] else "belongs at the top level, beside `model` and `data`"
    )


def _trl(key: str, section: str) -> str | None:
    if key in OWNED:
        return _called(OWNED[key], section)
    return REFUSED.get(key)


def _passed_to_trl(key: str) -> str | None:
    from rlctl.config import catalogue

    known = {name for kind in catalogue.algorithms() for name in catalogue.passed_through(kind)}
    return "an argument of TRL: put it under `algorithm.trl`" if key in known else None


def _elsewhere(key: str, section: str) -> str | None:
    """For a misspelt key in the wrong section."""
    meant = closest(key, [name for name in places() if len(_owners(name, section)) == 1 and len(name) > 3])
    if meant is None:
        return None
    (owner,) = _owners(meant, section)
    return f"did you mean `{owner}.{meant}`?" if owner else f"did you mean {meant!r}?"
