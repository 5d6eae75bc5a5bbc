"""A prompt is a text or a list of messages; a set of prompts is one or the other, never both.

TRL looks at the first prompt of a batch to know how to read them all, so a mixture of both would be misread.
"""

from typing import Any, Literal

from rlctl.errors import DataError

Message = dict[str, Any]
Prompt = str | list[Message]


def checked(value: Any, where: str) -> Prompt:
    """The prompt of one row: a text, or messages with `role` and text `content`.

    Args:
        value: What the column `prompt` holds.
        where: Source and row, for errors.

    Raises:
        DataError: It is neither, or the messages leave nothing to answer.
    """
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        kind = "nothing" if value is None else f"a {type(value).__name__}"
        raise DataError(f"the prompt is {kind}, not text or a list of messages", where=where)
    messages = [_message(item, where) for item in value]
    if messages and messages[-1]["role"] == "assistant":
        hint = "a prompt ends with the message to answer; put the reference answer into another column"
        raise DataError("the last message of the prompt is the assistant's", where=where, hint=hint)
    return messages


def _message(item: Any, where: str) -> Message:
    if isinstance(item, dict) and {"from", "value"} <= item.keys():
        hint = "rename `from` to `role` (human → user, gpt → assistant) and `value` to `content`"
        raise DataError("messages have `from` and `value`, not `role` and `content`", where=where, hint=hint)
    if not isinstance(item, dict) or not isinstance(item.get("role"), str):
        raise DataError("a message of the prompt has no `role`", where=where)
    content = item.get("content")
    if isinstance(content, list):
        content = "".join(_text_of(part, where) for part in content)
    if not isinstance(content, str):
        raise DataError(f"the {item['role']} message has no text `content`", where=where)
    extras = {key: value for key, value in item.items() if value is not None}
    return {**extras, "role": item["role"], "content": content}


def _text_of(part: Any, where: str) -> str:
    if isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str):
        return part["text"]
    kind = part.get("type") if isinstance(part, dict) else type(part).__name__
    raise DataError(f"a message holds a part of type {kind!r}; rlctl trains on text", where=where)


def is_empty(prompt: Prompt) -> bool:
    """Whether there is nothing to answer: no text, or no message but the system's with text in it."""
    if isinstance(prompt, str):
        return not prompt.strip()
    return not any(message["content"].strip() for message in prompt if message["role"] != "system")


def as_conversations(
    prompts: list[Prompt],
    *,
    has_template: bool,
    chat_template: Literal["auto", "always", "never"],
    where: str,
) -> bool:
    """Whether these prompts are to be message lists.

    Args:
        prompts: All prompts of a set.
        has_template: Whether the tokenizer has a chat template.
        chat_template: `data.chat_template`.
        where: The part of the config, for errors.

    Raises:
        DataError: A chat template is needed and missing, or texts and messages are mixed under `never`.
    """
    messages = sum(isinstance(prompt, list) for prompt in prompts)
    if has_template:
        if chat_template == "never" and 0 < messages < len(prompts):
            hint = "set `data.chat_template: auto`, so that texts become messages too"
            raise DataError("some prompts are texts and some are messages", where=where, hint=hint)
        return bool(messages) or chat_template != "never"
    if messages:
        hint = "set `model.chat_template` to a Jinja file, or write texts with `data.prompt_template`"
        raise DataError(
            "prompts are messages, but the tokenizer has no chat template", where=where, hint=hint
        )
    if chat_template == "always":
        hint = "set `model.chat_template` to a Jinja file, or `data.chat_template: auto`"
        raise DataError("the tokenizer has no chat template", where="data.chat_template", hint=hint)
    return False


def with_system(prompt: Prompt, system: str | None, *, conversation: bool) -> Prompt:
    """The prompt in its final form: a text, or messages with the system message in place of their own."""
    if not conversation:
        return prompt
    messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    if system is None:
        return messages
    rest = messages[1:] if messages and messages[0]["role"] in ("system", "developer") else messages
    return [{"role": "system", "content": system}, *rest]
