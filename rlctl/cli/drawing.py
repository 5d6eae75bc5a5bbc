"""Drawings for the terminal: bars and histograms of block characters."""

from collections.abc import Sequence
from itertools import pairwise

from rlctl.reports.figures import number, percent

_EIGHTHS = " ▏▎▍▌▋▊▉"
_LEVELS = " ▁▂▃▄▅▆▇█"
MOST_BARS = 8
"""Bins that are drawn as lying bars, with a label each."""


def bar(share: float | None, width: int) -> str:
    """A bar of up to `width` characters, to an eighth of one; what is not 0 shows.

    Args:
        share: Its length, from 0 to 1; beyond that it ends there.
        width: Characters of a whole bar.
    """
    if share is None or share <= 0:
        return ""
    eighths = max(1, round(min(share, 1.0) * width * 8))
    return ("█" * (eighths // 8) + _EIGHTHS[eighths % 8]).rstrip()


def bars(labels: Sequence[str], counts: Sequence[int], width: int) -> list[str]:
    """One bar for each count, lying, with its share of all.

    Args:
        labels: What each stands for.
        counts: How often it came.
        width: Characters of the longest bar.
    """
    widest, most, total = max(map(len, labels)), max(counts) or 1, sum(counts) or 1
    return [
        f"{label:>{widest}}  {bar(count / most, width):<{width}}  {count:,} ({percent(count / total)})"
        for label, count in zip(labels, counts, strict=True)
    ]


def skyline(edges: Sequence[float], counts: Sequence[int], width: int, height: int = 4) -> list[str]:
    """Many counts as standing bars, one or more characters wide, above the ends of their range.

    Args:
        edges: Edges of the bins; the first and the last are shown.
        counts: How many values are in each.
        width: Most characters of a line; neighbouring bins are added up where there are more.
        height: Lines.
    """
    together = -(-len(counts) // width)
    summed = [sum(counts[i : i + together]) for i in range(0, len(counts), together)]
    wide = max(1, width // len(summed))
    most = max(summed) or 1
    eighths = [max(1, round(8 * height * count / most)) if count else 0 for count in summed]
    lines = [
        "".join(_LEVELS[min(8, max(0, one - 8 * row))] * wide for one in eighths).rstrip()
        for row in reversed(range(height))
    ]
    low, high = number(edges[0]), number(edges[-1])
    return [*lines, f"{low}{high:>{max(1 + len(high), wide * len(summed) - len(low))}}"]


def histogram(
    edges: Sequence[float], counts: Sequence[int], values: Sequence[float] | None, width: int
) -> list[str]:
    """Counts as lying bars where there are few, else as a skyline.

    Args:
        edges: Edges of the bins, one more than there are counts.
        counts: How many values are in each.
        values: The one value that each bin holds; None where bins are ranges.
        width: Most characters for the bars.
    """
    if len(counts) > MOST_BARS:
        return skyline(edges if values is None else [values[0], values[-1]], counts, width)
    labels = [f"{number(a)} to {number(b)}" for a, b in pairwise(edges)]
    return bars(labels if values is None else [number(one) for one in values], counts, min(30, width))
