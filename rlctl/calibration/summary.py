"""The shape of a set of rewards: quantiles, skewness, and a histogram that a person can read."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from rlctl.calibration.table import Floats
from rlctl.statistics.intervals import moments

QUANTILES = {"p01": 0.01, "p05": 0.05, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p95": 0.95, "p99": 0.99}
BARS = 40
"""Most bars of a histogram."""
TAIL = 0.005
"""Share at either end that may lie outside of the evenly wide bars."""


@dataclass(frozen=True)
class Histogram:
    """Counts of values.

    Args:
        edges: Bars + 1 edges, rising. All bars are as wide, but for the two outer ones, which reach out to
            the furthest values, and where each bar is one value.
        counts: Values in each bar.
        values: The one value that each bar stands for; None where a bar is a range.
    """

    edges: list[float]
    counts: list[int]
    values: list[float] | None

    def as_dict(self) -> dict[str, Any]:
        """`edges, counts, values`."""
        return dict(vars(self))


def histogram(values: Floats, bars: int = BARS) -> Histogram:
    """Counts in bars: one for each value where there are few, else by Freedman and Diaconis 1981.

    Args:
        values: (n,) numbers; NaN is left out.
        bars: Most bars.
    """
    values = values[~np.isnan(values)]
    if not len(values):
        return Histogram([], [], None)
    distinct, counts = np.unique(values, return_counts=True)
    whole = bool(np.all(distinct == np.round(distinct))) and distinct[-1] - distinct[0] < bars
    if whole or len(distinct) <= min(bars, max(1, len(values) // 2)):
        return Histogram(_around(distinct), counts.tolist(), distinct.tolist())
    edges = _even(values, distinct, bars)
    return Histogram(edges.tolist(), np.histogram(values, edges)[0].tolist(), None)


def _around(values: Floats) -> list[float]:
    """Edges half-way between values; the outer bars are as wide as they are on their inner side."""
    if len(values) == 1:
        return [float(values[0]) - 0.5, float(values[0]) + 0.5]
    middles = (values[1:] + values[:-1]) / 2
    return [float(2 * values[0] - middles[0]), *middles.tolist(), float(2 * values[-1] - middles[-1])]


def _even(values: Floats, distinct: Floats, bars: int) -> Floats:
    """Even edges over all but the far tails; the outer ones reach to the furthest values."""
    low, q25, q75, high = np.quantile(values, [TAIL, 0.25, 0.75, 1 - TAIL])
    least, most = distinct[0], distinct[-1]
    # A few values far out would leave one bar for all the others.
    start, end = max(least, low - (high - low) / 2), min(most, high + (high - low) / 2)
    if not end > start:
        start, end = least, most
    width = 2 * (q75 - q25) / np.cbrt(len(values))
    wanted = int(np.ceil(min((end - start) / width, bars))) if width > (end - start) / bars else bars
    edges = np.linspace(start, end, max(wanted, 1) + 1)
    edges[0], edges[-1] = least, most
    return edges


def quantiles(values: Floats) -> dict[str, float] | None:
    """`p01` to `p99`, linear between values as NumPy's; None where there are no values.

    Args:
        values: (n,) numbers; NaN is left out.
    """
    values = values[~np.isnan(values)]
    if not len(values):
        return None
    found = np.quantile(values, list(QUANTILES.values()))
    return dict(zip(QUANTILES, found.tolist(), strict=True))


def skewness(values: Floats) -> float | None:
    """Third standardised moment, corrected for n (Joanes and Gill 1998, G1).

    Args:
        values: (n,) numbers; NaN is left out.

    Returns:
        None below three values, and where they are all the same.
    """
    values = values[~np.isnan(values)]
    if len(values) < 3:
        return None
    of = moments(values.tolist())
    return of.skewness if of.std else None


def describe(values: Floats) -> dict[str, Any]:
    """`n, min, max, quantiles, skewness, histogram`, ready for JSON; None where there are no values.

    Args:
        values: (n,) numbers; NaN is left out.
    """
    known = values[~np.isnan(values)]
    return {
        "n": len(known),
        "min": float(known.min()) if len(known) else None,
        "max": float(known.max()) if len(known) else None,
        "quantiles": quantiles(known),
        "skewness": skewness(known),
        "histogram": histogram(known).as_dict(),
    }
