"""YAML text as plain data, with the line of every key: PyYAML's composer, YAML 1.2's scalars.

`1e-5` is a number and `no` is text, unlike YAML 1.1. Duplicate keys, NaN, infinity, tags and keys that are no
words are problems. Anchors, aliases and merge keys (`<<: *name`; own keys win) mean what they mean elsewhere.
"""

import math
import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from rlctl.config.yaml_errors import explain_syntax
from rlctl.errors import ConfigError, Problem

Path = tuple[str | int, ...]

_MAX_VALUES = 100_000
_MAX_DEPTH = 40
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


@dataclass
class Document:
    """One YAML document.

    Args:
        data: Mappings, lists, text, numbers, booleans and None.
        lines: Path of each value → the line of its key (or of the list item), counted from 1.
        problems: What is wrong with single keys and values; `data` is without them.
    """

    data: Any
    lines: dict[Path, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def parse(text: str, file: str) -> Document:
    """The one document that `text` holds.

    Args:
        text: YAML.
        file: What to call it in problems.

    Raises:
        ConfigError: The text is not YAML, or holds several documents.
    """
    root = compose(text, file)
    builder = _Builder(file)
    try:
        data = None if root is None else builder.build(root, ())
    except RecursionError:
        raise _error(file, 1, "nested too deeply", None) from None
    return Document(data, builder.lines, builder.problems)


def compose(text: str, file: str) -> yaml.Node | None:
    """The nodes of the one document that `text` holds, with their places; None where it holds nothing.

    Args:
        text: YAML.
        file: What to call it in problems.

    Raises:
        ConfigError: The text is not YAML, or holds several documents.
    """
    bad = yaml.reader.Reader.NON_PRINTABLE.search(text)
    if bad:
        line = text.count("\n", 0, bad.start()) + 1
        raise _error(
            file, line, f"a character that YAML does not allow (U+{ord(bad.group()):04X})", "remove it"
        )
    try:
        root: yaml.Node | None = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        line, message, fix = explain_syntax(error, text.splitlines())
        raise _error(file, line, message, fix) from None
    except RecursionError:
        raise _error(file, 1, "nested too deeply", None) from None
    return root


def scalar(text: str) -> Any:
    """What unquoted `text` stands for in YAML 1.2: None, a boolean, a number, or the text itself."""
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if _INT.fullmatch(text):
        return _integer(text)
    if _FLOAT.fullmatch(text) or _NOT_FINITE.fullmatch(text):
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    return text


def _integer(text: str) -> int | float:
    digits = text.lstrip("+-")
    if len(digits) > 300:
        return math.inf
    base = {"0o": 8, "0x": 16}.get(digits[:2], 10)
    return int(text, base)


class _Loader(yaml.SafeLoader):
    """Composes with tags of its own, so that a tag written in the file can be told from a resolved one."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> str:
        plain = kind is yaml.ScalarNode and implicit[0]
        return "plain" if plain else "given"


class _Builder:
    """Turns nodes into data, and remembers where each value came from."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.lines: dict[Path, int] = {}
        self.problems: list[Problem] = []
        self._open: list[yaml.Node] = []
        self._values = 0

    def build(self, node: yaml.Node, path: Path) -> Any:
        line = _line(node)
        self.lines.setdefault(path, line)
        self._values += 1
        if self._values > _MAX_VALUES:
            raise _error(self.file, line, f"more than {_MAX_VALUES:,} values, aliases spelled out", None)
        if len(path) > _MAX_DEPTH or node in self._open:
            raise _error(self.file, line, "nested too deeply, or an alias that contains itself", None)
        if node.tag not in ("plain", "given"):
            short = node.tag.replace("tag:yaml.org,2002:", "!!")
            fix = (
                f"put it in quotes: '{short}'" if short.startswith("!=") else "write the value without a tag"
            )
            self._problem(path, line, f"the tag `{short}` is not used here", fix)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        self._open.append(node)
        try:
            if isinstance(node, yaml.SequenceNode):
                return [self.build(item, (*path, i)) for i, item in enumerate(node.value)]
            return self._mapping(node, path)
        finally:
            self._open.pop()

    def _scalar(self, node: yaml.Node, path: Path) -> Any:
        value = scalar(node.value) if node.tag == "plain" else node.value
        if isinstance(value, float) and not math.isfinite(value):
            self._problem(
                path, _line(node), f"{_cut(node.value)} is not a finite number", "give a finite number"
            )
            return None
        if isinstance(value, str) and re.search("[\ud800-\udfff]", value):
            self._problem(
                path, _line(node), "half of a surrogate pair is not a character", "write the character itself"
            )
            return None
        return value

    def _mapping(self, node: yaml.Node, path: Path) -> dict[str, Any]:
        result: dict[str, Any] = {}
        merged: list[yaml.Node] = []
        for key_node, value_node in node.value:
            if key_node.value == "<<" and key_node.tag == "plain":
                merged.append(value_node)
                continue
            key = self._key(key_node, path)
            if key is None:
                continue
            if key in result:
                first = self.lines[(*path, key)]
                message = f"given twice, first in line {first}"
                self._problem((*path, key), _line(key_node), message, "keep one of them")
                continue
            self.lines[(*path, key)] = _line(key_node)
            result[key] = self.build(value_node, (*path, key))
        for value_node in merged:
            self._merge(value_node, path, result)
        return result

    def _merge(self, node: yaml.Node, path: Path, result: dict[str, Any]) -> None:
        """Adds the keys of `<<: *name` or `<<: [*a, *b]` that are not there yet."""
        for source in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            if not isinstance(source, yaml.MappingNode) or source in self._open:
                message = "`<<` takes a mapping that has an anchor"
                self._problem((*path, "<<"), _line(node), message, "write `<<: *name`")
                continue
            self._open.append(source)
            saved = dict(self.lines)
            for key, value in self._mapping(source, path).items():
                if key not in result:
                    result[key] = value
            self.lines.update(saved)
            self._open.pop()

    def _key(self, node: yaml.Node, path: Path) -> str | None:
        if not isinstance(node, yaml.ScalarNode):
            self._problem(
                path, _line(node), "a key must be a word, not a list or a section", "quote it if it is text"
            )
            return None
        value = scalar(node.value) if node.tag == "plain" else node.value
        if not isinstance(value, str):
            shown = _cut(node.value) or "(empty)"
            self._problem(path, _line(node), f"the key {shown} is not text", "put it in quotes")
            return None
        if glued := re.match(r"([\w-]+):([\[{])", value):
            word, bracket = glued.groups()
            self._problem(
                (*path, word), _line(node), "no space after the colon", f"write `{word}: {bracket}`"
            )
            return None
        if not value.isprintable():
            self._problem(
                path, _line(node), f"the key {_cut(repr(value))} holds a character that cannot be printed"
            )
            return None
        return value

    def _problem(self, path: Path, line: int, message: str, suggestion: str | None = None) -> None:
        self.problems.append(Problem(message, path, self.file, line, suggestion))


def _error(file: str, line: int, message: str, suggestion: str | None) -> ConfigError:
    return ConfigError([Problem(message, (), file, line, suggestion)])


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _cut(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."
