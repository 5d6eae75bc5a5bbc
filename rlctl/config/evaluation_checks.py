"""Checks of the section `eval`: names of metrics and components, keys that need others. Torch-free."""

import re
from collections.abc import Iterator
from pathlib import Path as File

from rlctl import registry
from rlctl.config.config import Config
from rlctl.config.evaluation import PASS_AT, TOTAL
from rlctl.config.explain import Finding
from rlctl.config.rewards import PerGroup
from rlctl.config.yaml_marks import Path
from rlctl.errors import EXIT_DATA
from rlctl.registry import did_you_mean
from rlctl.rewards.conditions import parse

METRICS: dict[str, str] = {
    "reward": "mean_reward total total_reward score",
    "pass_at_1": "accuracy acc pass pass_rate success_rate solve_rate mean_accuracy",
    "greedy_pass": "greedy greedy_accuracy",
    "majority": "maj majority_vote majority_voting maj_vote consensus self_consistency",
    "valid_fraction": "valid validity valid_rate",
}
"""Our metric → what other tools and common speech call it, below `eval/`, `val_` or nothing."""


def check_evaluation(config: Config) -> Iterator[Finding]:
    """Everything of `eval` that does not fit; names of columns are looked up in `references`."""
    if config.data.eval is None:
        yield from _without_data(config)
    else:
        yield from _metric(config)
        yield from _pass(config)
        yield from _on_the_way(config)
        yield from _scored_alone(config)
    if config.eval.lm_eval is not None and config.eval.lm_eval.include_path is not None:
        folder = File(config.eval.lm_eval.include_path)
        if not folder.is_dir():
            message = f"{folder}: {'a file' if folder.exists() else 'no such folder'}"
            yield Finding(
                ("eval", "lm_eval", "include_path"), message, "name a folder with tasks", exit_code=EXIT_DATA
            )


def _without_data(config: Config) -> Iterator[Finding]:
    """Without held-out prompts only other tools' benchmarks can run, by `rlctl eval --export`."""
    fix = "add `data.eval`, or leave this out"
    reads = (("data", "eval"),)
    if config.training.eval_steps is not None:
        message = "there is nothing to evaluate on: `data.eval` is not set"
        yield Finding(("training", "eval_steps"), message, fix, reads=reads)
    for name, field in type(config.eval).model_fields.items():
        if name != "lm_eval" and getattr(config.eval, name) != field.get_default(call_default_factory=True):
            message = "changes nothing: `data.eval` is not set"
            yield Finding(("eval", field.alias or name), message, fix, reads=reads)


def _metric(config: Config) -> Iterator[Finding]:
    metric, names = config.eval.metric, config.metric_names
    path: Path = ("eval", "metric")
    reads = (*_names(config), ("eval", "num_samples"))
    if metric not in names:
        votes: tuple[Path, ...] = (("eval", "pass"),) if _metric_meant(metric) == "majority" else ()
        yield Finding(path, *_no_metric(config, metric), reads=(*reads, *votes))
    for i, part in enumerate(config.eval_rewards.components):
        if part.name == metric and part.weight < 0:
            yield Finding(
                path,
                f"higher is better for a metric, and {metric} has the weight {part.weight:g}",
                "name another; `reward` is the total",
                reads=(*reads, (*_rewards(config), "components", i, "weight")),
            )


def _no_metric(config: Config, metric: str) -> tuple[str, str]:
    """What is wrong with a name that no metric has here, and what to write."""
    count = config.eval.num_samples
    meant = _metric_meant(metric)
    meant = f"pass_at_{count}" if metric.lower() in ("pass@k", "pass_at_k") else meant
    asked = PASS_AT.fullmatch(meant)
    if asked and int(asked[1]) > count:
        fix = f"use pass_at_{count}" + (" or less" if count > 1 else "")
        return (
            f"{metric} needs {asked[1]} samples of each prompt, and `eval.num_samples` is {count}",
            f"{fix}, or set `num_samples: {asked[1]}`",
        )
    names = config.metric_names
    if meant == "majority" and meant not in names:
        knowing = [
            kind for kind, at in registry.names("rewards").items() if registry.load(at).knows_answers()
        ]
        return (
            f"{metric} counts answers, and {config.judged.name} ({config.judged.type}) knows none",
            f"types that do: {', '.join(knowing)}; name one in `eval.pass`",
        )
    hint = f"write `{meant}`" if meant != metric and meant in names else did_you_mean(metric, names)
    return f"{metric!r} is no metric of this config", hint or f"there are {', '.join(names)}"


