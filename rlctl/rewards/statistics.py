"""Figures of rewards: of one batch for the metrics, and running over a whole run for `logs/rewards.json`.

Scored, invalid, not applicable and failed are counted apart; what is missing is None, never 0.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rlctl.rewards.aggregate import Row, outcome_of
from rlctl.rewards.normalize import mean, std
from rlctl.rewards.outcome import Failed, Invalid

OUTCOMES = ("scored", "invalid", "not_applicable", "failed")
MOST_REASONS = 5
MOST_KINDS = 500
"""Different reasons that are told apart; later ones count as `other`, so that a long run stays small."""


def batch_metrics(rows: Sequence[Row], *, group_size: int = 1) -> dict[str, float | None]:
    """Metrics of one batch under the names that every algorithm logs, without `train/`.

    Args:
        rows: The rows of all processes.
        group_size: Completions per prompt; they are neighbours.

    Returns:
        `reward` and `reward_std` (n−1) of the totals that training sees, penalties included; the mean raw
        score of each component; the share of invalid, not applicable and failed rows; `dead_group_fraction`
        where there are groups.
    """
    totals = [row.total for row in rows if row.total is not None]
    metrics: dict[str, float | None] = {
        "reward": mean(totals) if totals else None,
        "reward_std": std(totals) if len(totals) > 1 else None,
    }
    for name in rows[0].scores if rows else ():
        raw = [value for row in rows if (value := row.raw[name]) is not None]
        metrics[name] = mean(raw) if raw else None
    for outcome in OUTCOMES[1:]:
        count = sum(row.outcome == outcome for row in rows)
        metrics[f"{outcome}_fraction"] = count / len(rows) if rows else None
    if group_size > 1:
        groups = _groups(rows, group_size)
        metrics["dead_group_fraction"] = sum(map(is_dead, groups)) / len(groups) if groups else None
    return metrics


def is_dead(rows: Sequence[Row]) -> bool:
    """Whether a group teaches nothing: fewer than two rows have a total, or all totals are the same."""
    return len({row.total for row in rows if row.total is not None}) < 2


@dataclass
class Moments:
    """Count, mean, spread and range of numbers that come one after the other (Welford 1962)."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    min: float = math.inf
    max: float = -math.inf

    def add(self, value: float) -> None:
        """Take one more number in."""
        self.count += 1
        step = value - self.mean
        self.mean += step / self.count
        self.squares += step * (value - self.mean)
        self.min, self.max = min(self.min, value), max(self.max, value)

    def as_dict(self) -> dict[str, float | int | None]:
        """`count, mean, std (n−1), min, max`; None where there are too few numbers."""
        if not self.count:
            return {"count": 0, "mean": None, "std": None, "min": None, "max": None}
        spread = math.sqrt(self.squares / (self.count - 1)) if self.count > 1 else None
        return {"count": self.count, "mean": self.mean, "std": spread, "min": self.min, "max": self.max}


class RewardStatistics:
    """Running statistics of a run's rewards.

    Args:
        components: Names of the parts.
    """

    def __init__(self, components: Iterable[str]) -> None:
        self._total, self._valid = Moments(), Moments()
        self._raw = {name: Moments() for name in components}
        self._outcomes: Counter[str] = Counter()
        self._parts = {name: Counter[str]() for name in self._raw}
        self._reasons: Counter[str] = Counter()
        self._groups = self._dead = 0

    def update(self, rows: Sequence[Row], *, group_size: int = 1) -> None:
        """Count a batch.

        Args:
            rows: The rows of all processes.
            group_size: Completions per prompt; they are neighbours.
        """
        for row in rows:
            self._outcomes[row.outcome] += 1
            if row.total is not None:
                self._total.add(row.total)
            if row.outcome == "scored" and row.total is not None:
                self._valid.add(row.total)
            for name, score in row.scores.items():
                self._parts[name][outcome_of(score)] += 1
                if isinstance(score, Invalid | Failed):
                    self._count_reason(f"{outcome_of(score)}: {name}: {score.reason}")
                elif score is not None:
                    self._raw[name].add(score)
        if group_size > 1:
            groups = _groups(rows, group_size)
            self._groups += len(groups)
            self._dead += sum(map(is_dead, groups))

    def as_dict(self) -> dict[str, Any]:
        """For `rewards.json`: counts, `reward` (all that training saw), `valid_reward` (scored), parts."""
        return {
            "num_samples": sum(self._outcomes.values()),
            **{outcome: self._outcomes[outcome] for outcome in OUTCOMES},
            "reward": self._total.as_dict(),
            "valid_reward": self._valid.as_dict(),
            "components": {
                name: {**moments.as_dict(), **{outcome: self._parts[name][outcome] for outcome in OUTCOMES}}
                for name, moments in self._raw.items()
            },
            "groups": {
                "count": self._groups,
                "dead_fraction": self._dead / self._groups if self._groups else None,
            },
            "reasons": dict(self._reasons.most_common(MOST_REASONS)),
        }

    def state_dict(self) -> dict[str, Any]:
        """Everything, for a checkpoint; plain numbers and text (JSON, where infinity is allowed)."""
        return {
            "total": asdict(self._total),
            "valid": asdict(self._valid),
            "raw": {name: asdict(moments) for name, moments in self._raw.items()},
            "outcomes": dict(self._outcomes),
            "parts": {name: dict(counts) for name, counts in self._parts.items()},
            "reasons": dict(self._reasons),
            "groups": [self._groups, self._dead],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self._total, self._valid = Moments(**state["total"]), Moments(**state["valid"])
        self._raw = {name: Moments(**moments) for name, moments in state["raw"].items()}
        self._outcomes = Counter(state["outcomes"])
        self._parts = {name: Counter(counts) for name, counts in state["parts"].items()}
        self._reasons = Counter(state["reasons"])
        self._groups, self._dead = state["groups"]

    def _count_reason(self, reason: str) -> None:
        known = reason in self._reasons or len(self._reasons) < MOST_KINDS
        self._reasons[reason if known else "other"] += 1


def _groups(rows: Sequence[Row], size: int) -> list[Sequence[Row]]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]
