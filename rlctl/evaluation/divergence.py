"""How far a policy has gone from the model before training, measured on completions that it sampled."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import log_softmax

TOKENS_AT_ONCE = 8192
"""Tokens of one forward pass at most."""
LOGITS_AT_ONCE = 2**26
"""Numbers in the logits of one forward pass at most, so fewer tokens with a large vocabulary. Half a dozen
arrays of this size are held at a time, in float32."""


@dataclass(frozen=True)
class Divergence:
    """Of one completion.

    Args:
        kl: KL(policy ‖ base), nats, summed over the completion's tokens.
        entropy: Entropy of the policy, nats, mean over the completion's tokens.
    """

    kl: float
    entropy: float


def divergences(
    policy: Any,
    base: Callable[[], AbstractContextManager[Any]],
    prompts: Sequence[Sequence[int]],
    completions: Sequence[Sequence[int]],
    *,
    temperature: float,
    pad: int,
    advance: Callable[[int], None] = lambda count: None,
) -> list[Divergence | None]:
    """KL from the base model and entropy, exact over the vocabulary at every sampled position.

    The sum over the tokens of KL(π(·|s_t) ‖ π_base(·|s_t)), for s_t sampled from π, is an unbiased
    estimate of the sequence-level KL; it is never negative, and varies less than the log-ratio of the sampled
    tokens (Rao–Blackwellisation; Amini et al. 2025, arXiv 2504.10637). Both distributions are those at
    `temperature`; top-p, top-k and min-p are not taken into account.

    Args:
        policy: A causal LM.
        base: A context in which the base model is at hand: the policy itself where it is an adapter.
        prompts: Token ids, N lists.
        completions: Token ids, N lists, end token included.
        temperature: Of the sampling.
        pad: Token id to fill up with.
        advance: Told after each batch how many completions it had.

    Returns:
        One per completion; None for one without tokens.
    """
    found: list[Divergence | None] = [None] * len(completions)
    order = sorted(
        (i for i in range(len(completions)) if completions[i]),
        key=lambda i: len(prompts[i]) + len(completions[i]),
    )
    lengths = [len(prompt) + len(completion) for prompt, completion in zip(prompts, completions, strict=True)]
    at_once = min(TOKENS_AT_ONCE, max(1, LOGITS_AT_ONCE // vocabulary(policy)))
    with torch.no_grad(), _evaluating(policy):
        for chosen in _batches(order, lengths, at_once):
            batch = _padded([[*prompts[i], *completions[i]] for i in chosen], pad, policy.device)
            predicts = torch.zeros_like(batch["input_ids"], dtype=torch.bool)
            for row, i in enumerate(
                chosen
            ):  # the last token of the prompt predicts the first of the completion
                predicts[row, len(prompts[i]) - 1 : lengths[i] - 1] = True
            ours_NV = log_softmax(policy(**batch).logits[predicts].float() / temperature, dim=-1)
            with base() as reference:
                theirs_NV = log_softmax(reference(**batch).logits[predicts].float() / temperature, dim=-1)
            chances_NV = ours_NV.exp()
            kl_N = (chances_NV * (ours_NV - theirs_NV)).sum(-1).double()
            entropy_N = -(chances_NV * ours_NV).sum(-1).double()
            sizes = [len(completions[i]) for i in chosen]
            for i, kl, entropy in zip(chosen, kl_N.split(sizes), entropy_N.split(sizes), strict=True):
                found[i] = Divergence(max(kl.sum().item(), 0.0), max(entropy.mean().item(), 0.0))
            advance(len(chosen))
    return found


def _batches(order: Sequence[int], lengths: Sequence[int], at_once: int) -> Iterator[list[int]]:
    """Indices in portions of at most so many tokens, padding counted; one alone may have more."""
    portion: list[int] = []
    for i in order:  # the longest comes last
        if portion and (len(portion) + 1) * lengths[i] > at_once:
            yield portion
            portion = []
        portion.append(i)
    if portion:
        yield portion


def _padded(rows: list[list[int]], pad: int, device: torch.device) -> dict[str, torch.Tensor]:
    """Rows filled up on the right, with their mask."""
    longest = max(map(len, rows))
    ids = torch.tensor([row + [pad] * (longest - len(row)) for row in rows], device=device)
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows], device=device)
    return {"input_ids": ids, "attention_mask": mask}


def vocabulary(model: Any) -> int:
    """Tokens that a model has logits for, V."""
    return int(model.get_output_embeddings().weight.shape[0])


def adapter_off(policy: Any) -> Callable[[], AbstractContextManager[Any]] | None:
    """The base model of a policy with adapters, which needs no memory; None for a policy without."""
    from peft import PeftModel

    if not isinstance(policy, PeftModel):
        return None

    @contextmanager
    def base() -> Iterator[Any]:
        with policy.disable_adapter():
            yield policy

    return base


def held(model: Any) -> Callable[[], AbstractContextManager[Any]]:
    """A base model of its own."""
    return lambda: nullcontext(model)


@contextmanager
def _evaluating(model: Any) -> Iterator[None]:
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)
