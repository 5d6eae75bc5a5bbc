"""How long, how fast, in what portions."""

from typing import Annotated, Literal

from pydantic import Field

from rlctl.config.base import Section


class Training(Section):
    """Optimisation, batches, checkpoints."""

    learning_rate: Annotated[float, Field(gt=0, le=1e30)] = 1e-6
    """Peak learning rate; about 1e-6 for all weights of a large model, 1e-5 to 1e-4 for LoRA."""
    max_steps: Annotated[int, Field(ge=1)] | None = None
    """Optimizer steps; instead of `num_epochs`."""
    num_epochs: Annotated[float, Field(gt=0)] | None = None
    """Passes over the training prompts; 1 where `max_steps` is not set."""
    prompts_per_step: Annotated[int, Field(ge=1)] = 16
    """Different prompts in one step, over all processes."""
    per_device_train_batch_size: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    """Completions per forward pass and process; divides those of a step. auto: as fit 32,768 tokens."""
    gradient_checkpointing: bool = True
    """Recompute activations in the backward pass: less memory, about a third more time."""
    bf16: bool | Literal["auto"] = "auto"
    """bfloat16 mixed precision. auto: on a GPU that has it."""
    lr_scheduler_type: Literal[
        "linear",
        "cosine",
        "constant",
        "constant_with_warmup",
        "polynomial",
        "inverse_sqrt",
        "cosine_with_restarts",
    ] = "linear"
    """Course of the learning rate after warm-up."""
    warmup_steps: Annotated[int, Field(ge=0)] = 0
    """Steps over which the learning rate rises."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """Decoupled weight decay."""
    max_grad_norm: Annotated[float, Field(ge=0)] = 1.0
    """Clip the norm of the gradient; 0 for none."""
    optim: Literal[
        "adamw_torch",
        "adamw_torch_fused",
        "adafactor",
        "sgd",
        "adamw_8bit",
        "paged_adamw_8bit",
        "paged_adamw_32bit",
    ] = "adamw_torch"
    """Optimizer; those with `8bit` or `paged` need bitsandbytes and CUDA."""
    save_steps: Annotated[int, Field(ge=1)] | None = 50
    """Steps between checkpoints; null for none but the final model. Signals save in any case."""
    save_total_limit: Annotated[int, Field(ge=1)] | None = 3
    """Checkpoints to keep: the newest, and the best by held-out reward; null for all."""
    eval_steps: Annotated[int, Field(ge=1)] | None = 50
    """Steps between evaluations on `data.eval`; null for only before and after."""
    logging_steps: Annotated[int, Field(ge=1)] = 1
    """Steps between lines of the metrics; values are means over them."""
