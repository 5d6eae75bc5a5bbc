"""The verdict of a proof: one rule over three differences, written into the plan before training. Pure.

What counts is the difference that training made beyond the base model, over prompts and seeds, and beyond a
control that was trained with shuffled rewards and so could learn nothing from them, though it drifts as any
run does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb
from statistics import fmean
from typing import Any, Literal

from rlctl.statistics.intervals import LEVEL, difference
from rlctl.statistics.paired import Comparison, compare
from rlctl.statistics.seeds import SeedsEstimate, across_seeds
from rlctl.statistics.selection import MOST_LEFT_OUT, is_selection

Word = Literal["improved", "no evidence", "worse"]
Values = Sequence[float | None]
"""A metric's value for each held-out prompt; None where there is none."""

FOUND_PER_HALF_WIDTH = 1.43
"""Smallest difference found with 80 % power, in half widths of the interval: (1.96 + 0.84) / 1.96."""
ROUNDING = 1e-9
"""Differences of floating-point numbers that are smaller than this are none."""


@dataclass(frozen=True)
class Effect:
    """A mean difference over prompts and seeds, and which way it points.

    Args:
        estimate: The difference with its interval.
        p_value: Of the interval; of the sign test where all differences are equal; None below two prompts,
            and for one seed against the control.
        sign: 1 or -1 where the difference is not 0 by that test at 5 %, else 0.
    """

    estimate: SeedsEstimate
    p_value: float | None
    sign: int

    @property
    def detectable(self) -> float | None:
        """About the smallest difference that so many prompts and seeds would have shown."""
        low, high = self.estimate.low, self.estimate.high
        return None if low is None or high is None else FOUND_PER_HALF_WIDTH * (high - low) / 2

    def as_dict(self) -> dict[str, Any]:
        """`difference, ci95, p_value, prompts, seeds, detectable_effect`."""
        return {
            **self.estimate.as_dict(),
            "p_value": self.p_value,
            "detectable_effect": self.detectable,
        }


@dataclass(frozen=True)
class Verdict:
    """What a proof found.

    Args:
        word: The verdict.
        because: Why, in a sentence without figures.
        gain: Trained models against the base.
        over_control: Trained models against the control.
        control: The control against the base, paired over prompts.
        by_seed: Each trained model against the base.
        counted: For each prompt, whether it has a value in every model. The others count nowhere.
    """

    word: Word
    because: str
    gain: Effect
    over_control: Effect
    control: Comparison
    by_seed: list[Comparison]
    counted: list[bool]

    @property
    def detectable(self) -> float | None:
        """About the smallest gain that would have been called improved; None where none would have been."""
        parts = (self.gain.detectable, self.over_control.detectable)
        return None if None in parts else max(part for part in parts if part is not None)

    @property
    def control_improved(self) -> bool | None:
        """Whether the control is better than the base model, and no worse than the trained models.

        A single run drifts by more than the chance of prompts, so a small change of it alone means nothing.
        None where nothing is known of that drift: with one seed, and below two prompts.
        """
        if self.over_control.p_value is None:
            return None
        rose = _sign_of(self.control.difference, self.control.p_value) > 0
        return rose and self.over_control.sign <= 0


def rule(metric: str, seeds: int) -> list[str]:
    """The rule in words, a sentence per line."""
    vary = "prompts and training seeds" if seeds > 1 else "prompts"
    improved = [
        "improved: the interval of the gain lies above 0, and so does that of the trained models minus the "
        "control, a run with the first seed whose rewards were shuffled within each group.",
        "The interval against the control reckons with the control's own drift, one more draw of a run: the "
        "part of the seeds in the variance of the mean is their variance times (1/S + 1) instead of 1/S, "
        f"S = {seeds} seeds.",
    ]
    if seeds == 1:
        improved = ["improved: never. With one seed, a drift of the run cannot be told from a gain."]
    control = (
        "The control counts as improved where it is better than the base model, paired over prompts, and the "
        "trained models are not better than it."
    )
    if seeds == 1:
        control = "Whether the control improved cannot be told: with one seed, nothing is known of its drift."
    return [
        f"The gain is the mean of {metric} of the final models minus that of the base model, on the same "
        f"held-out prompts, averaged over {_count(seeds, 'seed')}.",
        f"Its {LEVEL * 100:.0f} % interval takes {vary} as random. Where all differences are equal there is "
        "no interval; then the sign test over prompts at 5 % takes its place.",
        "worse: the interval of the gain lies below 0.",
        *improved,
        f"Only prompts with a value in every model count. Where more than {MOST_LEFT_OUT * 100:.0f} % of the "
        "prompts lack one, or more than as many of some model's completions, the verdict is no evidence.",
        "no evidence: anything else.",
        control,
    ]


