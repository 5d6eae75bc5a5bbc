"""The reward: parts, how they become one number, and what happens when a part cannot score."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from rlctl.config.base import Section, union_of
from rlctl.config.component import Component
from rlctl.registry import did_you_mean
from rlctl.rewards.conditions import parse

if TYPE_CHECKING:
    AnyComponent = Component
else:
    AnyComponent = union_of("rewards")

LARGEST_PENALTY = 1e6
"""The largest `invalid_penalty`, either way."""

Complaint = tuple[tuple[str | int, ...], str]
"""A place below `rewards`, and what is wrong there."""


class RewardTest(Section):
    """An example whose reward is known; checked before the first step."""

    completion: str
    """The text to score."""
    expect: str | float
    """`invalid`, `none`, a number, or a comparison such as `>0.8`: total before normalisation, scale."""
    tolerance: Annotated[float, Field(ge=0)] = 1e-6
    """How far the total may be from a number in `expect`."""
    row: dict[str, Any] = {}
    """Columns of the row, such as the reference answer."""
    prompt: str = ""
    """The prompt, where a reward looks at it."""

    @field_validator("expect")
    @classmethod
    def _understood(cls, expect: str | float) -> str | float:
        if isinstance(expect, str) and expect not in ("invalid", "none"):
            try:
                parse(expect)
            except ValueError:
                raise ValueError(
                    f"{expect!r} is not `invalid`, `none`, a number or a comparison such as '>0.8'"
                ) from None
        return expect


class PerGroup(Section):
    """A penalty relative to the valid completions of the same prompt."""

    per_group: Annotated[float, Field(gt=0, le=100)]
    """Standard deviations of the group's valid totals that an invalid completion is below their mean."""


class Rewards(Section):
    """What a completion is worth."""

    components: Annotated[list[AnyComponent], Field(min_length=1)]
    """The parts of the reward."""
    invalid_penalty: (
        Annotated[float, Field(ge=-LARGEST_PENALTY, le=LARGEST_PENALTY)] | Literal["auto"] | PerGroup
    ) = -1.0
    """Total of an invalid completion, after all transforms and aggregation; auto: chosen from completions of
    the policy before the first step, then fixed; `{per_group: K}`: K standard deviations below its group."""
    on_error: Literal["mask", "penalty", "fail"] = "mask"
    """Where a part raised, timed out or returned NaN: leave the completion out, give the penalty, or stop."""
    max_failure_rate: Annotated[float, Field(ge=0, le=1)] = 0.2
    """Stop, with the reasons, when more than this share of a batch could not be scored."""
    timeout: Annotated[float, Field(gt=0)] = 10.0
    """Seconds for one completion, for rewards in workers; a whole batch is first tried in the same time."""
    workers: Annotated[int, Field(ge=1)] = 1
    """Processes for each component that runs in workers; with several, each sees only part of the batch."""
    aggregate: Literal["weighted_sum", "weighted_mean", "weighted_geometric_mean", "normalize_then_sum"] = (
        "weighted_sum"
    )
    """How the parts become one number; weights are renormalised over the parts that apply."""
    scale: Annotated[float, Field(gt=0, le=1e6)] = 1.0
    """Factor of the total, penalty included."""
    shuffle: bool = False
    """Deal each group's totals out at random among its completions: a control run that learns nothing."""
    tests: list[RewardTest] = []
    """Examples with known rewards, run before the first step."""

    @model_validator(mode="after")
    def _parts_fit_together(self) -> "Rewards":
        complaints = [
            *_names(self.components),
            *_gates(self.components),
            *_weights(self),
            *_aggregation(self),
        ]
        if complaints:
            raise ValidationError.from_exception_data(
                "Rewards",
                [
                    InitErrorDetails(
                        type=PydanticCustomError("value_error", "{text}", {"text": text}),
                        loc=("components", *place),
                        input=None,
                    )
                    for place, text in complaints
                ],
            )
        return self

    @property
    def penalty(self) -> float | None:
        """`invalid_penalty` where it is a number that is known; None for `auto` and `per_group`."""
        known = self.invalid_penalty
        return None if known == "auto" or isinstance(known, PerGroup) else known

    @property
    def penalty_in_words(self) -> str:
        """`invalid_penalty` as a person reads it: `-2`, or what it stands for."""
        match self.invalid_penalty:
            case "auto":
                return "auto (chosen before the first step, then fixed)"
            case PerGroup(per_group=depth):
                return f"{depth:g} standard deviations below the mean of its group's valid completions"
            case number:
                return f"{number:g}"

    def notes(self) -> tuple[str, ...]:
        """What `rlctl check` should tell a person about these rewards."""
        return (
            *([_SHUFFLED] if self.shuffle else []),
            *(one for part in self.components for one in part.notes()),
        )


