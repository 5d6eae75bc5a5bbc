"""What goes to stdout. With --json that is one document; all that else writes there goes to stderr."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console


def print_json(document: Any) -> None:
    """The one JSON document of a command."""
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False))


def print_lines(*lines: str) -> None:
    """Lines of plain text."""
    for line in lines:
        typer.echo(line)


@contextmanager
def stdout_kept_for(as_json: bool) -> Iterator[None]:
    """Send what libraries and child processes print to stderr while a JSON document is being made."""
    if not as_json:
        yield
        return
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def console(*, stderr: bool = False) -> "Console":
    """A rich console: colours and wrapping in a terminal, plain unbroken lines elsewhere."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False)


def print_columns(rows: list[tuple[str, str]], *, indent: int = 2) -> None:
    """Names and what they mean: two columns in a terminal, one line each elsewhere."""
    width = max((len(name) for name, _ in rows), default=0)
    if not sys.stdout.isatty():
        print_lines(*(f"{'':{indent}}{name:{width}}  {text}".rstrip() for name, text in rows))
        return
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in rows:
        table.add_row(Text(" " * indent + name), Text(text))
    console().print(table)
