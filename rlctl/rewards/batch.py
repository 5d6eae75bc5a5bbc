"""What is scored together: completions with their prompts and columns, as text or as chat messages."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import SimpleNamespace
from typing import Any

from rlctl.rewards.normalize import sizes_of


@dataclass(frozen=True)
class Batch:
    """Completions of one step (or one evaluation) on one process.

    Args:
        prompts: One per completion: text, or a list of chat messages.
        completions: Text, or a list of chat messages (their text is scored).
        columns: Further columns, one value per completion each; `completion_ids` holds the sampled tokens.
        group_size: Completions per prompt, G; rows i·G … (i+1)·G−1 share a prompt. 1 for no groups; where
            prompts differ, the number of each, in their order.
        trainer_state: Handed to rewards that ask for it.

    Raises:
        ValueError: The lengths do not fit.
    """

    prompts: list[Any]
    completions: list[Any]
    columns: dict[str, list[Any]] = field(default_factory=dict)
    group_size: int | Sequence[int] = 1
    trainer_state: Any = None

    def __post_init__(self) -> None:
        rows = len(self.completions)
        lengths = {"prompts": len(self.prompts)} | {
            name: len(values) for name, values in self.columns.items()
        }
        wrong = {name: length for name, length in lengths.items() if length != rows}
        if wrong:
            raise ValueError(f"{rows} completions, but {wrong}")
        sizes_of(self.group_size, rows)

    def __len__(self) -> int:
        return len(self.completions)

    @property
    def sizes(self) -> list[int]:
        """Completions of each prompt."""
        return sizes_of(self.group_size, len(self))

    @cached_property
    def texts(self) -> list[str]:
        """The completions as text."""
        return [text_of(completion) for completion in self.completions]

    @cached_property
    def prompt_texts(self) -> list[str]:
        """The prompts as text; the messages of a chat are joined by line breaks."""
        return [text_of(prompt) for prompt in self.prompts]

    def take(self, indices: Iterable[int]) -> "Batch":
        """Some of the rows, without groups."""
        chosen = list(indices)
        return Batch(
            prompts=[self.prompts[i] for i in chosen],
            completions=[self.completions[i] for i in chosen],
            columns={name: [values[i] for i in chosen] for name, values in self.columns.items()},
            trainer_state=self.trainer_state,
        )

    def values(self, names: Iterable[str]) -> list[dict[str, Any]]:
        """These columns of each row, as far as they are there, for a log in JSON."""
        present = {name: self.columns[name] for name in names if name in self.columns}
        return [{name: plain(values[i]) for name, values in present.items()} for i in range(len(self))]

    def for_worker(self, columns: frozenset[str] | None) -> "Batch":
        """The same without what the reward does not read, so that little is sent to its process.

        Args:
            columns: Columns that the reward reads; None for all.
        """
        kept = {name: v for name, v in self.columns.items() if columns is None or name in columns}
        return Batch(self.prompts, self.completions, kept, 1, plain_state(self.trainer_state))


def plain(value: Any) -> Any:
    """The same value as JSON can hold it; what JSON cannot hold (NaN, infinity, a date) becomes text."""
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, dict):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return str(value)


def text_of(value: Any) -> str:
    """Text of a prompt or completion; of chat messages, their contents joined by line breaks."""
    if isinstance(value, str):
        return value
    return "\n".join(_content(message) for message in value)


def as_messages(value: Any, role: str) -> Any:
    """Chat messages of a prompt or completion; text becomes one message of `role`."""
    return [{"role": role, "content": value}] if isinstance(value, str) else value


def plain_state(state: Any) -> SimpleNamespace | None:
    """The single numbers and words of a trainer's state (`global_step`, `epoch`, `max_steps`, ...)."""
    if state is None:
        return None
    items = {name: value for name, value in vars(state).items() if isinstance(value, int | float | str)}
    return SimpleNamespace(**items)


def _content(message: dict[str, Any]) -> str:
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content if isinstance(part, dict))
