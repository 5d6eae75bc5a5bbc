"""From what each component says of a completion to one total. Pure functions of numbers.

Order: raw score → transform → normalize → gate → weight → aggregate → invalid penalty → `on_error` → scale.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

from rlctl.config.component import Component
from rlctl.config.rewards import PerGroup, Rewards
from rlctl.rewards.conditions import parse
from rlctl.rewards.normalize import normalize, sizes_of
from rlctl.rewards.outcome import LARGEST, Failed, Invalid, Outcome, Score
from rlctl.rewards.penalty import group_penalties

Values = dict[str, float | None]


@dataclass(frozen=True)
class Row:
    """What one completion is worth, and why.

    Args:
        outcome: `scored`, `invalid`, `not_applicable` or `failed`.
        reason: Component and reason where invalid or failed.
        total: Penalty and scale included; None where the row is masked, or is to get a penalty that is not
            known: `auto` before it is chosen, or one relative to a group where no groups are looked at.
        scores: Component → what it said.
        values: Component → after transform, normalisation and gate; None where it does not count.
        weighted: Component → its share of the total. The shares add up to the total, except for the geometric
            mean, where a share is the value times its normalised weight.
    """

    outcome: Outcome
    reason: str | None
    total: float | None
    scores: dict[str, Score]
    values: Values
    weighted: Values

    @property
    def raw(self) -> Values:
        """Component → raw score; None where it gave no number."""
        return {name: number(score) for name, score in self.scores.items()}

    def as_dict(self) -> dict[str, Any]:
        """For `completions.jsonl`; holds only finite numbers, text and None."""
        parts = {name: self._part(name) for name in self.scores}
        return {"total": self.total, "outcome": self.outcome, "reason": self.reason, "components": parts}

    def _part(self, name: str) -> dict[str, Any]:
        score = self.scores[name]
        part = {"raw": number(score), "value": self.values[name], "weighted": self.weighted[name]}
        reason = score.reason if isinstance(score, Invalid | Failed) else None
        return {**part, "outcome": outcome_of(score), "reason": reason}


def number(score: Score) -> float | None:
    """The score where it is a number, else None."""
    return None if score is None or isinstance(score, Invalid | Failed) else score


def outcome_of(score: Score) -> Outcome:
    """Which of the four outcomes a component's score is."""
    if score is None:
        return "not_applicable"
    if isinstance(score, Invalid):
        return "invalid"
    return "failed" if isinstance(score, Failed) else "scored"


def aggregate(
    rewards: Rewards,
    scores: Mapping[str, Sequence[Score]],
    *,
    group_size: int | Sequence[int] = 1,
    normalized: bool = True,
) -> list[Row]:
    """Totals of a batch.

    Args:
        rewards: Weights, transforms, gates and the rest.
        scores: Component → one raw score per completion, over all processes.
        group_size: Completions per prompt, which are neighbours; where prompts differ, the number of each.
        normalized: False leaves out all that depends on other completions: every normalisation over groups
            and batches, and a penalty that is relative to a group.

    Raises:
        ValueError: The scores do not make whole groups.
    """
    parts = rewards.components
    rows = [dict(zip(scores, row, strict=True)) for row in zip(*scores.values(), strict=True)]
    transformed = [_transform(parts, rewards.aggregate, row) for row in rows]
    usable = [
        all(outcome_of(score) in ("scored", "not_applicable") for score in row.values())
        for row in transformed
    ]
    columns: dict[str, list[float | None]] = {}
    for part in parts:
        values = [
            number(row[part.name]) if good else None for row, good in zip(transformed, usable, strict=True)
        ]
        kind = _normalization(part, rewards) if normalized else "none"
        columns[part.name] = normalize(kind, values, group_size)
    found = [
        _row(rewards, raw, shaped, {name: column[i] for name, column in columns.items()})
        for i, (raw, shaped) in enumerate(zip(rows, transformed, strict=True))
    ]
    relative = rewards.invalid_penalty
    if normalized and isinstance(relative, PerGroup):
        return _penalised(rewards, relative.per_group, found, sizes_of(group_size, len(found)))
    return found


def _penalised(rewards: Rewards, depth: float, rows: list[Row], sizes: Sequence[int]) -> list[Row]:
    """The rows, those that get a penalty with the one of their group."""
    groups = [rows[end - size : end] for end, size in zip(accumulate(sizes), sizes, strict=True)]
    valid = [
        [row.total for row in group if row.outcome == "scored" and row.total is not None] for group in groups
    ]
    penalties = group_penalties(valid, depth, unit=rewards.scale)
    punished = ("invalid", "failed") if rewards.on_error == "penalty" else ("invalid",)
    return [
        replace(row, total=penalty) if row.outcome in punished else row
        for group, penalty in zip(groups, penalties, strict=True)
        for row in group
    ]


