"""How reports in the terminal are laid out: headings, labels with text, columns of figures."""

from collections.abc import Iterable
from typing import Literal

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text


def heading(text: str, more: str = "") -> Text:
    """What a section is about, and a word on it."""
    return Text.assemble((text, "bold"), more)


def pairs(rows: Iterable[tuple[str, str | Text]]) -> Table:
    """Labels and what they say, which is broken below itself."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for label, text in rows:
        table.add_row(Text(f"  {label}"), Text(text) if isinstance(text, str) else text)
    return table


def columns(*names: str, left: tuple[int, ...] = (0,)) -> Table:
    """A table that is yet to be filled.

    Args:
        names: Heads of its columns.
        left: Places of the columns that hold words; figures stand at the right.
    """
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="")
    for i, name in enumerate(names):
        side: Literal["left", "right"] = "left" if i in left else "right"
        # Rich gives an empty column a width of 1, but measures 0, and another one would be cut.
        table.add_column(
            Text(name, "italic"), justify=side, overflow="fold", min_width=1, no_wrap=side == "right"
        )
    return table


def indented(what: RenderableType) -> Padding:
    """The same, two characters to the right."""
    return Padding(what, (0, 0, 0, 2), expand=False)
