"""Prompt templates: `Question: {question}`, names of columns in braces. Torch-free, for `rlctl check`."""

from collections.abc import Iterable, Mapping
from string import Formatter
from typing import Any

from rlctl.errors import DataError
from rlctl.registry import did_you_mean

WHERE = "data.prompt_template"


def template_columns(template: str) -> list[str]:
    """The columns that a template names, each once, in their order.

    Raises:
        DataError: The braces do not match, or a placeholder holds more than a name.
    """
    return list(dict.fromkeys(name for _, name in _parts(template) if name is not None))


def check_columns(template: str, known: Iterable[str]) -> None:
    """Raise DataError unless the template names columns, all of them known."""
    known = list(known)
    names = template_columns(template)
    if not names:
        hint = f"name one in braces; columns are {', '.join(known)}"
        raise DataError("no column in it, so every prompt would be the same", where=WHERE, hint=hint)
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known) or f"columns are {', '.join(known)}"
            hint += "; a brace that stands for itself is doubled: {{"
            raise DataError(f"no column {name!r}", where=WHERE, hint=hint)


def fill(template: str, columns: Mapping[str, list[Any]], where: str) -> list[str]:
    """The template with the values of every row.

    Args:
        template: Text with `{column}` in it.
        columns: Name → values, equally long; at least those that the template names.
        where: The source, for errors.

    Raises:
        DataError: A value is neither text nor a number; the row is named.
    """
    parts = _parts(template)
    used = {name: _texts(name, columns[name], where) for name in template_columns(template)}
    rows = len(next(iter(columns.values())))
    return [
        "".join(literal + (used[name][row] if name is not None else "") for literal, name in parts)
        for row in range(rows)
    ]


def _parts(template: str) -> list[tuple[str, str | None]]:
    """Literal text, each with the column that follows it."""
    try:
        parts = list(Formatter().parse(template))
    except ValueError as error:
        hint = "a brace that stands for itself is doubled: {{ and }}"
        raise DataError(f"braces do not match ({error})", where=WHERE, hint=hint) from error
    for _, name, spec, conversion in parts:
        if name == "" or spec or conversion:
            found = (name or "") + (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "")
            hint = "a placeholder is {column}; a brace that stands for itself is doubled: {{ and }}"
            raise DataError(f"{{{found}}} is no placeholder", where=WHERE, hint=hint)
    return [(literal, name) for literal, name, _, _ in parts]


def _texts(name: str, values: list[Any], where: str) -> list[str]:
    for row, value in enumerate(values, start=1):
        if not isinstance(value, str | int | float):
            kind = "nothing" if value is None else f"a {type(value).__name__}"
            raise DataError(f"row {row}: column {name!r}, which the prompt needs, holds {kind}", where=where)
    return [str(value) for value in values]
