"""Figures of one checkpoint, out of its samples. A figure is a mean over prompts, with its interval."""

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from statistics import fmean
from typing import Any

from rlctl.config.component import Component
from rlctl.config.config import Config
from rlctl.evaluation.judge import Judge
from rlctl.evaluation.repetition import repetition
from rlctl.evaluation.samples import Sample
from rlctl.rewards.outcome import Invalid
from rlctl.statistics.estimates import Estimate, mean_interval
from rlctl.statistics.pass_at_k import pass_at_k

Value = float | None
GREEDY = ("greedy_reward", "greedy_pass")
"""Metrics of the greedy completions; all others are of the sampled ones."""

MOST_REASONS = 5


class Figures:
    """What the samples of one checkpoint say.

    Args:
        samples: Sampled and greedy completions of the prompts.
        prompts: The held-out prompts with their columns.
        config: Names the components, the metric and the columns to group by.
    """

    def __init__(
        self, samples: Sequence[Sample], prompts: Sequence[Mapping[str, Any]], config: Config
    ) -> None:
        self.config = config
        self.prompts = prompts
        self.samples = samples
        self._sampled: list[list[Sample]] = [[] for _ in prompts]
        self._greedy: list[list[Sample]] = [[] for _ in prompts]
        for one in samples:
            (self._greedy if one.drawn.greedy else self._sampled)[one.drawn.prompt].append(one)

    @cached_property
    def samples_per_prompt(self) -> int:
        """The most completions that were sampled for one prompt, k."""
        return max(map(len, self._sampled), default=0)

    @cached_property
    def components(self) -> list[str]:
        """Names of the parts of the reward that evaluation uses."""
        return [part.name for part in self.config.eval_rewards.components]

    def metrics(self) -> list[str]:
        """Names of all metrics, in the order in which they are shown."""
        names = ["reward", *self.components, *self._passes()]
        if self._knows_answers:
            names.append("majority")
        if any(self._greedy):
            names += GREEDY
        return [*names, "valid_fraction"]

    def per_prompt(self, metric: str) -> list[Value]:
        """A metric's value for each prompt, in the order of the prompts; None where there is none."""
        return [_mean(values) for values in self.values(metric)]

    def estimate(self, metric: str) -> Estimate:
        """A metric's mean over prompts, with its interval."""
        return mean_interval(self.values(metric), self.bounds(metric))

    def values(self, metric: str) -> list[list[float]]:
        """A metric's values, prompt by prompt.

        Raises:
            KeyError: There is no such metric.
        """
        if metric in ("majority", "distinct_fraction"):
            of_group = _majority if metric == "majority" else _distinct
            return [_known([of_group(group)]) for group in self._sampled]
        if metric.startswith("pass_at_"):
            k = int(metric.removeprefix("pass_at_"))
            return [_known([_pass_at(group, k)]) for group in self._sampled]
        return [_known(map(self._readers[metric], group)) for group in self._groups(metric)]

    @cached_property
    def _readers(self) -> dict[str, Callable[[Sample], Value]]:
        """Metric of a single sample → how it is read."""
        return {
            "reward": lambda one: one.row.total,
            "greedy_reward": lambda one: one.row.total,
            "greedy_pass": lambda one: _number(one.passed),
            "valid_fraction": lambda one: (
                None if one.row.outcome == "failed" else one.row.outcome != "invalid"
            ),
            "failed_fraction": lambda one: one.row.outcome == "failed",
            "completion_length": lambda one: None if one.drawn.ids is None else len(one.drawn.ids),
            "truncated_fraction": lambda one: _number(one.drawn.truncated),
            "repetition_fraction": lambda one: None if one.drawn.ids is None else repetition(one.drawn.ids),
            "kl_div": lambda one: one.drawn.kl,
            "entropy": lambda one: one.drawn.entropy,
            **{part.name: _raw(part) for part in self.config.eval_rewards.components},
        }

    def bounds(self, metric: str) -> tuple[float, float] | None:
        """The range that a metric cannot leave: of shares, and of components that know theirs; None else."""
        if metric not in self.components:
            share = metric in ("majority", "greedy_pass") or metric.startswith("pass_at_")
            return (0.0, 1.0) if share or metric.endswith("_fraction") else None
        known = next(part.bounds() for part in self.config.eval_rewards.components if part.name == metric)
        if known is None or not all(map(math.isfinite, known)):
            return None
        inside = all(known[0] <= value <= known[1] for each in self.values(metric) for value in each)
        return known if inside else None

    def _passes(self) -> list[str]:
        return [f"pass_at_{k}" for k in range(1, self.samples_per_prompt + 1)]

    @cached_property
    def _knows_answers(self) -> bool:
        return Judge(self.config).knows_answers

    def left_out(self, metric: str, prompts: Collection[int] | None = None) -> float:
        """Share of the completions that a metric has no value for.

        pass@k and votes have none of a completion that could not be judged. Of these metrics it is the share
        of the prompts without a value where that is greater: pass@k needs k that were judged.

        Args:
            metric: The metric.
            prompts: Places of the prompts that count; None for all. One without a completion counts as one.
        """
        places = range(len(self.prompts)) if prompts is None else prompts
        groups, values = self._groups(metric), self.values(metric)
        voted = metric.startswith("pass_at_") or metric == "majority"
        counted = [
            sum(one.passed is not None for one in groups[i]) if voted else len(values[i]) for i in places
        ]
        all_of_them = sum(max(len(groups[i]), 1) for i in places)
        share = (all_of_them - sum(counted)) / max(all_of_them, 1)
        without = sum(not values[i] for i in places) / max(len(places), 1)
        return max(share, without) if voted else share

    def completed(self, metric: str) -> set[int]:
        """Places of the prompts that have a completion of the kind that a metric is of."""
        return {place for place, group in enumerate(self._groups(metric)) if group}

    def _groups(self, metric: str) -> list[list[Sample]]:
        return self._greedy if metric in GREEDY else self._sampled

    def mean(self, metric: str) -> Value:
        """A figure's mean over prompts."""
        return _mean(_known(self.per_prompt(metric)))

    def for_logs(self) -> dict[str, float]:
        """`val/…` → value, as training logs them; what does not exist is left out."""
        reward = self.estimate("reward")
        values: dict[str, Value] = {
            "reward": reward.mean,
            "reward_std": reward.std,
            "reward_low": reward.low,
            "reward_high": reward.high,
            **{name: self.mean(name) for name in self.metrics()[1:]},
            **{
                name: self.mean(name)
                for name in ("failed_fraction", "completion_length", "truncated_fraction")
            },
            "distinct_fraction": self.mean("distinct_fraction"),
            "repetition_fraction": self.mean("repetition_fraction"),
            "kl_div": self.mean("kl_div"),
            "left_out_fraction": self.left_out(self.config.eval.metric),
        }
        return {f"val/{name}": value for name, value in values.items() if value is not None}

    def as_dict(self) -> dict[str, Any]:
        """What `rlctl eval --json` says of a checkpoint; groups by `eval.group_by` included."""
        columns = self.config.eval.group_by or []
        groups = {
            column: {value: part._document() for value, part in self.by(column).items()} for column in columns
        }
        return {**self._document(), "groups": groups} if groups else self._document()

    def _document(self) -> dict[str, Any]:
        passes = {name.removeprefix("pass_at_"): self.estimate(name) for name in self._passes()}
        outcomes = Counter(one.row.outcome for one in self.samples if not one.drawn.greedy)
        greedy = any(self._greedy)
        return {
            "prompts": len(self.prompts),
            "samples": sum(map(len, self._sampled)),
            **{name: outcomes[name] for name in ("scored", "invalid", "not_applicable", "failed")},
            "reward": self.estimate("reward").as_dict(),
            "components": {name: self.estimate(name).as_dict() for name in self.components},
            "pass_at": {k: one.mean for k, one in passes.items()},
            "pass_at_ci95": {k: one.as_dict()["ci95"] for k, one in passes.items()},
            "pass_at_n": {k: one.n for k, one in passes.items()},
            "majority": self.estimate("majority").as_dict() if self._knows_answers else None,
            "greedy": {
                "reward": self.estimate("greedy_reward").as_dict(),
                "pass": self.estimate("greedy_pass").as_dict(),
            }
            if greedy
            else None,
            "valid_fraction": self.mean("valid_fraction"),
            "mean_tokens": self.mean("completion_length"),
            "truncated_fraction": self.mean("truncated_fraction"),
            "distinct_fraction": self.mean("distinct_fraction"),
            "repetition_fraction": self.mean("repetition_fraction"),
            "kl": _none_or_dict(self.estimate("kl_div")),
            "entropy": self.mean("entropy"),
            "left_out": self.left_out(self.config.eval.metric),
            "reasons": self._reasons(),
        }

    def _reasons(self) -> dict[str, int]:
        """The commonest reasons of invalid and failed completions, greedy ones included."""
        counted = Counter(f"{one.row.outcome}: {one.row.reason}" for one in self.samples if one.row.reason)
        return dict(counted.most_common(MOST_REASONS))

    def by(self, column: str) -> dict[str, "Figures"]:
        """The figures of the prompts of each value of a column."""
        found: dict[str, list[int]] = {}
        for i, prompt in enumerate(self.prompts):
            value = prompt.get(column)
            name = "(missing)" if value is None else "(empty)" if value == "" else str(value)
            found.setdefault(name, []).append(i)
        return {value: self._part(found[value]) for value in sorted(found)}

    def _part(self, chosen: list[int]) -> "Figures":
        """The figures of some of the prompts."""
        place = {old: new for new, old in enumerate(chosen)}
        samples = [_moved(one, place[one.drawn.prompt]) for one in self.samples if one.drawn.prompt in place]
        return Figures(samples, [self.prompts[i] for i in chosen], self.config)


