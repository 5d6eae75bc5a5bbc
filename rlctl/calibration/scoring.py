"""Scores completions as training would, batch by batch, and lays the scores out as arrays."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import numpy as np

from rlctl.calibration.collect import Completions
from rlctl.calibration.table import Floats, Table
from rlctl.config.rewards import Rewards
from rlctl.rewards.aggregate import Row, aggregate, number
from rlctl.rewards.batch import Batch
from rlctl.rewards.compose import Scorer
from rlctl.rewards.statistics import OUTCOMES

CODES = {outcome: code for code, outcome in enumerate(OUTCOMES)}


@dataclass
class Scores:
    """What the rewards say of every completion.

    Args:
        rows: One per completion.
        extras: Column → one value per completion, logged by rewards; None where there is none.
        seconds: Component → seconds that scoring took.
    """

    rows: list[Row] = field(default_factory=list)
    extras: dict[str, list[Any]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def add(
        self, rows: Sequence[Row], extras: Mapping[str, Sequence[Any]], seconds: Mapping[str, float]
    ) -> None:
        """Take a batch in."""
        for name in (*self.extras, *(name for name in extras if name not in self.extras)):
            column = self.extras.setdefault(name, [None] * len(self.rows))
            column.extend(extras.get(name, [None] * len(rows)))
        for name, spent in seconds.items():
            self.seconds[name] = self.seconds.get(name, 0.0) + spent
        self.rows.extend(rows)


def score_all(
    scorer: Scorer,
    completions: Completions,
    *,
    batch_size: int,
    advance: Callable[[int], None] = lambda count: None,
) -> Scores:
    """Score all completions, in batches of whole groups as training makes them.

    Failures never end it, however many there are.

    Args:
        scorer: The composed reward.
        completions: What is scored.
        batch_size: Completions of a training step.
        advance: Told after each batch how many completions it had; may raise.

    Raises:
        RewardError: A reward cannot be loaded, or lacks a column.
    """
    found = Scores()
    for places, sizes in completions.batches(batch_size):
        scored = scorer.score(completions.batch(places), normalize=False, tolerant=True)
        found.add(_among_mates(scorer.rewards, scored.rows, sizes), scored.extras, scored.seconds)
        advance(len(places))
    return found


def score_again(
    scorer: Scorer,
    completions: Completions,
    order: Sequence[int],
    batch_size: int,
    *,
    advance: Callable[[int], None] = lambda count: None,
) -> list[Row]:
    """Score the first completions in another order and other batches, before any normalisation.

    Args:
        scorer: The composed reward.
        completions: All completions.
        order: Places of the first ones, all of them, in the order of scoring.
        batch_size: Completions in a batch.
        advance: Told after each batch how many completions it had; may raise.

    Returns:
        Their scores, in the order of the completions.
    """
    rows: dict[int, Row] = {}
    for start in range(0, len(order), batch_size):
        places = order[start : start + batch_size]
        scored = scorer.score(completions.batch(places), normalize=False, tolerant=True).rows
        rows |= zip(places, scored, strict=True)
        advance(len(places))
    return [rows[place] for place in range(len(order))]


def normalised(
    rows: Sequence[Row], completions: Completions, rewards: Rewards, *, batch_size: int
) -> list[Row]:
    """Scores of the first completions with their totals in training, relative to its groups and batches.

    Args:
        rows: Their scores, with totals before any normalisation.
        completions: All completions.
        rewards: The section `rewards`.
        batch_size: Completions of a training step.
    """
    found: list[Row] = []
    for places, sizes in completions.batches(batch_size):
        batch = rows[places.start : places.stop]
        ends = zip(accumulate(sizes), sizes, strict=True)
        kept = [min(end, len(batch)) - end + size for end, size in ends if end - size < len(batch)]
        found += _among_mates(rewards, batch, kept)
        if places.stop >= len(rows):
            break
    return found


def _among_mates(rewards: Rewards, rows: Sequence[Row], sizes: Sequence[int]) -> Sequence[Row]:
    """The rows of a batch, with groups of these sizes, as they are beside one another."""
    if not depends_on_mates(rewards):
        return rows
    scores = {part.name: [row.scores[part.name] for row in rows] for part in rewards.components}
    return aggregate(rewards, scores, group_size=sizes)


def score_texts(scorer: Scorer, rows: Sequence[Mapping[str, Any]], texts: Sequence[str]) -> list[Row]:
    """Score texts as answers to prompts, each by itself, before any normalisation.

    Args:
        scorer: The composed reward.
        rows: `prompt` and the columns that the rewards read, one of each text.
        texts: What is scored.
    """
    names = [name for name in dict.fromkeys(name for row in rows for name in row) if name != "prompt"]
    columns = {name: [row.get(name) for row in rows] for name in names}
    batch = Batch([row.get("prompt", "") for row in rows], list(texts), columns)
    return scorer.score(batch, normalize=False, tolerant=True).rows


def depends_on_mates(rewards: Rewards) -> bool:
    """Whether a total depends on the other completions of its group or batch by what the config says."""
    return (
        rewards.aggregate == "normalize_then_sum"
        or any(part.normalize != "none" for part in rewards.components)
        or not isinstance(rewards.invalid_penalty, int | float | str)
    )


def unnormalised(rows: Sequence[Row], rewards: Rewards) -> Floats:
    """(N,) totals as they are without the other completions, as single texts get them; NaN where masked."""
    if depends_on_mates(rewards):
        names = [part.name for part in rewards.components]
        rows = aggregate(
            rewards, {name: [row.scores[name] for row in rows] for name in names}, normalized=False
        )
    return _numbers([row.total for row in rows])


def as_table(rows: Sequence[Row], completions: Completions, rewards: Rewards) -> Table:
    """Scores as arrays, in units of `rewards.invalid_penalty`.

    Args:
        rows: One per completion.
        completions: Their groups and lengths.
        rewards: The names of the components, the scale, and what becomes of failures.
    """
    names = [part.name for part in rewards.components]
    lengths = [len(text) for text in completions.plain_texts]
    if completions.ids is not None:
        lengths = [len(ids) for ids in completions.ids]
    return Table(
        totals=_numbers([row.total for row in rows]) / rewards.scale,
        outcomes=np.fromiter((CODES[row.outcome] for row in rows), np.int8, len(rows)),
        groups=completions.groups,
        raw={name: _numbers([_raw(row, name) for row in rows]) for name in names},
        parts={name: _numbers([row.weighted[name] for row in rows]) / rewards.scale for name in names},
        lengths=np.array(lengths, dtype=np.float64),
        unit="characters" if completions.ids is None else "tokens",
        failed_penalised=rewards.on_error == "penalty",
    )


def _raw(row: Row, name: str) -> float | None:
    return number(row.scores[name])


def _numbers(values: list[float | None]) -> Floats:
    """Numbers with NaN for what is missing."""
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
