"""A person at the terminal: lines, and a bar with the rate where there is one. All of it goes to stderr."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rlctl.cli.output import console

if TYPE_CHECKING:
    from rlctl.evaluation.audience import Audience


@contextmanager
def audience_at_terminal(*, quiet: bool) -> Iterator["Audience"]:
    """Who is told how it goes; nobody where it is to be quiet."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from rlctl.evaluation.audience import Audience

    screen = console(stderr=True)
    if quiet:
        yield Audience()
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task = bar.add_task("", total=None, rate="")

        def progress(what: str, done: int, total: int) -> None:
            if bar.tasks[0].description != what:
                bar.reset(task, description=what)
            speed = bar.tasks[0].speed
            rate = f"{speed:,.0f}/s" if speed else ""
            bar.update(task, completed=done, total=total or None, rate=rate)

        def tell(text: str) -> None:
            screen.print(text, markup=False, highlight=False, soft_wrap=True)

        yield Audience(tell=tell, progress=progress)
