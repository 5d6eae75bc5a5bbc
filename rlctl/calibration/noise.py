"""How much of a reward is noise: the same completions scored again, and again in other company.

GRPO divides by the spread of a group. A group that is tied but for noise gets advantages as large as any.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from rlctl.calibration.parts import EPSILON, Scale
from rlctl.calibration.table import Floats, Integers, group_means
from rlctl.rewards.aggregate import Row, number, outcome_of

ScoreAll = Callable[[Sequence[int], int | None], list[Row]]
"""Scores rows in an order, in batches of a size (None: as training does); gives them in their own order, and
with totals before any normalisation."""
Normalise = Callable[[Sequence[Row]], Sequence[Row]]
"""Gives the rows their totals in training, normalised over its groups and batches."""

ROUNDING = 1e-9
SIGNIFICANT = 3.0
"""Standard errors that a difference in other company must be above the one in the same company."""


@dataclass(frozen=True)
class Difference:
    """How two scorings of the same completions differ.

    Args:
        n: Completions that got a number both times.
        std: Standard deviation of the noise in one scoring, √(mean((a − b)²) / 2); None without numbers.
        share_of_within_variance: Share of the within-group variance of one scoring that is noise, 0 where
            nothing differs; of the variance over all completions where there are no groups.
        largest: Largest difference.
        changed_outcomes: Completions whose outcome is another one.
        changes: `scored → failed` and so on, and how often.
    """

    n: int
    std: float | None
    share_of_within_variance: float | None
    largest: float | None
    changed_outcomes: int
    changes: dict[str, int]


@dataclass(frozen=True)
class Company:
    """What other batch mates, another order and another batch size change.

    Args:
        difference: Of the total, between the first scoring and the one in other company.
        batch_size: Completions in one of its batches.
        depends: Whether it is more than noise explains.
    """

    difference: Difference
    batch_size: int
    depends: bool


@dataclass(frozen=True)
class Noise:
    """What scoring again changes.

    Args:
        n: Completions that were scored again.
        total: Of the total reward as training gets it, normalisation included, in the same batches.
        before_std: Standard deviation of the noise in the total before normalisation.
        components: Part → of its raw score, in the same batches.
        batch: Of the total before normalisation, in other batches: what a score is relative to there is
            asked for in the config, and is no dependence of the reward.
        amplified: Root mean square of the advantages that a group gets whose totals are tied but for the
            noise of `total`; None where there is no number.
        group_size: The size of that group.
    """

    n: int
    total: Difference
    before_std: float | None
    components: dict[str, Difference]
    batch: Company
    amplified: float | None
    group_size: int

    def as_dict(self) -> dict[str, Any]:
        """For `analysis.json`."""
        company = {**asdict(self.batch.difference), "batch_size": self.batch.batch_size}
        return {
            "n": self.n,
            "noise": {
                **asdict(self.total),
                "before_std": self.before_std,
                "amplified": self.amplified,
                "group_size": self.group_size,
            },
            "components": {name: asdict(one) for name, one in self.components.items()},
            "batch": {**company, "depends": self.batch.depends},
        }


def check_noise(
    score_all: ScoreAll,
    groups: Integers,
    *,
    group_size: int,
    normalise: Normalise = list,
    scale: Scale = "group",
    seed: int = 0,
) -> Noise:
    """Score completions twice in the same batches, and once in another order and smaller batches.

    Args:
        score_all: Scores all of them.
        groups: (N,) group of each, those of one group next to each other.
        group_size: Size of the group that `amplified` is about.
        normalise: What training does with scores that depend on the group or the batch.
        scale: What advantages are divided by.
        seed: Of the other order.
    """
    n = len(groups)
    order = list(range(n))
    first, second = score_all(order, None), score_all(order, None)
    size = max(1, min(7, n // 2))
    other = score_all([int(i) for i in np.random.default_rng(seed).permutation(n)], size)
    one, two = normalise(first), normalise(second)
    total = difference(_totals(one), _totals(two), groups, _outcomes(one), _outcomes(two))
    before = difference(_totals(first), _totals(second), groups, _outcomes(first), _outcomes(second))
    company = difference(_totals(first), _totals(other), groups, _outcomes(first), _outcomes(other))
    felt = None
    if total.std is not None:
        felt = amplified(total.std, group_size, scale=scale, batch_std=_std([row.total for row in one]))
    return Noise(
        n=n,
        total=total,
        before_std=before.std,
        components={
            name: difference(
                _raw(first, name),
                _raw(second, name),
                groups,
                [outcome_of(row.scores[name]) for row in first],
                [outcome_of(row.scores[name]) for row in second],
            )
            for name in (first[0].scores if first else ())
        },
        batch=Company(
            company, size, _depends(_totals(first), _totals(second), _totals(other), before, company)
        ),
        amplified=felt,
        group_size=group_size,
    )


def difference(
    first: Floats,
    second: Floats,
    groups: Integers,
    first_outcomes: Sequence[str] = (),
    second_outcomes: Sequence[str] = (),
) -> Difference:
    """How two scorings differ.

    Args:
        first: (N,) scores, NaN where there is no number.
        second: (N,) scores of the same completions.
        groups: (N,) group of each, those of one group next to each other.
        first_outcomes: (N,) outcomes; none if only numbers are compared.
        second_outcomes: (N,) outcomes of the second scoring.
    """
    both = ~(np.isnan(first) | np.isnan(second))
    a, b = first[both], second[both]
    pairs = zip(first_outcomes, second_outcomes, strict=True)
    changes = Counter(f"{before} → {after}" for before, after in pairs if before != after)
    if not len(a):
        return Difference(0, None, None, None, changes.total(), dict(changes.most_common()))
    noise = float(np.mean((a - b) ** 2) / 2)
    spread = _spread(a, b, np.unique(groups[both], return_inverse=True)[1])
    return Difference(
        n=len(a),
        std=float(np.sqrt(noise)),
        share_of_within_variance=0.0 if noise == 0 else min(1.0, noise / spread) if spread else None,
        largest=float(np.max(np.abs(a - b))),
        changed_outcomes=changes.total(),
        changes=dict(changes.most_common()),
    )


def amplified(
    noise_std: float,
    group_size: int,
    eps: float = EPSILON,
    *,
    scale: Scale = "group",
    batch_std: float = 0.0,
) -> float:
    """Root mean square of the advantages (r − mean) / (std + eps) of a group that is tied but for noise.

    With normal noise and std with n − 1, (n − 1) std² / noise² is χ² with n − 1 degrees of freedom, and the
    mean square is (n − 1) / n · E[(std / (std + eps))²]. The advantage is GRPO's (Shao et al.
    2024, arXiv 2402.03300, section 4.1.2), with eps as TRL has it. Divided by the standard deviation of the
    batch, or by nothing (Liu et al. 2025, arXiv 2503.20783), noise keeps its size: √((n − 1) / n) noise /
    (batch_std + eps), or / 1.

    Args:
        noise_std: Standard deviation of the noise, in units of the total.
        group_size: Completions of the group, n.
        eps: What is added to the standard deviation.
        scale: What advantages are divided by.
        batch_std: Standard deviation of the totals of a batch, for the scale `batch`.
    """
    freedom = group_size - 1
    if noise_std <= 0 or freedom < 1:
        return 0.0
    if scale != "group":
        divisor = batch_std + eps if scale == "batch" else 1.0
        return float(np.sqrt(freedom / group_size) * noise_std / divisor)
    width = np.sqrt(freedom)
    chi = np.linspace(max(0.0, width - 8), width + 8, 4001)[1:]
    logs = freedom * np.log(chi) - chi**2 / 2 - np.log(chi)
    weights = np.exp(logs - logs.max())
    std = noise_std * chi / width
    mean_square = np.sum(weights * (std / (std + eps)) ** 2) / np.sum(weights)
    return float(np.sqrt(freedom / group_size * mean_square))


def _spread(a: Floats, b: Floats, groups: Integers) -> float:
    """Within-group variance of one scoring, the mean of both; of all completions where no group has two."""
    freedom = len(a) - int(groups.max()) - 1
    if not freedom:
        groups, freedom = np.zeros_like(groups), max(1, len(a) - 1)
    squares = sum(np.sum((one - group_means(one, groups)) ** 2) for one in (a, b))
    return float(squares / freedom / 2)


def _depends(first: Floats, second: Floats, other: Floats, same: Difference, company: Difference) -> bool:
    """Whether other company changes more than scoring again in the same does."""
    known = ~(np.isnan(first) | np.isnan(second) | np.isnan(other))
    a, b, c = first[known], second[known], other[known]
    if not len(a):
        return company.changed_outcomes > 0 and same.changed_outcomes == 0
    rounding = ROUNDING * max(1.0, float(np.max(np.abs(a))))
    if np.max(np.abs(a - b)) <= rounding:
        return bool(np.max(np.abs(a - c)) > rounding) or (
            company.changed_outcomes > 0 and same.changed_outcomes == 0
        )
    excess = (a - c) ** 2 - (a - b) ** 2
    error = float(np.std(excess)) / np.sqrt(len(excess))
    return bool(np.mean(excess) > SIGNIFICANT * error)


def _totals(rows: Sequence[Row]) -> Floats:
    """Totals of what was scored; a penalty is no score."""
    return _numbers([row.total if row.outcome == "scored" else None for row in rows])


def _std(totals: Sequence[float | None]) -> float:
    known = [total for total in totals if total is not None]
    return float(np.std(known, ddof=1)) if len(known) > 1 else 0.0


def _raw(rows: Sequence[Row], name: str) -> Floats:
    return _numbers([number(row.scores[name]) for row in rows])


def _outcomes(rows: Sequence[Row]) -> list[str]:
    return [row.outcome for row in rows]


def _numbers(values: Sequence[float | None]) -> Floats:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
