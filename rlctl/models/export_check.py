"""Whether an export says what its run says: greedy continuations of the run's own prompts, compared."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from rlctl.config.algorithm import Generation
from rlctl.config.config import Config
from rlctl.errors import CheckpointError
from rlctl.generation.local import Completion, Prompt, encode, generate

TOKENS = 64
"""Tokens of a continuation at most."""

TIE = 1e-3
"""Difference of two logits below which rounding in float32 decides between them."""


@dataclass(frozen=True)
class Verified:
    """How the export's greedy continuations compare with the run's.

    Args:
        prompts: How many prompts there were.
        same: Continuations that are the same, token by token.
        ties: Of the others, those that part where two tokens are equally likely but for rounding.
    """

    prompts: int
    same: int
    ties: int


def greedy(
    model: Any, tokenizer: Any, prompts: list[Prompt], config: Config, arguments: Mapping[str, Any]
) -> list[Completion]:
    """The most likely continuation of each prompt, token by token.

    Args:
        model: The model, in float32.
        tokenizer: Its tokenizer.
        prompts: Texts, or lists of messages.
        config: The run's config; its completions are no longer than these.
        arguments: Arguments of the chat template.
    """
    settings = Generation(max_completion_length=min(TOKENS, config.generation.max_completion_length))
    answers = generate(model, tokenizer, prompts, settings, greedy=True, template_arguments=arguments)
    return [answer for (answer,) in answers]


def verify(
    model: Any,
    tokenizer: Any,
    prompts: list[Prompt],
    expected: list[Completion],
    config: Config,
    arguments: Mapping[str, Any],
    *,
    exact: bool,
) -> Verified:
    """Compare an export with what its run answered.

    Args:
        model: The export, loaded again, in float32.
        tokenizer: Its tokenizer.
        prompts: The prompts of `expected`.
        expected: What `greedy` gave for the run's own model.
        config: The run's config.
        arguments: Arguments of the chat template.
        exact: Whether the weights were not rounded, so that only a tie may differ.

    Raises:
        CheckpointError: The answers differ though nothing was rounded.
    """
    found = greedy(model, tokenizer, prompts, config, arguments)
    prompt_ids = encode(tokenizer, prompts, arguments)
    triples = zip(prompt_ids, expected, found, strict=True)
    differing = [triple for triple in triples if triple[1].ids != triple[2].ids]
    ties = sum(_is_tie(model, ids, wanted.ids, other.ids) for ids, wanted, other in differing)
    if exact and len(differing) > ties:
        message = f"the export answers {len(differing)} of {len(prompts)} prompts otherwise than the run"
        hint = (
            f"Nothing was written. First difference: {differing[0][1].text!r} became {differing[0][2].text!r}"
        )
        raise CheckpointError(message, hint=hint)
    return Verified(len(prompts), len(prompts) - len(differing), ties)


def _is_tie(model: Any, prompt: list[int], wanted: list[int], other: list[int]) -> bool:
    """Whether two continuations part at tokens that the model finds equally likely but for rounding."""
    place = next((i for i, (a, b) in enumerate(zip(wanted, other, strict=False)) if a != b), None)
    if place is None:
        return False
    ids = torch.tensor([[*prompt, *wanted[:place]]], device=model.device)
    with torch.no_grad():
        logits = model(input_ids=ids).logits[0, -1].float()
    return abs(float(logits[wanted[place]] - logits[other[place]])) < TIE
