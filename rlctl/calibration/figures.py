"""Everything that scored completions say, under the names of `analyze-rewards --json`."""

from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from rlctl.calibration import parts, spread, summary
from rlctl.calibration.answers import right_answer
from rlctl.calibration.collect import Completions
from rlctl.calibration.correlation import correlations, with_length
from rlctl.calibration.outliers import flattened_fraction
from rlctl.calibration.penalty import Advice, advise
from rlctl.calibration.scoring import Scores
from rlctl.calibration.simulation import simulate
from rlctl.calibration.table import Floats, Mask, Table
from rlctl.calibration.uncertainty import mean_and_std
from rlctl.config.component import Component
from rlctl.config.config import Config
from rlctl.evaluation.judge import Judge
from rlctl.rewards.aggregate import outcome_of
from rlctl.rewards.outcome import Failed, Invalid
from rlctl.rewards.statistics import OUTCOMES

FEW_ROWS = 20
"""Rows that are looked at for a right answer."""
MOST_REASONS = 8
EXAMPLES = 2
LONGEST_EXAMPLE = 160
MOST_CLASSES = 12
"""Values that a column may have to count as a class of completions."""
DEPTHS = (0.0, 1.0, 2.0, 2.5, 3.0, 5.0, 10.0)
"""Penalties of the simulation, in standard deviations below the mean."""
SIZES = (4, 8, 16, 32, 64)
INVALID_FRACTIONS = (0.05, 0.125, 0.25, 0.5)


