"""Evaluation on held-out prompts: what is sampled, how it is judged, and which figure decides. Torch-free."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from rlctl.config.base import LocalPath, Section
from rlctl.config.component import Component, ConditionText
from rlctl.config.rewards import Rewards

TOTAL = "reward"
"""Names the total in `eval.pass` and as a metric, beside the names of the components."""
PASS_AT = re.compile(r"pass_at_([1-9]\d*)")


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _each_once(names: list[str]) -> list[str]:
    twice = [name for i, name in enumerate(names) if name in names[:i]]
    if twice:
        raise ValueError(f"{twice[0]!r} is named twice; name it once")
    return names


Name = Annotated[str, Field(min_length=1)]
Names = Annotated[list[Name], Field(min_length=1), AfterValidator(_each_once)]
OneOrMore = Annotated[Names, BeforeValidator(_as_list, json_schema_input_type=Name | list[Name])]


class LmEval(Section):
    """Benchmarks that `rlctl eval --export lm-eval` runs with the lm-evaluation-harness."""

    tasks: Names
    """Names of tasks or groups of the harness, e.g. `[gsm8k, mmlu]`."""
    num_fewshot: Annotated[int, Field(ge=0)] | None = None
    """Examples in the prompt; null for each task's own number."""
    limit: Annotated[int, Field(ge=1)] | None = None
    """Questions per task, from the start; null for all. Figures of a part are no benchmark results."""
    batch_size: Annotated[int, Field(ge=1)] = 8
    """Requests that the model answers together."""
    include_path: LocalPath | None = None
    """Folder with tasks of your own, as YAML of the harness."""


class Eval(Section):
    """Evaluation on `data.eval`, before, during and after training, and by `rlctl eval`."""

    num_samples: Annotated[int, Field(ge=1)] = 1
    """Sampled completions per prompt, beside one greedy completion."""
    batch_size: Annotated[int, Field(ge=1)] = 64
    """Completions that are generated together."""
    rewards: Rewards | None = None
    """An independent measure that training never sees, a section like `rewards`; null: `rewards` itself."""
    pass_: Annotated[dict[str, ConditionText], Field(min_length=1)] | None = Field(None, alias="pass")
    """A completion passes where these raw scores satisfy their conditions, e.g. `{correct: ">=1"}`; `reward`
    is the total. null: the first component's is 1 or more."""
    group_by: OneOrMore | None = None
    """A column of `data.eval`, or a list of them: figures for each of its values too."""
    metric: Name = TOTAL
    """What decides the best checkpoint, `patience` and comparisons; higher is better. `reward`, a component,
    `pass_at_1` to `pass_at_<num_samples>`, `majority`, `greedy_reward`, `greedy_pass` or `valid_fraction`."""
    patience: Annotated[int, Field(ge=1)] | None = None
    """Stop training after so many evaluations without a new best `metric`; null: never."""
    watch: Literal["off", "warn", "stop"] = "warn"
    """Where the training reward rises and `metric` does not: say so, or stop; off: do not look."""
    kl: bool = True
    """Measure the KL divergence from the base model: in the evaluations of a training with LoRA, and, with
    the entropy, in `rlctl eval`. There the base model is then in memory too, unless the checkpoint is an
    adapter over it."""
    lm_eval: LmEval | None = None
    """Standard benchmarks for `rlctl eval --export lm-eval`."""


def metric_names(section: Eval, rewards: Rewards) -> tuple[str, ...]:
    """Every name that `eval.metric` may have.

    Args:
        section: The section `eval`.
        rewards: What held-out completions are scored with.
    """
    majority = ("majority",) if judged(section, rewards).knows_answers() else ()
    return (
        TOTAL,
        *(part.name for part in rewards.components),
        *(f"pass_at_{k}" for k in range(1, section.num_samples + 1)),
        *majority,
        "greedy_reward",
        "greedy_pass",
        "valid_fraction",
    )


def pass_conditions(section: Eval, rewards: Rewards) -> dict[str, str]:
    """The conditions under which a completion passes, the default spelled out."""
    return section.pass_ or {rewards.components[0].name: ">=1"}


def judged(section: Eval, rewards: Rewards) -> Component:
    """The component whose answers are voted on, where it knows any: the first such that `pass` names.

    Where `pass` asks about the total, any component may be it.
    """
    conditions = pass_conditions(section, rewards)
    named = [part for part in rewards.components if part.name in conditions or TOTAL in conditions]
    candidates = named or rewards.components
    return next((part for part in candidates if part.knows_answers()), candidates[0])
