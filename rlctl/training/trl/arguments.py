"""From the YAML to TRL's GRPOConfig. Every argument is passed, so that no default of TRL can change a run."""

from typing import Any

from rlctl.config import catalogue
from rlctl.config.config import Config
from rlctl.config.plan import Plan


def grpo_arguments(
    config: Config, plan: Plan, *, output_dir: str, bf16: bool, on_cpu: bool = False
) -> dict[str, Any]:
    """Keyword arguments of `trl.GRPOConfig` for a config.

    Args:
        config: The resolved config; `algorithm.trl` wins over the catalogue's defaults.
        plan: Batch geometry.
        output_dir: Folder for checkpoints.
        bf16: Whether to train in bfloat16 mixed precision.
        on_cpu: Whether there is nothing but CPUs, whatever `model.device` says.
    """
    return {
        **catalogue.defaults("grpo"),
        **config.algorithm.trl,
        **_algorithm(config),
        **_optimisation(config, plan),
        "output_dir": output_dir,
        "seed": config.run.seed,
        "data_seed": config.run.seed,
        "use_cpu": on_cpu or config.model.device == "cpu",
        "bf16": bf16,
        "fp16": False,
        "trust_remote_code": config.model.trust_remote_code,
        "model_init_kwargs": None,
        # What rlctl does itself: logs, trackers, checkpoints, evaluation, progress.
        "report_to": "none",
        "run_name": config.run.name,
        "project": config.tracking.project,
        "trackio_space_id": None,
        "save_strategy": "no",
        "save_steps": 500,
        "save_total_limit": None,
        "eval_strategy": "no",
        "eval_steps": None,
        "logging_strategy": "steps",
        "logging_steps": config.training.logging_steps,
        "logging_nan_inf_filter": False,  # a loss that is not finite must be seen
        "disable_tqdm": True,
        "remove_unused_columns": False,
        "reward_weights": None,
        "multi_objective_aggregation": "sum_then_normalize",
    }


def _algorithm(config: Config) -> dict[str, Any]:
    algorithm, generation = config.algorithm, config.generation
    return {
        "num_generations": algorithm.num_generations,
        "num_generations_eval": None,
        "beta": algorithm.beta,
        "loss_type": algorithm.loss_type,
        "scale_rewards": algorithm.scale_rewards,
        "epsilon": algorithm.epsilon,
        "epsilon_high": algorithm.epsilon_high,
        "num_iterations": algorithm.num_iterations,
        "importance_sampling_level": algorithm.importance_sampling_level,
        "mask_truncated_completions": algorithm.mask_truncated_completions,
        "max_completion_length": generation.max_completion_length,
        "temperature": generation.temperature,
        "top_p": generation.top_p,
        "top_k": generation.top_k,
        "min_p": generation.min_p,
        "repetition_penalty": generation.repetition_penalty,
        "shuffle_dataset": config.data.shuffle,
    }


def _optimisation(config: Config, plan: Plan) -> dict[str, Any]:
    training = config.training
    return {
        "learning_rate": training.learning_rate,
        "lr_scheduler_type": training.lr_scheduler_type,
        "warmup_steps": training.warmup_steps,
        "weight_decay": training.weight_decay,
        "max_grad_norm": training.max_grad_norm,
        "optim": training.optim,
        "max_steps": training.max_steps if training.max_steps is not None else -1,
        "num_train_epochs": training.num_epochs if training.num_epochs is not None else 1.0,
        "per_device_train_batch_size": plan.per_device_train_batch_size,
        "per_device_eval_batch_size": config.eval.batch_size,
        "gradient_accumulation_steps": plan.gradient_accumulation_steps,
        "steps_per_generation": plan.gradient_accumulation_steps,
        "generation_batch_size": None,
        "activation_checkpointing": training.gradient_checkpointing,
        "gradient_checkpointing": training.gradient_checkpointing,
    }