def _raw(part: Component) -> Callable[[Sample], Value]:
    """A component's raw score; where it called the completion invalid, the least that it can give, if any."""
    least = (part.bounds() or (-math.inf, 0.0))[0]
    worst = least if math.isfinite(least) else None
    return lambda one: worst if isinstance(one.row.scores[part.name], Invalid) else one.row.raw[part.name]


def _pass_at(group: Sequence[Sample], k: int) -> Value:
    """pass@k of one prompt; None where fewer than k of its completions could be judged."""
    judged = [one.passed for one in group if one.passed is not None]
    return pass_at_k(len(judged), sum(judged), k) if len(judged) >= k else None


def _distinct(group: Sequence[Sample]) -> Value:
    """Different texts per completion of a prompt; None below two."""
    return len({one.drawn.text for one in group}) / len(group) if len(group) > 1 else None


def _majority(group: Sequence[Sample]) -> Value:
    """Whether the commonest answer passes; of equally common ones, the share that does.

    Answers that pass are one answer: they are equal to the right one. A completion without one has no vote.
    """
    votes = Counter("" if one.passed else one.answer for one in group if one.passed or one.answer is not None)
    if not any(one.passed is not None for one in group):
        return None
    most = max(votes.values(), default=0)
    winners = [answer for answer, count in votes.items() if count == most]
    return winners.count("") / len(winners) if winners else 0.0


def _moved(sample: Sample, prompt: int) -> Sample:
    return replace(sample, drawn=replace(sample.drawn, prompt=prompt))


def _none_or_dict(estimate: Estimate) -> dict[str, Any] | None:
    return estimate.as_dict() if estimate.n else None


def _number(value: bool | None) -> Value:
    return None if value is None else float(value)


def _known(values: Iterable[Value]) -> list[float]:
    return [float(value) for value in values if value is not None]


def _mean(values: Sequence[float]) -> Value:
    return fmean(values) if values else None
