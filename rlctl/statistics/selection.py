"""When so much has no value that the rest is a selection: one limit for comparisons, proofs and training.

A model that gives no answer where it is unsure, or a judge that fails on what is hard, leaves values that
look better than the model is.
"""

from collections.abc import Iterable, Mapping
from typing import Any

MOST_LEFT_OUT = 0.05
"""Share without a value, of completions or of prompts, above which nothing is concluded from the rest."""
ROUNDING = 1e-9

SHARE = "val/left_out_fraction"
"""The share of an evaluation, as logs have it."""


def is_selection(share: float, least: float = 0.0) -> bool:
    """Whether too much is left out.

    Args:
        share: What is left out.
        least: What is left out of what it is compared with, and so not for the model's sake.
    """
    return share > least + MOST_LEFT_OUT + ROUNDING


def comparable(evaluations: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The evaluations of one run that may be compared: none that leaves out much more than another does.

    A metric that does not apply to some of the prompts leaves these out every time, and that is no selection.

    Args:
        evaluations: `val/…` → value of each.
    """
    found = list(evaluations)
    shares = [one.get(SHARE, 0.0) for one in found]
    least = min(shares, default=0.0)
    return [one for one, share in zip(found, shares, strict=True) if not is_selection(share, least)]
