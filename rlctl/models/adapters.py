"""LoRA: new adapters, and adapters that a former run has trained (Hu et al. 2021, arXiv 2106.09685)."""

import json
import re
import warnings
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlctl.config.model import Lora
from rlctl.errors import CheckpointError, ConfigError, Problem
from rlctl.models.faults import explained
from rlctl.models.resolve import resolve
from rlctl.registry import did_you_mean

if TYPE_CHECKING:
    from peft import LoraConfig
    from transformers import PreTrainedModel

LORA = ("model", "lora")


def base_of(folder: str) -> str:
    """The model that an adapter belongs to.

    Args:
        folder: The adapter's folder.

    Raises:
        CheckpointError: The adapter does not say, or the model is not where it was.
    """
    config = _adapter_config(folder)
    base = config.get("base_model_name_or_path")
    if not isinstance(base, str) or not base:
        raise CheckpointError("the adapter does not name its base model", where=folder)
    here = resolve(_moved(base))
    if here.startswith("/") and not Path(here).is_dir():
        raise CheckpointError(f"its base model is not at {here}", where=folder)
    return here


def revision_of(folder: str, default: str | None) -> str | None:
    """The revision of the base model that an adapter belongs to.

    Args:
        folder: The adapter's folder.
        default: The revision where the adapter does not name one.
    """
    named = _adapter_config(folder).get("revision")
    return named if isinstance(named, str) and named else default


def _moved(base: str) -> str:
    """A built-in model that an adapter names by the folder of another installation, by its name here."""
    from rlctl import registry

    parts = Path(base).parts
    for name, package in registry.names("models").items():
        inside = tuple(package.split("."))
        if not Path(base).is_dir() and parts[-len(inside) :] == inside:
            return f"builtin:{name}"
    return base


def _adapter_config(folder: str) -> dict[str, Any]:
    file = Path(folder) / "adapter_config.json"
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise CheckpointError(f"cannot be read ({error})", where=str(file)) from error


def continue_adapter(base: "PreTrainedModel", folder: str, lora: Lora | None) -> Any:
    """The base model with a trained adapter on it, which goes on learning.

    Args:
        base: The model that the adapter belongs to.
        folder: The adapter's folder.
        lora: `model.lora`; None, or what the adapter has.

    Raises:
        CheckpointError: The adapter is broken, is no causal LM's, or does not fit the model.
        ConfigError: `model.lora` asks for another shape than the adapter has.
    """
    from peft import PeftModel

    config = _adapter_config(folder)
    if config.get("task_type") not in (None, "CAUSAL_LM"):
        message = f"an adapter for {config['task_type']}, not for a causal language model"
        raise CheckpointError(message, where=folder)
    if lora is not None and (lora.r, float(lora.alpha)) != (
        config.get("r"),
        float(config.get("lora_alpha", 0)),
    ):
        found = f"r {config.get('r')} and alpha {config.get('lora_alpha')}"
        message = f"the adapter in {folder} has {found}, not r {lora.r} and alpha {lora.alpha:g}"
        raise ConfigError([Problem(message, LORA, suggestion="leave `lora` out to go on with this adapter")])
    with explained(folder, "the adapter"):
        model = PeftModel.from_pretrained(base, folder, is_trainable=True)
        _all_loaded(model, folder)
    return model


def _all_loaded(model: Any, folder: str) -> None:
    """peft only warns of weights that the file lacks; there the adapter would be without effect."""
    from peft import get_peft_model_state_dict
    from safetensors import safe_open

    file = Path(folder) / "adapter_model.safetensors"
    if not file.is_file():
        return
    with safe_open(str(file), framework="pt") as weights:
        missing = sorted(get_peft_model_state_dict(model).keys() - set(weights.keys()))
    if missing:
        message = f"the adapter lacks {len(missing)} weights that the model needs, such as {missing[0]}"
        raise CheckpointError(message, where=folder)


def new_adapter(model: "PreTrainedModel", lora: Lora) -> tuple["LoraConfig", int]:
    """The configuration of new adapters, and how many weights they have. The model stays as it is.

    Args:
        model: The model that is to get them.
        lora: `model.lora`.

    Raises:
        ConfigError: A module that it names does not exist, or cannot have an adapter.
    """
    import torch
    from peft import LoraConfig, get_peft_model

    _check_modules(model, lora)
    config = LoraConfig(
        r=lora.r,
        lora_alpha=int(lora.alpha) if lora.alpha == int(lora.alpha) else lora.alpha,  # type: ignore[arg-type]
        lora_dropout=lora.dropout,
        target_modules=lora.target_modules,
        modules_to_save=lora.modules_to_save,
        use_rslora=lora.use_rslora,
        ensure_weight_tying=bool(lora.modules_to_save) and bool(model.config.tie_word_embeddings),
        bias="none",
        task_type="CAUSAL_LM",
    )
    try:
        with torch.device("meta"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            skeleton = type(model)(model.config)
            wrapped = get_peft_model(skeleton, deepcopy(config), low_cpu_mem_usage=True)
    except ValueError as error:
        message = str(error).strip().split("\n")[0]
        raise ConfigError([Problem(message, (*LORA, "target_modules"))]) from error
    return config, sum(parameter.numel() for parameter in wrapped.parameters() if parameter.requires_grad)


def _check_modules(model: "PreTrainedModel", lora: Lora) -> None:
    """Every name must be a module of the model; peft itself is content with one of them."""
    modules = [name for name, _ in model.named_modules() if name]
    ends = sorted({name.rsplit(".", 1)[-1] for name in modules if not name.rsplit(".", 1)[-1].isdecimal()})
    listed = lora.target_modules if isinstance(lora.target_modules, list) else []
    for key, names in (("target_modules", listed), ("modules_to_save", lora.modules_to_save or [])):
        for name in names:
            if not any(module == name or module.endswith(f".{name}") for module in modules):
                cure = did_you_mean(name, ends) or f"there is {', '.join(_linear(model))}"
                raise ConfigError(
                    [Problem(f"the model has no module {name!r}", (*LORA, key), suggestion=cure)]
                )
    if isinstance(lora.target_modules, str) and lora.target_modules != "all-linear":
        _check_pattern(model, lora.target_modules, modules)


def _check_pattern(model: "PreTrainedModel", pattern: str, modules: list[str]) -> None:
    path = (*LORA, "target_modules")
    try:
        found = any(re.fullmatch(pattern, name) for name in modules)
    except re.error as error:
        raise ConfigError([Problem(f"{pattern!r} is no regular expression ({error})", path)]) from error
    if not found:
        names = ", ".join(_linear(model))
        cure = f"it is held against whole names such as {modules[-2]!r}; a list takes {names}"
        raise ConfigError([Problem(f"no module matches {pattern!r}", path, suggestion=cure)])


def _linear(model: "PreTrainedModel") -> list[str]:
    """Names of the linear layers, the output layer left out."""
    from torch.nn import Linear

    output = model.get_output_embeddings()
    layers = [(name, module) for name, module in model.named_modules() if isinstance(module, Linear)]
    return sorted({name.rsplit(".", 1)[-1] for name, module in layers if module is not output})
