"""`--set KEY=VALUE`: a dotted path with list indices, and a value in YAML, put over what the file says."""

import re
from dataclasses import dataclass
from typing import Any

from rlctl.config.base import FromCommandLine
from rlctl.config.yaml_marks import Document, Path, parse
from rlctl.errors import ConfigError, Problem, dotted
from rlctl.rewards import conditions

_STEP = re.compile(r"(?:^|\.)([^.\[\]]+)|\[(\d+)\]")


@dataclass(frozen=True)
class Override:
    """One `KEY=VALUE`.

    Args:
        text: As it was given.
        path: Its key; indices are numbers.
        value: Its value; text in it is marked as coming from the command line.
    """

    text: str
    path: Path
    value: Any

    @property
    def place(self) -> str:
        """What stands for a file name in problems."""
        return _place(self.text)


def read_override(text: str) -> Override:
    """Parse `KEY=VALUE`.

    Raises:
        ConfigError: It is none, or its value is not YAML.
    """
    place = _place(text)
    key, equals, written = text.partition("=")
    path = _path(key.strip())
    if not equals or path is None:
        message = "not KEY=VALUE" if not equals else f"{key.strip()!r} is no key"
        raise ConfigError([_problem(place, (), message, "write e.g. `--set training.max_steps=10`")])
    if _is_condition(written):  # YAML would take the `>` of `pass.correct=>1` for something else
        return Override(text, path, FromCommandLine(written.strip()))
    try:
        document = parse(written, place)
    except ConfigError as error:
        found = error.problems[0]
        raise ConfigError([_problem(place, path, found.message, found.suggestion)]) from None
    if document.problems:
        raise ConfigError(
            [_problem(place, path + p.path, p.message, p.suggestion) for p in document.problems]
        )
    return Override(text, path, _marked(document.data))


def put(override: Override, document: Document) -> None:
    """Put a value over the document's, in place; missing sections are made.

    Raises:
        ConfigError: The path leads through a number or text, or to a list item that does not exist.
    """
    if document.data is None:
        document.data = {}
    holder = document.data
    for i, step in enumerate(override.path):
        _check_step(holder, step, override, i)
        if i + 1 == len(override.path):
            holder[step] = override.value
        elif isinstance(step, str) and holder.get(step) is None:
            holder[step] = {}
        holder = holder[step]
    depth = len(override.path)
    document.lines = {p: line for p, line in document.lines.items() if p[:depth] != override.path}
    document.problems = [p for p in document.problems if p.path[:depth] != override.path]


def _check_step(holder: Any, step: str | int, override: Override, depth: int) -> None:
    """Whether `holder`, reached after `depth` steps, has room for a key or an index."""
    reached = override.path[:depth]
    here = f"`{dotted(reached)}`" if reached else "the YAML"
    if isinstance(holder, dict) and isinstance(step, str):
        return
    if isinstance(holder, list) and isinstance(step, int):
        if step < len(holder):
            return
        last = f"the last index is {len(holder) - 1}" if holder else "it is empty"
        raise ConfigError([_problem(override.place, override.path, f"{here} has no item {step}", last)])
    if isinstance(holder, list):
        fix = f"give an index: `{dotted((*reached, 0, step))}`"
        message = f"{here} is a list"
    elif isinstance(holder, dict):
        fix, message = "leave the index out", f"{here} is a section, not a list"
    else:
        fix, message = f"set {here} itself", f"{here} holds a value, not a section"
    raise ConfigError([_problem(override.place, override.path, message, fix)])


def _place(text: str) -> str:
    """The override on one line, whatever it holds."""
    return "--set " + "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)


def _path(key: str) -> Path | None:
    steps: list[str | int] = []
    end = 0
    for found in _STEP.finditer(key):
        if found.start() != end:
            return None
        name, index = found.groups()
        steps.append(int(name or index) if index or re.fullmatch(r"[0-9]{1,6}", name) else name)
        end = found.end()
    return tuple(steps) if steps and end == len(key) and key.isprintable() else None


def _is_condition(text: str) -> bool:
    try:
        conditions.parse(text)
    except ValueError:
        return False
    return True


def _marked(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _marked(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_marked(one) for one in value]
    return FromCommandLine(value) if isinstance(value, str) else value


def _problem(place: str, path: Path, message: str, suggestion: str | None) -> Problem:
    return Problem(message, path, place, None, suggestion)