def _metric_meant(metric: str) -> str:
    """Our name of what another tool, or a log, calls something else (`pass@4`, `eval/accuracy`)."""
    name = re.sub(r"^(val|eval|test|validation)[/_-]", "", metric.lower().strip())
    if k := re.fullmatch(r"(?:mean_)?pass[@_-]?(?:at[@_-]?)?([1-9]\d*)", name):
        return f"pass_at_{k[1]}"
    if re.fullmatch(r"(maj|majority|cons|consensus)[@_-]?(\d+|k|n)", name):
        return "majority"
    return next((ours for ours, words in METRICS.items() if name in words.split()), name)


def _pass(config: Config) -> Iterator[Finding]:
    parts = {part.name: part for part in config.eval_rewards.components}
    for name, text in (config.eval.pass_ or {}).items():
        path: Path = ("eval", "pass", name)
        if name == TOTAL:
            continue
        if name not in parts:
            known = [*parts, TOTAL]
            hint = f"write `{TOTAL}`" if name in METRICS[TOTAL].split() else did_you_mean(name, known)
            hint = hint or f"there are {', '.join(map(repr, known))}"
            yield Finding(path, f"no part is named {name!r}", hint, reads=_names(config))
            continue
        bounds = parts[name].bounds()
        if bounds is not None and not parse(text).possible(*bounds):
            message = f"never holds: {name} is from {bounds[0]:g} to {bounds[1]:g}"
            yield Finding(
                path, message, "ask for something in that range", reads=(*_names(config), _rewards(config))
            )


def _on_the_way(config: Config) -> Iterator[Finding]:
    """Keys that act between evaluations, and so need them during training."""
    if config.training.eval_steps is not None:
        return
    needs = "evaluations during training, and `training.eval_steps` is null"
    fix, reads = "set `training.eval_steps`, or leave this out", (("training", "eval_steps"),)
    if config.eval.patience is not None:
        yield Finding(("eval", "patience"), f"counts {needs}", fix, reads=reads)
    if config.eval.watch == "stop":
        yield Finding(("eval", "watch"), f"`stop` needs {needs}", fix, reads=reads)


def _scored_alone(config: Config) -> Iterator[Finding]:
    """What makes a reward depend on the other completions of a batch has no place in a measure."""
    rewards = config.eval.rewards
    if rewards is None:
        yield from _comparable(config)
        return
    alone, place = "held-out completions are scored one by one", ("eval", "rewards")
    for i, part in enumerate(rewards.components):
        if part.normalize != "none":
            path: Path = (*place, "components", i, "normalize")
            yield Finding(path, f"{alone}, so there is nothing to normalize over", "leave it out")
    if rewards.aggregate == "normalize_then_sum":
        message = f"{alone}, so there is nothing to normalize over"
        yield Finding((*place, "aggregate"), message, "use weighted_sum")
    if rewards.penalty is None:
        message = "a measure must be the same at every checkpoint"
        yield Finding((*place, "invalid_penalty"), message, "give a number")
    if rewards.shuffle:
        message = "a measure is taken as it is"
        yield Finding((*place, "shuffle"), message, "leave it out; `rewards.shuffle` makes a control run")


def _comparable(config: Config) -> Iterator[Finding]:
    """What decides between checkpoints must have a value for invalid completions too."""
    metric = config.eval.metric
    if isinstance(config.rewards.invalid_penalty, PerGroup) and metric in (TOTAL, "greedy_reward"):
        message = (
            "held-out completions are scored one by one, so an invalid one is below no group and has no "
            f"reward, and `eval.metric: {metric}` would judge by the valid ones alone"
        )
        others = [name for name in config.metric_names if name not in (TOTAL, "greedy_reward")]
        fix = f"set `eval.metric` ({', '.join(others)}), or `eval.rewards` with a number"
        yield Finding(
            ("rewards", "invalid_penalty"), message, fix, reads=(*_names(config), ("eval", "metric"))
        )


def _rewards(config: Config) -> Path:
    """Where the rewards stand that held-out completions are scored with."""
    return ("rewards",) if config.eval.rewards is None else ("eval", "rewards")


def _names(config: Config) -> tuple[Path, ...]:
    """Keys that give the components their names."""
    place = (*_rewards(config), "components")
    indices = range(len(config.eval_rewards.components))
    return tuple((*place, i, key) for i in indices for key in ("type", "name"))
