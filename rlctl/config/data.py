"""Where prompts come from, and how a row becomes a prompt."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from rlctl.config.base import LocalOrHub, Section, wrong_at


class Source(Section):
    """One set of rows."""

    path: LocalOrHub
    """`builtin:NAME`, a .jsonl/.json/.csv/.parquet file (.gz too), a saved dataset folder, or a Hub id."""
    split: Annotated[str, Field(min_length=1)] = "train"
    """Split to read; Hub and saved datasets also take slices such as `train[:1000]`. A file has `train`."""
    name: str | None = None
    """Configuration (subset) of a Hub dataset."""
    revision: str | None = None
    """Branch, tag or commit of a Hub dataset."""
    limit: Annotated[int, Field(ge=1)] | None = None
    """Use at most this many rows, from the start."""
    weight: Annotated[float, Field(gt=0)] | None = None
    """Share of this source in a mixture, relative to the others (1 where only others have one). Without any,
    the sources are joined in their order."""
    columns: dict[str, str] | None = None
    """Names that rlctl uses → columns of this source; added to `data.columns`, and stronger."""
    args: dict[str, Any] = {}
    """Arguments of a built-in dataset (`rlctl list datasets`)."""

    @model_validator(mode="after")
    def _fits_its_path(self) -> "Source":
        built_in, local = self.path.startswith("builtin:"), self.path.startswith("/")
        if self.args and not built_in:
            raise wrong_at(("args",), "only a built-in dataset (`builtin:NAME`) has `args`; leave it out")
        for key in ("name", "revision"):
            if getattr(self, key) is not None and (built_in or local):
                raise wrong_at((key,), f"only a dataset of the Hugging Face Hub has `{key}`; leave it out")
        return self


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list) or value is None else [value]


Sources = Annotated[
    list[Source],
    BeforeValidator(_as_list, json_schema_input_type=Source | list[Source]),
    Field(min_length=1),
]


class Data(Section):
    """Prompts to train on, prompts to evaluate on, and how rows become prompts."""

    train: Sources
    """A source, or a list of sources that are mixed by weight."""
    eval: Sources | None = None
    """Held-out prompts, never trained on; several sources are joined in their order."""
    max_length: Annotated[int, Field(ge=2)] = 512
    """Tokens of prompt and completion together."""
    overlong: Literal["drop", "truncate", "fail"] = "drop"
    """A prompt that leaves no room for `generation.max_completion_length`: leave it out, keep its end (of a
    conversation, that of the last user message), or stop."""
    columns: dict[str, str] = {}
    """Names that rlctl and the rewards use → columns of the data, e.g. `{prompt: question}`."""
    prompt_template: str | None = None
    """Prompt text with `{column}` in it; doubled braces stand for single ones."""
    system_prompt: str | None = None
    """System message put before every prompt, in place of the data's own (needs a chat template)."""
    chat_template: Literal["auto", "always", "never"] = "auto"
    """Whether text prompts become a user message. auto: where the tokenizer has a chat template."""
    shuffle: bool = True
    """Shuffle the training prompts anew in every epoch."""

    @model_validator(mode="after")
    def _eval_has_no_weights(self) -> "Data":
        for i, source in enumerate(self.eval or []):
            if source.weight is not None:
                message = (
                    "`weight` mixes training prompts; leave it out, the sources of `eval` are joined whole"
                )
                raise wrong_at(("eval", i, "weight"), message)
        return self