def _normalization(part: Component, rewards: Rewards) -> str:
    """GDPO (`normalize_then_sum`, arXiv 2601.05242) standardises every component inside its group."""
    return "group_std" if rewards.aggregate == "normalize_then_sum" else part.normalize


def _transform(parts: Sequence[Component], how: str, row: Mapping[str, Score]) -> dict[str, Score]:
    """Raw scores after their transforms; a number that the rest cannot work with is a failure."""
    shaped: dict[str, Score] = {}
    for part in parts:
        raw = row[part.name]
        value = number(raw)
        if value is None:
            shaped[part.name] = raw
            continue
        if part.transform is not None:
            value = part.transform.apply(value)
        if not abs(value) <= LARGEST:
            shaped[part.name] = Failed(f"the transform made {value} of {number(raw):g}")
        elif how == "weighted_geometric_mean" and not 0 <= value <= 1:
            shaped[part.name] = Failed(f"{value:g} is outside of 0 to 1, which the geometric mean needs")
        else:
            shaped[part.name] = value
    return shaped


def _row(rewards: Rewards, raw: dict[str, Score], shaped: dict[str, Score], values: Values) -> Row:
    """One total. `raw` decides about gates, `shaped` about the outcome, `values` are what is added up."""
    scores = {name: said if isinstance(said, Failed) else raw[name] for name, said in shaped.items()}
    nothing: Values = dict.fromkeys(scores)
    penalty = None if rewards.penalty is None else rewards.penalty * rewards.scale
    for outcome in ("invalid", "failed"):
        for name, score in scores.items():
            if outcome_of(score) == outcome and isinstance(score, Invalid | Failed):
                total = penalty if outcome == "invalid" or rewards.on_error == "penalty" else None
                return Row(outcome_of(score), f"{name}: {score.reason}", total, scores, nothing, nothing)
    values = {part.name: _gated(part, raw, values[part.name]) for part in rewards.components}
    shares = _shares(rewards, values)
    if shares is None:
        return Row("not_applicable", None, None, scores, values, nothing)
    total, weighted = shares
    if not abs(total) <= LARGEST:
        mask = penalty if rewards.on_error == "penalty" else None
        return Row("failed", f"total: beyond ±{LARGEST:g}", mask, scores, values, nothing)
    return Row("scored", None, total, scores, values, weighted)


def _gated(part: Component, raw: Mapping[str, Score], value: float | None) -> float | None:
    """The value, 0 behind a closed gate, None where a part that the gate asks about does not apply."""
    for name, condition in (part.gate or {}).items():
        asked = number(raw[name])
        if asked is None:
            return None
        if value is not None and not parse(condition).holds(asked):
            value = 0.0
    return value


def _shares(rewards: Rewards, values: Values) -> tuple[float, Values] | None:
    """The scaled total and each part's share of it; None where no part with a weight applies."""
    weights = {part.name: part.weight for part in rewards.components}
    everything = math.fsum(map(abs, weights.values()))
    present = {name: value for name, value in values.items() if value is not None}
    applying = math.fsum(abs(weights[name]) for name in present)
    if applying == 0:
        return None
    summed = rewards.aggregate in ("weighted_sum", "normalize_then_sum")
    factor = rewards.scale * (everything / applying if summed else 1 / applying)
    weighted: Values = dict.fromkeys(values)
    weighted.update({name: weights[name] * value * factor for name, value in present.items()})
    if rewards.aggregate == "weighted_geometric_mean":
        return rewards.scale * _geometric(present, weights), weighted
    shares = [share for share in weighted.values() if share is not None]
    summable = all(abs(share) <= LARGEST for share in shares)
    return (math.fsum(shares) if summable else math.inf), weighted


def _geometric(values: Mapping[str, float], weights: Mapping[str, float]) -> float:
    """exp(Σ w ln x / Σ w) over the parts that apply; 0 where one of them is 0, as behind a closed gate."""
    counted = {name: value for name, value in values.items() if weights[name] > 0}
    if any(value == 0 for value in counted.values()):
        return 0.0
    weight = math.fsum(weights[name] for name in counted)
    return math.exp(math.fsum(weights[name] * math.log(value) for name, value in counted.items()) / weight)
