"""Does the reward know a right answer? References are scored as completions, and those of other rows too."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isfinite, sqrt
from typing import Any

import numpy as np

from rlctl.calibration.answers import Columns, Right, in_form, right_answer, same
from rlctl.calibration.exploits import SIGNIFICANT, Score, shortened
from rlctl.calibration.skeleton import holds, skeleton
from rlctl.calibration.table import Floats
from rlctl.config.component import Component
from rlctl.config.rewards import Rewards
from rlctl.rewards.aggregate import Row, number, outcome_of
from rlctl.rewards.batch import text_of
from rlctl.rewards.outcome import Failed, Invalid

MOST_ROWS = 32
"""Rows that are tried at most; each is scored up to a dozen times for each part that knows right answers."""
DONORS = 2
"""Real completions of other rows whose form is tried, beside that of the row's own."""
TOP = 0.95
"""Where the top starts, from the lowest raw score to the highest."""
MOST_BELOW = 0.05
"""Share of right answers that may be below the top."""
MOST_MISTAKEN = 0.1
"""Share of other rows' answers that may be at the top."""
EXAMPLES = 3

SHOWN = 80
"""Characters of an answer, the last ones, that an example shows."""

Job = tuple[int, str]
"""Row and text."""


@dataclass(frozen=True)
class PartGold:
    """What one part says of right answers.

    Args:
        n: Rows with a right answer to which the part applies.
        guessed: Whether only the name of a column says that it holds right answers.
        reference: Mean raw score of right answers; None where none was scored.
        other_n: Rows that were scored with the answer of another row, which is another text.
        other: Mean raw score of these.
        top: Raw score from which on an answer is at the top; None where nothing tells.
        below_top: Share of right answers that are not at the top: too low, invalid or failed.
        other_at_top: Share of other rows' answers that are.
        invalid: Right answers that were called invalid.
        failed: Right answers that could not be scored.
        reasons: Why, and how often.
        examples: `prompt`, `reference`, `raw`, `outcome`, `reason` of right answers below the top.
        mistaken: The same of other rows' answers at the top.
        testable: False where nobody knows the form of an answer: real completions get to the top, and right
            answers get nothing in any form that was tried.
        problems: `reference` where too many right answers are below the top, `other` where too many answers
            of other rows are at it.
    """

    n: int
    guessed: bool
    reference: float | None
    other_n: int
    other: float | None
    top: float | None
    below_top: float
    other_at_top: float
    invalid: int
    failed: int
    reasons: list[dict[str, Any]]
    examples: list[dict[str, Any]]
    mistaken: list[dict[str, Any]]
    testable: bool
    problems: list[str]


@dataclass(frozen=True)
class Gold:
    """What the rewards say of right answers.

    Args:
        components: Part → its figures; parts that know no right answer are not there.
        n: Rows with a right answer that has a total.
        total_mean: Mean total of right answers, each in the form that scores best; None where there is none.
        total_median: Median.
        percentile: Share of the valid totals that are not above the median.
    """

    components: dict[str, PartGold]
    n: int
    total_mean: float | None
    total_median: float | None
    percentile: float | None

    def as_dict(self) -> dict[str, Any]:
        """For `analysis.json`."""
        return asdict(self)


