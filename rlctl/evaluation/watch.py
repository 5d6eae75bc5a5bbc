"""The watch: does what training is paid for still go with what it is for?

A training reward that rises while a held-out metric falls is the commonest failure of RL fine-tuning. The
watch follows both, and what often goes with it, and says in words when they part. Torch-free.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from rlctl.evaluation.symptoms import READ, number, symptoms
from rlctl.evaluation.trend import Course
from rlctl.statistics.paired import Comparison, compare
from rlctl.statistics.selection import is_selection

ERROR = 0.05
"""Chance that a run of any length whose metric never falls is said to part."""
TREND = 0.05
"""Chance that a training reward without a trend is taken for one that has it."""
OF_NOTE = 0.1
"""Changes of the metric below this share of its standard deviation over prompts are not spoken of."""
ROSE_BY = 0.5
"""Rise of the training reward, in standard deviations of the start, that should show in the metric."""
WORSE = 2.0
"""What was said is said again where it is this many times as bad."""
EVERY = 10
"""Steps between two looks, where there are no evaluations."""

REWARD, SPREAD = "train/reward", "train/reward_std"
ADVICE = "Read the newest completions in logs/completions.jsonl for what the training reward pays for"

Kind = Literal["metric_fell", "metric_flat", "symptoms", "left_out"]


@dataclass(frozen=True)
class Notice:
    """Something that the watch has to say.

    Args:
        step: Steps that were done.
        kind: What it is.
        severity: `alarm` where reward and metric part, else `warning`.
        text: One or two sentences with figures.
    """

    step: int
    kind: Kind
    severity: Literal["alarm", "warning"]
    text: str


@dataclass(frozen=True)
class Look:
    """An evaluation: steps that were done, and the metric of each prompt, None where it has none.

    `left_out` is the share of the completions that it has no value for.
    """

    step: int
    values: list[float | None]
    left_out: float = 0.0

    @property
    def mean(self) -> float:
        """Mean over the prompts that have a value."""
        return statistics.fmean(self._known)

    @property
    def variance(self) -> float:
        """Variance over the prompts that have a value."""
        return statistics.variance(self._known)

    @property
    def _known(self) -> list[float]:
        return [value for value in self.values if value is not None]


class Watch:
    """Follows one run. `Stateful`.

    Args:
        metric: What the held-out values are.
        evaluates: Whether there are evaluations. Without them, symptoms are all there is to go by.

    `notices` is all that was said; `parted` is in words how reward and metric have parted at the newest
    evaluation, None where they have not.
    """

    def __init__(self, metric: str, *, evaluates: bool = True) -> None:
        self.metric = metric
        self.evaluates = evaluates
        self.notices: list[Notice] = []
        self.parted: str | None = None
        self._course = Course()
        self._steps = 0
        self._looks = 0
        self._first: Look | None = None
        self._best: Look | None = None
        self._least: float | None = None
        self._said: dict[str, float] = {}

    def training(self, step: int, metrics: Mapping[str, Any]) -> list[Notice]:
        """Take in the figures of a step, of which there is every one; returns what is to be said.

        Args:
            step: Steps that were done.
            metrics: What was measured in this step alone. A step that learns from completions of an earlier
                one has no reward of its own.
        """
        self._course.add(step, {name: metrics.get(name) for name in (REWARD, SPREAD, *READ)})
        self._steps += 1
        if self.evaluates or self._steps % EVERY:
            return []
        return self._symptoms(step, "there is nothing independent to hold it against: set data.eval")

    def evaluation(self, step: int, values: Sequence[float | None], left_out: float = 0.0) -> list[Notice]:
        """Judge an evaluation; returns what is to be said.

        Args:
            step: Steps that were done.
            values: The metric of each held-out prompt, the same prompts every time; None where it has none.
            left_out: Share of the completions that have no value. Where it is much more than at another
                evaluation, that is said, and what is left of a selection is not compared.
        """
        least = left_out if self._least is None else self._least
        self._least = min(least, left_out)
        if is_selection(left_out, least):
            return self._selection(step, left_out, least)
        if sum(value is not None for value in values) < 2:
            return []
        now = Look(step, list(values), left_out)
        if self._first is None or self._best is None:
            self._first = self._best = now
            return []
        if any(is_selection(one.left_out, left_out) for one in (self._first, self._best)):
            self._first = self._best = now  # the earlier ones were of a selection, as it turns out
            return []
        self._looks += 1
        self.parted = None
        said = self._fell(now, self._first, self._best)
        if said is None and self._course.rises(REWARD, level=TREND):
            said = self._flat(now, self._first)
            if said is None and not _risen(now, self._first):
                said = self._symptoms(step, f"{self._course_of(self._first, now)} did not measurably rise")
        if now.mean > self._best.mean:
            self._best = now
        return said or []

    # what it looks for

    def _fell(self, now: Look, first: Look, best: Look) -> list[Notice] | None:
        """The metric is below the first or the best evaluation, while the training reward is not.

        Look t may err with a probability of ERROR / t(t + 1), whose sum over all looks is ERROR. Half of it
        is for the comparison with the first evaluation, half for that with the best of the t − 1 between,
        whichever that is: each of these has an equal part (Bonferroni), since the best of several noisy
        figures lies above its true value.
        """
        share, chosen_of = self._level / 2, self._looks - 1
        pairs = [(first, share, 1)]
        if best.step != first.step:
            pairs.append((best, share / chosen_of, chosen_of))
        fallen = [
            (earlier, found, among)
            for earlier, level, among in pairs
            if (found := compare(now.values, earlier.values)).difference is not None
            and found.difference < -OF_NOTE * _spread(now, earlier)
            and _below(found) < level
            and not self._course.rises(REWARD, earlier.step, level=TREND, sign=-1)
        ]
        if not fallen or not self._course.rises(REWARD, level=TREND):
            return None
        earlier, found, among = min(fallen, key=lambda one: one[1].difference or 0.0)
        whence = f" (best of {among + 1}, step {earlier.step})" if earlier.step != first.step else ""
        held_out = f"{self._course_of(earlier, now, whence)} ({_interval(found, among)})"
        text = f"{self._reward()}, {held_out}: they part"
        signs = [one.text for one in symptoms(self._course)]
        text += f"; meanwhile {', '.join(signs)}." if signs else "."
        self.parted = text
        text += f" {ADVICE} and the held-out {self.metric} does not."
        return self._say(Notice(now.step, "metric_fell", "alarm", text), {"fell": -(found.difference or 0.0)})

    def _flat(self, now: Look, first: Look) -> list[Notice] | None:
        """The training reward has risen by much, and the metric by next to nothing at most."""
        reward, spread = self._course.ends(REWARD), self._course.ends(SPREAD)
        if reward is None or spread is None or reward[1] - reward[0] < ROSE_BY * spread[0]:
            return None
        gain, most = compare(now.values, first.values), OF_NOTE * _spread(now, first)
        if gain.difference is None or gain.difference > most or _gains(now, first, most) >= self._level:
            return None
        text = f"{self._reward()}, and {self._course_of(first, now)} ({_interval(gain)}) has hardly moved. "
        text += f"{ADVICE} and the held-out {self.metric} does not see, or choose an eval.metric that does."
        size = (reward[1] - reward[0]) / (spread[0] or 1.0)
        return self._say(Notice(now.step, "metric_flat", "warning", text), {"flat": size})

    def _selection(self, step: int, share: float, least: float) -> list[Notice]:
        """So many more completions have no value that the metric of the others says nothing."""
        self.parted = None
        text = (
            f"{share:.1%} of the held-out completions have no value of {self.metric}, and {least:.1%} at the "
            "evaluation with the fewest: what is left is a selection. It is compared with nothing, cannot be "
            "the best, and takes no patience. The reasons are in logs/completions.jsonl."
        )
        return self._say(Notice(step, "left_out", "warning", text), {"left_out": share})

    def _symptoms(self, step: int, held_out: str) -> list[Notice]:
        """Symptoms alone, where no metric says that all is well."""
        found = list(symptoms(self._course))
        if not found or not self._course.rises(REWARD, level=TREND):
            return []
        signs = ", ".join(one.text for one in found)
        text = f"{self._reward()} with {signs}, and {held_out}. {ADVICE}."
        return self._say(Notice(step, "symptoms", "warning", text), {one.kind: one.size for one in found})

    def _say(self, notice: Notice, sizes: Mapping[str, float]) -> list[Notice]:
        """Say it, unless it was said when it was about as bad."""
        worse = {kind: size for kind, size in sizes.items() if size >= WORSE * self._said.get(kind, 0.0)}
        if not worse:
            return []
        self._said |= worse
        self.notices.append(notice)
        return [notice]

    @property
    def _level(self) -> float:
        """Probability of error that this look may spend."""
        return ERROR / (self._looks * (self._looks + 1))

    # in words

    def _reward(self) -> str:
        before, now = self._course.ends(REWARD) or (math.nan, math.nan)
        return f"training reward {number(before)} → {number(now)}"

    def _course_of(self, earlier: Look, now: Look, whence: str = "") -> str:
        return f"held-out {self.metric} {number(earlier.mean)}{whence} → {number(now.mean)}"

    # state

    def state_dict(self) -> dict[str, Any]:
        """The course, what was said, and the prompts' values of the first and the best evaluation."""
        return {
            "course": self._course.state_dict(),
            "notices": [asdict(one) for one in self.notices],
            "parted": self.parted,
            "counts": (self._steps, self._looks),
            "first": None if self._first is None else asdict(self._first),
            "best": None if self._best is None else asdict(self._best),
            "least": self._least,
            "said": dict(self._said),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self._course.load_state_dict(state["course"])
        self.notices = [Notice(**one) for one in state["notices"]]
        self.parted = state["parted"]
        self._steps, self._looks = state["counts"]
        self._first = None if state["first"] is None else Look(**state["first"])
        self._best = None if state["best"] is None else Look(**state["best"])
        self._least = state["least"]
        self._said = dict(state["said"])


def _below(found: Comparison) -> float:
    """One-sided p-value of a fall: of the t-test, but not below the chance that as many prompts fall as one.

    With few prompts that differ, values of a few kinds such as 0 and 1 would be too sure in the t-test.
    """
    if found.difference is None or found.difference >= 0 or found.n < 2:
        return 1.0
    tail = 0.0 if found.p_value is None else found.p_value / 2
    return float(max(tail, 0.5 ** (found.wins + found.losses)))


def _gains(now: Look, first: Look, by: float) -> float:
    """One-sided p-value of the metric having gained less than `by`.

    Where few prompts have changed at all, the t-test is too sure: then it is at least the chance that a tenth
    of all prompts changes, and none of these.
    """
    found = compare(now.values, first.values)
    chance = (1 - OF_NOTE) ** found.n
    if found.ties == found.n:
        return chance
    tail = _below(compare([None if one is None else one - by for one in now.values], first.values))
    return max(tail, chance) if 2 * found.ties > found.n else tail


def _risen(now: Look, first: Look) -> bool:
    """Whether the metric has measurably risen; where that is in doubt, silence is the better error."""
    found = compare(now.values, first.values)
    if found.difference is None or found.difference <= 0:
        return False
    return found.p_value is None or found.p_value / 2 < TREND


def _spread(one: Look, other: Look) -> float:
    """Standard deviation over prompts, pooled."""
    return math.sqrt((one.variance + other.variance) / 2)


def _interval(found: Comparison, among: int = 1) -> str:
    """The difference with its 95 % interval, wider where it was chosen among several."""
    from scipy.special import stdtrit

    difference = found.difference or 0.0
    text = f"+{number(difference)}" if difference > 0 else number(difference)
    if found.low is None or found.high is None:
        return f"{text} on each of {found.n} prompts"
    plain, wide = (float(stdtrit(found.n - 1, 1 - 0.025 / count)) for count in (1, among))
    low, high = (difference + (end - difference) * wide / plain for end in (found.low, found.high))
    return f"{text}, 95 % interval {number(low)} to {number(high)}"
