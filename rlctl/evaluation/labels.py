"""The figures of evaluations as a person reads them: in tables, a run's logs and the model card."""

from collections.abc import Iterable, Mapping
from typing import Any

from rlctl.config.config import Config

LABELS = {
    "reward": "reward, sampled",
    "majority": "majority vote",
    "greedy_reward": "reward, greedy",
    "greedy_pass": "pass, greedy",
    "valid_fraction": "valid",
    "failed_fraction": "could not be scored",
    "completion_length": "tokens per completion",
    "truncated_fraction": "truncated",
    "distinct_fraction": "distinct",
    "repetition_fraction": "repetition",
    "kl_div": "KL from the base",
    "left_out_fraction": "without a value of the metric",
}


def label(metric: str) -> str:
    """What a metric is called, given its name below `val/`."""
    return LABELS.get(metric, metric.replace("pass_at_", "pass@"))


def shown(config: Config, evaluations: Iterable[Mapping[str, Any]]) -> list[str]:
    """Names of the metrics that are worth a line, out of evaluations with `val/…` → value.

    `eval.metric` is always among them; that nothing failed, or was cut off, is not worth one.
    """
    figures = [(name.removeprefix("val/"), value) for one in evaluations for name, value in one.items()]
    measured, not_zero = {name for name, _ in figures}, {name for name, value in figures if value}
    parts = [part.name for part in config.eval_rewards.components]
    passes = dict.fromkeys(["pass_at_1", f"pass_at_{config.eval.num_samples}"])
    always = ["reward", *parts, *passes, "majority", "greedy_pass", "valid_fraction", "completion_length"]
    only_if = ["failed_fraction", "truncated_fraction", "repetition_fraction", "kl_div", "left_out_fraction"]
    wanted = dict.fromkeys([*always, config.eval.metric])
    return [name for name in wanted if name in measured] + [name for name in only_if if name in not_zero]


def figure(metrics: Mapping[str, Any], metric: str) -> str:
    """A figure of an evaluation, the reward with its 95 % interval; – where it was not measured.

    Args:
        metrics: `val/…` → value.
        metric: Its name below `val/`.
    """
    value = metrics.get(f"val/{metric}")
    if value is None:
        return "–"
    if is_share(metric):
        return f"{value:.1%}"
    low, high = metrics.get("val/reward_low"), metrics.get("val/reward_high")
    interval = (
        f" [{low:.3f}, {high:.3f}]" if metric == "reward" and low is not None and high is not None else ""
    )
    return f"{value:.3f}{interval}"


def is_share(metric: str) -> bool:
    """Whether a metric is a share of completions or prompts."""
    return (
        metric.startswith("pass_at_") or metric.endswith("_fraction") or metric in ("majority", "greedy_pass")
    )


def describe(metrics: Mapping[str, Any], config: Config) -> str:
    """An evaluation in a line."""
    left_out = {
        name for name in shown(config, [metrics]) if name.startswith("pass_at_") or name == "majority"
    }
    names = [name for name in shown(config, [metrics]) if name not in left_out - {config.eval.metric}]
    text = ", ".join(f"{label(name)} {figure(metrics, name)}" for name in names)
    return text or "nothing could be scored"
