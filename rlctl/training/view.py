"""What a person sees of a run: a live view in a terminal, plain lines elsewhere, nothing with --quiet."""

from collections import deque
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

SPARK = "▁▂▃▄▅▆▇█"
SHOWN = (
    ("train/reward", "reward", "{:.3f}"),
    ("train/reward_std", "std", "{:.3f}"),
    ("train/invalid_fraction", "invalid", "{:.1%}"),
    ("train/not_applicable_fraction", "not applicable", "{:.1%}"),
    ("train/failed_fraction", "failed", "{:.1%}"),
    ("train/dead_group_fraction", "dead groups", "{:.0%}"),
    ("train/kl_div", "KL", "{:.4f}"),
    ("train/entropy", "entropy", "{:.3f}"),
    ("train/completion_length", "tokens", "{:.1f}"),
    ("train/repetition_fraction", "repetition", "{:.1%}"),
    ("train/learning_rate", "learning rate", "{:.1e}"),
    ("perf/tokens_per_second", "tokens/s", "{:.0f}"),
)
"""Metric, its label and format, in the order of the screen."""


class View:
    """Prints a run as it goes.

    Args:
        console: Where to print; stderr where stdout belongs to JSON.
        quiet: Print nothing but errors.
    """

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        self.console = console
        self.quiet = quiet
        self.total = 0
        self.live: Live | None = None
        self.progress: Progress | None = None
        self.rewards: deque[float] = deque(maxlen=60)
        self.components: list[str] = []

    def notice(self, text: str) -> None:
        """A line above the progress."""
        self._print(text, markup=False, highlight=False, soft_wrap=True)

    def begin(
        self, total: int, components: list[str], *, done: int = 0, rewards: Iterable[tuple[int, float]] = ()
    ) -> None:
        """The first step is about to run; of a run that goes on, the one after `done`."""
        self.total, self.components = total, components
        self.rewards.extend(reward for _, reward in rewards)
        if self.quiet or not self.console.is_terminal:
            return
        self.progress = Progress(
            TextColumn("step {task.completed}/{task.total}"),
            BarColumn(bar_width=None),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("so far,"),
            TimeRemainingColumn(),
            TextColumn("left"),
            expand=True,
        )
        self.progress.add_task("steps", total=total, completed=done)
        self.live = Live(Group(self.progress), console=self.console, refresh_per_second=4, transient=True)
        self._try(self.live.start)

    def advance(self, step: int) -> None:
        """A step is done."""
        if self.progress is not None:
            self.progress.update(self.progress.task_ids[0], completed=step)

    def step(self, step: int, metrics: dict[str, Any]) -> None:
        """Metrics of a step were logged."""
        if metrics.get("train/reward") is not None:
            self.rewards.append(metrics["train/reward"])
        if self.quiet:
            return
        if self.live is not None and self.progress is not None:
            self._try(self.live.update, Group(self.progress, self._table(metrics)))
        else:
            self._print(self.line(step, metrics), markup=False, highlight=False, soft_wrap=True)

    def line(self, step: int, metrics: dict[str, Any]) -> str:
        """One step as one line of text."""
        parts = [f"step {step}/{self.total}"]
        parts += [
            f"{label} {form.format(metrics[key])}" for key, label, form in SHOWN if _shown(key, metrics)
        ]
        parts += [f"{name} {value:.3f}" for name, value in self._parts(metrics)]
        return "  ".join(parts)

    def end(self) -> None:
        """No more steps; leave the terminal as it was."""
        if self.live is not None:
            self._try(self.live.stop)
            self.live = self.progress = None

    def table(self, title: str, columns: list[str], rows: list[list[str]]) -> None:
        """A small table: first column left, the others right."""
        if self.quiet:
            return
        table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
        for place, column in enumerate(columns):
            table.add_column(column, justify="right" if place else "left")
        for row in rows:
            table.add_row(*row)
        self._print(table)

    def _print(self, *content: Any, **how: Any) -> None:
        if not self.quiet:
            self._try(self.console.print, *content, **how)

    def _try(self, show: Callable[..., Any], *content: Any, **how: Any) -> None:
        try:
            show(*content, **how)
        except (OSError, SystemExit):  # the terminal, or a pipe's reader, is gone: no reason to end a run
            self.quiet = True

    def _parts(self, metrics: dict[str, Any]) -> list[tuple[str, float]]:
        values = [(name, metrics.get(f"train/{name}")) for name in self.components]
        return [(name, value) for name, value in values if value is not None]

    def _table(self, metrics: dict[str, Any]) -> Table:
        table = Table(box=None, show_header=False, pad_edge=False)
        table.add_column(style="bold")
        table.add_column(justify="right")
        table.add_column(style="bold")
        table.add_column(justify="right")
        cells = [
            (label, Text(form.format(metrics[key]))) for key, label, form in SHOWN if _shown(key, metrics)
        ]
        cells[1:1] = [(name, Text(f"{value:.3f}")) for name, value in self._parts(metrics)]
        cells.insert(0, ("reward so far", Text(sparkline(list(self.rewards)), style="green")))
        for i in range(0, len(cells), 2):
            pair = cells[i : i + 2]
            table.add_row(*[item for cell in pair for item in cell], *([""] * 2 if len(pair) == 1 else []))
        return table


def sparkline(values: list[float], width: int = 30) -> str:
    """Values as a line of block characters, scaled between their extremes; means where there are too many."""
    if not values:
        return ""
    if len(values) > width:
        edges = [round(i * len(values) / width) for i in range(width + 1)]
        values = [sum(values[a:b]) / (b - a) for a, b in pairwise(edges)]
    low, high = min(values), max(values)
    if high == low:
        return SPARK[0] * len(values)
    return "".join(SPARK[round((value - low) / (high - low) * (len(SPARK) - 1))] for value in values)


def _shown(key: str, metrics: dict[str, Any]) -> bool:
    value = metrics.get(key)
    unusual = key in ("train/failed_fraction", "train/not_applicable_fraction", "train/repetition_fraction")
    return value is not None and not (unusual and value == 0)
