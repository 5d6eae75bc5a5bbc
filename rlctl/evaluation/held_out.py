"""Reward and accuracy on prompts that training never saw: the same prompts, seed and settings every time."""

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from rlctl.config.config import Config
from rlctl.generation.local import Completion, Prompt, generate
from rlctl.rewards.compose import Batch, Scored, Scorer


@dataclass(frozen=True)
class Estimate:
    """A mean over prompts with its standard error.

    Args:
        mean: The mean; None where nothing could be scored.
        std: Standard deviation over completions, n−1; None below two.
        n: Prompts that the mean is over.
        half_width: Half of the 95 % interval of the mean, clustered by prompt; None below two prompts.
    """

    mean: float | None
    std: float | None
    n: int
    half_width: float | None


@dataclass(frozen=True)
class HeldOut:
    """What one evaluation found.

    Args:
        metrics: `val/…` names → values, ready for the logs; a value that does not exist is left out.
        reward: Total reward of sampled completions.
        rows: One dict per completion, for `completions.jsonl`.
    """

    metrics: dict[str, float]
    reward: Estimate
    rows: list[dict[str, Any]]


def evaluate(
    model: Any,
    tokenizer: Any,
    prompts: list[dict[str, Any]],
    scorer: Scorer,
    config: Config,
    *,
    step: int,
    template_arguments: Mapping[str, Any] | None = None,
) -> HeldOut:
    """Sample and score held-out prompts, and complete each once greedily.

    Args:
        model: The policy, not wrapped.
        tokenizer: Its tokenizer.
        prompts: Rows with `prompt` and the columns that the rewards read.
        scorer: The composed reward.
        config: Generation and evaluation settings, and the seed.
        step: Training step that the rows are logged under.
        template_arguments: Arguments of the chat template.
    """
    texts: list[Prompt] = [row["prompt"] for row in prompts]
    count = config.eval.num_samples
    generate_all = partial(
        generate,
        model,
        tokenizer,
        texts,
        config.generation,
        batch_size=config.eval.batch_size,
        template_arguments=template_arguments,
    )
    sampled = generate_all(num_samples=count, seed=config.run.seed)
    greedy = generate_all(greedy=True)
    sampled_scores, sampled_rows = score(scorer, prompts, sampled, step=step, greedy=False)
    greedy_scores, greedy_rows = score(scorer, prompts, greedy, step=step, greedy=True)
    reward = clustered_mean(sampled_scores.totals, count)
    first = config.rewards.components[0].name
    metrics = {
        "val/reward": reward.mean,
        "val/reward_std": reward.std,
        "val/reward_ci95": reward.half_width,
        **{
            f"val/{part.name}": _mean([row.raw[part.name] for row in sampled_scores.rows])
            for part in config.rewards.components
        },
        "val/accuracy": _pass_rate(sampled_scores, first),
        "val/greedy_accuracy": _pass_rate(greedy_scores, first),
        "val/invalid_fraction": _share(sampled_scores, "invalid"),
        "val/failed_fraction": _share(sampled_scores, "failed"),
        "val/completion_length": _mean([float(len(one.ids)) for each in sampled for one in each]),
    }
    known = {name: value for name, value in metrics.items() if value is not None}
    return HeldOut(known, reward, [*sampled_rows, *greedy_rows])


def score(
    scorer: Scorer,
    prompts: list[dict[str, Any]],
    completions: list[list[Completion]],
    *,
    step: int,
    greedy: bool,
) -> tuple[Scored, list[dict[str, Any]]]:
    """Score every completion of every prompt, in order, before normalisation over groups or batches.

    Returns:
        The scores, and the rows for `completions.jsonl`.
    """
    flat = [one for each in completions for one in each]
    per_prompt = len(completions[0])
    repeated = [row for row in prompts for _ in range(per_prompt)]
    columns = {name: [row[name] for row in repeated] for name in prompts[0] if name != "prompt"}
    columns["completion_ids"] = [one.ids for one in flat]
    batch = Batch(
        prompts=[row["prompt"] for row in repeated],
        completions=[one.text for one in flat],
        columns=columns,
        group_size=per_prompt,
    )
    scored = scorer.score(batch, normalize=False)
    values = batch.values(scorer.columns)
    rows = [
        {
            "step": step,
            "split": "eval",
            "greedy": greedy,
            "prompt": batch.prompts[i],
            "completion": batch.texts[i],
            **row.as_dict(),
            "columns": values[i],
            "extra": {name: extra[i] for name, extra in scored.extras.items()},
        }
        for i, row in enumerate(scored.rows)
    ]
    return scored, rows


def clustered_mean(values: list[float | None], per_prompt: int) -> Estimate:
    """Mean of totals with its 95 % interval; completions of one prompt count as one cluster.

    Args:
        values: Totals, `per_prompt` after each other for each prompt; None where not scored.
    """
    scored = [value for value in values if value is not None]
    clusters = [values[i : i + per_prompt] for i in range(0, len(values), per_prompt)]
    means = [mean for cluster in clusters if (mean := _mean(cluster)) is not None]
    half = 1.96 * statistics.stdev(means) / math.sqrt(len(means)) if len(means) > 1 else None
    return Estimate(
        mean=statistics.fmean(means) if means else None,
        std=statistics.stdev(scored) if len(scored) > 1 else None,
        n=len(means),
        half_width=half,
    )


def _mean(values: list[Any]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def _pass_rate(scores: Scored, name: str) -> float | None:
    """Share of completions with a raw score of 1 or more; failed ones are not counted at all."""
    judged = [row for row in scores.rows if row.outcome in ("scored", "invalid")]
    passed = [(raw := row.raw[name]) is not None and raw >= 1 for row in judged]
    return sum(passed) / len(passed) if passed else None


def _share(scores: Scored, outcome: str) -> float:
    return sum(row.outcome == outcome for row in scores.rows) / len(scores.rows)
