"""From the section `data` to the prompts that a model is trained or evaluated on.

    read → rename columns → fill the template → text or messages → hold against the limit → mix

Nothing is lost in silence: what was dropped, shortened or renamed is counted in the report.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from rlctl.config.data import Data, Source
from rlctl.data import template
from rlctl.data.assemble import Kept, PromptSet, Rows, assemble, prompt_key
from rlctl.data.chat import Prompt, as_conversations, checked, is_empty, with_system
from rlctl.data.columns import merge_mappings, no_prompt
from rlctl.data.fit import Ruler, fit
from rlctl.data.sources import read_source
from rlctl.errors import DataError

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

Role = Literal["train", "eval"]


def load_prompts(
    sources: list[Source],
    data: Data,
    tokenizer: "PreTrainedTokenizerBase",
    max_prompt_tokens: int,
    *,
    seed: int,
    role: Role,
    template_arguments: Mapping[str, Any] | None = None,
) -> PromptSet:
    """Read, render, fit and mix the prompts of `data.train` or `data.eval`.

    Args:
        sources: The sources.
        data: The section `data`: columns, templates, what becomes of long prompts.
        tokenizer: The model's tokenizer.
        max_prompt_tokens: Tokens that a prompt may have (`prompt_budget`).
        seed: Seed of the mixture.
        role: `train` mixes by weight; `eval` joins the sources.
        template_arguments: Arguments of the chat template.

    Raises:
        DataError: A source, column, template or row is wrong, or no prompt is left.
    """
    parts = [Rows(read_source(one), _name(one), one.columns, one.weight) for one in sources]
    ruler = Ruler(tokenizer, template_arguments or {})
    return prompts_of(parts, data, ruler, max_prompt_tokens, seed=seed, role=role)


def _name(source: Source) -> str:
    return source.path if source.split == "train" else f"{source.path}:{source.split}"


def prompts_of(
    parts: Sequence[Rows], data: Data, ruler: Ruler, max_prompt_tokens: int, *, seed: int, role: Role
) -> PromptSet:
    """`load_prompts` for rows that are already in memory."""
    where = f"data.{role}"
    mappings = merge_mappings(
        data.columns, [part.columns for part in parts], [part.dataset.column_names for part in parts]
    )
    raw = [_prompts(part, mapping, data) for part, mapping in zip(parts, mappings, strict=True)]
    together = [prompt for prompts in raw for prompt in prompts]
    conversation = as_conversations(
        together,
        has_template=bool(ruler.tokenizer.chat_template),
        chat_template=data.chat_template,
        where=where,
    )
    if data.system_prompt is not None and not conversation:
        hint = "write it into `data.prompt_template`, or set `model.chat_template`"
        raise DataError("a system prompt needs a chat template", where="data.system_prompt", hint=hint)
    kept = []
    for part, prompts in zip(parts, raw, strict=True):
        final = [with_system(prompt, data.system_prompt, conversation=conversation) for prompt in prompts]
        kept.append(_kept(final, ruler, max_prompt_tokens, data, part.name))
        _some_left(part.name, kept[-1], max_prompt_tokens)
    return assemble(parts, mappings, kept, seed)


def prompt_budget(max_length: int, max_completion_length: int, context: int | None) -> int:
    """Tokens that a prompt may have.

    Args:
        max_length: `data.max_length`, tokens of prompt and completion together.
        max_completion_length: `generation.max_completion_length`, in tokens.
        context: Longest sequence that the model takes, in tokens; None where it does not say.

    Raises:
        DataError: No token is left for a prompt.
    """
    if context is not None and max_completion_length >= context:
        message = (
            f"completions of {max_completion_length} tokens leave no room in the model's context of {context}"
        )
        raise DataError(message, where="generation.max_completion_length", hint="lower it")
    budget = min(max_length, context or max_length) - max_completion_length
    if budget < 1:
        message = (
            f"{max_length} tokens leave no room for a prompt beside {max_completion_length} of the completion"
        )
        hint = "raise it, or lower `generation.max_completion_length`"
        raise DataError(message, where="data.max_length", hint=hint)
    return budget


def overlap(train: "Dataset", held_out: "Dataset") -> int:
    """How many rows of `held_out` ask what a row of `train` asks: equal prompts but for white space."""
    seen = {prompt_key(prompt) for prompt in train["prompt"][:]}
    return sum(prompt_key(prompt) in seen for prompt in held_out["prompt"][:])


def _prompts(part: Rows, mapping: Mapping[str, str], data: Data) -> list[Prompt]:
    """The prompt of every row as the data, or the template, gives it."""
    present = part.dataset.column_names
    if data.prompt_template is not None:
        template.check_columns(data.prompt_template, [*mapping, *present])
        names = template.template_columns(data.prompt_template)
        columns = {name: part.dataset[mapping.get(name, name)][:] for name in names}
        return list(template.fill(data.prompt_template, columns, part.name))
    column = mapping.get("prompt", "prompt")
    if column not in present:
        raise no_prompt(present, part.name)
    values = part.dataset[column][:]
    return [checked(value, f"{part.name}: row {row}") for row, value in enumerate(values, start=1)]


def _kept(prompts: list[Prompt], ruler: Ruler, limit: int, data: Data, name: str) -> Kept:
    filled = [None if is_empty(prompt) else prompt for prompt in prompts]
    fitted = fit(filled, ruler, limit, data.overlong, name)
    left = [(row, prompt) for row, prompt in enumerate(fitted.prompts) if prompt is not None]
    return Kept([row for row, _ in left], [prompt for _, prompt in left], filled.count(None), fitted)


def _some_left(name: str, kept: Kept, limit: int) -> None:
    if kept.rows:
        return
    dropped = f"{kept.fitted.dropped} longer than {limit} tokens, {kept.empty} empty"
    hint = (
        f"the longest prompt has {kept.fitted.longest} tokens; raise `data.max_length`"
        if kept.fitted.dropped
        else None
    )
    raise DataError(f"no prompt is left ({dropped})", where=name, hint=hint)