def check_gold(
    rows: Sequence[Columns],
    rewards: Rewards,
    score: Score,
    *,
    completions: Sequence[Any] = (),
    totals: Sequence[float] = (),
    raw: Mapping[str, Floats] | None = None,
    noise: Mapping[str, float] | None = None,
    valid_totals: Floats | None = None,
    seed: int = 0,
) -> Gold | None:
    """Score right answers, and for comparison each row with the answer of another.

    An answer is scored as it is and in the form that the parts ask for; where only a column's name says that
    it is one, in the form of real completions too. The best counts.

    Args:
        rows: `prompt` and the columns that the rewards read; the first `MOST_ROWS` are taken.
        rewards: The section `rewards`.
        score: Scores texts.
        completions: A good real completion of each row (text, chat messages or None), or none at all.
        totals: What they got; the forms of the highest are tried on other rows.
        raw: Part → (N,) raw scores of real completions, NaN where there are none; they tell where the top is
            for parts without known bounds.
        noise: Part → standard deviation of the noise in its raw score.
        valid_totals: (N,) totals of valid completions, to hold the references against.
        seed: Which other row's answer is taken.

    Returns:
        The figures; None where no part knows a right answer to any row.
    """
    rows = rows[:MOST_ROWS]
    known = {
        part.name: (part, found)
        for part in rewards.components
        if part.weight >= 0 and any(found := [right_answer(part, row) for row in rows])
    }
    if not known:
        return None
    texts = [text_of(one or "") for one in completions[: len(rows)]] or [""] * len(rows)
    donors = _donors(texts, totals)
    right = {name: _all_tries(found, found, texts, donors, rewards) for name, (_, found) in known.items()}
    wrong = {
        name: _all_tries(_dealt(found, seed), found, texts, donors, rewards)
        for name, (_, found) in known.items()
    }
    lists = [tries for of_part in (right, wrong) for tries in of_part.values()]
    jobs = list(
        dict.fromkeys((i, text) for tries in lists for i, texts in enumerate(tries) for text in texts)
    )
    scored = dict(zip(jobs, score([rows[i] for i, _ in jobs], [text for _, text in jobs]), strict=True))
    components = {
        name: _part(
            part,
            found,
            rows,
            scored,
            right[name],
            wrong[name],
            (raw or {}).get(name),
            noise=(noise or {}).get(name, 0.0),
            real=[text for text in texts if text] if donors else [],
        )
        for name, (part, found) in known.items()
    }
    best = _totals(right.values(), scored, len(rows))
    median = float(np.median(best)) if best else None
    compared = valid_totals if valid_totals is not None and len(valid_totals) else None
    below = None if median is None or compared is None else float(np.mean(compared <= median))
    return Gold(
        components=components,
        n=len(best),
        total_mean=float(np.mean(best)) if best else None,
        total_median=median,
        percentile=below,
    )


def _donors(texts: Sequence[str], totals: Sequence[float]) -> list[int]:
    """The rows whose completions got most."""
    known = [i for i, total in enumerate(totals[: len(texts)]) if texts[i].strip() and not np.isnan(total)]
    return sorted(known, key=lambda i: -totals[i])[:DONORS]


def _all_tries(
    given: Sequence[Right | None],
    right: Sequence[Right | None],
    texts: Sequence[str],
    donors: Sequence[int],
    rewards: Rewards,
) -> list[list[str]]:
    """For each row the texts that give it an answer.

    Args:
        given: The answer of each row.
        right: The right one.
        texts: Real completions.
        donors: Rows whose completions show the form, beside that of the row itself.
        rewards: The section `rewards`.
    """
    return [
        _tries(one, rewards, [(texts[k], right[k]) for k in dict.fromkeys([i, *donors])], right[i])
        for i, one in enumerate(given)
    ]


def _tries(
    given: Right | None,
    rewards: Rewards,
    formed: Sequence[tuple[str, Right | None]],
    right: Right | None,
) -> list[str]:
    """The texts that give an answer: as it is, in the form asked for, and in that of real completions.

    A wrong one in a text that still holds the right one is left out: that need not be wrong.
    """
    if given is None:
        return []
    tries = [given.text, in_form(given.text, rewards)]
    if given.guessed:
        made = [
            text
            for real, its in formed
            for text in skeleton(real).answers(given.text, its.text if its else None)
        ]
        wrong = right is not None and not same(given.text, right.text)
        tries += [text for text in made if not (wrong and right and holds(text, right.text))]
    return list(dict.fromkeys(tries))


def _dealt(found: Sequence[Right | None], seed: int) -> list[Right | None]:
    """For each row the answer of another that is a different text; None where there is none."""
    rng = random.Random(seed)
    dealt: list[Right | None] = []
    for mine in found:
        others = [one for one in found if one and mine and not same(one.text, mine.text)]
        dealt.append(rng.choice(others) if others else None)
    return dealt


def _part(
    part: Component,
    found: Sequence[Right | None],
    rows: Sequence[Columns],
    scored: Mapping[Job, Row],
    right: Sequence[list[str]],
    wrong: Sequence[list[str]],
    seen: Floats | None,
    *,
    noise: float,
    real: Sequence[str],
) -> PartGold:
    references = _best(part.name, right, scored)
    shuffled = _best(part.name, wrong, scored)
    raws, others = _raws(part.name, references, scored), _raws(part.name, shuffled, scored)
    top = _top(part, [*raws, *others], seen, noise)
    low = [job for job in references if not _at_top(part.name, scored[job], top)]
    high = [job for job in shuffled if _at_top(part.name, scored[job], top)]
    below_top = len(low) / len(references) if references else 0.0
    at_top = len(high) / len(shuffled) if shuffled else 0.0
    outcomes = Counter(outcome_of(scored[job].scores[part.name]) for job in references)
    guessed = any(one.guessed for one in found if one)
    # A real completion that is right says nothing of the form of the others.
    made = [[text for text in tries if text not in real] for tries in right]
    reached = _raws(part.name, _best(part.name, made, scored), scored)
    unknown = guessed and bool(real) and _out_of_reach(reached, seen, top)
    testable = not (unknown and below_top > MOST_BELOW)
    problems = _problems(below_top, at_top, raws, others, top, noise) if testable else []
    reasons = Counter(reason for job in references if (reason := _reason(part.name, scored[job])))
    return PartGold(
        n=len(references),
        guessed=guessed,
        reference=float(np.mean(raws)) if raws else None,
        other_n=len(shuffled),
        other=float(np.mean(others)) if others else None,
        top=top,
        below_top=below_top,
        other_at_top=at_top,
        invalid=outcomes["invalid"],
        failed=outcomes["failed"],
        reasons=[{"reason": reason, "count": count} for reason, count in reasons.most_common(EXAMPLES)],
        examples=[_example(part.name, job, rows, scored) for job in low[:EXAMPLES]],
        mistaken=[_example(part.name, job, rows, scored) for job in high[:EXAMPLES]],
        testable=testable,
        problems=problems,
    )


