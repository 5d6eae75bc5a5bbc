"""Groups in which one reward takes all the spread, so that the others' differences vanish."""

import numpy as np

from rlctl.calibration.table import Floats, Integers

LEFT = 0.05
"""Share of its own spread that is left to the rest of a group, below which it has vanished."""
MOST_GROUPS = 5000
"""Groups that are looked at, evenly spread over all."""


def flattened_fraction(totals: Floats, groups: Integers) -> float | None:
    """Share of the groups whose rewards differ, but for the one furthest from the median hardly at all.

    The advantage divides by the standard deviation of the whole group. [−10⁶, 1, 2, 3] becomes
    [−1.5, 0.5, 0.5, 0.5]: of the spread that 1, 2 and 3 would have alone, 1, not a millionth is left. A group
    whose rest is equal anyway does not count: there is nothing to flatten.

    Args:
        totals: (N,) rewards, NaN where a completion is left out.
        groups: (N,) group of each row; rows of one group are neighbours.

    Returns:
        None where no group has three rewards of which two others differ.
    """
    known = ~np.isnan(totals)
    ends = np.flatnonzero(np.diff(groups[known])) + 1
    members = np.split(totals[known], ends)
    members = members[:: max(1, -(-len(members) // MOST_GROUPS))]
    left = [share for each in members if (share := _left(each)) is not None]
    return float(np.mean(np.array(left) < LEFT)) if left else None


def _left(values: Floats) -> float | None:
    """Standard deviation of all but the furthest, in units of that of all; None where it is 0."""
    if len(values) < 3:
        return None
    furthest = int(np.argmax(np.abs(values - np.median(values))))
    rest = np.delete(values, furthest)
    spread = float(np.ptp(rest))
    if spread <= 1e-12 * float(np.max(np.abs(rest))):
        return None
    return float(rest.std(ddof=1) / values.std(ddof=1))
