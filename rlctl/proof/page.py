"""A proof as one page: HTML without script or network, for the screen, light and dark, and for paper."""

import json
from collections.abc import Callable
from typing import Any

from rlctl.proof.charts import curves, forest
from rlctl.proof.wording import TITLES, count, interval, number, p_value, signed
from rlctl.reports.svg import svg
from rlctl.reports.templates import template

MOST_CHARACTERS = 1200
"""Of a prompt or completion on the page; `proof.json` and the samples have all of it."""


def render(document: dict[str, Any]) -> str:
    """The page.

    Args:
        document: `proof.json`.
    """
    from markupsafe import Markup

    filters: dict[str, Callable[..., Any]] = {
        "number": number,
        "signed": signed,
        "interval": interval,
        "p_value": p_value,
        "text": as_text,
        "json": lambda value: json.dumps(value, indent=2, ensure_ascii=False),
    }
    charts = {name: Markup(picture) for name, picture in _charts(document).items()}  # escaped by the renderer
    page = template("rlctl.proof", "page.html.j2", filters)
    return page.render(**document, titles=TITLES, charts=charts, count=count)


def as_text(content: Any) -> str:
    """A prompt or completion as text: messages with their roles, long ones cut, with how much."""
    if isinstance(content, list):
        text = "\n".join(f"{one.get('role', '')}: {one.get('content', '')}" for one in content)
    else:
        text = str(content)
    more = len(text) - MOST_CHARACTERS
    return text if more <= 0 else f"{text[:MOST_CHARACTERS]}… ({count(more, 'more character')})"


def forest_rows(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Every difference from the base model: each seed, their mean, the control."""
    rows = [(f"seed {one['seed']}", "trained", one) for one in document["by_seed"]]
    if len(rows) > 1:
        rows.append((f"mean of {len(rows)} seeds", "mean", document["gain"]))
    rows.append(("control", "control", document["control"]))
    return [
        {
            "name": name,
            "kind": kind,
            "value": found["difference"],
            "low": found["ci95"] and found["ci95"][0],
            "high": found["ci95"] and found["ci95"][1],
            "text": interval(found),
        }
        for name, kind, found in rows
        if found["difference"] is not None
    ]


def _charts(document: dict[str, Any]) -> dict[str, str]:
    metric = document["metric"]
    rows = forest_rows(document)
    described = "; ".join(f"{row['name']} {row['text']}" for row in rows)
    pictures = {"forest": svg(forest(rows, metric), f"Differences from the base model: {described}")}
    titles = {"train/reward": "training reward", f"val/{metric}": f"{metric}, held-out prompts"}
    for name, points in document["curves"].items():
        if points:
            pictures[name] = svg(curves(points, titles[name]), f"{titles[name]} by training step, each run")
    return pictures
