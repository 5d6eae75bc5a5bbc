"""Groups in which some rewards take all the spread, so that the others' differences vanish."""

import numpy as np

from rlctl.calibration.parts import Scale
from rlctl.calibration.table import Floats, Integers
from rlctl.statistics.intervals import ROUNDING

LEFT = 0.05
"""Share of the spread that is left to most of a group, below which the others stand apart from it."""
FAR = 1000.0
"""How far apart they are, in typical standard deviations, where they are no part of the reward's own scale.

Right or wrong with up to 0.02 to break ties is a distance of 1 beside a standard deviation of 0.006: 170."""
MOST_GROUPS = 5000
"""Groups, and rewards of a group, that are looked at, evenly spread over all."""


def flattened_fraction(totals: Floats, groups: Integers, *, scale: Scale = "group") -> float | None:
    """Share of the groups in which most rewards differ, but beside some that are far off hardly at all.

    The advantage divides by the standard deviation of the whole group. [−10⁶, 1, 2, 3] becomes
    [−1.5, 0.5, 0.5, 0.5]: of the spread that 1, 2 and 3 would have alone, 1, not a millionth is left.

    To find what most of a group is, it is cut at its widest gap, and of the two sides the one with half of
    the group or more is cut again, until there is none. Most of the group is what is left at the last cut
    that leaves less than 5 % of the standard deviation. The group is flattened where a gap up to there is
    above 1000 times the standard deviation of what is left, and above 1000 times the median of that over all
    groups. Where that is below 5 % of the median, the rest is as good as tied: there is nothing to flatten.

    Args:
        totals: (N,) rewards, NaN where a completion is left out.
        groups: (N,) group of each row; rows of one group are neighbours.
        scale: What advantages are divided by. `batch`: one divisor for all, so all rewards count as one
            group; `none`: nothing is divided, and nothing flattened.

    Returns:
        None where no group has three rewards, of which most differ.
    """
    known = ~np.isnan(totals)
    ends = np.flatnonzero(np.diff(groups[known])) + 1
    members = [totals[known]] if scale == "batch" else np.split(totals[known], ends)
    members = members[:: max(1, -(-len(members) // MOST_GROUPS))]
    found = np.array([most for each in members if len(each) > 2 and (most := _most(each))[0] > 0])
    if not len(found):
        return None
    if scale == "none":
        return 0.0
    spread, gap = found.T
    typical = float(np.median(spread))
    return float(np.mean((gap > FAR * np.maximum(spread, typical)) & (spread >= LEFT * typical)))


def _most(values: Floats) -> tuple[float, float]:
    """Standard deviation of most of a group, and the widest gap that sets the others apart; 0 without."""
    rest = np.sort(values)[:: max(1, -(-len(values) // MOST_GROUPS))]
    half = -(-len(rest) // 2)
    spread = left = _std(rest)
    apart = widest = 0.0
    # The standard deviation of n values is at least their range / √(2 (n − 1)); half of them have this range.
    narrowest = float(np.min(rest[half - 1 :] - rest[: len(rest) - half + 1]))
    if narrowest >= LEFT * spread * np.sqrt(2 * len(rest)):
        return spread, apart
    while left > 0:
        gaps = np.diff(rest)
        cut = int(np.argmax(gaps)) + 1
        widest = max(widest, float(gaps[cut - 1]))
        sides = [side for side in (rest[:cut], rest[cut:]) if len(side) >= half]
        if not sides:
            break
        rest = max(sides, key=_std)
        if (left := _std(rest)) < LEFT * spread:
            spread, apart = left, widest
    return spread, apart


def _std(ordered: Floats) -> float:
    """Standard deviation, n − 1, of sorted values; 0 where they are the same up to rounding."""
    width = float(ordered[-1] - ordered[0])
    if len(ordered) < 2 or width <= ROUNDING * float(np.max(np.abs(ordered))):
        return 0.0
    return width * float(((ordered - ordered[0]) / width).std(ddof=1))
