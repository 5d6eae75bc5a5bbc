"""The rules of thumb for a penalty by the range of rewards, held against what the data advise."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from rlctl.calibration.table import Floats

RULES = (((-1.0, 1.0), (-1.0, -0.5)), ((-10.0, 10.0), (-10.0, -5.0)), ((0.0, 100.0), (-100.0, -50.0)))
"""Range of rewards → penalty from … to."""


@dataclass(frozen=True)
class Thumb:
    """A rule of thumb.

    Args:
        range: The range of rewards it is for.
        low: The harshest penalty it names.
        high: The mildest.
        agrees: Whether it meets the interval of what the data advise; None where they advise nothing.
        says: That in words.
    """

    range: tuple[float, float]
    low: float
    high: float
    agrees: bool | None
    says: str

    def as_dict(self) -> dict[str, Any]:
        """`range, low, high, agrees, says`."""
        return {**vars(self), "range": list(self.range)}


def thumb(valid_totals: Floats, low: float | None, high: float | None) -> Thumb | None:
    """The rule of the smallest range that holds all rewards.

    Args:
        valid_totals: (N,) rewards of valid completions.
        low: Lower end of what the data advise.
        high: Upper end.

    Returns:
        The rule; None where there are no rewards, or they leave every range that has a rule.
    """
    for (least, most), (harsh, mild) in RULES:
        if len(valid_totals) and least <= np.min(valid_totals) and np.max(valid_totals) <= most:
            name = f"{harsh:g} to {mild:g} for rewards in [{least:g}, {most:g}]"
            if low is None or high is None:
                return Thumb((least, most), harsh, mild, None, f"{name}; these rewards advise nothing")
            agrees = harsh <= high and low <= mild
            word = "agrees with" if agrees else "is harsher than" if mild < low else "is milder than"
            span = f"{high:.3g}" if low == high else f"{low:.3g} to {high:.3g}"
            return Thumb((least, most), harsh, mild, agrees, f"{name} {word} what these rewards need, {span}")
    return None