def judge(base: Values, trained: Sequence[Values], control: Values, *, left_out: float = 0.0) -> Verdict:
    """Apply the rule.

    Args:
        base: The base model's value of each prompt.
        trained: The same of the final model of each seed.
        control: The same of the model that was trained with shuffled rewards.
        left_out: Share of its completions that the model with the most of them has no value for.

    Raises:
        ValueError: If they are not of the same prompts.
    """
    counted = [None not in column for column in zip(base, control, *trained, strict=True)]
    base, control, *trained = (only(values, counted) for values in (base, control, *trained))
    gain = effect([minus(values, base) for values in trained])
    over_control = effect([minus(values, control) for values in trained], against_one_run=True)
    missing = counted.count(False) / max(len(counted), 1)
    word, because = _decide(gain, over_control, missing, left_out)
    by_seed = [compare(one, base) for one in trained]
    return Verdict(word, because, gain, over_control, compare(control, base), by_seed, counted)


def only(values: Values, counted: Sequence[bool]) -> list[float | None]:
    """The values of the prompts that count; None for the others."""
    return [value if counts else None for value, counts in zip(values, counted, strict=True)]


def effect(differences: Sequence[Values], *, against_one_run: bool = False) -> Effect:
    """The mean of the differences (seeds × prompts), and whether it is other than 0.

    Args:
        differences: A row per seed.
        against_one_run: Whether they are from one run that drifts as the seeds do (`across_seeds`).
    """
    estimate = across_seeds(differences, against_one_run=against_one_run)
    p_value = estimate.p_value
    unknown_drift = against_one_run and estimate.seeds == 1
    if estimate.low is None and estimate.prompts > 1 and not unknown_drift:
        p_value = sign_test(differences)
    return Effect(estimate, p_value, _sign_of(estimate.mean, p_value))


def sign_test(differences: Sequence[Values]) -> float:
    """Two-sided p-value of the sign test over prompts, on their means over seeds; equal ones do not count."""
    by_prompt = [column for column in zip(*differences, strict=True) if None not in column]
    means = [fmean(value for value in column if value is not None) for column in by_prompt]
    above, below = sum(mean > ROUNDING for mean in means), sum(mean < -ROUNDING for mean in means)
    n, fewer = above + below, min(above, below)
    return min(1.0, 2 * sum(comb(n, k) for k in range(fewer + 1)) / 2**n)


def _decide(gain: Effect, over_control: Effect, missing: float, left_out: float) -> tuple[Word, str]:
    if gain.p_value is None:
        return "no evidence", "fewer than two prompts have a value, so nothing can be said of chance"
    for share, what in ((missing, "prompts lack a value in"), (left_out, "completions lack a value in")):
        if is_selection(share):
            return "no evidence", (
                f"more than {MOST_LEFT_OUT * 100:.0f} % of the {what} some model, and which do may depend on "
                "the training"
            )
    if gain.sign < 0:
        return "worse", "the trained models are worse than the base model"
    if gain.sign == 0:
        return "no evidence", "the difference from the base model may be chance"
    if over_control.p_value is None:
        return "no evidence", "with one seed, a drift of the run cannot be told from a gain"
    if over_control.sign > 0:
        return "improved", "the trained models are better than the base model, and than the control"
    if over_control.sign < 0:
        return "no evidence", "the control did better still, so the gain does not come from the reward"
    return (
        "no evidence",
        "the control, which could learn nothing from its rewards, did about as well, so the gain cannot be "
        "put down to the reward",
    )


def minus(values: Values, others: Values) -> list[float | None]:
    """The difference on each prompt, 0 where it is rounding alone; None where one of the two is."""
    pairs = zip(values, others, strict=True)
    return [None if a is None or b is None else difference(a, b) for a, b in pairs]


def _sign_of(change: float | None, p_value: float | None) -> int:
    if change is None or p_value is None or p_value >= 1 - LEVEL:
        return 0
    return 1 if change > 0 else -1


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"
