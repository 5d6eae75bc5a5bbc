"""`type: python`: a reward that the user wrote. Any TRL reward function, a function of one completion, a
factory or a class of one, sync or async. It runs in its own process, so that a hang or a crash costs one row.
"""

from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from rlctl.config.base import base_folder
from rlctl.config.component import Component, RewardFunction
from rlctl.errors import RewardError
from rlctl.rewards.lookup import Found as Found
from rlctl.rewards.lookup import find as find
from rlctl.rewards.lookup import split


class PythonReward(Component):
    """A Python function that scores completions."""

    type: Literal["python"]
    """A Python function that scores completions."""
    function: Annotated[str, Field(min_length=1)]
    """`file.py:name` (from the YAML's folder) or `package.module:name`: a reward, or a factory or class."""
    args: dict[str, Any] = {}
    """Arguments of the factory or class; of a plain reward function, parameters to set."""
    isolate: bool = True
    """Run in a process that can be killed. false: in the training process, for one that holds a GPU model."""
    messages: bool = False
    """Hand over prompts and completions as chat messages, as TRL does for conversational data."""
    concurrency: Annotated[int, Field(ge=1)] = 32
    """Calls at a time where an async function is called for each completion."""

    @field_validator("function", mode="before")
    @classmethod
    def _absolute(cls, function: Any, info: ValidationInfo) -> Any:
        if not isinstance(function, str) or not function:
            return function
        place, name = split(function)
        if not place.endswith(".py"):
            return function
        return f"{base_folder(info, function).joinpath(Path(place).expanduser()).resolve()}:{name}"

    @cached_property
    def _found(self) -> Found | None:
        try:
            return find(self.function)
        except RewardError:
            return None

    def columns(self) -> tuple[str, ...]:
        """Parameters of the function that are columns and have no default, as far as its text tells."""
        signature = self._found.signature if self._found and not self._found.is_class else None
        if signature is None or signature.without(self.args).kind == "factory":
            return ()
        return signature.without(self.args).columns

    def notes(self) -> tuple[str, ...]:
        """That nothing can stop a function in the training process."""
        if self.isolate or (self._found and self._found.is_async):
            return ()
        return (f"{self.name}: with `isolate: false` a call that hangs cannot be stopped",)

    @property
    def isolated(self) -> bool:
        """As `isolate` says."""
        return self.isolate

    def build(self) -> RewardFunction:
        """Load the function and give it its arguments; executes the user's file."""
        from rlctl.rewards.calls import RewardCall
        from rlctl.rewards.functions import load, resolve

        function = resolve(load(self.function), self.args)
        return RewardCall(function, messages=self.messages, concurrency=self.concurrency)
