"""Which TRL arguments `algorithm.trl` does not take, and what to write instead; and which need another one.

Everything that TRL has and that is not named here passes through.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

OWNED: dict[str, str] = {
    "activation_checkpointing": "training.gradient_checkpointing",
    "beta": "algorithm.beta",
    "bf16": "training.bf16",
    "data_seed": "run.seed",
    "epsilon": "algorithm.epsilon",
    "epsilon_high": "algorithm.epsilon_high",
    "eval_steps": "training.eval_steps",
    "eval_strategy": "training.eval_steps",
    "fp16": "training.bf16",
    "generation_batch_size": "training.prompts_per_step",
    "gradient_accumulation_steps": "training.prompts_per_step",
    "gradient_checkpointing": "training.gradient_checkpointing",
    "importance_sampling_level": "algorithm.importance_sampling_level",
    "learning_rate": "training.learning_rate",
    "logging_steps": "training.logging_steps",
    "logging_strategy": "training.logging_steps",
    "loss_type": "algorithm.loss_type",
    "lr_scheduler_type": "training.lr_scheduler_type",
    "mask_truncated_completions": "algorithm.mask_truncated_completions",
    "max_completion_length": "generation.max_completion_length",
    "max_grad_norm": "training.max_grad_norm",
    "max_steps": "training.max_steps",
    "min_p": "generation.min_p",
    "model_init_kwargs": "model",
    "multi_objective_aggregation": "rewards.aggregate",
    "num_generations": "algorithm.num_generations",
    "num_generations_eval": "eval.num_samples",
    "num_iterations": "algorithm.num_iterations",
    "num_train_epochs": "training.num_epochs",
    "optim": "training.optim",
    "output_dir": "run.output_dir",
    "per_device_eval_batch_size": "eval.batch_size",
    "per_device_train_batch_size": "training.per_device_train_batch_size",
    "project": "tracking.project",
    "repetition_penalty": "generation.repetition_penalty",
    "report_to": "tracking.report_to",
    "reward_weights": "rewards.components[].weight",
    "run_name": "run.name",
    "save_steps": "training.save_steps",
    "save_strategy": "training.save_steps",
    "save_total_limit": "training.save_total_limit",
    "scale_rewards": "algorithm.scale_rewards",
    "seed": "run.seed",
    "shuffle_dataset": "data.shuffle",
    "steps_per_generation": "training.prompts_per_step",
    "temperature": "generation.temperature",
    "top_k": "generation.top_k",
    "top_p": "generation.top_p",
    "trackio_space_id": "tracking.entity",
    "trust_remote_code": "model.trust_remote_code",
    "use_cpu": "model.device",
    "warmup_steps": "training.warmup_steps",
    "weight_decay": "training.weight_decay",
}
"""TRL argument → the key of the YAML that sets it."""

GENERATION_OWNED: dict[str, str] = {
    "cache_implementation": "algorithm.trl.cache_implementation",
    "do_sample": "generation.temperature",
    "max_length": "generation.max_completion_length",
    "max_new_tokens": "generation.max_completion_length",
    "min_p": "generation.min_p",
    "num_return_sequences": "algorithm.num_generations",
    "repetition_penalty": "generation.repetition_penalty",
    "temperature": "generation.temperature",
    "top_k": "generation.top_k",
    "top_p": "generation.top_p",
}
"""Key of `generation_kwargs` → the key of the YAML that sets it."""

_REFUSED_BECAUSE: dict[str, tuple[str, ...]] = {
    "generation runs on transformers in this version, not on vLLM; leave it out": (
        "use_vllm",
        "vllm_enable_sleep_mode",
        "vllm_gpu_memory_utilization",
        "vllm_group_port",
        "vllm_importance_sampling_cap",
        "vllm_importance_sampling_clip_max",
        "vllm_importance_sampling_clip_min",
        "vllm_importance_sampling_correction",
        "vllm_importance_sampling_mode",
        "vllm_max_model_length",
        "vllm_mode",
        "vllm_model_impl",
        "vllm_server_base_url",
        "vllm_server_host",
        "vllm_server_port",
        "vllm_server_timeout",
        "vllm_structured_outputs_regex",
        "vllm_tensor_parallel_size",
    ),
    "TRL's continuous batching turns 32-bit weights into bfloat16 for good; leave it out": (
        "transformers_continuous_batching_config",
        "use_transformers_continuous_batching",
        "use_transformers_paged",
    ),
    "rlctl evaluates by itself; see the section `eval` and `training.eval_steps`": (
        "batch_eval_metrics",
        "bf16_full_eval",
        "do_eval",
        "do_predict",
        "eval_accumulation_steps",
        "eval_delay",
        "eval_do_concat_batches",
        "eval_on_start",
        "eval_use_gather_object",
        "fp16_full_eval",
        "greater_is_better",
        "include_for_metrics",
        "load_best_model_at_end",
        "metric_for_best_model",
        "prediction_loss_only",
    ),
    "rlctl writes every completion to logs/completions.jsonl; leave it out": (
        "log_completions",
        "log_multimodal",
        "log_unique_prompts",
        "num_completions_to_print",
    ),
    "training uploads nothing; `rlctl export RUN --push OWNER/NAME` does": (
        "hub_always_push",
        "hub_model_id",
        "hub_private_repo",
        "hub_revision",
        "hub_strategy",
        "hub_token",
        "log_completions_hub_repo",
        "push_to_hub",
    ),
    "`rlctl train CONFIG --resume` goes on with a run; leave it out": (
        "ignore_data_skip",
        "restore_callback_states_from_checkpoint",
        "resume_from_checkpoint",
    ),
    "with it a run could not go on exactly where it was stopped; leave it out": (
        "dataloader_persistent_workers",
    ),
    "rlctl writes its checkpoints itself, whole enough to go on from; leave it out": (
        "save_on_each_node",
        "save_only_model",
    ),
    "sharded training is not in this version; leave it out": (
        "accelerator_config",
        "deepspeed",
        "ds3_gather_for_generation",
        "fsdp",
        "fsdp_config",
        "parallelism_config",
    ),
    "TRL's GRPO trainer does not read it; leave it out": (
        "do_train",
        "label_names",
        "label_smoothing_factor",
        "length_column_name",
        "local_rank",
        "max_tool_calling_iterations",
        "train_sampling_strategy",
    ),
    "GRPO needs full groups, so the batch cannot shrink; lower `training.per_device_train_batch_size`": (
        "auto_find_batch_size",
    ),
    "rlctl saves on SIGTERM, SIGINT and SIGUSR1; leave it out": ("enable_jit_checkpoint",),
    "a loss that is not finite is always shown; leave it out": ("logging_nan_inf_filter",),
    "rewards read the columns of the data, so they all stay; leave it out": ("remove_unused_columns",),
    "rlctl shows its own progress; `--quiet` turns it off": ("disable_tqdm",),
    "it is an old name; write `activation_checkpointing_kwargs`": ("gradient_checkpointing_kwargs",),
}
REFUSED: dict[str, str] = {name: why for why, names in _REFUSED_BECAUSE.items() for name in names}
"""TRL argument → why it is not taken and what to do; the trainer gets TRL's default."""


