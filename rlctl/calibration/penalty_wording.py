"""What an analysis says of the penalty in words, on the page and in the terminal."""

from collections.abc import Mapping
from typing import Any

from rlctl.reports.figures import number, percent

Document = Mapping[str, Any]


def present(document: Document) -> str:
    """The penalty that is configured: `-1`, `auto` or `per_group 2.5`; `unknown` where nothing says it.

    Args:
        document: The analysis.
    """
    found = _configured(document)
    if isinstance(found, Mapping):
        return ", ".join(f"{name} {value:g}" for name, value in found.items())
    if found is None or isinstance(found, str):
        return found or "unknown"
    return f"{found:g}" if abs(found) < 1000 else number(found)


def meaning(document: Document) -> str | None:
    """What a penalty that is no number comes to; None for a number.

    Args:
        document: The analysis.
    """
    found = _configured(document)
    if isinstance(found, Mapping):
        depth = found.get("per_group")
        return None if depth is None else f"{depth:g} standard deviations below each group's own mean"
    if found != "auto":
        return None
    value = (document.get("penalty") or {}).get("recommended")
    would = "these give nothing to choose by" if value is None else f"it would be {number(value)} on these"
    return f"chosen at the first step; {would}"


def left(penalty: Document) -> str | None:
    """How much the present penalty leaves of the differences among valid completions, and in which group.

    Args:
        penalty: `penalty` of the analysis.
    """
    share, size, spread = (penalty.get(key) for key in ("invalid_share", "group_size", "spread_left"))
    if spread is None:
        return None
    where = "beside an invalid completion"
    if share is not None and size:
        alone = share * size <= 1 + 1e-9
        where = f"in a group of {size} with {'one' if alone else percent(share)} invalid"
    return f"{where}, {percent(spread)} of the spread among the valid is left"


def sureness(penalty: Document) -> str | None:
    """What is to be said beside the recommended penalty where few completions are behind it; else None.

    Args:
        penalty: `penalty` of the analysis.
    """
    value, ends = penalty.get("recommended"), penalty.get("ci95")
    if value is None or not penalty.get("provisional"):
        return None
    if ends and None not in ends and value < ends[0]:
        return "deeper than its interval on purpose: below 400 valid completions the tail is not known"
    return "provisional: below 400 valid completions"


def _configured(document: Document) -> Any:
    """A number, `auto` or `per_group` with its value; None where nothing says it."""
    found = document.get("penalty") or {}
    rewards = (document.get("request") or {}).get("rewards") or {}
    known = (found.get("configured"), found.get("current"), rewards.get("invalid_penalty"))
    return next((one for one in known if one is not None), None)
