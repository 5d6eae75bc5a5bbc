"""`rlctl list`: what can be named in a YAML, read from the registry and the sections themselves."""

from collections.abc import Callable, Collection
from importlib import import_module
from typing import TYPE_CHECKING, Any

from rlctl import registry
from rlctl.cli.output import print_columns, print_json, print_lines
from rlctl.errors import UsageError

if TYPE_CHECKING:
    from rlctl.config.base import Section


def run(kind: str, *, as_json: bool, verbose: bool) -> None:
    """Print one kind of names.

    Raises:
        UsageError: There is no such kind.
    """
    if kind not in KINDS:
        hint = registry.did_you_mean(kind, KINDS) or f"there is {', '.join(KINDS)}"
        raise UsageError(f"nothing to list under {kind!r}", hint=hint)
    found = KINDS[kind]()
    if as_json:
        print_json({kind: found})
    elif verbose:
        _print_in_full(found)
    else:
        print_columns([(name, _one_line(entry)) for name, entry in found.items()], indent=0)
        if kind == "rewards":
            print_lines("", f"Every reward also takes {', '.join(_common())}.")


def rewards() -> dict[str, Any]:
    """Reward types; the keys that every one of them has are left out."""
    return {
        name: _section(registry.load(target), leave_out={"type", *_common()})
        for name, target in registry.names("rewards").items()
    }


def algorithms() -> dict[str, Any]:
    """Algorithm types, with what their `trl` takes."""
    from rlctl.config import catalogue
    from rlctl.config.schema import as_yaml

    found = {}
    for name, target in registry.names("algorithms").items():
        found[name] = _section(registry.load(target), leave_out={"type"})
        if name in catalogue.algorithms():
            found[name]["trl"] = {
                argument: {
                    "type": catalogue.kind(entry),
                    "default": as_yaml(entry["default"]),
                    "description": entry["help"],
                }
                for argument, entry in catalogue.passed_through(name).items()
            }
    return found


def datasets() -> dict[str, Any]:
    """Built-in datasets, by the name that `path` takes."""
    return {
        f"builtin:{name}": _section(registry.load(target))
        for name, target in registry.names("datasets").items()
    }


def models() -> dict[str, Any]:
    """Built-in models, by the name that `path` takes."""
    return {
        f"builtin:{name}": {"description": _first_line(import_module(target).__doc__), "parameters": {}}
        for name, target in registry.names("models").items()
    }


def templates() -> dict[str, Any]:
    """Templates of `rlctl init`."""
    from rlctl.cli.init import templates as known

    return {name: {"description": text, "parameters": {}} for name, text in known().items()}


KINDS: dict[str, Callable[[], dict[str, Any]]] = {
    "rewards": rewards,
    "algorithms": algorithms,
    "models": models,
    "datasets": datasets,
    "templates": templates,
}


def _common() -> list[str]:
    from rlctl.config.component import Component

    return [name for name in Component.model_fields if name != "type"]


def _section(section: "type[Section]", leave_out: Collection[str] = ()) -> dict[str, Any]:
    from rlctl.config.schema import keys

    return {
        "description": _first_line(section.__doc__),
        "parameters": {
            key.name: {
                "type": key.kind,
                "required": key.default is None,
                "default": key.default,
                "description": key.description,
            }
            for key in keys(section)
            if key.name not in leave_out
        },
    }


def _one_line(entry: dict[str, Any]) -> str:
    parameters = [
        name if value["required"] else f"{name}={value['default']}"
        for name, value in entry["parameters"].items()
    ]
    return f"{entry['description']} ({', '.join(parameters)})" if parameters else entry["description"]


def _print_in_full(found: dict[str, Any]) -> None:
    for name, entry in found.items():
        print_lines(name, f"  {entry['description']}")
        print_columns([(key, _in_full(value)) for key, value in entry["parameters"].items()], indent=4)
        if "trl" in entry:
            print_lines("  Under `trl`:")
            print_columns([(key, _in_full(value)) for key, value in entry["trl"].items()], indent=4)
        print_lines("")


def _in_full(value: dict[str, Any]) -> str:
    default = "required" if value.get("required") else f"default {value['default']}"
    return f"{value['type']}; {default}. {value['description']}"


def _first_line(text: str | None) -> str:
    return (text or "").strip().partition("\n")[0]
