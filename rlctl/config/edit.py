"""A number put into a YAML: every other byte stays, comments, quotes and line ends included.

PyYAML's nodes say where in the text they start and end. What comes out is read again and must be the old
data but for that value; what would change more, as where an anchor lets one value serve several places, is
refused.
"""

import json
import math
import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import yaml

from rlctl.config.yaml_marks import Path, compose, parse, scalar
from rlctl.errors import ConfigError, Problem

_ANCHOR = re.compile(r"(&\S+\s*)?")
_COLON = re.compile(r"\s*:")
_COMMENT = re.compile(r"#[^\r\n]*")
_LINE_BREAK = re.compile(r"\r\n|\r|\n")
_PLAIN_KEY = re.compile(r"[A-Za-z_][\w.-]*")


def replace_value(text: str, path: Path, value: float, file: str = "the YAML") -> str:
    """`text` with a number at `path`; a key that is missing is put in, at the top of its section.

    Args:
        text: YAML, with its own line ends and byte order mark.
        path: Keys and indices from the root.
        value: The number, of which six significant digits are written.
        file: What to call the YAML in problems.

    Raises:
        ConfigError: The text is no sound YAML, the path leads to no place, or what is there serves several
            places through an anchor.
        ValueError: The number is not finite.
    """
    before = parse(text, file)
    if before.problems:
        raise ConfigError(before.problems)
    root = compose(text, file)
    if root is None or not path:
        raise _refused("the YAML is empty" if path else "no key is named", path, file, None)
    number = shortest(value)
    edited = _Edit(text, path, file, _nodes_of_several_places(root)).at(root, number)
    if not _reads_as(edited, _with_value(before.data, path, float(number)), file):
        fix = "change it by hand"
        raise _refused("it cannot be changed alone", path, file, before.lines.get(path[:1]), fix)
    return edited


def shortest(value: float) -> str:
    """A number as a person would write it, to six significant digits.

    Raises:
        ValueError: It is not finite.
    """
    if not math.isfinite(value):
        raise ValueError(f"{value} is not a finite number")
    return f"{value + 0.0:.6g}"  # a sum, because -0.0 would be written with its sign


@dataclass(frozen=True)
class _Edit:
    """One change of one text.

    Args:
        text: The YAML.
        path: Where the number belongs.
        file: What to call the YAML in problems.
        shared: `id` of the nodes that stand in several places.
    """

    text: str
    path: Path
    file: str
    shared: frozenset[int]

    def at(self, root: yaml.Node, number: str) -> str:
        """The text with `number` at the path."""
        node, key = root, None
        for depth, step in enumerate(self.path):
            self._require_alone(node)
            found = _child(node, step)
            if found is None:
                return self._insert(node, key, self.path[depth:], number)
            key, node = found
        for one in _below(node):
            self._require_alone(one)
        return self._replace(node, key, number)

    def _require_alone(self, node: yaml.Node) -> None:
        if id(node) in self.shared:
            raise _refused(
                "an anchor lets one value serve several places, so it cannot be changed alone",
                self.path,
                self.file,
                node.start_mark.line + 1,
                "write the value out where it belongs, or change it by hand",
            )

    def _replace(self, node: yaml.Node, key: yaml.Node | None, new: str) -> str:
        """Puts `new` in the place of a node. Comments within it stay, below or beside `new`."""
        start, end = _start(self.text, node), _end(self.text, node)
        gap = "" if key is None else self.text[key.end_mark.index : start]
        if start == end:
            new = f" {new}" if key is None or ":" in gap else f": {new}"
            start = end = start if key is None or ":" in gap else key.end_mark.index
        elif _is_block(node) and key is not None:
            start = _after(_COLON, self.text, key.end_mark.index)
            new = f" {new}"
        rest = self.text[end:]
        if comments := _comments(self.text, start, end, node):
            below = f"{self._line_break}{_indent(self.text, start)}  "
            new = below.join([f"{new}  {comments[0]}", *comments[1:]])
            rest = rest.lstrip(" \t")
            new += below if rest and not _LINE_BREAK.match(rest) else ""
        return f"{self.text[:start]}{new}{rest}"

    def _insert(self, node: yaml.Node, key: yaml.Node | None, steps: Path, number: str) -> str:
        """Puts the keys that are missing into the section that lacks them."""
        wrong = next((step for step in steps if not isinstance(step, str)), None)
        if wrong is not None or not (isinstance(node, yaml.MappingNode) or _is_null(node)):
            message = "there is no such list item" if wrong is not None else "it would be below a value"
            raise _refused(message, self.path, self.file, node.start_mark.line + 1)
        entry = number
        for name in reversed(steps[1:]):
            entry = f"{{{_written_key(name)}: {entry}}}"
        entry = f"{_written_key(steps[0])}: {entry}"
        if not isinstance(node, yaml.MappingNode):
            return self._replace(node, key, f"{{{entry}}}")
        return self._insert_entry(node, key, entry)

    def _insert_entry(self, node: yaml.MappingNode, key: yaml.Node | None, entry: str) -> str:
        """Puts `key: value` before the first entry of a mapping, and above the comments of that entry."""
        first = node.value[0][0].start_mark if node.value else None
        if first is None:
            at, new = _start(self.text, node) + 1, entry
        elif node.flow_style:
            at, new = first.index, f"{entry}, "
        elif key is not None and key.end_mark.line < first.line:
            at = _LINE_BREAK.search(self.text, key.end_mark.index).end()  # type: ignore[union-attr]
            new = f"{' ' * first.column}{entry}{self._line_break}"
        else:
            at, new = first.index, f"{entry}{self._line_break}{' ' * first.column}"
        return f"{self.text[:at]}{new}{self.text[at:]}"

    @property
    def _line_break(self) -> str:
        found = _LINE_BREAK.search(self.text)
        return found.group() if found else "\n"