class Need(NamedTuple):
    """Arguments that do nothing, or fail late, unless another setting holds.

    Args:
        arguments: The arguments that need it.
        setting: The TRL name of the other setting.
        holds: Whether a value of that setting is enough.
        words: The condition as a person writes it.
    """

    arguments: tuple[str, ...]
    setting: str
    holds: Callable[[Any], bool]
    words: str


NEEDS: tuple[Need, ...] = (
    Need(("sync_ref_model", "use_bias_correction_kl"), "beta", bool, "`algorithm.beta` above 0"),
    Need(("ref_model_mixup_alpha", "ref_model_sync_steps"), "sync_ref_model", bool, "`sync_ref_model: true`"),
    Need(
        ("sapo_temperature_neg", "sapo_temperature_pos"),
        "loss_type",
        lambda loss: loss == "sapo",
        "`algorithm.loss_type: sapo`",
    ),
    Need(
        ("vespo_k_neg", "vespo_k_pos", "vespo_lambda_neg", "vespo_lambda_pos"),
        "loss_type",
        lambda loss: loss == "vespo",
        "`algorithm.loss_type: vespo`",
    ),
    Need(
        ("entropy_coef_delta", "entropy_coef_max", "entropy_coef_min", "entropy_target"),
        "use_adaptive_entropy",
        bool,
        "`use_adaptive_entropy: true`",
    ),
    Need(
        ("dataloader_prefetch_factor", "dataloader_multiprocessing_context"),
        "dataloader_num_workers",
        bool,
        "`dataloader_num_workers` of 1 or more",
    ),
    Need(("liger_kernel_config",), "use_liger_kernel", bool, "`use_liger_kernel: true`"),
)
