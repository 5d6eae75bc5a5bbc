"""KL from the base model and entropy, against torch's own distributions, one token at a time."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.distributions import Categorical, kl_divergence
from transformers import AutoModelForCausalLM

from rlctl.evaluation import divergence
from rlctl.evaluation.divergence import adapter_off, divergences, held

PROMPTS = [[5, 6, 7], [8], [9, 10, 11, 12, 13]]
COMPLETIONS = [[20, 21], [22, 23, 24, 25], []]


@pytest.fixture(scope="module")
def models(tiny_model_folder: Path) -> tuple[Any, Any]:
    policy = AutoModelForCausalLM.from_pretrained(tiny_model_folder, dtype=torch.float32)
    base = AutoModelForCausalLM.from_pretrained(tiny_model_folder, dtype=torch.float32).eval()
    with torch.no_grad():
        generator = torch.Generator().manual_seed(0)
        for weight in policy.parameters():
            weight.add_(0.05 * torch.randn(weight.shape, generator=generator))
    return policy, base


def by_hand(
    policy: Any, base: Any, prompt: list[int], completion: list[int], temperature: float
) -> tuple[float, float]:
    """Token after token, without padding: the next token's distributions and torch's KL."""
    kl, entropies = 0.0, []
    with torch.no_grad():
        for place in range(len(completion)):
            seen = torch.tensor([[*prompt, *completion[:place]]])
            ours = Categorical(logits=policy(seen).logits[0, -1] / temperature)
            theirs = Categorical(logits=base(seen).logits[0, -1] / temperature)
            kl += kl_divergence(ours, theirs).item()
            entropies.append(ours.entropy().item())
    return kl, sum(entropies) / len(entropies)


@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("at_once", [4096, 1])
def test_equals_one_token_at_a_time(models, monkeypatch, temperature, at_once):
    policy, base = models
    policy.eval()
    monkeypatch.setattr(divergence, "TOKENS_AT_ONCE", at_once)
    found = divergences(policy, held(base), PROMPTS, COMPLETIONS, temperature=temperature, pad=0)
    for one, prompt, completion in zip(found[:2], PROMPTS, COMPLETIONS, strict=False):
        kl, entropy = by_hand(policy, base, prompt, completion, temperature)
        assert one.kl == pytest.approx(kl, rel=1e-4)
        assert one.entropy == pytest.approx(entropy, rel=1e-4)
        assert one.kl > 0.001
    assert found[2] is None


def test_a_model_is_at_no_distance_from_itself(models):
    _, base = models
    found = divergences(base, held(base), PROMPTS[:2], COMPLETIONS[:2], temperature=1.0, pad=0)
    assert [one.kl for one in found] == [0.0, 0.0]


def test_the_base_of_an_adapter_is_inside_it(models, tiny_model_folder):
    from peft import LoraConfig, get_peft_model

    _, base = models
    fresh = AutoModelForCausalLM.from_pretrained(tiny_model_folder, dtype=torch.float32)
    policy = get_peft_model(fresh, LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False))
    inside = adapter_off(policy)
    assert inside is not None
    assert adapter_off(base) is None
    off = divergences(policy, inside, PROMPTS, COMPLETIONS, temperature=1.0, pad=0)
    beside = divergences(policy, held(base), PROMPTS, COMPLETIONS, temperature=1.0, pad=0)
    assert [one.kl for one in off[:2]] == pytest.approx([one.kl for one in beside[:2]], rel=1e-4)
    assert off[0].kl > 1e-4
