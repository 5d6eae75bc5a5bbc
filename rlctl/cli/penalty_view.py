"""The penalty in the terminal report: the present one, the one to use, and what others would do."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from rlctl.calibration.penalty_wording import left, meaning, present, sureness
from rlctl.cli.layout import columns, heading, indented, pairs
from rlctl.reports.figures import number, percent, with_interval

Document = Mapping[str, Any]
MOST_PENALTIES = 7
VERDICTS = {"good": "green", "too mild": "red", "too harsh": "red"}


def penalty(document: Document) -> Iterator[RenderableType]:
    """The penalty now, the one to use, and what others would say."""
    found = document.get("penalty") or {}
    if not found:
        return
    yield heading("Penalty of invalid completions")
    yield pairs(_advice(document, found))
    yield from _simulation(document, found)


def _advice(document: Document, found: Document) -> Iterator[tuple[str, str | Text]]:
    """The penalty now, the one to use and why, and what simpler rules say."""
    value = found.get("recommended")
    yield "now", _now(document, found)
    sure = f"  ({said})" if (said := sureness(found)) else ""
    yield "recommended", Text.assemble((with_interval(value, found.get("ci95")), "bold"), sure)
    if found.get("reason"):
        yield "", found["reason"]
    if (inverted := found.get("inversion_rate")) is not None:
        worst = found.get("worst_prompt_inversion")
        where = f", {percent(worst)} in the worst prompt" if worst else ""
        yield "inversions", f"{percent(inverted)} of the valid score below the present one{where}"
    rule = found.get("rule") or {}
    if rule.get("value") is not None:
        low, high = number(rule["low"]), number(rule["high"])
        yield "plain rule", f"{number(rule['value'])}, from {low} to {high} (mean − 2.5 std, − 3 to − 2)"
    if thumb := found.get("thumb"):
        yield "rule of thumb", thumb["says"]


def _now(document: Document, found: Document) -> Text:
    """The penalty now, its verdict, and how deep it is."""
    verdict, depth = found.get("verdict") or "", found.get("depth")
    deep = None if depth is None else f"{number(depth)} std below the mean"
    why = [one for one in (meaning(document), deep, left(found)) if one]
    return Text.assemble(
        present(document),
        "  " if verdict else "",
        (verdict, f"bold {VERDICTS[verdict]}" if verdict else ""),
        f": {'; '.join(why)}" if why else "",
    )


def _simulation(document: Document, found: Document) -> Iterator[RenderableType]:
    """What some penalties would do in groups like these."""
    scale = (document.get("groups") or {}).get("scale") or "group"
    cells = [one for one in document.get("simulation") or [] if one["scale"] == scale]
    scored = (document.get("valid") or 0) + (document.get("invalid") or 0)
    share = (document.get("invalid") or 0) / scored if scored else 0.0
    for key, wanted in (
        ("group_size", (document.get("groups") or {}).get("size") or 8),
        ("invalid_fraction", share),
    ):
        nearest = min((one[key] for one in cells), key=lambda known: abs(known - wanted), default=None)
        cells = [one for one in cells if one[key] == nearest]
    if not cells:
        return
    cells = sorted(_some(cells, found), key=lambda one: -one["penalty"])
    size, invalid = cells[0]["group_size"], percent(cells[0]["invalid_fraction"])
    yield indented(
        Text(
            f"simulated on these rewards: groups of {size}, {invalid} of all completions invalid, "
            f"scale {scale}; means over all groups, those without an invalid one among them"
        )
    )
    table = columns("penalty", "std deep", "invalid gets", "spread left", "validity takes", "", left=(5,))
    for one in cells:
        marks = [
            word
            for word, key in (("now", "current"), ("advised", "recommended"))
            if _same(one, found.get(key))
        ]
        table.add_row(
            number(one["penalty"]),
            number(one.get("depth")),
            number(one.get("invalid_advantage")),
            percent(one.get("valid_spread")),
            percent(one.get("validity_share")),
            Text(", ".join(marks), "bold"),
        )
    yield indented(table)


def _some(cells: list[Any], found: Document) -> list[Any]:
    """The present penalty, the advised one, and some others evenly over the rest."""
    kept = [one for one in cells if _same(one, found.get("current")) or _same(one, found.get("recommended"))]
    rest = sorted((one for one in cells if one not in kept), key=lambda one: one["penalty"])
    room = max(0, MOST_PENALTIES - len(kept))
    if len(rest) > room > 1:
        rest = [rest[round(i * (len(rest) - 1) / (room - 1))] for i in range(room)]
    return [*kept, *rest[: max(room, 1)]]


def _same(cell: Document, value: float | None) -> bool:
    return value is not None and abs(cell["penalty"] - value) <= 1e-9 * max(1.0, abs(value))
