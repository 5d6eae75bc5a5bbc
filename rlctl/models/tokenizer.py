"""The tokenizer of a model: padding on the left, a padding token, the chat template that the YAML names."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlctl.config.model import Model
from rlctl.errors import CheckpointError, DataError
from rlctl.models.adapters import base_of
from rlctl.models.faults import explained
from rlctl.models.resolve import is_adapter, resolve

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer.model",
    "vocab.json",
    "vocab.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tekken.json",
    "tokenizer_config.json",
)
"""A folder with none of these has no tokenizer; transformers would make an empty one up."""

PADDING_NAMES = ("<|pad|>", "<pad>", "[PAD]", "<|finetune_right_pad_id|>", "<|endoftext|>", "<unk>", "[UNK]")
"""Tokens that serve as padding where a tokenizer names none, in the order of preference."""


def lazy_tokenize(model: Model) -> Callable[[str], list[int]]:
    """Text → token ids without special tokens; the tokenizer is loaded when it is first asked.

    Args:
        model: The section `model`.
    """
    loaded: list[PreTrainedTokenizerBase] = []

    def tokenize(text: str) -> list[int]:
        if not loaded:
            loaded.append(load_tokenizer(model))
        ids: list[int] = loaded[0](text, add_special_tokens=False)["input_ids"]
        return ids

    return tokenize


def load_tokenizer(model: Model) -> "PreTrainedTokenizerBase":
    """The tokenizer of a model, ready for generation.

    Padding is a token of its own where the vocabulary has one; only else it is the end token, which is safe
    where padding is masked, as everywhere in rlctl.

    Args:
        model: The section `model`.

    Raises:
        CheckpointError: There is no tokenizer, it is broken, or it has no end token.
        DataError: `model.chat_template` is missing or broken.
    """
    from transformers import AutoTokenizer

    source = _source(model)
    revision = model.revision if model.tokenizer is None else None
    with explained(source, "the tokenizer"):
        tokenizer = AutoTokenizer.from_pretrained(
            source, revision=revision, trust_remote_code=model.trust_remote_code, padding_side="left"
        )
    if not tokenizer("A test.", add_special_tokens=False)["input_ids"]:
        raise CheckpointError("the tokenizer has no vocabulary", where=source)
    if tokenizer.eos_token_id is None:
        hint = "set `eos_token` in its tokenizer_config.json"
        message = "the tokenizer has no end token, so no completion would end"
        raise CheckpointError(message, where=source, hint=hint)
    _set_padding(tokenizer)
    if model.chat_template is not None:
        tokenizer.chat_template = _read_template(Path(model.chat_template))
        _check_template(tokenizer, model.chat_template)
    return tokenizer


def count_tokens(tokenizer: "PreTrainedTokenizerBase", texts: Sequence[str]) -> list[int]:
    """Tokens of each text, special tokens left out."""
    if not texts:
        return []
    ids: Any = tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]
    return [len(one) for one in ids]


def _source(model: Model) -> str:
    """Folder or Hub id: `model.tokenizer`, else the model's, or that of an adapter's base model."""
    wanted = model.tokenizer or model.path
    source = wanted if _has_tokenizer(wanted) else resolve(wanted)
    if _has_tokenizer(source) or not Path(source).is_dir():
        return source
    if is_adapter(source):
        return base_of(source)
    hint = "copy tokenizer.json and tokenizer_config.json there, or set `model.tokenizer`"
    raise CheckpointError("no tokenizer in this folder", where=source, hint=hint)


def _has_tokenizer(folder: str) -> bool:
    return any((Path(folder) / name).is_file() for name in TOKENIZER_FILES)


def _set_padding(tokenizer: "PreTrainedTokenizerBase") -> None:
    if tokenizer.pad_token is not None and tokenizer.pad_token_id != tokenizer.eos_token_id:
        return
    vocabulary = tokenizer.get_vocab()
    usable = [name for name in PADDING_NAMES if name in vocabulary and name != tokenizer.eos_token]
    tokenizer.pad_token = usable[0] if usable else tokenizer.eos_token


def _read_template(path: Path) -> str:
    """The text of a Jinja file, or of `chat_template` in a JSON file such as tokenizer_config.json."""
    try:
        text = path.read_text(encoding="utf-8")
        return json.loads(text)["chat_template"] if path.suffix == ".json" else text
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", where=str(path)) from error
    except (ValueError, KeyError, TypeError) as error:
        raise DataError("holds no chat template", where=str(path)) from error


def _check_template(tokenizer: "PreTrainedTokenizerBase", where: str) -> None:
    """Render one conversation, so that a broken template is found before any prompt is read."""
    from jinja2 import TemplateError

    message = [{"role": "user", "content": "A test."}]
    try:
        text = str(tokenizer.apply_chat_template(message, tokenize=False, add_generation_prompt=True))
    except TemplateError as error:
        line = getattr(error, "lineno", None)
        place = f"{where}:{line}" if line else where
        raise DataError(f"broken chat template: {error}", where=place) from error
    if "A test." not in text:
        raise DataError("the chat template leaves out what the user says", where=where)
