"""An analysis as one page: HTML without script or network, for the screen, light and dark, and for paper."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rlctl.calibration import charts
from rlctl.calibration.penalty_wording import left, meaning, present, sureness
from rlctl.calibration.wording import command, grouping, headline, notes, origin, outcomes
from rlctl.reports import figures
from rlctl.reports.svg import svg
from rlctl.reports.templates import template
from rlctl.reports.visible import CONTROLS

Document = Mapping[str, Any]

DEEPEST, HIGHEST = 12.0, -5.0
"""Depths of a penalty between which the simulation is drawn."""
MOST_IN_MATRIX = 10
"""Components whose correlations are shown as a matrix; of more, the strongest pairs are listed."""
MOST_PAIRS = 15
THIN = 2.0
"""Per cent of the width of a small histogram that a single value takes."""
SCALES = ("group", "batch", "none")


def page(document: Document, *, title: str, config_text: str) -> str:
    """The page.

    Args:
        document: `analysis.json`; whatever is missing or None is said to be unknown, or left out.
        title: What was analysed.
        config_text: The YAML that makes it again.
    """
    said, gravity = headline(document)
    request = document.get("request") or {}
    filters: dict[str, Callable[..., Any]] = {
        "number": figures.number,
        "percent": figures.percent,
        "with_interval": figures.with_interval,
        "share_with_interval": figures.share_with_interval,
        "seconds": figures.seconds,
        "notes": notes,
        "width": bar_width,
        "bars_in_percent": bars_in_percent,
    }
    written = template("rlctl.calibration", "page.html.j2", filters, lenient=True).render(
        document=document,
        title=title,
        config_text=config_text,
        said=said,
        gravity=gravity,
        origin=origin(document.get("source") or {}),
        grouping=grouping(document),
        outcomes=outcomes(document),
        present=present(document),
        meaning=meaning(document),
        left=left(document.get("penalty") or {}),
        sureness=sureness(document.get("penalty") or {}),
        distribution=distribution(document),
        simulation=Simulation.of(document),
        dead=dead_groups(document),
        matrix=matrix(document),
        pairs=strongest(document),
        command=command(request),
        scale=_scale(document),
    )
    return written.translate(CONTROLS)


def bar_width(share: float | None) -> str:
    """The width of a bar in the style of its element; nothing for what is not known.

    Args:
        share: Its share of the whole width; a negative one is drawn as long as a positive.
    """
    return f"{min(100.0, 100 * abs(share or 0.0)):.1f}%"


def bars_in_percent(histogram: Document) -> list[dict[str, Any]]:
    """The bars of a histogram as `left, width, height`, 0 to 100, and `says`.

    Args:
        histogram: `edges, counts, values`, one count at least.
    """
    drawn = charts.bars(histogram)
    low, most = drawn[0]["low"], max(one["count"] for one in drawn)
    thin = THIN if histogram.get("values") else 0.0
    room = (drawn[-1]["high"] - low) / (100.0 - thin) or 1.0
    return [
        {
            "left": round((one["low"] - low) / room, 2),
            "width": round((one["high"] - one["low"]) / room, 2) or thin,
            "height": round(100 * one["count"] / most, 1),
            "says": one["says"],
        }
        for one in drawn
    ]


def distribution(document: Document) -> dict[str, Any] | None:
    """The histogram as a picture, and what is marked in it; None where there are no rewards."""
    reward, found = document.get("reward") or {}, document.get("penalty") or {}
    histogram = reward.get("histogram") or {}
    if not histogram.get("counts"):
        return None
    scale = _scale(document)
    wanted = (
        ("mean", reward.get("mean"), None),
        ("now", _times(found.get("current"), scale), None),
        (
            "recommended",
            _times(found.get("recommended"), scale),
            [end * scale for end in found["ci95"]] if found.get("ci95") else None,
        ),
    )
    marks: list[dict[str, Any]] = [
        {"name": name, "value": value, "ci95": ends} for name, value, ends in wanted if value is not None
    ]
    quantiles = reward.get("quantiles") or {}
    middle = [quantiles["p05"], quantiles["p95"]] if {"p05", "p95"} <= quantiles.keys() else None
    drawn = charts.bars(histogram)
    shown = charts.within_reach(marks, drawn)
    invalid = document.get("invalid") or 0
    wide, narrow = (
        charts.distribution(histogram, marks, middle=middle, invalid=invalid, width=width)
        for width in (charts.WIDTH, charts.NARROW)
    )
    described = ", ".join(f"{one['name']} {figures.number(one['value'])}" for one in marks)
    title = f"Histogram of {sum(histogram['counts']):,} rewards; {described}"
    return {
        "wide": _picture(wide, title),
        "narrow": _picture(narrow, title),
        "marks": marks,
        "beyond": [one for one in marks if one not in shown],
        "middle": middle,
        "single": bool(histogram.get("values")),
    }


class Simulation:
    """What other penalties would do: pictures per scale and by the share of invalid completions, and a table.

    Args:
        cells: All cells that are drawn.
        chosen: `scale`, `group_size` and `invalid_fraction` nearest to what is configured and was seen.
        marks: The present and the recommended penalty, with their depths.
    """

    def __init__(
        self, cells: Sequence[Document], chosen: dict[str, Any], marks: Sequence[Document], far: bool
    ) -> None:
        self.cells = cells
        self.chosen = chosen
        self.marks = marks
        self.far = far
        self.sizes = self._lines("group_size")
        self.fractions = self._lines("invalid_fraction")
        self.names = charts.MEASURES

    @classmethod
    def of(cls, document: Document) -> "Simulation | None":
        """That of an analysis; None where nothing was simulated."""
        known = [one for one in document.get("simulation") or [] if one.get("depth") is not None]
        cells = [one for one in known if HIGHEST <= one["depth"] <= DEEPEST]
        if not cells:
            return None
        found = document.get("penalty") or {}
        depths = (("now", found.get("depth")), ("recommended", found.get("recommended_depth")))
        marks = [{"name": name, "depth": depth} for name, depth in depths if depth is not None]
        near = [one for one in marks if HIGHEST <= one["depth"] <= DEEPEST]
        return cls(cells, _chosen(document, cells), near, far=len(near) < len(marks))

    def by_scale(self) -> list[dict[str, Any]]:
        """The scales, the configured one first, each with a picture of every measure."""
        present = {one["scale"] for one in self.cells}
        order = sorted(present, key=lambda one: (one != self.chosen["scale"], SCALES.index(one)))
        return [
            {
                "name": scale,
                "configured": scale == self.chosen["scale"],
                "pictures": self._pictures("group_size", scale=scale),
            }
            for scale in order
        ]

    def by_fraction(self) -> list[dict[str, Any]]:
        """A picture of every measure, a line for each share of invalid completions."""
        return self._pictures("invalid_fraction", scale=self.chosen["scale"])

    def table(self) -> list[Document]:
        """The cells of the configured scale and size, the mildest penalty first."""
        return sorted(self._of(**self.chosen), key=lambda one: -one["penalty"])

    def _pictures(self, by: str, *, scale: str) -> list[dict[str, Any]]:
        fixed = {name: value for name, value in self.chosen.items() if name not in (by, "scale")}
        cells = self._of(scale=scale, **fixed)
        found = []
        for measure, name in charts.MEASURES.items():
            spec = charts.felt(cells, measure, by, chosen=self.chosen[by], marks=self.marks)
            found.append({"name": name, "picture": _picture(spec, f"{name}, by penalty; scale {scale}")})
        return found

    def _of(self, **wanted: Any) -> list[Document]:
        return [one for one in self.cells if all(one[name] == value for name, value in wanted.items())]

    def _lines(self, by: str) -> list[tuple[Any, str, bool]]:
        """Each line's value, colour, and whether it is the chosen one."""
        order = sorted({one[by] for one in self.cells})
        return [
            (value, colour, value == self.chosen[by])
            for value, colour in zip(order, charts.shades(len(order)), strict=True)
        ]


