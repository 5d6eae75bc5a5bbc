"""Adapters become part of the weights: W + scale · B·A, in float32 (Hu et al. 2021, arXiv 2106.09685)."""

import warnings
from typing import TYPE_CHECKING, Any

from rlctl.errors import CheckpointError

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel


def merge(model: "PeftModel", source: str) -> "PreTrainedModel":
    """The base model with the adapter in its weights. The model that is given is used up.

    Args:
        model: Base model and adapter, in float32.
        source: The adapter's folder, for errors.

    Raises:
        CheckpointError: The merged weights are not finite, or this kind of adapter cannot be merged.
    """
    tied = _is_tied(model.get_base_model())
    if tied:
        _part_what_is_tied(model)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of tied weights, which are looked after here
            merged: Any = model.merge_and_unload(safe_merge=True)
    except (ValueError, TypeError, AttributeError) as error:
        message = f"the adapter cannot be merged: {str(error).strip().splitlines()[0]}"
        raise CheckpointError(message, where=source, hint="--adapter exports it as it is") from error
    if tied:
        _tie_if_equal(merged)
    return merged


def _is_tied(model: Any) -> bool:
    return bool(model.config.tie_word_embeddings) and model.get_output_embeddings() is not None


def _part_what_is_tied(model: Any) -> None:
    """Give the output layer weights of its own: merging into one of two tied layers would change both."""
    from torch.nn import Parameter

    base = model.get_base_model()
    layer = base.get_output_embeddings()
    layer = getattr(layer, "base_layer", layer)
    layer = getattr(layer, "original_module", layer)
    layer.weight = Parameter(layer.weight.detach().clone(), requires_grad=False)


def _tie_if_equal(model: Any) -> None:
    """Tie the layers again where nothing parted them; otherwise the config says that they are two."""
    import torch

    output, embedding = model.get_output_embeddings(), model.get_input_embeddings()
    same = torch.equal(output.weight, embedding.weight)
    if same:
        output.weight = embedding.weight
    for config in {id(one): one for one in (model.config, model.config.get_text_config())}.values():
        config.tie_word_embeddings = same
