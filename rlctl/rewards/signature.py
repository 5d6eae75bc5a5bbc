"""How a reward wants to be called, read from the names of its parameters.

`completions` (or another plural of TRL's) marks a function of a whole batch; `completion`, `generated`,
`prompt` or `full_text` one of a single completion; neither, a factory that is called first and returns the
reward. Every other parameter is a column of the data. The same rules serve source text and the live object.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["batch", "single", "factory"]

BATCH_NAMES = frozenset({"prompts", "completions", "completion_ids"})
"""One list over the batch each, as in TRL."""
SINGLE_NAMES = frozenset({"prompt", "completion", "generated", "full_text"})
"""One text each: the prompt, the completion (two names), and both."""
EXTRA_NAMES = frozenset({"completion_ids", "trainer_state", "log_extra", "log_metric"})
"""May be asked for beside either."""
PROVIDED = BATCH_NAMES | SINGLE_NAMES | EXTRA_NAMES
"""Everything that rlctl provides; any other parameter is a column."""


@dataclass(frozen=True)
class Signature:
    """The parameters of a function or class.

    Args:
        names: All that can be given by name.
        required: Those without a default.
        open: Whether it takes any further name (`**kwargs`).
    """

    names: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    open: bool = False

    def without(self, bound: Iterable[str]) -> "Signature":
        """What is left once some parameters are bound to values."""
        gone = set(bound)
        return Signature(
            tuple(name for name in self.names if name not in gone),
            tuple(name for name in self.required if name not in gone),
            self.open,
        )

    @property
    def kind(self) -> Kind:
        """What a function with these parameters is."""
        names = set(self.names)
        if names & {"prompts", "completions"}:
            return "batch"
        if names & SINGLE_NAMES:
            return "single"
        if "completion_ids" in names or (self.open and not names):
            return "batch"
        return "factory"

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that it cannot do without."""
        return tuple(name for name in self.required if name not in PROVIDED)

    @property
    def needs(self) -> tuple[str, ...]:
        """Columns that must be there, the tokens of the completions included."""
        ids = ("completion_ids",) if "completion_ids" in self.required else ()
        return self.columns + ids

    @property
    def reads(self) -> frozenset[str] | None:
        """Columns that it can take; None for any."""
        return None if self.open else frozenset(self.names) - (PROVIDED - {"completion_ids"})
