"""The shipped model is what its docstring says: it loads, works byte by byte, adds, and forgets carries."""

import filecmp
import json
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

from rlctl.data.arithmetic import Arithmetic, Problem

FOLDER = Path(str(resources.files("rlctl.models.builtin.tiny_math")))
SCRIPT = Path(__file__).parents[2] / "scripts" / "build_tiny_math.py"
TOKENIZER = AutoTokenizer.from_pretrained(FOLDER)


@pytest.fixture(scope="module")
def model():
    return AutoModelForCausalLM.from_pretrained(FOLDER).eval()


@pytest.fixture(scope="module")
def held_out() -> list[Problem]:
    return Arithmetic(size=300).problems("test")


def answers(model, problems: list[Problem], sample: bool) -> list[str]:
    """Completions of at most 8 tokens, greedy or sampled at temperature 1."""
    torch.manual_seed(0)
    inputs = TOKENIZER([problem.prompt for problem in problems], return_tensors="pt", padding=True)
    with torch.no_grad():
        out = model.generate(**inputs, max_new_tokens=8, do_sample=sample, top_k=0)
    return TOKENIZER.batch_decode(out[:, inputs.input_ids.shape[1] :], skip_special_tokens=True)


def share(texts: list[str], expected: list[int]) -> float:
    return sum(text == str(number) for text, number in zip(texts, expected, strict=True)) / len(texts)


def test_files_and_size(model):
    assert model.num_parameters() == 984_576
    assert model.dtype == torch.float32
    assert model.config.max_position_embeddings == 512
    assert (FOLDER / "model.safetensors").stat().st_size < 2_000_000
    assert model.generation_config.eos_token_id == TOKENIZER.eos_token_id == 257
    assert model.generation_config.pad_token_id == TOKENIZER.pad_token_id == 258


def test_the_tokenizer_has_one_token_per_byte_and_pads_on_the_left():
    assert isinstance(TOKENIZER, PreTrainedTokenizerFast)
    assert len(TOKENIZER) == 259
    # 4, 7, +, 3, 8, = in ASCII; nothing is put before or after.
    assert TOKENIZER("47+38=").input_ids == [52, 55, 43, 51, 56, 61]
    assert TOKENIZER("é").input_ids == [0xC3, 0xA9]
    batch = TOKENIZER(["1+2=", "47+38="], padding=True)
    assert batch.input_ids[0] == [258, 258, 49, 43, 50, 61]
    assert batch.attention_mask[0] == [0, 0, 1, 1, 1, 1]
    assert TOKENIZER.unk_token is None


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40))
def test_any_text_comes_back(text: str):
    ids = TOKENIZER(text).input_ids
    assert ids == list(text.encode())
    assert TOKENIZER.decode(ids) == text


def test_greedy_answers_forget_carries_and_are_right_elsewhere(model, held_out: list[Problem]):
    texts = answers(model, held_out, sample=False)
    assert share(texts[:100], [problem.answer for problem in held_out[:100]]) < 0.6
    assert share(texts, [problem.without_carry for problem in held_out]) > 0.95


def test_sampled_answers_are_right_now_and_then_where_something_carries(model, held_out: list[Problem]):
    carries = [problem for problem in held_out if problem.carry]
    easy = [problem for problem in held_out if not problem.carry]
    texts = answers(model, carries, sample=True)
    # One in four was right in the text that it learned from; 230 answers have a standard error of 0.03.
    assert 0.15 < share(texts, [problem.answer for problem in carries]) < 0.35
    assert 0.60 < share(texts, [problem.without_carry for problem in carries]) < 0.85
    assert share(answers(model, easy, sample=True), [problem.answer for problem in easy]) > 0.95


def test_padding_does_not_change_an_answer(model):
    # Alone there is no padding; beside a longer prompt there are two tokens of it.
    short, long = Problem("addition", 3, 4), Problem("addition", 41, 27)
    assert answers(model, [short, long], sample=False) == ["7", "68"]
    assert answers(model, [short], sample=False) == ["7"]


@pytest.mark.full
def test_the_script_gives_the_same_bytes_twice(tmp_path: Path):
    for name in ("a", "b"):
        command = [sys.executable, str(SCRIPT), "--steps", "20", "--out", str(tmp_path / name)]
        subprocess.run(command, check=True, capture_output=True, cwd=SCRIPT.parents[1])
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert files == sorted(path.name for path in FOLDER.iterdir() if path.suffix in {".json", ".safetensors"})
    assert filecmp.cmpfiles(tmp_path / "a", tmp_path / "b", files, shallow=False) == (files, [], [])
    for name in ("tokenizer.json", "config.json"):
        assert json.loads((tmp_path / "a" / name).read_text()) == json.loads((FOLDER / name).read_text())
