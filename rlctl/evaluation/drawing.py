"""Completes held-out prompts: k samples of each, and one greedy completion."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from typing import Any

from rlctl.config.config import Config
from rlctl.evaluation.divergence import divergences
from rlctl.evaluation.samples import Drawn
from rlctl.generation.local import Completion, encode, generate


def draw(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[Mapping[str, Any]],
    config: Config,
    *,
    template_arguments: Mapping[str, Any] | None = None,
    advance: Callable[[int], None] = lambda count: None,
) -> list[Drawn]:
    """Sample `eval.num_samples` completions of every prompt, and complete each once greedily.

    The same model, prompts and config give the same completions.

    Args:
        model: The policy, not wrapped.
        tokenizer: Its tokenizer.
        prompts: Rows with `prompt`.
        config: Generation and evaluation settings, and the seed.
        template_arguments: Arguments of the chat template.
        advance: Told after each batch how many completions it had; may raise.

    Returns:
        The samples in the order of the prompts, then the greedy completions.
    """
    complete = partial(
        generate,
        model,
        tokenizer,
        [row["prompt"] for row in prompts],
        config.generation,
        batch_size=config.eval.batch_size,
        template_arguments=template_arguments,
        more=config.algorithm.trl.get("generation_kwargs"),
        advance=advance,
    )
    sampled = complete(num_samples=config.eval.num_samples, seed=config.run.seed)
    greedy = complete(greedy=True)
    return [*_drawn(sampled, greedy=False), *_drawn(greedy, greedy=True)]


def _drawn(completions: list[list[Completion]], *, greedy: bool) -> list[Drawn]:
    return [
        Drawn(prompt, greedy, one.text, one.ids, one.truncated)
        for prompt, each in enumerate(completions)
        for one in each
    ]


def measured(
    drawn: Sequence[Drawn],
    model: Any,
    base: Callable[[], AbstractContextManager[Any]],
    tokenizer: Any,
    prompts: Sequence[Mapping[str, Any]],
    config: Config,
    *,
    template_arguments: Mapping[str, Any] | None = None,
    advance: Callable[[int], None] = lambda count: None,
) -> list[Drawn]:
    """The same completions, the sampled ones with their divergence from the base model and their entropy.

    Args:
        drawn: Completions of `draw`.
        model: The policy that drew them.
        base: A context in which the base model is at hand.
        tokenizer: The policy's tokenizer.
        prompts: The prompts.
        config: Temperature of the sampling.
        template_arguments: Arguments of the chat template.
        advance: Told after each batch how many completions it had; may raise.
    """
    ids = encode(tokenizer, [row["prompt"] for row in prompts], template_arguments)
    places = [i for i, one in enumerate(drawn) if not one.greedy and one.ids]
    found = divergences(
        model,
        base,
        [ids[drawn[i].prompt] for i in places],
        [drawn[i].ids or [] for i in places],
        temperature=config.generation.temperature,
        pad=tokenizer.pad_token_id,
        advance=advance,
    )
    known = {i: one for i, one in zip(places, found, strict=True) if one is not None}
    return [
        replace(one, kl=known[i].kl, entropy=known[i].entropy) if i in known else one
        for i, one in enumerate(drawn)
    ]
