"""A trained model as one folder to give away: merged, with tokenizer and card, checked before it is there."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlctl.config.model import Model
from rlctl.errors import CheckpointError, MissingError
from rlctl.models.adapters import base_of, continue_adapter
from rlctl.models.card import card
from rlctl.models.export_check import Verified, greedy, verify
from rlctl.models.export_request import DTYPES, Request
from rlctl.models.load import load_model, read_config
from rlctl.models.merge import merge
from rlctl.models.public_files import name_paths_in_public
from rlctl.models.public_names import public_name
from rlctl.models.tokenizer import load_tokenizer
from rlctl.models.trained import Trained
from rlctl.training.checkpoints import complete_or_absent

PROMPTS = 8
"""Prompts that the export is compared with its run on."""

OUT_OF_MEMORY = ("out of memory", "can't allocate memory")


@dataclass(frozen=True)
class Exported:
    """What was written.

    Args:
        files: Names in the folder, sorted.
        bytes: Size of all of them.
        dtype: Type of the weights.
        verified: How the greedy output compares with the run's.
    """

    files: list[str]
    bytes: int
    dtype: str
    verified: Verified


def export(request: Request) -> Exported:
    """Write the folder, load it again and compare; on any failure nothing is left.

    Args:
        request: What is asked for.

    Raises:
        CheckpointError: The model cannot be loaded or merged, or the export answers otherwise than the run.
        MissingError: Not enough memory or disk, or the folder cannot be written.
    """
    run = request.run
    with _room(request.folder):
        section = section_of(run)
        stored = _stored_dtype(section)
        model = load_model(section, gradient_checkpointing=False).model
        tokenizer = load_tokenizer(section)
        prompts = run.prompts(PROMPTS) or [tokenizer.bos_token or "The"]
        arguments = run.config.algorithm.trl.get("chat_template_kwargs") or {}
        expected = greedy(model, tokenizer, prompts, run.config, arguments)
        dtype = "float32" if request.adapter else request.dtype or stored
        exact = dtype == "float32" or (not run.is_adapter and dtype == stored)
        with complete_or_absent(request.folder) as unfinished:
            unfinished.mkdir(parents=True, exist_ok=True)
            if request.adapter:
                dtype = _write_adapter(model, run, unfinished)
            else:
                _write_model(merge(model, str(run.weights)) if run.is_adapter else model, dtype, unfinished)
            tokenizer.save_pretrained(unfinished)
            name_paths_in_public(unfinished)
            (unfinished / "README.md").write_text(card(request, dtype, _base(run)), encoding="utf-8")
            del model
            again, its_tokenizer = _reload(request, section, unfinished)
            found = verify(again, its_tokenizer, prompts, expected, run.config, arguments, exact=exact)
        files = sorted(path for path in request.folder.rglob("*") if path.is_file())
    names = [str(path.relative_to(request.folder)) for path in files]
    return Exported(names, sum(path.stat().st_size for path in files), dtype, found)


def section_of(run: Trained) -> Model:
    """The section `model` that loads what a run has trained: whole weights in float32, on what is here."""
    model = run.config.model
    changes = {
        "path": str(run.weights),
        "tokenizer": None,
        "chat_template": None,
        "dtype": "float32",
        "device": "cpu" if model.device == "cpu" else "auto",
        "attn_implementation": "auto",
        "quantization": None,
        "lora": None,
    }
    return model.model_copy(update=changes)


def _stored_dtype(section: Model) -> str:
    """Type in which the base model, or what was trained in full, is stored."""
    config = read_config(section)
    dtype = config.dtype or config.get_text_config().dtype
    name = str(dtype).removeprefix("torch.")
    return name if name in DTYPES else "float32"


def _base(run: Trained) -> str:
    """The model before training: the adapter's base, else what the config names."""
    if not run.is_adapter:
        return str(run.record.get("model") or run.config.model.path)
    return str(_adapter_config(run)["base_model_name_or_path"])


def _adapter_config(run: Trained) -> dict[str, Any]:
    return dict(json.loads((run.weights / "adapter_config.json").read_text(encoding="utf-8")))


def _write_model(model: Any, dtype: str, folder: Path) -> None:
    import torch

    model = model.to(getattr(torch, dtype))
    for config in (model.config, model.config.get_text_config()):
        config.use_cache = True  # training switches it off, and generation would be slow
    _make_valid(model.generation_config)
    model.save_pretrained(folder)


def _make_valid(generation_config: Any) -> None:
    """Settings of sampling without sampling, as older models have them, cannot be saved."""
    try:
        generation_config.validate(strict=True)
    except ValueError:
        generation_config.do_sample = True


def _write_adapter(model: Any, run: Trained, folder: Path) -> str:
    """Copy the adapter; its base is named as others can find it. Returns the type of its weights."""
    name = "adapter_model.safetensors"
    if not (run.weights / name).is_file():
        raise CheckpointError(f"the adapter has no {name}", where=str(run.weights))
    shutil.copyfile(run.weights / name, folder / name)
    config = _adapter_config(run)
    config["base_model_name_or_path"] = public_name(config["base_model_name_or_path"])
    config["revision"] = run.config.model.revision
    text = json.dumps(config, indent=2, sort_keys=True, ensure_ascii=False)
    (folder / "adapter_config.json").write_text(text + "\n", encoding="utf-8")
    return next(str(w.dtype) for n, w in model.named_parameters() if "lora_" in n).removeprefix("torch.")


def _reload(request: Request, section: Model, folder: Path) -> tuple[Any, Any]:
    """Model and tokenizer out of what was written; an adapter goes over the base that it belongs to."""
    written = section.model_copy(update={"path": str(folder)})
    tokenizer = load_tokenizer(written)
    if not request.adapter:
        return load_model(written, gradient_checkpointing=False).model, tokenizer
    base = section.model_copy(update={"path": base_of(section.path)})
    model = load_model(base, gradient_checkpointing=False).model
    return continue_adapter(model, str(folder), None), tokenizer


@contextmanager
def _room(folder: Path) -> Iterator[None]:
    """Say in words that memory or disk was not enough, or that the folder cannot be written."""
    try:
        yield
    except Exception as error:
        causes = [one for one in (error, error.__cause__) if one is not None]
        said = " ".join(str(one) for one in causes)
        if isinstance(error, MemoryError) or any(sign in said.lower() for sign in OUT_OF_MEMORY):
            hint = "Free some, or leave the GPU out: CUDA_VISIBLE_DEVICES= rlctl export …"
            raise MissingError("the model does not fit into memory in float32", hint=hint) from error
        if (isinstance(error, OSError) and error.errno) or "(os error " in said:
            reason = error.strerror if isinstance(error, OSError) else said
            hint = "Free some space, or write elsewhere (--output DIR)."
            raise MissingError(f"cannot be written ({reason})", where=str(folder), hint=hint) from error
        raise
