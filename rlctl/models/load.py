"""Loads the model that a run trains: complete weights, their type, the device, adapters, quantisation."""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rlctl.config.model import Model
from rlctl.errors import CheckpointError, ConfigError, MissingError, Problem
from rlctl.models.adapters import base_of, continue_adapter, new_adapter
from rlctl.models.faults import explained
from rlctl.models.resolve import is_adapter, resolve

if TYPE_CHECKING:
    import torch
    from peft import LoraConfig
    from transformers import PretrainedConfig, PreTrainedModel

CAUSAL = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")
"""How the names of architectures end that continue a text."""


@dataclass(frozen=True)
class LoadedModel:
    """A model in memory.

    Args:
        model: The causal LM; with the adapters of its folder, if it is an adapter's.
        source: Folder or Hub id that it was loaded from.
        trainable: Weights that training changes, new adapters counted in.
        total: All weights, new adapters left out.
        peft_config: New adapters, still to be put on (`peft.get_peft_model`, TRL's `peft_config`), or None.
    """

    model: Any
    source: str
    trainable: int
    total: int
    peft_config: "LoraConfig | None" = None


def load_model(model: Model, *, gradient_checkpointing: bool, trained: bool = True) -> LoadedModel:
    """Load the section `model`.

    Args:
        model: The section.
        trained: Whether it is to be trained, and not only sampled.
        gradient_checkpointing: Whether training will recompute activations; the model must be able to.

    Raises:
        CheckpointError: The model is missing, broken, incomplete, or not a causal language model.
        MissingError: A device or a library that the section asks for is not here.
        ConfigError: `lora` or `quantization` does not fit the model.
    """
    source = resolve(model.path)
    adapter = source if is_adapter(source) else None
    base = base_of(source) if adapter else source
    if model.quantization and trained and not (adapter or model.lora):
        message = "quantised weights cannot be trained"
        raise ConfigError(
            [Problem(message, ("model", "quantization"), suggestion="set `model.lora` beside it")]
        )
    device = pick_device(model.device)
    loaded = _load_weights(model, base, device, adapters_only=bool(adapter or model.lora))
    if gradient_checkpointing and not loaded.supports_gradient_checkpointing:
        hint = "set `training.gradient_checkpointing: false`"
        raise CheckpointError("this model cannot recompute activations", where=base, hint=hint)
    if adapter:
        loaded = continue_adapter(loaded, adapter, model.lora)
        return _described(loaded, source)
    return _with_adapters(loaded, source, model)


def read_config(model: Model) -> "PretrainedConfig":
    """The configuration of the section's model, without its weights.

    Raises:
        CheckpointError: The model is missing, its configuration broken, or it is no causal language model.
    """
    source = resolve(model.path)
    return _config_of(model, base_of(source) if is_adapter(source) else source)


def _config_of(model: Model, base: str) -> "PretrainedConfig":
    from transformers import AutoConfig

    with explained(base, "the model"):
        config = AutoConfig.from_pretrained(
            base, revision=model.revision, trust_remote_code=model.trust_remote_code
        )
    _must_be_causal(config, base)
    return config


def loaded_from_object(model: Any, section: Model) -> LoadedModel:
    """The same for a model that is already in memory; of the section, `lora` is heeded.

    Raises:
        ConfigError: `lora` does not fit the model.
    """
    from peft import PeftModel

    if isinstance(model, PeftModel):
        return _described(model, "a model object")
    return _with_adapters(model, "a model object", section)


def _with_adapters(model: Any, source: str, section: Model) -> LoadedModel:
    if section.lora is None:
        return _described(model, source)
    config, count = new_adapter(model, section.lora)
    return LoadedModel(model, source, count, _described(model, source).total, config)


def _described(model: Any, source: str) -> LoadedModel:
    parameters = list(model.parameters())
    trainable = sum(parameter.numel() for parameter in parameters if parameter.requires_grad)
    return LoadedModel(model, source, trainable, sum(parameter.numel() for parameter in parameters))


def pick_device(name: str) -> "torch.device":
    """The device of this process.

    Args:
        name: `auto` (cuda, else mps, else cpu), `cpu`, `cuda` or `mps`.

    Raises:
        MissingError: The device that is asked for is not here.
    """
    import torch

    here = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(device for device, available in here.items() if available)
    if not here[name]:
        built = "" if name != "cuda" or torch.version.cuda else "; this build of PyTorch has no CUDA"
        hint = "set `model.device: auto` to use what there is (`rlctl doctor` lists it)"
        raise MissingError(f"no {name} device here{built}", where="model.device", hint=hint)
    return (
        torch.device(name, int(os.environ.get("LOCAL_RANK", "0"))) if name == "cuda" else torch.device(name)
    )


