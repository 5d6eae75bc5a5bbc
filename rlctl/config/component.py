"""What every part of a reward has in common. A reward type is one class that inherits from `Component`."""

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from rlctl.config.base import Section
from rlctl.rewards.transforms import Transform

Normalize = Literal["none", "group_std", "batch_std", "batch_min_max", "batch_mean"]
RewardFunction = Callable[..., Any]
"""`reward(completions: list[str], **columns) -> list[float | None | Invalid]`, as in TRL."""


class Component(Section):
    """One part of the total reward."""

    type: str
    """Kind of reward (`rlctl list rewards`)."""
    name: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_-]*$")] = ""
    """Name in logs, gates and trackers; the type by default. Names are unique."""
    weight: float = 1.0
    """Factor of this part in the total; negative to punish."""
    transform: Transform | None = None
    """Maps the raw score before anything else is done with it."""
    normalize: Normalize = "none"
    """Rescale over the group or the batch, after the transform."""
    gate: dict[str, str] | None = None
    """Count this part only where other parts' raw scores satisfy a condition, e.g. `{correct: ">=1"}`."""

    needs_worker: ClassVar[bool] = False
    """Whether this type may hang or crash, and so runs in a process that can be killed."""

    def columns(self) -> tuple[str, ...]:
        """Columns of the data that this reward reads."""
        return ()

    def build(self) -> RewardFunction:
        """The function that scores; heavy libraries are imported here, not at the top of the file."""
        raise NotImplementedError

    @property
    def isolated(self) -> bool:
        """Whether scoring runs in a worker process."""
        return self.needs_worker
