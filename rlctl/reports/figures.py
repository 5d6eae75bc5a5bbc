"""Figures as a person reads them, in the terminal and on pages: numbers, shares, intervals, times."""

from collections.abc import Callable, Sequence

NOTHING = "–"
"""Stands for a figure that is not known."""
Interval = Sequence[float] | None


def number(value: float | None) -> str:
    """Three significant digits; whole thousands in full."""
    if value is None:
        return NOTHING
    if 1000 <= abs(value) < 1e7:
        return f"{value:,.0f}"
    return f"{value + 0.0:.3g}"


def percent(share: float | None) -> str:
    """A share as a percentage; decimals only below 10 %."""
    if share is None:
        return NOTHING
    points = 100 * share
    if points and abs(points) < 0.05:
        return "<0.1%" if points > 0 else "-0.0%"
    return f"{points:.1f}%" if abs(points) < 9.95 and points else f"{points:.0f}%"


def with_interval(value: float | None, interval: Interval) -> str:
    """`0.429 [0.38, 0.479]`, or the value alone where it has no interval."""
    return f"{number(value)}{_within(interval, number)}"


def share_with_interval(share: float | None, interval: Interval) -> str:
    """`23% [10%, 41%]`."""
    return f"{percent(share)}{_within(interval, percent)}"


def _within(interval: Interval, written: Callable[[float], str]) -> str:
    if interval is None or any(end is None for end in interval):
        return ""
    low, high = (written(end) for end in interval)
    return f" [{low}, {high}]"


def seconds(value: float | None) -> str:
    """A time in the unit in which it is read best."""
    if value is None:
        return NOTHING
    unit, size = next((one for one in (("s", 1.0), ("ms", 1e-3)) if value >= one[1] / 10), ("µs", 1e-6))
    return f"{number(value / size)} {unit}"
