"""Local generation: greedy equals the library's, sampling is seeded, nothing around it changes."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from rlctl.config.algorithm import Generation
from rlctl.generation.local import encode, generate

PROMPTS = ["one and two", "a much longer prompt than all of the others here", "six"]


@pytest.fixture(scope="module")
def loaded(tiny_model_folder: Path) -> tuple[Any, Any]:
    model = AutoModelForCausalLM.from_pretrained(tiny_model_folder, dtype=torch.float32)
    return model, AutoTokenizer.from_pretrained(tiny_model_folder, padding_side="left")


def test_greedy_equals_one_prompt_at_a_time(loaded: tuple[Any, Any]) -> None:
    model, tokenizer = loaded
    settings = Generation(max_completion_length=8)
    found = generate(model, tokenizer, PROMPTS, settings, greedy=True, batch_size=2)
    for prompt, [completion] in zip(PROMPTS, found, strict=True):
        ids = tokenizer(prompt, return_tensors="pt")
        alone = model.generate(**ids, do_sample=False, max_new_tokens=8)[
            0, ids["input_ids"].shape[1] :
        ].tolist()
        end = alone.index(tokenizer.eos_token_id) + 1 if tokenizer.eos_token_id in alone else len(alone)
        assert completion.ids == alone[:end]
        assert completion.text == tokenizer.decode(completion.ids, skip_special_tokens=True)


def test_sampling_is_repeatable_and_differs_by_seed(loaded: tuple[Any, Any]) -> None:
    model, tokenizer = loaded
    settings = Generation(max_completion_length=8)
    state = torch.random.get_rng_state()
    model.train()
    first = generate(model, tokenizer, PROMPTS, settings, num_samples=4, seed=1)
    assert model.training
    assert torch.equal(state, torch.random.get_rng_state())
    model.eval()
    assert first == generate(model, tokenizer, PROMPTS, settings, num_samples=4, seed=1)
    assert first != generate(model, tokenizer, PROMPTS, settings, num_samples=4, seed=2)
    assert [len(each) for each in first] == [4, 4, 4]
    assert len({tuple(one.ids) for one in first[0]}) > 1


def test_top_k_of_one_is_greedy(loaded: tuple[Any, Any]) -> None:
    model, tokenizer = loaded
    sampled = generate(model, tokenizer, PROMPTS, Generation(max_completion_length=5, top_k=1))
    assert sampled == generate(model, tokenizer, PROMPTS, Generation(max_completion_length=5), greedy=True)


def test_messages_go_through_the_chat_template(tiny_chat_model_folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_chat_model_folder)
    messages = [{"role": "user", "content": "six"}]
    [ids] = encode(tokenizer, [messages])
    assert ids == tokenizer.apply_chat_template(messages, add_generation_prompt=True)["input_ids"]
    assert len(ids) > len(encode(tokenizer, ["six"])[0])


def test_further_settings_are_those_of_training(loaded: tuple[Any, Any]) -> None:
    model, tokenizer = loaded
    settings = Generation(max_completion_length=8)
    plain = generate(model, tokenizer, PROMPTS, settings, num_samples=64, seed=1)
    assert min(len(one.ids) for each in plain for one in each) < 8
    more = {"min_new_tokens": 8}
    found = generate(model, tokenizer, PROMPTS, settings, num_samples=8, seed=1, more=more)
    assert {len(one.ids) for each in found for one in each} == {8}


def test_a_completion_without_an_end_token_is_truncated(loaded: tuple[Any, Any]) -> None:
    model, tokenizer = loaded
    found = generate(model, tokenizer, PROMPTS, Generation(max_completion_length=8), num_samples=64, seed=1)
    flat = [one for each in found for one in each]
    assert all(one.truncated == (one.ids[-1] != tokenizer.eos_token_id) for one in flat)
    assert {one.truncated for one in flat} == {True, False}
    assert {len(one.ids) for one in flat if one.truncated} == {8}


def test_batches_are_counted(loaded: tuple[Any, Any]) -> None:
    model, tokenizer = loaded
    counts: list[int] = []
    settings = Generation(max_completion_length=2)
    generate(model, tokenizer, PROMPTS, settings, num_samples=2, batch_size=4, advance=counts.append)
    assert counts == [4, 2]