def pick_dtype(name: str, device: "torch.device", *, adapters_only: bool) -> "torch.dtype":
    """Type of the weights. auto: float32, or bfloat16 for frozen weights on a GPU that computes in it."""
    import torch

    if name != "auto":
        dtype: torch.dtype = getattr(torch, name)
        return dtype
    half = adapters_only and device.type == "cuda" and torch.cuda.is_bf16_supported()
    return torch.bfloat16 if half else torch.float32


def _load_weights(
    model: Model, base: str, device: "torch.device", *, adapters_only: bool
) -> "PreTrainedModel":
    from transformers import AutoModelForCausalLM

    shared: dict[str, Any] = {"revision": model.revision, "trust_remote_code": model.trust_remote_code}
    config = _config_of(model, base)
    dtype = pick_dtype(model.dtype, device, adapters_only=adapters_only)
    options: dict[str, Any] = {**shared, "dtype": dtype}
    if model.attn_implementation != "auto":
        options["attn_implementation"] = model.attn_implementation
    if model.quantization is not None:
        options |= _quantised(model.quantization, dtype, device)
    with explained(base, "the model"):
        answer: Any = AutoModelForCausalLM.from_pretrained(
            base, config=config, output_loading_info=True, ignore_mismatched_sizes=True, **options
        )
    loaded, report = answer
    _must_be_complete(report, base)
    if model.quantization is None:
        with explained(base, "the model"):
            loaded = loaded.to(device)
    return loaded


def _quantised(bits: str, dtype: "torch.dtype", device: "torch.device") -> dict[str, Any]:
    """Options for bitsandbytes: NF4 with double quantisation (QLoRA, arXiv 2305.14314), or LLM.int8()."""
    from importlib.util import find_spec

    import torch
    from transformers import BitsAndBytesConfig

    if device.type != "cuda":
        hint = "leave `model.quantization` out, or run on a CUDA GPU"
        raise MissingError("quantisation needs a CUDA GPU", where="model.quantization", hint=hint)
    if find_spec("bitsandbytes") is None:
        hint = "pip install 'rlctl[quant]'"
        raise MissingError("quantisation needs bitsandbytes", where="model.quantization", hint=hint)
    if bits == "8bit":
        config = BitsAndBytesConfig(load_in_8bit=True)
    else:
        compute = torch.bfloat16 if torch.cuda.is_bf16_supported() else dtype
        config = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=compute,
        )
    return {"quantization_config": config, "device_map": {"": device}}


def _must_be_causal(config: "PretrainedConfig", source: str) -> None:
    """transformers would silently put a random head on an encoder, or on a model that scores texts."""
    architectures = getattr(config, "architectures", None) or []
    remote = bool(getattr(config, "auto_map", None))
    causal = any(name.endswith(CAUSAL) for name in architectures) or not architectures or remote
    if config.is_encoder_decoder or not causal:
        found = architectures[0] if architectures else config.model_type
        hint = "it takes models that continue a text, such as Qwen, Llama, Gemma, SmolLM or GPT-2"
        raise CheckpointError(f"{found} is not a causal language model", where=source, hint=hint)


def _must_be_complete(report: dict[str, Any], source: str) -> None:
    """transformers fills in weights that a file lacks with random ones."""
    for key, words in (("mismatched_keys", "of another shape"), ("missing_keys", "missing")):
        names = sorted(str(item[0]) if isinstance(item, tuple) else str(item) for item in report[key])
        if names:
            hint = "config.json and the weights file do not belong together, or the file is incomplete"
            message = f"{len(names)} weights are {words}, such as {names[0]}"
            raise CheckpointError(message, where=source, hint=hint)


def context_length(config: "PretrainedConfig") -> int | None:
    """Longest sequence that a model takes, in tokens; None where its configuration does not say."""
    text = config.get_text_config()
    for key in ("max_position_embeddings", "n_positions", "max_sequence_length", "seq_length"):
        value = getattr(text, key, None)
        if isinstance(value, int) and value > 0:
            return value
    return None