def _out_of_reach(raws: Sequence[float], seen: Floats | None, top: float | None) -> bool:
    """Whether right answers get no more than the least there is, while real completions get to the top."""
    known = seen[~np.isnan(seen)] if seen is not None else np.zeros(0)
    if not len(known) or top is None or known.max() < top:
        return False
    return not raws or (known.min() < top and max(raws) <= known.min())


def _problems(
    below_top: float,
    at_top: float,
    raws: Sequence[float],
    others: Sequence[float],
    top: float | None,
    noise: float,
) -> list[str]:
    """What is wrong; of noisy scores, where the mean says so too."""
    low, high = below_top > MOST_BELOW, at_top > MOST_MISTAKEN
    if noise and top is not None:
        low = low and not (raws and sum(raws) >= top * len(raws))
        high = high and sum(others) >= top * len(others)
    return ["reference"] * low + ["other"] * high


def _best(name: str, tries: Sequence[list[str]], scored: Mapping[Job, Row]) -> list[Job]:
    """Of each row the text that the part scores highest; rows to which it does not apply are left out."""
    chosen = []
    for i, texts in enumerate(tries):
        applying = [text for text in texts if outcome_of(scored[i, text].scores[name]) != "not_applicable"]
        if applying:
            raws = [number(scored[i, text].scores[name]) for text in applying]
            order = [-np.inf if raw is None else raw for raw in raws]
            chosen.append((i, applying[int(np.argmax(order))]))
    return chosen


def _raws(name: str, jobs: Sequence[Job], scored: Mapping[Job, Row]) -> list[float]:
    raws = [number(scored[job].scores[name]) for job in jobs]
    return [raw for raw in raws if raw is not None]


def _top(part: Component, raws: Sequence[float], seen: Floats | None, noise: float) -> float | None:
    """The raw score from which on an answer is at the top: of the bounds, else of what was ever scored.

    What is as far below as noise reaches is at the top too, down to half of the way. None where nothing was
    scored, or nothing but one number that is not above 0: that is no top.
    """
    known = np.array([*raws, *(seen[~np.isnan(seen)] if seen is not None else ())])
    low, high = part.bounds() or (-np.inf, np.inf)
    if not (isfinite(low) and isfinite(high)):
        if not len(known):
            return None
        low, high = float(known.min()), float(known.max())
        if low == high <= 0:
            return None
    top = low + TOP * (high - low)
    return max(top - SIGNIFICANT * sqrt(2) * noise, (low + high) / 2) if noise else top


def _at_top(name: str, row: Row, top: float | None) -> bool:
    raw = number(row.scores[name])
    return raw is not None and top is not None and raw >= top


def _reason(name: str, row: Row) -> str | None:
    score = row.scores[name]
    return score.reason if isinstance(score, Invalid | Failed) else None


def _example(name: str, job: Job, rows: Sequence[Columns], scored: Mapping[Job, Row]) -> dict[str, Any]:
    place, text = job
    score = scored[job].scores[name]
    return {
        "prompt": shortened(text_of(rows[place].get("prompt") or "")),
        "reference": text if len(text) <= SHOWN else f"…{text[1 - SHOWN :]}",  # the answer is at the end
        "raw": number(score),
        "outcome": outcome_of(score),
        "reason": _reason(name, scored[job]),
    }


def _totals(lists: Any, scored: Mapping[Job, Row], count: int) -> list[float]:
    """The best total of each row's references."""
    totals = []
    for i in range(count):
        rows = [scored[i, text] for tries in lists for text in tries[i]]
        known = [row.total for row in rows if row.outcome == "scored" and row.total is not None]
        totals += [max(known)] if known else []
    return totals
