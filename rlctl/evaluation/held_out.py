"""Reward and accuracy on prompts that training never saw: the same prompts, seed and settings every time."""

import math
import statistics
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

from rlctl.config.config import Config
from rlctl.generation.local import Completion, Prompt, generate
from rlctl.rewards.compose import Batch, Row, Scorer


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
class Share:
    """This process's part of the scoring.

    Args:
        rank: Its place among the processes.
        processes: How many there are.
        exchange: Gathers a list over all processes in rank order.
    """

    rank: int
    processes: int
    exchange: Callable[[list], list]


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
    share: Share | None = None,
    alone: Callable[[], AbstractContextManager[None]] = nullcontext,
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
        share: Which part of the scoring this process does; None for all of it. Every process generates
            everything, because sampling by parts would draw other completions than one process does.
        alone: Entered around generation, where no process waits for another.
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
        more=config.algorithm.trl.get("generation_kwargs"),
    )
    with alone():
        sampled = generate_all(num_samples=count, seed=config.run.seed)
        greedy = generate_all(greedy=True)
    sampled_scores, sampled_rows = score(scorer, prompts, sampled, step=step, greedy=False, share=share)
    greedy_scores, greedy_rows = score(scorer, prompts, greedy, step=step, greedy=True, share=share)
    reward = clustered_mean([row.total for row in sampled_scores], count)
    first = config.rewards.components[0].name
    metrics = {
        "val/reward": reward.mean,
        "val/reward_std": reward.std,
        "val/reward_ci95": reward.half_width,
        **{
            f"val/{part.name}": _mean([row.raw[part.name] for row in sampled_scores])
            for part in config.rewards.components
        },
        "val/accuracy": _pass_rate(sampled_scores, first),
        "val/greedy_accuracy": _pass_rate(greedy_scores, first),
        "val/invalid_fraction": _fraction(sampled_scores, "invalid"),
        "val/failed_fraction": _fraction(sampled_scores, "failed"),
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
    share: Share | None = None,
) -> tuple[list[Row], list[dict[str, Any]]]:
    """Score every completion of every prompt, in order, before normalisation over groups or batches.

    Returns:
        The scores, and the rows for `completions.jsonl`; of all processes.
    """
    exchange = share.exchange if share else None
    if share is not None:
        first, last = (len(prompts) * place // share.processes for place in (share.rank, share.rank + 1))
        prompts, completions = prompts[first:last], completions[first:last]
    pairs = [(row, one) for row, each in zip(prompts, completions, strict=True) for one in each]
    names = [name for name in (prompts[0] if prompts else ()) if name != "prompt"]
    columns = {name: [row[name] for row, _ in pairs] for name in names}
    batch = Batch(
        prompts=[row["prompt"] for row, _ in pairs],
        completions=[one.text for _, one in pairs],
        columns={**columns, "completion_ids": [one.ids for _, one in pairs]},
        group_size=len(completions[0]) if completions else 1,
    )
    scored = scorer.score(batch, exchange=exchange, normalize=False)
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
    return scored.everywhere, exchange(rows) if exchange else rows


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


def _pass_rate(rows: list[Row], name: str) -> float | None:
    """Share of completions with a raw score of 1 or more; failed ones are not counted at all."""
    judged = [row for row in rows if row.outcome in ("scored", "invalid")]
    passed = [(raw := row.raw[name]) is not None and raw >= 1 for row in judged]
    return sum(passed) / len(passed) if passed else None


def _fraction(rows: list[Row], outcome: str) -> float:
    return sum(row.outcome == outcome for row in rows) / len(rows)
