"""Where prompts come from, and how a row becomes a prompt."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from rlctl.config.base import LocalOrHub, Section


class Source(Section):
    """One set of rows."""

    path: LocalOrHub
    """`builtin:NAME`, a .jsonl/.json/.csv/.parquet file (.gz too), a saved dataset folder, or a Hub id."""
    split: Annotated[str, Field(min_length=1)] = "train"
    """Split to read; Hub and saved datasets also take slices such as `train[:1000]`. A file has only `train`."""
    name: str | None = None
    """Configuration (subset) of a Hub dataset."""
    revision: str | None = None
    """Branch, tag or commit of a Hub dataset."""
    limit: Annotated[int, Field(ge=1)] | None = None
    """Use at most this many rows, from the start."""
    weight: Annotated[float, Field(gt=0)] = 1.0
    """Share of this source when `train` is a list, relative to the others."""
    columns: dict[str, str] | None = None
    """Names that rlctl uses → columns of this source; added to `data.columns`."""
    args: dict[str, Any] = {}
    """Arguments of a built-in dataset (`rlctl list datasets`)."""


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list) or value is None else [value]


Sources = Annotated[list[Source], BeforeValidator(_as_list), Field(min_length=1)]


class Data(Section):
    """Prompts to train on, prompts to evaluate on, and how rows become prompts."""

    train: Sources
    """A source, or a list of sources that are mixed by weight."""
    eval: Sources | None = None
    """Held-out prompts, never trained on; several sources are joined."""
    max_length: Annotated[int, Field(ge=2)] = 512
    """Tokens of prompt and completion together."""
    overlong: Literal["drop", "truncate", "fail"] = "drop"
    """A prompt that leaves no room for `generation.max_completion_length`: leave it out, keep its end, or stop."""
    columns: dict[str, str] = {}
    """Names that rlctl and the rewards use → columns of the data, e.g. `{prompt: question}`."""
    prompt_template: str | None = None
    """Prompt text with `{column}` in it; doubled braces stand for themselves."""
    system_prompt: str | None = None
    """System message put before every prompt (needs a chat template)."""
    chat_template: Literal["auto", "always", "never"] = "auto"
    """Whether text prompts become a user message. auto: where the tokenizer has a chat template."""
    shuffle: bool = True
    """Shuffle the training prompts anew in every epoch."""
