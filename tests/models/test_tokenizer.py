"""Tokenizers: padding, chat templates, and what is wrong with broken ones."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from rlctl.config.model import Model
from rlctl.errors import CheckpointError, RlctlError
from rlctl.models.tokenizer import count_tokens, load_tokenizer


@pytest.fixture
def folder(tmp_path: Path, tiny_model_folder: Path) -> Path:
    return Path(shutil.copytree(tiny_model_folder, tmp_path / "model"))


def edit(file: Path, **values: Any) -> None:
    content = {**json.loads(file.read_text()), **values}
    file.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


def test_padding_is_on_the_left_and_never_the_end_token_where_it_can_be_helped(folder: Path) -> None:
    tokenizer = load_tokenizer(Model(path=str(folder)))
    assert (tokenizer.padding_side, tokenizer.pad_token, tokenizer.eos_token) == (
        "left",
        "<|pad|>",
        "<|endoftext|>",
    )
    settings = folder / "tokenizer_config.json"
    edit(settings, pad_token=None)
    assert load_tokenizer(Model(path=str(folder))).pad_token == "<|pad|>"
    edit(settings, pad_token="<|endoftext|>")
    assert load_tokenizer(Model(path=str(folder))).pad_token == "<|pad|>"
    edit(settings, pad_token=None, eos_token="<|pad|>")
    assert load_tokenizer(Model(path=str(folder))).pad_token == "<|endoftext|>"


def test_the_end_token_pads_where_the_vocabulary_has_nothing_else() -> None:
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    from rlctl.models.tokenizer import _set_padding

    bare = Tokenizer(models.WordLevel({"a": 0, "</s>": 1}, unk_token="a"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bare, eos_token="</s>")
    _set_padding(tokenizer)
    assert tokenizer.pad_token == "</s>"


def test_count_tokens(folder: Path) -> None:
    tokenizer = load_tokenizer(Model(path=str(folder)))
    texts = ["How many eggs?", "", "12"]
    assert count_tokens(tokenizer, texts) == [len(tokenizer.tokenize(text)) for text in texts]
    assert count_tokens(tokenizer, []) == []


def test_another_tokenizer_and_an_adapters_base(
    folder: Path, tiny_chat_model_folder: Path, tmp_path: Path
) -> None:
    chosen = load_tokenizer(Model(path=str(folder), tokenizer=str(tiny_chat_model_folder)))
    assert chosen.eos_token == "<|im_end|>"
    only = tmp_path / "only"
    AutoTokenizer.from_pretrained(tiny_chat_model_folder).save_pretrained(only)
    assert load_tokenizer(Model(path=str(folder), tokenizer=str(only))).eos_token == "<|im_end|>"
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(folder)}))
    assert load_tokenizer(Model(path=str(adapter))).eos_token == "<|endoftext|>"


def test_a_chat_template_file_replaces_the_tokenizers(folder: Path, tmp_path: Path) -> None:
    template = "{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }} {% endfor %}"
    (tmp_path / "t.jinja").write_text(template)
    (tmp_path / "t.json").write_text(json.dumps({"chat_template": template}))
    for name in ("t.jinja", "t.json"):
        tokenizer = load_tokenizer(Model(path=str(folder), chat_template=str(tmp_path / name)))
        assert (
            tokenizer.apply_chat_template([{"role": "user", "content": "Hi"}], tokenize=False) == "[user] Hi "
        )


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.jinja", "{% for m in messages %}", "broken chat template"),
        ("b.jinja", "\n{% if %}", "b.jinja:2: broken chat template"),
        ("c.jinja", "always the same", "leaves out what the user says"),
        ("d.json", "{}", "holds no chat template"),
        ("e.jinja", None, "cannot be read"),
    ],
)
def test_broken_chat_templates(
    folder: Path, tmp_path: Path, name: str, text: str | None, message: str
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(RlctlError) as caught:
        load_tokenizer(Model(path=str(folder), chat_template=str(tmp_path / name)))
    assert message in str(caught.value)
    assert caught.value.exit_code == 3


def test_broken_and_missing_tokenizers(folder: Path) -> None:
    def message() -> str:
        with pytest.raises(RlctlError) as caught:
            load_tokenizer(Model(path=str(folder)))
        assert caught.value.exit_code == 3
        return str(caught.value)

    (folder / "tokenizer.json").write_text("{")
    assert "broken JSON file" in message()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    assert "no tokenizer in this folder" in message()


def test_a_tokenizer_without_an_end_token_is_refused(folder: Path) -> None:
    edit(folder / "tokenizer_config.json", eos_token=None)
    (folder / "config.json").unlink()  # with it, transformers takes the default of the model's family
    with pytest.raises(CheckpointError, match="no end token"):
        load_tokenizer(Model(path=str(folder), tokenizer=str(folder)))
