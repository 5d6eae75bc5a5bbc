"""The model that is trained."""

from typing import Annotated, Literal

from pydantic import Field

from rlctl.config.base import LocalOrHub, LocalPath, Section


class Lora(Section):
    """Low-rank adapters instead of full fine-tuning (Hu et al. 2021, arXiv 2106.09685)."""

    r: Annotated[int, Field(ge=1)] = 16
    """Rank of the adapters."""
    alpha: Annotated[float, Field(gt=0)] = 32
    """Scale: the update is multiplied by alpha / r."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Dropout before the adapter; 0 keeps sampling and training log-probabilities equal."""
    target_modules: str | list[str] = "all-linear"
    """Modules that get an adapter: `all-linear`, names, or one regular expression."""
    modules_to_save: list[str] | None = None
    """Modules that are trained in full and saved with the adapter, e.g. `lm_head`."""
    use_rslora: bool = False
    """Scale by alpha / sqrt(r) instead (rank-stabilised LoRA, arXiv 2312.03732)."""


class Model(Section):
    """Which model, and how it is loaded."""

    path: LocalOrHub
    """`builtin:NAME`, a local folder, a finished run's folder, or a Hub id."""
    revision: str | None = None
    """Branch, tag or commit of a Hub model; the newest by default."""
    tokenizer: LocalOrHub | None = None
    """Tokenizer to use in place of the model's own."""
    chat_template: LocalPath | None = None
    """Jinja file that replaces the tokenizer's chat template."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Type of the weights in memory. auto: float32, or bfloat16 where only adapters are trained on a GPU."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to run. auto: cuda, else mps, else cpu."""
    attn_implementation: Literal["auto", "eager", "sdpa", "flash_attention_2", "flash_attention_3"] = "auto"
    """Attention kernel. auto: what transformers takes for this model."""
    trust_remote_code: bool = False
    """Run code that comes with the model. Only for sources that you trust."""
    quantization: Literal["4bit", "8bit"] | None = None
    """Load the frozen weights in 4 or 8 bit (bitsandbytes, CUDA); needs `lora`."""
    lora: Lora | None = None
    """Train adapters instead of all weights; leave out for full fine-tuning."""
