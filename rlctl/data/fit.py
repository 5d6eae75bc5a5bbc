"""Prompts that leave no room for a completion are dropped, shortened or refused, as `data.overlong` says.

Lengths are in tokens as the trainer feeds them to the model, chat template and special tokens included.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from rlctl.data.chat import Message, Prompt
from rlctl.errors import DataError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Ruler:
    """Measures prompts in tokens.

    Args:
        tokenizer: The model's tokenizer.
        template_arguments: Arguments of the chat template, such as `{"enable_thinking": False}`.
    """

    tokenizer: "PreTrainedTokenizerBase"
    template_arguments: Mapping[str, Any] = field(default_factory=dict)

    def render(self, prompts: Sequence[Prompt | None], where: str) -> list[str]:
        """The text that the model sees, without special tokens that the tokenizer adds to it; empty for None.

        Raises:
            DataError: The chat template refuses a conversation; the row is named.
        """
        from jinja2 import TemplateError

        texts = []
        for row, prompt in enumerate(prompts, start=1):
            if prompt is None or isinstance(prompt, str):
                texts.append(prompt or "")
                continue
            try:
                texts.append(self._apply_template(prompt))
            except (TemplateError, TypeError, ValueError, KeyError) as error:
                message = f"row {row}: the chat template refuses this conversation: {error}"
                hint = "check the roles and their order, and `data.system_prompt`"
                raise DataError(message, where=where, hint=hint) from error
        return texts

    def _apply_template(self, messages: list[Message]) -> str:
        text: Any = self.tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, tokenize=False, **self.template_arguments
        )
        return text

    def lengths(self, prompts: Sequence[Prompt | None], where: str) -> list[int]:
        """Tokens of each prompt, 0 for None. All prompts are texts, or all are conversations."""
        texts = self.render(prompts, where)
        special = any(isinstance(prompt, str) for prompt in prompts)
        tokens = self.tokens(texts, special=special) if texts else []
        return [0 if prompt is None else len(ids) for prompt, ids in zip(prompts, tokens, strict=True)]

    def tokens(self, texts: list[str], *, special: bool) -> list[list[int]]:
        """Token ids of texts, with or without the special tokens that the tokenizer adds (such as a BOS)."""
        tokens: Any = self.tokenizer(
            text=texts, add_special_tokens=special, return_attention_mask=False, verbose=False
        )["input_ids"]
        return tokens

    def last_tokens(self, text: str, count: int) -> str:
        """The end of a text, `count` tokens of it."""
        if count <= 0:
            return ""
        if not self.tokenizer.is_fast:
            kept: Any = self.tokenizer.decode(self.tokens([text], special=False)[0][-count:])
            return kept
        offsets: Any = self.tokenizer(
            text, add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )["offset_mapping"]
        return text[offsets[-count][0] :] if count < len(offsets) else text


@dataclass(frozen=True)
class Fitted:
    """Prompts after they were held against the limit.

    Args:
        prompts: The prompts, None where there is none any more.
        longest: Tokens of the longest prompt, before anything was done.
        dropped: How many were dropped.
        truncated: How many were shortened.
    """

    prompts: list[Prompt | None]
    longest: int
    dropped: int
    truncated: int


def fit(
    prompts: Sequence[Prompt | None],
    ruler: Ruler,
    limit: int,
    overlong: Literal["drop", "truncate", "fail"],
    where: str,
) -> Fitted:
    """Hold prompts against a limit.

    Args:
        prompts: All texts, or all conversations; None is left alone.
        ruler: Measures them.
        limit: Tokens that a prompt may have.
        overlong: What becomes of a longer one. `truncate` keeps the end of a text, and of a conversation the
            end of its last user message; where that is not enough, the prompt is dropped.
        where: The source, for errors.

    Raises:
        DataError: A prompt is too long under `fail`; the first row and its length are named.
    """
    lengths = ruler.lengths(prompts, where)
    result: list[Prompt | None] = list(prompts)
    too_long = [row for row, length in enumerate(lengths) if length > limit]
    if too_long and overlong == "fail":
        row = too_long[0]
        message = f"row {row + 1}: the prompt has {lengths[row]} tokens, {limit} fit"
        others = f"; {len(too_long) - 1} more rows are too long" if len(too_long) > 1 else ""
        hint = "raise `data.max_length`, lower `generation.max_completion_length`, or set `data.overlong`"
        raise DataError(message + others, where=where, hint=hint)
    for row in too_long:
        prompt = prompts[row]
        result[row] = shorten(prompt, ruler, limit, where) if prompt and overlong == "truncate" else None
    dropped = sum(result[row] is None for row in too_long)
    return Fitted(result, max(lengths, default=0), dropped, len(too_long) - dropped)


def shorten(prompt: Prompt, ruler: Ruler, limit: int, where: str) -> Prompt | None:
    """A prompt of at most `limit` tokens, cut at its start; None where nothing would be left."""
    if isinstance(prompt, str):
        return _cut(prompt, lambda text: text, ruler, limit, where)
    last = max((i for i, message in enumerate(prompt) if message["role"] == "user"), default=None)
    if last is None:
        return None

    def with_content(text: str) -> Prompt:
        return [*prompt[:last], {**prompt[last], "content": text}, *prompt[last + 1 :]]

    return _cut(prompt[last]["content"], with_content, ruler, limit, where)


def _cut(
    text: str, prompt_of: Callable[[str], Prompt], ruler: Ruler, limit: int, where: str
) -> Prompt | None:
    """Cut until it fits: text that lost its start may be split into tokens in another way than before."""
    keep = len(ruler.tokens([text], special=False)[0])
    shorter = text
    while (excess := ruler.lengths([prompt_of(shorter)], where)[0] - limit) > 0:
        keep -= excess
        shorter = ruler.last_tokens(text, keep)
        if not shorter.strip():
            return None
    return prompt_of(shorter)
