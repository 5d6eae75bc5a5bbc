"""Names that a YAML may use, and where each one lives. Nothing is imported before it is asked for.

A plug-in package adds names through entry points: group `rlctl.rewards`, `rlctl.algorithms`,
`rlctl.backends`, `rlctl.datasets` or `rlctl.models`, `name = "package.module:Object"`.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

REWARDS: dict[str, str] = {
    "exact_match": "rlctl.rewards.text:ExactMatch",
    "regex": "rlctl.rewards.text:Regex",
    "format": "rlctl.rewards.text:Format",
    "length": "rlctl.rewards.shape:Length",
    "repetition": "rlctl.rewards.shape:Repetition",
    "math_answer": "rlctl.rewards.math:MathAnswer",
    "python": "rlctl.rewards.python:PythonReward",
}
"""Reward type → its section (a `Component`), which also builds the function."""

ALGORITHMS: dict[str, str] = {"grpo": "rlctl.config.algorithm:Grpo"}
"""Algorithm type → its section."""

BACKENDS: dict[str, str] = {"grpo": "rlctl.training.trl.grpo:train"}
"""Algorithm type → the function that runs it."""

DATASETS: dict[str, str] = {"arithmetic": "rlctl.data.arithmetic:Arithmetic"}
"""`builtin:NAME` under `data` → its section, which also makes the rows."""

MODELS: dict[str, str] = {"tiny-math": "rlctl.models.builtin.tiny_math"}
"""`builtin:NAME` under `model.path` → the package that holds its files."""


@cache
def names(kind: str) -> dict[str, str]:
    """Every name of `rewards`, `algorithms`, `backends`, `datasets` or `models`, plug-ins included."""
    built_in = {
        "rewards": REWARDS,
        "algorithms": ALGORITHMS,
        "backends": BACKENDS,
        "datasets": DATASETS,
        "models": MODELS,
    }[kind]
    plugged = {point.name: point.value for point in entry_points(group=f"rlctl.{kind}")}
    return {**plugged, **built_in}


def load(target: str) -> Any:
    """The object behind `package.module:Object`."""
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known name that `word` was probably meant to be, or None."""
    candidates = {name.lower().replace("-", "_"): name for name in known}
    found = get_close_matches(word.lower().replace("-", "_"), candidates, n=1, cutoff=0.6)
    return candidates[found[0]] if found else None


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """`did you mean 'weight'?`, or None where nothing is close."""
    name = closest(word, known)
    return f"did you mean {name!r}?" if name else None
