"""What a penalty would do to the advantages, tried out on the rewards that valid completions really have."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from rlctl.calibration.parts import EPSILON, Scale
from rlctl.calibration.spread import by_group, deviations, pooled_std
from rlctl.calibration.table import Floats, Integers, Mask
from rlctl.statistics.intervals import ROUNDING

SCALES: tuple[Scale, ...] = ("group", "batch", "none")


@dataclass(frozen=True)
class Cell:
    """What GRPO makes of one penalty.

    Args:
        penalty: Total of an invalid completion.
        depth: How far it is below the mean of the valid, in their standard deviations within prompts.
        group_size: Completions of a prompt.
        invalid_fraction: Chance that a completion is invalid.
        scale: What advantages are divided by.
        invalid_advantage: Mean advantage of an invalid completion.
        valid_spread: Standard deviation of the advantages among the valid completions of a group, pooled, as
            a share of what it is where the invalid ones are left out: the spread left.
        validity_share: Share of the advantage's variance that is between valid and invalid.
        dead_fraction: Share of groups without any spread.
    """

    penalty: float
    depth: float | None
    group_size: int
    invalid_fraction: float
    scale: Scale
    invalid_advantage: float | None
    valid_spread: float | None
    validity_share: float | None
    dead_fraction: float

    def as_dict(self) -> dict[str, Any]:
        """All fields."""
        return asdict(self)


def simulate(
    totals: Floats,
    groups: Integers,
    *,
    penalties: Sequence[float],
    group_sizes: Sequence[int],
    invalid_fractions: Sequence[float],
    scales: Sequence[Scale] = SCALES,
    fixed: bool = False,
    draws: int = 2000,
    seed: int = 0,
) -> list[Cell]:
    """Groups drawn anew from the valid rewards, some of their completions invalid.

    A prompt is drawn among those with two valid rewards or more (all rewards are one prompt where none has
    two), then its rewards with replacement. Their deviations from the prompt's mean are widened by
    √(n/(n−1)), since n values drawn with replacement vary that much less than what they are a sample of.
    Every cell sees the same draws, so that cells differ by what they are about.

    Args:
        totals: (N,) totals of the valid completions; NaN is left out.
        groups: (N,) group of each; rows of one group are neighbours.
        penalties: Totals of an invalid completion, in units of `totals`.
        group_sizes: Completions of a prompt, at least 2.
        invalid_fractions: Chances that a completion is invalid.
        scales: What advantages are divided by.
        fixed: Make exactly this share of every group invalid, rounded, in place of each with that chance.
        draws: Groups.
        seed: Of the draws.

    Returns:
        Empty where there are no rewards; else a cell for each combination, those of one penalty together.
    """
    known = ~np.isnan(totals)
    totals, groups = totals[known], groups[known]
    if not len(totals):
        return []
    mean, spread = float(totals.mean()), pooled_std(totals, groups) or _std(totals)
    rng = np.random.default_rng(seed)
    drawn = _draw(totals, groups, draws, max(group_sizes), rng)
    chance = rng.random(drawn.shape)
    cells = []
    for size in group_sizes:
        for fraction in invalid_fractions:
            order = np.broadcast_to((np.arange(size) + 0.5) / size, (draws, size))
            invalid = (order if fixed else chance[:, :size]) < fraction
            sums = _Sums.of(drawn[:, :size], invalid)
            for penalty in map(float, penalties):
                depth = (mean - penalty) / spread if spread else None
                for scale, felt in sums.felt(penalty, scales):
                    cells.append(Cell(penalty, depth, size, fraction, scale, **felt))
    return cells


def _std(values: Floats) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else 0.0


def _draw(totals: Floats, groups: Integers, draws: int, size: int, rng: np.random.Generator) -> Floats:
    """(draws, size) rewards of as many completions of as many prompts."""
    sizes = np.bincount(groups)
    if sizes.max() > 1:
        kept = sizes[groups] > 1
        totals, groups = totals[kept], (np.cumsum(sizes > 1) - 1)[groups[kept]]
    else:
        groups = np.zeros_like(groups)
    counts, sums = by_group(totals, groups)
    apart = deviations(totals, groups) * np.sqrt(counts / np.maximum(counts - 1, 1))[groups]
    prompts = rng.integers(len(counts), size=draws)
    picked = (rng.random((draws, size)) * counts[prompts, None]).astype(np.int64)
    first = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64)
    found: Floats = (sums / counts)[prompts, None] + apart[first[prompts, None] + picked]
    return found


@dataclass(frozen=True)
class _Sums:
    """All that the advantages of a penalty depend on, (draws,) each.

    Args:
        size: Completions of a group.
        valid: How many of them are valid.
        mean: Mean reward of the valid ones; 0 where there are none.
        squares: Sum of their squared deviations from it.
    """

    size: int
    valid: Floats
    mean: Floats
    squares: Floats

    @classmethod
    def of(cls, rewards: Floats, invalid: Mask) -> "_Sums":
        valid = (~invalid).sum(axis=1).astype(np.float64)
        # From a member of each group, so that equal rewards have no spread at all.
        first = np.take_along_axis(rewards, invalid.argmin(axis=1)[:, None], axis=1)
        shift = np.where(invalid, 0.0, rewards - first)
        mean = shift.sum(axis=1) / np.maximum(valid, 1)
        squares = (np.where(invalid, 0.0, shift - mean[:, None]) ** 2).sum(axis=1)
        return cls(rewards.shape[1], valid, np.where(valid > 0, mean + first[:, 0], 0.0), squares)

    def felt(self, penalty: float, scales: Sequence[Scale]) -> Iterator[tuple[Scale, dict[str, Any]]]:
        """The figures of `Cell` under each scale."""
        invalid = self.size - self.valid
        gap = np.where((self.valid > 0) & (invalid > 0), self.mean - penalty, 0.0)
        gap[np.abs(gap) <= ROUNDING * np.maximum(np.abs(self.mean), abs(penalty))] = 0.0
        between = self.valid * invalid / self.size * gap**2
        for scale in scales:
            divisor, before = self._divisors(penalty, scale, between)
            left, whole = (self.squares / divisor**2).sum(), (self.squares / before**2).sum()
            everything = ((between + self.squares) / divisor**2).sum()
            advantages = -(self.valid / self.size * gap / divisor * invalid).sum()
            yield (
                scale,
                {
                    "invalid_advantage": float(advantages / invalid.sum()) if invalid.any() else None,
                    "valid_spread": float(np.sqrt(left / whole)) if whole else None,
                    "validity_share": (
                        float((between / divisor**2).sum() / everything) if everything else None
                    ),
                    "dead_fraction": float(np.mean(between + self.squares == 0)),
                },
            )

    def _divisors(
        self, penalty: float, scale: Scale, between: Floats
    ) -> tuple[Floats | float, Floats | float]:
        """What advantages are divided by, and what they are divided by without the invalid completions."""
        if scale == "none":
            return 1.0, 1.0
        if scale == "group":
            alone = np.sqrt(self.squares / np.maximum(self.valid - 1, 1))
            return np.sqrt((between + self.squares) / (self.size - 1)) + EPSILON, alone + EPSILON
        return self._batch_std(penalty) + EPSILON, self._batch_std(None) + EPSILON

    def _batch_std(self, penalty: float | None) -> float:
        """Standard deviation of all totals; of the valid ones alone without a penalty."""
        invalid = self.size - self.valid if penalty is not None else np.zeros_like(self.valid)
        number = (self.valid + invalid).sum()
        if number < 2:
            return 0.0
        at = 0.0 if penalty is None else penalty
        mean = (self.valid * self.mean + invalid * at).sum() / number
        squares = self.squares + self.valid * (self.mean - mean) ** 2 + invalid * (at - mean) ** 2
        return float(np.sqrt(squares.sum() / (number - 1)))
