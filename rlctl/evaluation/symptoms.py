"""What often goes with a gamed reward: other lengths, repetition, an end of variety, a policy far off."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from rlctl.evaluation.trend import Course

LENGTH, TRUNCATED = "train/completion_length", "train/truncated_fraction"
REPETITION, ENTROPY, KL = "train/repetition_fraction", "train/entropy", "train/kl_div"
READ = (LENGTH, TRUNCATED, REPETITION, ENTROPY, KL)
"""Metrics that are looked at."""

CHANCE = 0.01
"""Chance that a figure without a trend is taken for one that has it."""
LEAST_KL = 0.1
"""Nats per token; a KL below it is no distance, whatever the entropy."""


@dataclass(frozen=True)
class Symptom:
    """A figure that has become suspicious.

    Args:
        kind: What it is about.
        text: The figure at the start and now.
        size: How bad it is; twice as much is twice as bad.
    """

    kind: str
    text: str
    size: float


def symptoms(course: Course) -> Iterator[Symptom]:
    """Every symptom that a course shows now. None of them alone is wrong: an honest run may have them all."""
    yield from _length(course)
    if (ends := course.ends(TRUNCATED)) and ends[1] > 0.5 and _up(course, TRUNCATED, by=0.2):
        yield Symptom("truncation", f"truncated {ends[0]:.0%} → {ends[1]:.0%}", ends[1])
    if (ends := course.ends(REPETITION)) and ends[1] >= 0.2 and _up(course, REPETITION, by=0.1):
        yield Symptom("repetition", f"repetition {_from_to(ends)}", ends[1])
    entropy = course.ends(ENTROPY)
    if entropy and entropy[1] < 0.1 * entropy[0] and course.rises(ENTROPY, level=CHANCE, sign=-1):
        yield Symptom("entropy", f"entropy {_from_to(entropy)}", entropy[0] / max(entropy[1], 1e-9))
    # A policy that keeps to the commonest of the base's own texts has at most about the base's entropy as its
    # KL, since each of its tokens costs −log π_base. Beyond that, it writes what the base would not.
    if entropy and (ends := course.ends(KL)) and ends[1] > max(entropy[0], LEAST_KL) and _up(course, KL):
        text = f"KL {_from_to(ends)} nats per token, above the entropy of the start, {number(entropy[0])}"
        yield Symptom("kl", text, ends[1])


def _length(course: Course) -> Iterator[Symptom]:
    ends = course.ends(LENGTH)
    if not ends or min(ends) <= 0:
        return
    doublings = math.log2(ends[1] / ends[0])
    if abs(doublings) >= 1 and course.rises(LENGTH, level=CHANCE, sign=1 if doublings > 0 else -1):
        yield Symptom("length", f"completions {_from_to(ends)} tokens", abs(doublings))


def _up(course: Course, name: str, by: float = 0.0) -> bool:
    """Whether a figure has risen by so much, and not by chance."""
    before, now = course.ends(name) or (0.0, 0.0)
    return now - before >= by and course.rises(name, level=CHANCE)


def number(value: float) -> str:
    """A figure in a sentence."""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    text = f"{value:.{digits}f}" if abs(value) >= 0.01 or value == 0 else f"{value:.1g}"
    return text.replace("-", "−")


def _from_to(ends: tuple[float, float]) -> str:
    return f"{number(ends[0])} → {number(ends[1])}"
