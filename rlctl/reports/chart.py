"""What every chart of a page looks like, as data for Vega-Lite. The style sheet says which colours it has."""

from typing import Any

Spec = dict[str, Any]
"""A Vega-Lite specification."""

INK, MUTED, GRID = "var(--ink)", "var(--muted)", "var(--grid)"
FONT = "Helvetica, Arial, sans-serif"
PADDING = {"left": 25, "right": 45, "top": 8, "bottom": 5}
"""Pixels around a chart: where a browser has none of these fonts, texts are wider than was reckoned with."""


def framed(spec: Spec, *, padding: dict[str, int] | None = None) -> Spec:
    """A chart with the axes, the font and the margins of all.

    Args:
        spec: Data, marks and encodings.
        padding: Pixels on each side; by default `PADDING`.
    """
    axis = {
        **{f"{part}Color": INK for part in ("label", "title")},
        **{f"{part}Color": GRID for part in ("grid", "domain", "tick")},
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "tickCount": 6,
    }
    config = {
        "view": {"stroke": None},
        "axis": axis,
        "font": FONT,
        "axisY": {"domain": False, "ticks": False},
    }
    schema = "https://vega.github.io/schema/vega-lite/v6.json"
    frame = {"$schema": schema, "background": None, "padding": padding or PADDING, "config": config}
    return {**frame, **spec}
