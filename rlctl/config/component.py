"""What every part of a reward has in common. A reward type is one class that inherits from `Component`."""

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from rlctl.config.base import Section
from rlctl.rewards.conditions import parse
from rlctl.rewards.transforms import Transform

Normalize = Literal["none", "group_std", "batch_std", "batch_min_max", "batch_mean"]
RewardFunction = Callable[..., Any]
"""`reward(completions: list[str], **columns) -> list[float | None | Invalid]`, as in TRL."""


def _condition(text: str) -> str:
    if not text:
        raise ValueError("is empty, since YAML takes a bare `>` for something else; put it in quotes: '>1'")
    parse(text)
    return text


ConditionText = Annotated[str, AfterValidator(_condition)]
"""A condition on a number, e.g. `>=1`."""

LOG_NAMES = frozenset(
    [
        "reward",
        "reward_std",
        "reward_low",
        "reward_high",
        "majority",
        "greedy_reward",
        "greedy_pass",
        "total",
        "loss",
        "kl_div",
        "entropy",
        "valid_fraction",
        "invalid_fraction",
        "not_applicable_fraction",
        "failed_fraction",
        "dead_group_fraction",
        "completion_length",
        "truncated_fraction",
        "distinct_fraction",
        "repetition_fraction",
        "clip_fraction",
        "grad_norm",
        "learning_rate",
    ]
)
"""Names below `train/` and `val/` that the logs use for something else, as they do `pass_at_1` and so on."""


def is_taken(name: str) -> bool:
    """Whether the logs use a name for something else than a component."""
    return name in LOG_NAMES or re.fullmatch(r"pass_at_\d+", name) is not None


class Component(Section):
    """One part of the total reward."""

    type: str
    """Kind of reward (`rlctl list rewards`)."""
    name: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_-]*$")] = ""
    """Name in logs, gates and trackers; the type by default. Names are unique."""
    weight: Annotated[float, Field(ge=-1e6, le=1e6)] = 1.0
    """Factor of this part in the total; negative to punish."""
    transform: Transform | None = None
    """Maps the raw score before anything else is done with it."""
    normalize: Normalize = "none"
    """Rescale over group or batch, after the transform; `batch_*` makes scores depend on batch mates."""
    gate: dict[str, ConditionText] | None = None
    """Count this part only where other parts' raw scores satisfy a condition, e.g. `{correct: ">=1"}`."""

    needs_worker: ClassVar[bool] = False
    """Whether this type may hang or crash, and so runs in a process that can be killed."""

    @model_validator(mode="before")
    @classmethod
    def _name_is_type(cls, data: Any) -> Any:
        return (
            {**data, "name": data["type"]}
            if isinstance(data, dict) and "type" in data and "name" not in data
            else data
        )

    @field_validator("name")
    @classmethod
    def _free_name(cls, name: str) -> str:
        if is_taken(name):
            raise ValueError(f"the logs use the name {name!r} for something else; choose another")
        return name

    def columns(self) -> tuple[str, ...]:
        """Columns of the data that this reward reads."""
        return ()

    def bounds(self) -> tuple[float, float] | None:
        """Lowest and highest raw score; None where that is not known."""
        return None

    def answer(self, completion: str) -> str | None:
        """What a completion answers, in a form in which equal answers are equal; a majority vote counts them.

        Cheap: it runs in the process that asks. None where there is no answer, or this type knows of none.
        """
        return None

    @classmethod
    def knows_answers(cls) -> bool:
        """Whether this type says what a completion answers, beside how good that is."""
        return cls.answer is not Component.answer

    def reference(self, row: Mapping[str, Any]) -> str | None:
        """The answer that this part should score at its top, alone or in its form (`wrap`).

        `analyze-rewards` scores it, to find a reward that does not know a right answer.

        Args:
            row: The columns of one row of the data.

        Returns:
            The answer; None where the row holds none, or where this part does not judge answers.
        """
        return None

    def wrap(self, text: str) -> str:
        """A text in the form that this part asks for, unless it already is; its last line is the answer."""
        return text

    def notes(self) -> tuple[str, ...]:
        """What `rlctl check` should tell a person about this part."""
        return ()

    def quick(self, completions: list[str], columns: dict[str, list[Any]]) -> list[Any] | None:
        """Scores that need no worker, `PENDING` for the rest; None where there is no such short cut."""
        return None

    def build(self) -> RewardFunction:
        """The function that scores; heavy libraries are imported here, not at the top of the file."""
        raise NotImplementedError

    @property
    def isolated(self) -> bool:
        """Whether scoring runs in a worker process."""
        return self.needs_worker