_SHUFFLED = "`rewards.shuffle` deals rewards out at random: a control run, from which nothing can be learnt"


def _names(parts: list[Component]) -> list[Complaint]:
    seen: dict[str, int] = {}
    complaints: list[Complaint] = []
    for i, part in enumerate(parts):
        if part.name in seen:
            text = f"components[{seen[part.name]}] is named {part.name!r} too; give each its own `name`"
            complaints.append(((i, "name"), text))
        seen.setdefault(part.name, i)
    return complaints


def _gates(parts: list[Component]) -> list[Complaint]:
    names = [part.name for part in parts]
    complaints: list[Complaint] = []
    for i, part in enumerate(parts):
        for asked in part.gate or {}:
            if asked == part.name:
                complaints.append(((i, "gate", asked), "a part cannot be its own gate"))
            elif asked not in names:
                hint = did_you_mean(asked, names) or f"there are {', '.join(map(repr, names))}"
                complaints.append(((i, "gate", asked), f"no part is named {asked!r}; {hint}"))
    return complaints or _circles(parts)


def _circles(parts: list[Component]) -> list[Complaint]:
    asks = {part.name: set(part.gate or {}) for part in parts}
    for i, part in enumerate(parts):
        reached: set[str] = set()
        ahead = set(asks[part.name])
        while ahead:
            reached |= ahead
            ahead = {other for name in ahead for other in asks[name]} - reached
        if part.name in reached:
            return [
                ((i, "gate"), f"{part.name!r} is behind a gate that asks, in a circle, about {part.name!r}")
            ]
    return []


def _weights(rewards: Rewards) -> list[Complaint]:
    if all(part.weight == 0 for part in rewards.components):
        return [((0, "weight"), "every weight is 0, so every total would be missing")]
    return []


def _aggregation(rewards: Rewards) -> list[Complaint]:
    complaints: list[Complaint] = []
    for i, part in enumerate(rewards.components):
        if rewards.aggregate == "normalize_then_sum" and part.normalize != "none":
            complaints.append(
                ((i, "normalize"), "`aggregate: normalize_then_sum` already normalizes every part")
            )
        if rewards.aggregate == "weighted_geometric_mean":
            complaints += [((i, key), text) for key, text in _geometric(part)]
    return complaints


def _geometric(part: Component) -> list[tuple[str, str]]:
    """What keeps a part out of a geometric mean, as far as it can be seen without scoring."""
    if part.weight < 0:
        return [("weight", "`aggregate: weighted_geometric_mean` takes no negative weight")]
    if part.normalize != "none":
        return [("normalize", "`aggregate: weighted_geometric_mean` takes no normalized parts")]
    bounds = part.bounds()
    if bounds is not None and part.transform is not None:
        bounds = part.transform.bounds(*bounds)
    if bounds is not None and (bounds[0] < 0 or bounds[1] > 1):
        text = f"`aggregate: weighted_geometric_mean` needs 0 to 1, not {bounds[0]:g} to {bounds[1]:g}"
        return [("transform", f"{text}; a sigmoid or step gives that")]
    return []
