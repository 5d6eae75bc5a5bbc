"""What PyYAML complains of, in one plain sentence at the line where the cause is."""

import re

import yaml

_SYNTAX: list[tuple[str, str, str]] = [
    (r"character '\\t'", "a tab where YAML wants spaces", "replace the tab with spaces"),
    (r"character '([@`%&*!|>])'", "a value cannot start with {0}", "put the value in quotes"),
    (r"a block scalar", "a value cannot start with > or |", "put the value in quotes"),
    (
        r"mapping values are not allowed",
        "a second `: ` in one line, or a wrong indentation",
        "indent keys of one section alike; quote a value that contains `: `",
    ),
    (
        r"could not find expected ':'",
        "this is no `key: value`",
        "write `key: value`, with a space after the colon",
    ),
    (
        r"expected <block end>, but found '-'",
        "a list item at a place where no list can be",
        "indent all items of a list alike",
    ),
    (
        r"expected <block end>, but found '<scalar>'",
        "text after a closing quote",
        "put the whole value in one pair of quotes; double a quote inside single ones: 'it''s'",
    ),
    (r"found '([\]}}])'", "a `{0}` that nothing opens", "remove it"),
    (
        r"expected <block end>",
        "the indentation does not fit the lines above",
        "indent keys of one section alike",
    ),
    (r"end of stream|document separator", "the quote opened here is never closed", "close the quote"),
    (r"expected ',' or '\}'", "the `{{` opened here is not closed, or a comma is missing", "close it: `}}`"),
    (r"expected ',' or '\]'", "the `[` opened here is not closed, or a comma is missing", "close it: `]`"),
    (r"flow .*found '<stream end>'", "the `{{` or `[` opened here is not closed", "close it"),
    (r"sequence entries are not allowed", "a `-` that starts no list", "put the list on lines of its own"),
    (
        r"undefined alias '?([^']*)'?",
        "`*{0}` stands for nothing: there is no `&{0}` above",
        "define it, or quote the text",
    ),
    (r"duplicate anchor '?([^']*)'?", "the anchor `&{0}` is defined twice", "rename one of them"),
    (
        r"expected a single document",
        "a second document starts here",
        "one YAML describes one run; remove the `---`",
    ),
    (
        r"unknown escape character '(.*)'",
        "`\\{0}` is no escape sequence",
        "use single quotes around text with backslashes",
    ),
]
"""What PyYAML says → what is wrong → what to do; the first that fits."""
_OPENED = r"end of stream|document separator|expected ',' or|could not find expected|stream end"


def explain_syntax(error: yaml.MarkedYAMLError, lines: list[str]) -> tuple[int, str, str | None]:
    """The line where the cause is, what is wrong there, and what to do.

    Args:
        error: What PyYAML raised.
        lines: The text, line by line.
    """
    said = f"{error.context or ''} {error.problem or ''}"
    at_opening = re.search(_OPENED, said) and error.context_mark
    mark = error.context_mark if at_opening else (error.problem_mark or error.context_mark)
    line = mark.line + 1 if mark else 1
    if "mapping values are not allowed" in said and (above := _above(lines[:line])):
        return above
    for pattern, message, suggestion in _SYNTAX:
        found = re.search(pattern, said)
        if found:
            return line, message.format(*found.groups()), suggestion.format()
    return line, f"not YAML: {said.strip()}", None


def _above(lines: list[str]) -> tuple[int, str, str] | None:
    """What is wrong above the last of `lines`, where that is a sound `key: value` itself."""
    written = [
        (i, one) for i, one in enumerate(lines, start=1) if one.strip() and not one.lstrip().startswith("#")
    ]
    if len(written) < 2 or not re.fullmatch(r"\s*[\w-]+:(\s(?!.*: ).*)?", written[-1][1]):
        return None
    (number, above), (last, text) = written[-2:]
    if not re.search(r":(\s|$)", above):
        return number, "this is no `key: value`", "write `key: value`, with a space after the colon"
    key = re.match(r"\s*(?:- )?([\w-]+):\s+[^\s#]", above)
    if key and len(text) - len(text.lstrip()) > len(above) - len(above.lstrip()):
        message = f"indented below `{key[1]}`, which has a value already"
        return last, message, "remove the value, or indent this line like the one above"
    return None