class Figures:
    """What scored completions say.

    Args:
        config: Names the components, the group size and the scaling of advantages.
        completions: The completions.
        scores: What the rewards say of them.
        table: The same as arrays.
    """

    def __init__(self, config: Config, completions: Completions, scores: Scores, table: Table) -> None:
        self.config = config
        self.completions = completions
        self.scores = scores
        self._table = table

    def as_dict(self) -> dict[str, Any]:
        """All figures."""
        return {
            "num_samples": len(self.scores.rows),
            **self._counts(),
            "source": {**self.completions.source, "truncated": self._truncated()},
            "reasons": self._reasons(),
            "reward": self._reward(),
            "components": {part.name: self._component(part) for part in self.config.rewards.components},
            "groups": self._groups(),
            "correlations": self._correlations(),
            "length": self._length(),
            "penalty": {
                **self.advice.as_dict(),
                "configured": self.config.rewards.model_dump(mode="json")["invalid_penalty"],
            },
            "simulation": self._simulation(),
            "cost": self._cost(),
            "classes": self._classes(),
        }

    @cached_property
    def rewards_of_valid(self) -> Floats:
        """Rewards of the valid completions, in units of the penalty."""
        return self._table.totals[self._table.valid]

    @cached_property
    def advice(self) -> Advice:
        """Advice on the penalty."""
        penalty = self.config.rewards.invalid_penalty
        return advise(
            self.rewards_of_valid,
            self._table.groups[self._table.valid],
            current=float(penalty) if isinstance(penalty, int | float) else None,
            invalid=int(self._table.penalised.sum()),
            group_size=self.config.algorithm.num_generations,
            scale=self.config.algorithm.scale_rewards,
        )

    @cached_property
    def table(self) -> Table:
        """The scores; where the penalty is yet to be chosen, with the one that is advised."""
        if self.config.rewards.invalid_penalty == "auto" and self.advice.recommended is not None:
            return self._table.with_penalty(self.advice.recommended)
        return self._table

    def _counts(self) -> dict[str, int]:
        counts = Counter[str](row.outcome for row in self.scores.rows)
        return {"valid": counts["scored"], **{name: counts[name] for name in OUTCOMES[1:]}}

    def _truncated(self) -> int | None:
        known = [one for one in self.completions.truncated if one is not None]
        return sum(known) if known else None

    def _reasons(self) -> list[dict[str, Any]]:
        """Why completions were invalid or could not be scored, the commonest first, with examples."""
        counts: Counter[tuple[str, str, str]] = Counter()
        examples: dict[tuple[str, str, str], list[str]] = {}
        for row, text in zip(self.scores.rows, self.completions.plain_texts, strict=True):
            for name, score in row.scores.items():
                if isinstance(score, Invalid | Failed):
                    key = (outcome_of(score), name, score.reason)
                    counts[key] += 1
                    if len(seen := examples.setdefault(key, [])) < EXAMPLES:
                        seen.append(text[:LONGEST_EXAMPLE])
        return [
            {"outcome": key[0], "component": key[1], "reason": key[2], "count": n, "examples": examples[key]}
            for key, n in counts.most_common(MOST_REASONS)
        ]

    def _reward(self) -> dict[str, Any]:
        """The rewards of the valid completions, as training gets them."""
        table, scale = self._table, self.config.rewards.scale
        values = self.rewards_of_valid * scale
        return {
            **mean_and_std(values, table.groups[table.valid]).as_dict(),
            **spread.ties(np.where(table.valid, table.totals, np.nan), table.groups).as_dict(),
            **summary.describe(values),
        }

    def _component(self, part: Component) -> dict[str, Any]:
        """One component: its raw scores, its part of the total, and of the advantage."""
        table, name = self.table, part.name
        found = parts.describe_part(
            table.raw[name], table.parts[name], table.valid, table.groups, bounds=part.bounds()
        )
        share = self.shares.components[name]
        outcomes = Counter[str](outcome_of(row.scores[name]) for row in self.scores.rows)
        return {
            **found.as_dict(),
            "type": part.type,
            "weight": part.weight,
            **{outcome: outcomes[outcome] for outcome in OUTCOMES[1:]},
            "share_of_advantage_variance": share.value,
            "share_ci95": share.ends,
        }

    @cached_property
    def shares(self) -> parts.Shares:
        """What makes the variance of the advantages."""
        return parts.shares(self.table, scale=self.config.algorithm.scale_rewards)

    def _groups(self) -> dict[str, Any]:
        shares, sizes = self.shares, self.table.group_sizes
        return {
            "scale": self.config.algorithm.scale_rewards,
            "prompts": len(sizes),
            "sizes": [int(sizes.min()), int(sizes.max())],
            **spread.describe_groups(self.table, right=self._right).as_dict(),
            "flattened_fraction": flattened_fraction(
                self.table.totals, self.table.groups, scale=self.config.algorithm.scale_rewards
            ),
            "validity_share": shares.validity.value,
            "interaction_share": shares.interaction.value,
        }

    @cached_property
    def _right(self) -> Floats | None:
        """Which completions pass `eval.pass`, where evaluation goes by these rewards."""
        if self.config.eval.rewards is not None:
            return None
        judge = Judge(self.config)
        passed = [judge.passed(row) for row in self.scores.rows]
        return np.array([np.nan if one is None else float(one) for one in passed])

    def _correlations(self) -> list[dict[str, Any]]:
        table = self.table
        columns = {name: np.where(table.valid, raw, np.nan) for name, raw in table.raw.items()}
        return [pair.as_dict() for pair in correlations(columns)]

    def _length(self) -> dict[str, Any]:
        """How reward and length go together: over all, within prompts, and there among right ones alone."""
        table = self.table
        link = with_length(table.totals, table.lengths, table.groups, table.valid)
        mean = float(table.lengths.mean()) if len(table) else None
        return {"unit": table.unit, "mean": mean, **link.as_dict(), "reward_given_right": self._given_right()}

    @property
    def _knows_right_answers(self) -> bool:
        """Whether what decides of right and wrong compares with an answer of the data."""
        judged = self.config.judged
        return any(right_answer(judged, row) is not None for row in self.completions.rows[:FEW_ROWS])

    def _given_right(self) -> float | None:
        """The link within prompts among completions that are all right, or all wrong.

        Where right answers are longer by their nature, this says whether length pays beside. 0 where nothing
        but right and wrong is told apart; None where it is not known which are right.
        """
        table, right = self.table, self._right
        if right is None or not self._knows_right_answers:
            return None
        codes = table.groups * 2 + np.nan_to_num(right, nan=0.0).astype(np.int64)
        order = np.argsort(codes, kind="stable")
        _, groups = np.unique(codes[order], return_inverse=True)
        counted = table.valid[order] & ~np.isnan(right[order])
        return with_length(table.totals[order], table.lengths[order], groups, counted).within or 0.0

    def _simulation(self) -> list[dict[str, Any]]:
        """What other penalties, group sizes and shares of invalid completions would do to these rewards."""
        advice, table = self.advice, self.table
        if advice.rule is None or not advice.within_std:
            return []
        mean, unit = float(self.rewards_of_valid.mean()), advice.within_std
        named = [one for one in (advice.current, advice.recommended) if one is not None]
        seen = float(table.penalised.sum()) / max(1, int((table.valid | table.penalised).sum()))
        cells = simulate(
            self.rewards_of_valid,
            table.groups[table.valid],
            penalties=sorted({*(mean - depth * unit for depth in DEPTHS), *named}),
            group_sizes=sorted({*SIZES, self.config.algorithm.num_generations}),
            invalid_fractions=sorted({*INVALID_FRACTIONS, *([seen] if 0 < seen < 1 else [])}),
            seed=self.config.run.seed,
        )
        return [cell.as_dict() for cell in cells]

    def _cost(self) -> dict[str, Any]:
        count = len(self.scores.rows)
        step = self.config.training.prompts_per_step * self.config.algorithm.num_generations
        each = sum(self.scores.seconds.values()) / count
        return {
            "seconds_per_completion": each,
            "components": {name: spent / count for name, spent in self.scores.seconds.items()},
            "completions_per_step": step,
            "seconds_per_step": each * step,
        }

    def _classes(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Figures per class: of columns that a reward logs as words, and of `eval.group_by`."""
        columns = {name: self.scores.extras[name] for name in self.scores.extras}
        for name in self.config.eval.group_by or ():
            columns.setdefault(name, [row.get(name) for row in self.completions.rows])
        found = {name: self._class_figures(values) for name, values in columns.items()}
        return {name: figures for name, figures in found.items() if figures}

    def _class_figures(self, values: Sequence[Any]) -> dict[str, dict[str, Any]]:
        """Value → figures of the completions that have it; empty where these are no classes.

        A completion without a value is in no class, also where a class is named by no letters.
        """
        words = [None if value is None else str(value) for value in values]
        kinds = list(dict.fromkeys(word for word in words if word is not None))
        if not 1 < len(kinds) <= MOST_CLASSES or any(isinstance(one, float | dict | list) for one in values):
            return {}
        places = {kind: place for place, kind in enumerate(kinds)}
        codes = np.fromiter((-1 if word is None else places[word] for word in words), np.int64, len(words))
        return {kind: self._class(codes == place) for place, kind in enumerate(kinds)}

    def _class(self, rows: Mask) -> dict[str, Any]:
        """The rewards of the valid completions among some, as of `reward`."""
        table = self._table
        chosen = rows & table.valid
        rewards = table.totals[chosen] * self.config.rewards.scale
        estimate = mean_and_std(rewards, table.groups[chosen])
        figures = {**estimate.as_dict(), **summary.describe(rewards)}
        interval = figures.pop("mean_ci95")
        return {**figures, "n": int(rows.sum()), "valid": int(chosen.sum()), "ci95": interval}
