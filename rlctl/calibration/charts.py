"""The charts of an analysis as Vega-Lite specifications, plain data. The style sheet has their colours."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from rlctl.reports.chart import INK, Spec, framed
from rlctl.reports.figures import number, percent, share_with_interval

Document = Mapping[str, Any]

WIDTH, NARROW, HEIGHT = 700, 290, 190
"""Pixels of a chart, and its width on a telephone, where a smaller picture of it would not be read."""
SMALL = {"width": 220, "height": 140}
"""Pixels of one of several charts side by side."""
CLOSE = {"left": 2, "right": 8, "top": 4, "bottom": 2}
WIDEST_BAR = 26
STEPS = 6
"""Shades of a quantity, variables of the style sheet."""
MARKS = {"mean": INK, "now": "var(--orange)", "recommended": "var(--good)"}
"""What is marked in the distribution → its colour."""
DASHES = {"mean": [1, 0], "now": [2, 2], "recommended": [6, 3]}
MEASURES = {
    "invalid_advantage": "advantage of an invalid completion",
    "valid_spread": "spread left among the valid",
    "validity_share": "variance that validity takes",
}
"""What is simulated, and what it is called."""


def distribution(
    histogram: Document,
    marks: Sequence[Document],
    *,
    middle: Sequence[float] | None,
    invalid: int,
    width: float = WIDTH,
) -> Spec:
    """A histogram of the valid rewards, with rules where the mean and the penalties are.

    Args:
        histogram: `edges`, `counts`, `values`.
        marks: `name` (of `MARKS`), `value` and `ci95`, which may be None.
        middle: Where the middle nine tenths of the rewards lie.
        invalid: Invalid completions, shown at the present penalty.
        width: Pixels between its ends.
    """
    drawn = bars(histogram)
    shown = within_reach(marks, drawn)
    now = [one["value"] for one in shown if one["name"] == "now"]
    ends = [end for one in drawn for end in (one["low"], one["high"])] + [one["value"] for one in shown]
    margin = 0.04 * (max(ends) - min(ends)) or 0.5
    domain = [min(ends) - margin, max(ends) + margin]
    x = {
        "type": "quantitative",
        "scale": {"domain": domain, "nice": False, "zero": False},
        "title": "reward of a completion",
    }
    y = {"field": "count", "type": "quantitative", "title": "completions", "axis": {"tickMinStep": 1}}
    describe = {"description": {"field": "says"}}
    layers: list[Spec] = []
    if middle:
        layers.append(_band(middle, "var(--grid)", 0.45, x))
    layers += [
        _band(one["ci95"], MARKS[one["name"]], 0.18, x)
        for one in shown
        if one["name"] == "recommended" and one.get("ci95")
    ]
    if histogram.get("values"):
        size = _width([one["value"] for one in drawn] + now * bool(invalid), domain, width)
        bar = {"type": "bar", "size": size, "color": "var(--blue)"}
        layers.append(
            {
                "data": {"values": drawn},
                "mark": bar,
                "encoding": {"x": {**x, "field": "value"}, "y": y, **describe},
            }
        )
    else:
        bar = {"type": "rect", "color": "var(--blue)", "stroke": "var(--paper)", "strokeWidth": 0.5}
        at = {"x": {**x, "field": "low"}, "x2": {"field": "high"}, "y": y, "y2": {"datum": 0}}
        layers.append({"data": {"values": drawn}, "mark": bar, "encoding": {**at, **describe}})
        size = WIDEST_BAR / 2
    if invalid and now:
        of = [{"value": now[0], "count": invalid, "says": f"{invalid:,} invalid, at the present penalty"}]
        bar = {"type": "bar", "size": size, "color": "var(--orange)", "opacity": 0.55}
        encoding = {"x": {**x, "field": "value"}, "y": y, **describe}
        layers.append({"data": {"values": of}, "mark": bar, "encoding": encoding})
    layers += [_rule(one, x) for one in shown]
    return framed({"height": HEIGHT, "width": width, "layer": layers}, padding={**CLOSE, "right": 20})


def within_reach(marks: Sequence[Document], bars: Sequence[Document]) -> list[Document]:
    """The marks that can be shown without pressing all bars into one.

    Args:
        marks: `value`.
        bars: `low`, `high`.
    """
    low, high = min(one["low"] for one in bars), max(one["high"] for one in bars)
    reach = 2 * (high - low) or max(1.0, abs(high))
    return [one for one in marks if low - reach <= one["value"] <= high + reach]


def bars(histogram: Document) -> list[dict[str, Any]]:
    """`low`, `high`, `count`, what they say, and `value` where each is one.

    The outer ones of many ranges, which reach far out, are drawn as wide as the others.
    """
    edges, counts, values = histogram["edges"], histogram["counts"], histogram.get("values")
    total = sum(counts) or 1
    found = []
    for i, ((low, high), count) in enumerate(zip(pairwise(edges), counts, strict=True)):
        share = f"{count:,} ({percent(count / total)})"
        if values:
            found.append({"low": values[i], "high": values[i], "value": values[i], "count": count})
            found[-1]["says"] = f"{number(values[i])}: {share}"
        else:
            found.append({"low": low, "high": high, "count": count})
            found[-1]["says"] = f"{number(low)} to {number(high)}: {share}"
    if not values and len(found) > 2:
        inner = found[1]["high"] - found[1]["low"]
        found[0]["low"] = max(found[0]["low"], found[0]["high"] - inner)
        found[-1]["high"] = min(found[-1]["high"], found[-1]["low"] + inner)
    return found


def _width(values: Sequence[float], domain: Sequence[float], width: float) -> float:
    """Pixels of a bar that stands for one value: none touches the next."""
    rising = sorted(values)
    gaps = [after - before for before, after in pairwise(rising) if after > before]
    if not gaps:
        return WIDEST_BAR
    return max(2.0, min(WIDEST_BAR, 0.85 * width * min(gaps) / (domain[1] - domain[0])))


def _band(ends: Sequence[float], colour: str, opacity: float, x: Spec) -> Spec:
    """A range as a band over the whole height, as far as it is within the axis."""
    low, high = x["scale"]["domain"]
    return {
        "data": {"values": [{"from": max(low, ends[0]), "to": min(high, ends[1])}]},
        "mark": {"type": "rect", "color": colour, "opacity": opacity},
        "encoding": {"x": {**x, "field": "from"}, "x2": {"field": "to"}},
    }


def _rule(mark: Document, x: Spec) -> Spec:
    name = mark["name"]
    return {
        "data": {"values": [{"at": mark["value"]}]},
        "mark": {"type": "rule", "color": MARKS[name], "strokeDash": DASHES[name], "strokeWidth": 2},
        "encoding": {"x": {**x, "field": "at"}},
    }


def felt(
    cells: Sequence[Document], measure: str, by: str, *, chosen: float, marks: Sequence[Document]
) -> Spec:
    """A simulated measure over the depth of the penalty, a line per group size or share of invalid ones.

    Args:
        cells: Of one scale, with all that is not `by` the same.
        measure: A key of `MEASURES`.
        by: `group_size` or `invalid_fraction`.
        chosen: The line that is drawn thick.
        marks: `name` (of `MARKS`) and `depth`.
    """
    order = sorted({one[by] for one in cells})
    points = [
        {
            "depth": one["depth"],
            "value": one[measure],
            "line": order.index(one[by]),
            "chosen": one[by] == chosen,
            "says": f"{_line(by, one[by])}, {one['depth']:.3g} std deep ({number(one['penalty'])}): "
            f"{number(one[measure]) if measure == 'invalid_advantage' else percent(one[measure])}",
        }
        for one in cells
        if one[measure] is not None
    ]
    x = {
        "type": "quantitative",
        "title": "std below the mean",
        "axis": {"tickCount": 5, "labelFlush": False, "labelPadding": 5},
    }
    share = measure != "invalid_advantage"
    top = max([1.0, *(one["value"] for one in points)])
    y = {
        "field": "value",
        "type": "quantitative",
        "title": None,
        "axis": {"tickCount": 5, "labelPadding": 5, **({"format": ".0%"} if share else {})},
        "scale": {"domain": [0, top]} if share else {"zero": True},
    }
    colour = {
        "field": "line",
        "type": "ordinal",
        "scale": {"domain": list(range(len(order))), "range": shades(len(order))},
        "legend": None,
    }
    place = {"x": {**x, "field": "depth"}, "y": y, "color": colour}
    width = {"condition": {"test": "datum.chosen", "value": 3}, "value": 1.4}
    size = {"condition": {"test": "datum.chosen", "value": 34}, "value": 14}
    layers: list[Spec] = [
        {
            "data": {"values": [{"at": one["depth"]}]},
            "mark": {
                "type": "rule",
                "color": MARKS[one["name"]],
                "strokeDash": DASHES[one["name"]],
                "strokeWidth": 1.5,
            },
            "encoding": {"x": {**x, "field": "at"}},
        }
        for one in marks
    ]
    layers += [
        {
            "data": {"values": points},
            "mark": {"type": "line", "aria": False},
            "encoding": {**place, "detail": {"field": "line"}, "strokeWidth": width},
        },
        {
            "data": {"values": points},
            "mark": {"type": "point", "filled": True, "opacity": 1},
            "encoding": {**place, "size": size, "description": {"field": "says"}},
        },
    ]
    return framed({**SMALL, "layer": layers}, padding=CLOSE)


def shades(count: int) -> list[str]:
    """Colours of this many ordered lines, from faint to strong."""
    first = max(0, STEPS - count)
    return [f"var(--step-{min(first + i, STEPS - 1) + 1})" for i in range(count)]


def _line(by: str, value: float) -> str:
    return f"groups of {value}" if by == "group_size" else f"{percent(value)} invalid"


def dead_groups(predicted: Mapping[str, Document], *, size: int | None) -> Spec:
    """The share of groups without spread by their size, with intervals.

    Args:
        predicted: Size → `zero_std_fraction`, `ci95`, `how`.
        size: The size that the groups have now.
    """
    points = [
        {
            "size": str(one_size),
            "share": one["zero_std_fraction"],
            "low": (one.get("ci95") or [None, None])[0],
            "high": (one.get("ci95") or [None, None])[1],
            "counted": one.get("how") == "counted",
            "now": int(one_size) == size,
            "says": f"groups of {one_size}: {share_with_interval(one['zero_std_fraction'], one.get('ci95'))}",
        }
        for one_size, one in sorted(predicted.items(), key=lambda item: int(item[0]))
        if one.get("zero_std_fraction") is not None
    ]
    highest = max(one["high"] if one["high"] is not None else one["share"] for one in points)
    x = {
        "field": "size",
        "type": "ordinal",
        "sort": None,
        "title": "completions of a group",
        "axis": {"labelAngle": 0},
    }
    top = min(1.0, max(0.02, highest))
    y = {
        "field": "share",
        "type": "quantitative",
        "title": "groups without spread",
        "scale": {"domain": [0, top]},
        "axis": {"format": ".0%" if top >= 0.1 else ".1%", "tickCount": 5},
    }
    colour = {"condition": {"test": "datum.now", "value": "var(--orange)"}, "value": "var(--blue)"}
    fill = {
        **colour,
        "condition": [{"test": "!datum.counted", "value": "var(--paper)"}, colour["condition"]],
    }
    layers: list[Spec] = [
        {
            "data": {"values": points},
            "transform": [{"filter": "isValid(datum.low)"}],
            "mark": {"type": "rule", "strokeWidth": 2, "aria": False},
            "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}, "color": colour},
        },
        {
            "data": {"values": points},
            "mark": {"type": "point", "size": 80, "opacity": 1, "strokeWidth": 2},
            "encoding": {"x": x, "y": y, "stroke": colour, "fill": fill, "description": {"field": "says"}},
        },
    ]
    return framed({"width": {"step": 70}, "height": 150, "layer": layers}, padding=CLOSE)