def _nodes_of_several_places(root: yaml.Node) -> frozenset[int]:
    seen: set[int] = set()
    shared: set[int] = set()
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            shared.add(id(node))
        else:
            seen.add(id(node))
            waiting += _children(node)
    return frozenset(shared)


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [one for pair in node.value for one in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _below(node: yaml.Node) -> Iterator[yaml.Node]:
    """The node and all that is in it; only for what holds no alias to itself."""
    yield node
    for child in _children(node):
        yield from _below(child)


def _child(node: yaml.Node, step: str | int) -> tuple[yaml.Node | None, yaml.Node] | None:
    """Key and value of a mapping's entry, or an item of a list; not what `<<` brings in."""
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int):
        return (None, node.value[step]) if 0 <= step < len(node.value) else None
    if isinstance(node, yaml.MappingNode) and isinstance(step, str):
        return next(((key, value) for key, value in node.value if key.value == step), None)
    return None


def _start(text: str, node: yaml.Node) -> int:
    """Where the node starts, after its anchor."""
    return _after(_ANCHOR, text, node.start_mark.index)


def _after(pattern: re.Pattern[str], text: str, index: int) -> int:
    found = pattern.match(text, index)
    return found.end() if found else index


def _end(text: str, node: yaml.Node) -> int:
    """Where what is written of a node ends; marks of blocks are at what comes next, beyond comments."""
    if _is_block(node):
        return _end(text, _children(node)[-1])
    start, end = _start(text, node), node.end_mark.index
    return start + len(text[start:end].rstrip())


def _is_block(node: yaml.Node) -> bool:
    return isinstance(node, yaml.CollectionNode) and not node.flow_style


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == "plain" and scalar(node.value) is None


def _comments(text: str, start: int, end: int, node: yaml.Node) -> list[str]:
    """The comments of a stretch of text: what starts with # outside its scalars."""
    found: list[str] = []
    for one in _below(node):
        if isinstance(one, yaml.ScalarNode):
            found += _COMMENT.findall(text[start : max(start, _content(text, one))])
            start = max(start, one.end_mark.index)
    return [comment.rstrip() for comment in [*found, *_COMMENT.findall(text[start:end])]]


def _content(text: str, node: yaml.ScalarNode) -> int:
    """Where a scalar starts; that of `|` and `>` on the next line, as a comment may come before."""
    found = _LINE_BREAK.search(text, node.start_mark.index) if node.style in ("|", ">") else None
    return found.start() if found else int(node.start_mark.index)


def _indent(text: str, index: int) -> str:
    """The space that the line of `index` starts with."""
    line = max(text.rfind("\n", 0, index), text.rfind("\r", 0, index)) + 1
    return " " * (len(text[line:index]) - len(text[line:index].lstrip(" \ufeff")))


def _written_key(name: str | int) -> str:
    plain = _PLAIN_KEY.fullmatch(str(name)) and isinstance(scalar(str(name)), str)
    return str(name) if plain else json.dumps(name, ensure_ascii=False)


def _with_value(data: Any, path: Path, value: float) -> Any:
    """A copy of the data with `value` at `path`; the sections on the way are there, or made."""
    changed = holder = deepcopy(data)
    for step in path[:-1]:
        if isinstance(holder, dict) and holder.get(step) is None:
            holder[step] = {}
        holder = holder[step]
    holder[path[-1]] = value
    return changed


def _reads_as(text: str, data: Any, file: str) -> bool:
    try:
        found = parse(text, file)
    except ConfigError:
        return False
    return not found.problems and found.data == data


def _refused(
    message: str, path: Path, file: str, line: int | None, suggestion: str | None = None
) -> ConfigError:
    return ConfigError([Problem(message, path, file, line, suggestion)])