def _chosen(document: Document, cells: Sequence[Document]) -> dict[str, Any]:
    """The scale, the group size and the share of invalid completions that are nearest to the user's."""
    algorithm = (document.get("request") or {}).get("algorithm") or {}
    scales = [one["scale"] for one in cells]
    scale = algorithm.get("scale_rewards")
    size = algorithm.get("num_generations") or (document.get("groups") or {}).get("size") or 8
    invalid, valid = document.get("invalid") or 0, document.get("valid") or 0
    share = invalid / (invalid + valid) if invalid else 1 / size
    return {
        "scale": scale if scale in scales else scales[0],
        "group_size": _nearest((one["group_size"] for one in cells), size),
        "invalid_fraction": _nearest((one["invalid_fraction"] for one in cells), share),
    }


def _nearest(values: Any, wanted: float) -> Any:
    return min(values, key=lambda value: abs(value - wanted))


def dead_groups(document: Document) -> str | None:
    """The picture of groups without spread by their size; None where nothing is predicted."""
    groups = document.get("groups") or {}
    predicted = {
        size: one
        for size, one in (groups.get("predicted") or {}).items()
        if one and one.get("zero_std_fraction") is not None
    }
    if not predicted:
        return None
    said = ", ".join(
        f"{figures.percent(one['zero_std_fraction'])} at {size}" for size, one in predicted.items()
    )
    return _picture(
        charts.dead_groups(predicted, size=groups.get("size")), f"Groups without spread by size: {said}"
    )


def matrix(document: Document) -> dict[str, dict[str, float | None]] | None:
    """Rank correlations, component by component; None where none is known, or they are too many."""
    names = list(document.get("components") or {})
    found = document.get("correlations") or []
    if len(names) > MOST_IN_MATRIX or not any(one.get("spearman") is not None for one in found):
        return None
    of = {frozenset((one["a"], one["b"])): one.get("spearman") for one in found}
    return {a: {b: of.get(frozenset((a, b))) for b in names} for a in names}


def strongest(document: Document) -> list[Document]:
    """The strongest rank correlations, where there are too many components for a matrix."""
    found = [one for one in document.get("correlations") or [] if one.get("spearman") is not None]
    if len(document.get("components") or {}) <= MOST_IN_MATRIX:
        return []
    return sorted(found, key=lambda one: -abs(one["spearman"]))[:MOST_PAIRS]


def _scale(document: Document) -> float:
    """`rewards.scale`, which the penalty is not in yet."""
    rewards = (document.get("request") or {}).get("rewards") or {}
    return float(rewards.get("scale") or 1.0)


def _times(value: float | None, scale: float) -> float | None:
    return None if value is None else value * scale


def _picture(spec: dict[str, Any], title: str) -> str:
    from markupsafe import Markup

    return Markup(svg(spec, title, hover=True))  # escaped by the renderer
