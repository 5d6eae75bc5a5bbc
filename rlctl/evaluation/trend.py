"""The course of a run's training figures in fixed memory, and whether one of them has a trend."""

from collections.abc import Mapping
from typing import Any

CAPACITY = 256
"""Points from which neighbours are merged."""
WINDOW = 10
"""Points of the start and of now, at most; in a short course a quarter of it."""

Point = tuple[int, int, int, dict[str, tuple[int, float]]]
"""First and last step, how many, and of each figure how often it was measured and its mean."""


class Course:
    """Figures of the steps, in the order of the steps. `Stateful`.

    A long course is kept as means of neighbouring steps, all of about the same number.
    """

    def __init__(self) -> None:
        self.points: list[Point] = []
        self._width = 1

    def __len__(self) -> int:
        return len(self.points)

    def add(self, step: int, figures: Mapping[str, float | None]) -> None:
        """Take in the figures of a step; what is None was not measured."""
        known = {name: (1, float(value)) for name, value in figures.items() if value is not None}
        point: Point = (step, step, 1, known)
        if self.points and self.points[-1][2] < self._width:
            point = _merged(self.points.pop(), point)
        self.points.append(point)
        if len(self.points) > CAPACITY:
            self._width *= 2
            pairs = [self.points[i : i + 2] for i in range(0, len(self.points), 2)]
            self.points = [_merged(*pair) if len(pair) == 2 else pair[0] for pair in pairs]

    def values(self, name: str, after: int = 0) -> list[float]:
        """A figure after a step, a value per point that has it."""
        return [known[name][1] for first, _, _, known in self.points if first > after and name in known]

    def ends(self, name: str) -> tuple[float, float] | None:
        """A figure at the start and now, means over some points each; None where there are too few."""
        values = self.values(name)
        size = min(WINDOW, len(values) // 4)
        return (sum(values[:size]) / size, sum(values[-size:]) / size) if size else None

    def rises(self, name: str, after: int = 0, *, level: float, sign: int = 1) -> bool:
        """Whether a figure rises, more than chance would make it.

        The Mann-Kendall test, one-sided (Mann 1945, "Nonparametric Tests Against Trend"): Kendall's tau of
        the figure and time. Four points that rise without exception are the fewest that reach 5 %.

        Args:
            name: The figure.
            after: Only later steps count.
            level: Chance of a false yes, where the figures of different steps are independent.
            sign: −1 for whether it falls.
        """
        from scipy.stats import kendalltau

        values = self.values(name, after)
        if len(set(values)) < 2:
            return False
        found = kendalltau(range(len(values)), [sign * value for value in values], alternative="greater")
        return bool(found.pvalue < level)

    def state_dict(self) -> dict[str, Any]:
        """The points."""
        return {"points": [_plain(point) for point in self.points], "width": self._width}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.points = [
            (first, last, count, {name: (times, mean) for name, (times, mean) in known.items()})
            for first, last, count, known in state["points"]
        ]
        self._width = state["width"]


def _merged(one: Point, other: Point) -> Point:
    known = {**one[3], **other[3]}
    for name in one[3].keys() & other[3].keys():
        (n, mean), (m, value) = one[3][name], other[3][name]
        known[name] = (n + m, (n * mean + m * value) / (n + m))
    return one[0], other[1], one[2] + other[2], known


def _plain(point: Point) -> list[Any]:
    return [*point[:3], {name: list(figure) for name, figure in point[3].items()}]
