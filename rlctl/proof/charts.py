"""The charts of a proof as Vega-Lite specifications, plain data. The page says which colours they have."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from rlctl.reports.chart import INK, MUTED, Spec, framed

COLOURS = {"trained": "var(--trained)", "mean": "var(--ink)", "control": "var(--control)"}
"""Kind of a model → its colour, a variable of the page's style sheet."""
DASHES = {"trained": [1, 0], "control": [5, 3]}
WIDTH = 560
MOST_POINTS = 300


def forest(rows: Sequence[dict[str, Any]], metric: str) -> Spec:
    """Differences from the base model with their intervals, a line each.

    Args:
        rows: `name`, `kind` (a key of `COLOURS`), `value`, `low` and `high` (None where there is no
            interval), and `text`, the same in figures.
        metric: What the differences are of.
    """
    y = {
        "field": "name",
        "type": "nominal",
        "sort": None,
        "title": None,
        "axis": {"labelLimit": 220, "labelPadding": 8, "ticks": False},
    }
    x = {
        "type": "quantitative",
        "title": f"{metric}: difference from the base model",
        "scale": {"zero": True},
    }
    return framed(
        {
            "height": {"step": 30},
            "width": WIDTH - 160,
            "data": {"values": list(rows)},
            "layer": [
                {"mark": {"type": "rule", "color": MUTED}, "encoding": {"x": {"datum": 0}}},
                {
                    "transform": [{"filter": "isValid(datum.low)"}],
                    "mark": {"type": "rule", "strokeWidth": 2.5},
                    "encoding": {
                        "x": {**x, "field": "low"},
                        "x2": {"field": "high"},
                        "y": y,
                        "color": _colour(),
                    },
                },
                {
                    "mark": {"type": "point", "filled": True, "size": 80, "opacity": 1},
                    "encoding": {"x": {**x, "field": "value"}, "y": y, "color": _colour(), "shape": _shape()},
                },
                {
                    "mark": {"type": "text", "align": "left", "x": WIDTH - 150, "color": INK, "fontSize": 12},
                    "encoding": {"y": y, "text": {"field": "text"}},
                },
            ],
        }
    )


def curves(points: Sequence[dict[str, Any]], title: str) -> Spec:
    """A figure by training step, a line per run; those of the control are dashed.

    Args:
        points: `run`, `kind`, `step`, `value`.
        title: What the figure is.
    """
    return framed(
        {
            "height": 190,
            "width": WIDTH - 60,
            "data": {"values": list(points)},
            "mark": {"type": "line", "interpolate": "linear", "strokeWidth": 1.8, "point": _few(points)},
            "encoding": {
                "x": {
                    "field": "step",
                    "type": "quantitative",
                    "title": "training step",
                    "axis": {"tickMinStep": 1},
                },
                "y": {"field": "value", "type": "quantitative", "title": title, "scale": {"zero": False}},
                "color": _colour(),
                "strokeDash": {
                    "field": "kind",
                    "type": "nominal",
                    "scale": {"domain": list(DASHES), "range": list(DASHES.values())},
                    "legend": None,
                },
                "detail": {"field": "run"},
            },
        }
    )


def thinned(points: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """A curve of at most 300 points, each the mean of its neighbours where there were more."""
    if len(points) <= MOST_POINTS:
        return list(points)
    edges = [round(i * len(points) / MOST_POINTS) for i in range(MOST_POINTS + 1)]
    parts = [points[a:b] for a, b in pairwise(edges)]
    return [(part[-1][0], sum(value for _, value in part) / len(part)) for part in parts]


def _few(points: Sequence[dict[str, Any]]) -> Any:
    """Single points are marked where there are few of them, as with evaluations."""
    return {"filled": True, "size": 28} if len({point["step"] for point in points}) <= 25 else False


def _colour() -> Spec:
    scale = {"domain": list(COLOURS), "range": list(COLOURS.values())}
    return {"field": "kind", "type": "nominal", "scale": scale, "legend": None}


def _shape() -> Spec:
    scale = {"domain": list(COLOURS), "range": ["circle", "diamond", "square"]}
    return {"field": "kind", "type": "nominal", "scale": scale, "legend": None}
