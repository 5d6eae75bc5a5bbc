"""Completions from a Hugging Face causal LM in this process: greedy or sampled, equal for equal seeds."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from transformers import GenerationConfig

from rlctl.config.algorithm import Generation

Prompt = str | list[dict[str, Any]]


@dataclass(frozen=True)
class Completion:
    """One completion of one prompt.

    Args:
        text: Decoded without special tokens.
        ids: Token ids up to and with the first end token.
        truncated: Whether it was cut at its greatest length, before an end token.
    """

    text: str
    ids: list[int]
    truncated: bool = False


def encode(
    tokenizer: Any, prompts: list[Prompt], template_arguments: Mapping[str, Any] | None = None
) -> list[list[int]]:
    """Token ids of each prompt as the trainer sees them: text as it is, messages by the chat template."""
    if not prompts:
        return []
    if isinstance(prompts[0], str):
        return tokenizer(text=prompts)["input_ids"]
    rendered = tokenizer.apply_chat_template(
        conversation=prompts,
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        **(template_arguments or {}),
    )
    return rendered["input_ids"]


def generate(
    model: Any,
    tokenizer: Any,
    prompts: list[Prompt],
    settings: Generation,
    *,
    num_samples: int = 1,
    greedy: bool = False,
    batch_size: int = 64,
    seed: int = 0,
    template_arguments: Mapping[str, Any] | None = None,
    more: Mapping[str, Any] | None = None,
    advance: Callable[[int], None] = lambda count: None,
) -> list[list[Completion]]:
    """Complete each prompt `num_samples` times.

    Args:
        model: A causal LM, not wrapped; its mode and the global random state are left as they were.
        tokenizer: Its tokenizer, padding on the left.
        prompts: N texts or N lists of messages.
        settings: Length and sampling.
        num_samples: Completions per prompt.
        greedy: Take the most likely token each time instead of sampling.
        batch_size: Completions that are generated together.
        seed: Seed of the sampling.
        template_arguments: Arguments of the chat template.
        more: Further settings of the library (`algorithm.trl.generation_kwargs`), the same as in training.
        advance: Told after each batch how many completions it had; may raise.

    Returns:
        N lists of `num_samples` completions, in the order of the prompts.
    """
    ids = encode(tokenizer, prompts, template_arguments)
    # Equal lengths run together: less padding, and the result does not depend on the order of the data.
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    per_batch = max(1, batch_size // num_samples)
    config = generation_config(
        model, tokenizer, settings, greedy=greedy, num_samples=num_samples, more=more or {}
    )
    completions: list[list[Completion]] = [[] for _ in ids]
    with torch.no_grad(), _evaluating(model), _seeded(seed, model.device):
        for start in range(0, len(order), per_batch):
            chosen = order[start : start + per_batch]
            batch = tokenizer.pad(
                {"input_ids": [ids[i] for i in chosen]}, padding_side="left", return_tensors="pt"
            )
            output = model.generate(**batch.to(model.device), generation_config=config)
            output = output[:, batch["input_ids"].shape[1] :].tolist()
            for place, i in enumerate(chosen):
                rows = output[place * num_samples : (place + 1) * num_samples]
                completions[i] = [_finish(row, tokenizer, config.eos_token_id) for row in rows]
            advance(len(chosen) * num_samples)
    return completions


def generation_config(
    model: Any,
    tokenizer: Any,
    settings: Generation,
    *,
    greedy: bool,
    num_samples: int = 1,
    more: Mapping[str, Any],
) -> GenerationConfig:
    """The library's settings for these; every end token that the model declares ends a completion."""
    ends = model.generation_config.eos_token_id
    ends = [] if ends is None else [ends] if isinstance(ends, int) else list(ends)
    if tokenizer.eos_token_id is not None and tokenizer.eos_token_id not in ends:
        ends = [tokenizer.eos_token_id, *ends]
    common = {
        "max_new_tokens": settings.max_completion_length,
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": ends,
        "repetition_penalty": settings.repetition_penalty,
        "disable_compile": True,
        **more,
    }
    if greedy:
        if num_samples > 1:
            raise ValueError("a greedy completion is always the same; num_samples must be 1")
        return GenerationConfig(do_sample=False, **{**common, "num_beams": 1})  # beams are not greedy
    return GenerationConfig(
        do_sample=True,
        num_return_sequences=num_samples,
        temperature=settings.temperature,
        top_p=settings.top_p,
        top_k=settings.top_k,
        min_p=settings.min_p,
        **common,
    )


def _finish(row: list[int], tokenizer: Any, ends: list[int]) -> Completion:
    stop = next((place for place, token in enumerate(row) if token in ends), None)
    ids = row if stop is None else row[: stop + 1]
    return Completion(tokenizer.decode(ids, skip_special_tokens=True), ids, truncated=stop is None)


@contextmanager
def _evaluating(model: Any) -> Iterator[None]:
    training = model.training
    model.eval()  # also switches gradient checkpointing off, which would forbid the key-value cache
    try:
        yield
    finally:
        model.train(training)


@contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield
