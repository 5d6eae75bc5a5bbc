"""The reward: parts, how they become one number, and what happens when a part cannot score."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from rlctl.config.base import Section, union_of
from rlctl.config.component import Component


if TYPE_CHECKING:
    AnyComponent = Component
else:
    AnyComponent = union_of("rewards")


class RewardTest(Section):
    """An example whose reward is known; checked before the first step."""

    completion: str
    """The text to score."""
    expect: str | float
    """`invalid`, `none`, a number, or a comparison such as `>0.8`, against the total before normalisation and scale."""
    row: dict[str, Any] = {}
    """Columns of the row, such as the reference answer."""
    prompt: str = ""
    """The prompt, where a reward looks at it."""


class Rewards(Section):
    """What a completion is worth."""

    components: Annotated[list[AnyComponent], Field(min_length=1)]
    """The parts of the reward."""
    invalid_penalty: float = -1.0
    """Total of an invalid completion, after all transforms and aggregation."""
    on_error: Literal["mask", "penalty", "fail"] = "mask"
    """A part that raised, timed out or returned NaN: leave the completion out, give it the penalty, or stop."""
    max_failure_rate: Annotated[float, Field(ge=0, le=1)] = 0.2
    """Stop, with the reasons, when more than this share of a batch could not be scored."""
    timeout: Annotated[float, Field(gt=0)] = 10.0
    """Seconds for one completion, for rewards that run in workers."""
    workers: Annotated[int, Field(ge=1)] = 1
    """Processes that score, for each component that runs in workers."""
    aggregate: Literal["weighted_sum", "weighted_mean", "weighted_geometric_mean", "normalize_then_sum"] = (
        "weighted_sum"
    )
    """How the parts become one number; weights are renormalised over the parts that apply."""
    scale: Annotated[float, Field(gt=0)] = 1.0
    """Factor of the total, penalty included."""
    tests: list[RewardTest] = []
    """Examples with known rewards, run before the first step."""
