"""What other tools call the things that a YAML of rlctl says: their key or value → ours.

TRL's own arguments are in trl_keys; here are scripts of transformers, axolotl, LLaMA-Factory, OpenRLHF, verl,
prime-rl, REINVENT4, Chemeleon2, Hydra and common speech. An answer is `PLACE` or `PLACE; remark`; one without
a place is `; remark`.
"""

import json
import re

SPELLINGS: dict[str, str] = {
    # the run
    "run.name": "experiment_name exp_name job_name wandb_run_name wandb_name trial_name",
    "run.output_dir": "save_path save_dir default_local_dir",
    "run.output_dir; checkpoints lie in <output_dir>/<name>/checkpoints": "ckpt_path checkpoint_dir",
    "run.output_dir; logs lie in <output_dir>/<name>/logs": "logging_dir",
    "run.name; a run is never overwritten, give another name": "overwrite_output_dir",
    "run.seed": "random_seed random_state seed_everything",
    # the model
    "model.path": (
        "base_model model_name model_name_or_path model_path model_id pretrain pretrained actor_model "
        "agent_file"
    ),
    "model.path; `algorithm.beta` above 0 compares with the model before training": "prior_file",
    "algorithm.beta; above 0, the model before training is the reference": "ref_model reference_model",
    "rewards.components; this version has no reward models, `python` calls your own function": "reward_model",
    "model.revision": "model_revision",
    "model.tokenizer": "tokenizer_path tokenizer_name_or_path",
    "model.dtype": "torch_dtype",
    "training.bf16; the weights' own type is `model.dtype`": "precision",
    "training.bf16": "mixed_precision",
    "model.attn_implementation": "attn_impl",
    "model.attn_implementation; write `flash_attention_2`": (
        "flash_attn flash_attention use_flash_attention_2"
    ),
    "model.quantization; write `quantization: 4bit`": "load_in_4bit",
    "model.quantization; write `quantization: 8bit`": "load_in_8bit",
    "model.quantization; write `4bit` or `8bit`": "quantization_bit",
    "model.lora; with `quantization: 4bit` it is QLoRA": "adapter",
    "model.lora": "use_peft use_lora peft peft_config",
    "model.lora; leave it out for full fine-tuning": "finetuning_type",
    "model.lora.r": "lora_r lora_rank rank",
    "model.lora.alpha": "lora_alpha",
    "model.lora.dropout": "lora_dropout",
    "model.lora.target_modules": "lora_target lora_target_modules",
    "model.lora.target_modules; write `all-linear`": "lora_target_linear",
    "model.lora.modules_to_save": "lora_modules_to_save",
    # the data
    "data.train": (
        "dataset datasets dataset_name dataset_path train_dataset train_data train_file train_files "
        "prompt_data data_path smiles_file"
    ),
    "data.train.name": "dataset_config subset",
    "data.train.split": "dataset_train_split prompt_split",
    "data.eval.split": "dataset_test_split",
    "data.train.limit": "max_samples max_train_samples",
    "data.eval.limit": "max_eval_samples",
    "data.train.weight": "probability prompt_data_probs interleave_probs",
    "data.eval": "eval_dataset eval_data test_datasets val_files validation_file",
    "data.eval; rlctl splits nothing by itself, name held-out rows": "val_size val_set_size",
    "data.columns; write `columns: {prompt: NAME}`": "prompt_key prompt_column input_key field",
    "data.columns; write `columns: {answer: NAME}`": "label_key answer_key response_column",
    "data.prompt_template": "input_template",
    "data.chat_template; `model.chat_template` replaces the model's own template": "template",
    "data.chat_template; write `always`, `never` or `auto`": "apply_chat_template",
    "data.system_prompt": "default_system system",
    "data.max_length": "sequence_len cutoff_len max_seq_length max_seq_len seq_len max_len max_model_len",
    "data.max_length; it counts prompt and completion together": "max_prompt_length prompt_max_len",
    "data.overlong": "truncation",
    "data.overlong; write `drop`": "filter_overlong_prompts",
    # the rewards
    "rewards": "reward scoring scoring_function",
    "rewards.components; a function of your own: `{type: python, function: file.py:name}`": (
        "reward_fn reward_func reward_funcs reward_functions"
    ),
    "rewards.components; write `{type: python, function: file.py:name}`": (
        "custom_reward_function remote_rm_url"
    ),
    "rewards.components": "component",
    "rewards.invalid_penalty": "penalty reward_penalty",
    "rewards.scale": "reward_scale",
    "rewards.aggregate": "aggregation",
    "rewards.timeout": "reward_timeout",
    "rewards.shuffle": "shuffle_rewards shuffled_rewards permute_rewards random_rewards",
    "algorithm.scale_rewards; write `group` or `batch`": "group_reward_norm",
    # sampling
    "generation.max_completion_length": (
        "max_new_tokens max_response_length response_length generate_max_len max_gen_len max_tokens"
    ),
    "generation": "sampling sampling_params rollout",
    # the algorithm
    "algorithm.type": "rl stage method run_type adv_estimator advantage_estimator",
    "algorithm": "trainer",
    "algorithm; write `algorithm: {type: grpo}`": "grpo",
    "algorithm.num_generations": (
        "group_size num_samples_per_prompt n_samples_per_prompt samples_per_prompt "
        "rollouts_per_example num_group_samples rollout_n num_rollouts n"
    ),
    "algorithm.beta": "kl_coef init_kl_coef kl_loss_coef kl_penalty kl_weight kl_beta kl_tau",
    "algorithm.beta; 0 is none": "use_kl_loss",
    "algorithm.epsilon": (
        "clip_param clip_ratio clip_range cliprange clip_eps clip_epsilon eps_clip clip_ratio_low"
    ),
    "algorithm.epsilon_high": "clip_ratio_high eps_clip_high",
    "algorithm.num_iterations": "ppo_epochs num_ppo_epochs mu",
    "algorithm.num_iterations; it counts updates on the same completions": "num_inner_batch",
    "algorithm.loss_type": "loss_agg_mode",
    "algorithm.scale_rewards; write `none` instead of false": "norm_adv_by_std_in_grpo",
    "algorithm.dead_groups; write `drop`": "dynamic_sampling dynamic_filtering filter_groups",
    "algorithm.trl; write `trl: {entropy_coef: NUMBER}`": "entropy_coeff entropy_weight",
    # training
    "training.learning_rate": "lr actor_lr actor_learning_rate",
    "training.optim": "optimizer",
    "training.lr_scheduler_type": "lr_scheduler scheduler",
    "training.warmup_steps": "lr_warmup_steps num_warmup_steps",
    "training.warmup_steps; a number of steps": "warmup_ratio lr_warmup_ratio",
    "training.weight_decay": "l2 wd",
    "training.max_grad_norm": "max_norm grad_clip clip_grad gradient_clipping gradient_clip_val",
    "training.num_epochs": "epochs max_epochs total_epochs",
    "training.max_steps": "steps num_steps total_steps train_steps max_train_steps total_training_steps",
    "training.prompts_per_step; completions per forward pass: `training.per_device_train_batch_size`": (
        "batch_size"
    ),
    "training.prompts_per_step; different prompts of one step, over all processes": (
        "train_batch_size rollout_batch_size"
    ),
    "training.per_device_train_batch_size; completions per forward pass": (
        "micro_batch_size micro_train_batch_size ppo_micro_batch_size_per_gpu"
    ),
    "training.prompts_per_step; every completion of a step is in one update": "ppo_mini_batch_size",
    "training.prompts_per_step; accumulation is derived from it": (
        "gradient_accumulation_steps grad_accum accumulate_grad_batches"
    ),
    "training.gradient_checkpointing": "enable_gradient_checkpointing",
    "; this version keeps everything on the device": "use_cpu_offload",
    "training.save_steps": "save_every save_freq save_interval checkpoint_every",
    "training.save_total_limit": "max_ckpt_num max_actor_ckpt_to_keep keep_last",
    "training.eval_steps": "eval_every eval_interval test_freq val_check_interval",
    "training.eval_steps; a number of steps": "evaluation_strategy",
    "training.logging_steps": "log_every log_interval log_every_n_steps",
    "; `rlctl train CONFIG --resume` goes on with a run": "resume resume_mode",
    "; this version has no such section: start one process per GPU with `accelerate launch`": "distributed",
    "; start one process per GPU with `accelerate launch`": "num_gpus n_gpus_per_node",
    "model; verl's tree is flat here: model, generation, algorithm, training": "actor_rollout_ref",
    "; GRPO has no critic": "critic",
    "training; prime-rl's processes are one here": "orchestrator",
    # evaluation and tracking
    "eval": "evaluation",
    "eval.num_samples": "eval_num_samples n_eval_samples eval_n_samples_per_prompt",
    "eval.rewards": "eval_reward eval_rewards eval_reward_fn eval_reward_funcs val_reward_fn",
    "eval.pass": "pass_threshold pass_condition success_threshold success_condition",
    "eval.group_by": "group_by_column groupby",
    "eval.metric": "eval_metric best_metric metric_for_best_model metric_for_best_checkpoint monitor",
    "eval.metric; the best checkpoint by it is kept in any case": "load_best_model_at_end",
    "eval.metric; higher is better for each of them": "greater_is_better",
    "eval.patience": "early_stopping_patience early_stopping early_stop",
    "eval.watch": "overoptimization reward_hacking",
    "eval.lm_eval": "lm_eval_harness lm_harness benchmarks",
    "eval.lm_eval.num_fewshot": "fewshot n_shot n_shots num_shots",
    "eval.batch_size": "eval_batch_size",
    "tracking.report_to": "logger loggers trackers log_with",
    "tracking.report_to; write `[wandb]`": "use_wandb",
    "tracking.report_to; write `[tensorboard]`": "use_tensorboard tb_logdir",
    "tracking; write `report_to: [wandb]`": "wandb",
    "tracking.project": "wandb_project project_name",
    "tracking.entity": "wandb_entity wandb_org wandb_team",
    "tracking.group": "wandb_group",
    "tracking.tags": "wandb_tags",
    # Hydra
    "; no classes here; your own function is `{type: python, function: file.py:name}`": "_target_",
    "; a YAML is complete here; reuse parts with anchors (`&name`, `<<: *name`)": "defaults",
    "; rlctl does not use Hydra; override with `--set KEY=VALUE`": "hydra",
}
"""Our place → how other tools spell it, anywhere in their files."""
KEYS: dict[str, str] = {word: ours for ours, words in SPELLINGS.items() for word in words.split()}
"""Key of another tool, anywhere → ours."""

KEYS_IN: dict[tuple[str, str], str] = {
    ("rewards.components", "_target_"): "type; your own function: `type: python`, `function: file.py:name`",
    ("rewards.components", "path"): "function; with `type: python`",
    ("rewards.components", "func"): "function; with `type: python`",
    ("rewards.components", "fn"): "function; with `type: python`",
    ("rewards.components", "callable"): "function; with `type: python`",
    ("rewards.components", "module"): "function; write `package.module:name`, with `type: python`",
    ("rewards.components", "kwargs"): "args; with `type: python`",
    ("rewards.components", "params"): "args; with `type: python`",
    ("rewards.components", "reward"): "type",
    ("rewards.components", "kind"): "type",
    ("rewards.components", "coef"): "weight",
    ("rewards.components", "coefficient"): "weight",
    ("rewards.components", "scale"): "weight",
    ("rewards.components", "normalize_fn"): "normalize",
    ("rewards.components", "normalization"): "normalize",
    ("rewards.components", "score_transform"): "transform",
    ("rewards.components", "condition"): "gate",
    ("rewards.components.transform", "steepness"): "k",
    ("rewards", "normalize_fn"): "rewards.components.normalize",
    ("rewards", "normalize"): "rewards.components.normalize; one per component",
    ("rewards", "weights"): "rewards.components.weight; one per component",
    ("rewards", "functions"): "rewards.components",
    ("rewards", "clip"): "rewards.components.transform; write `{type: clip, min: -1, max: 1}`",
    ("data.train", "dataset"): "path",
    ("data.train", "file"): "path",
    ("data.train", "data_files"): "path",
    ("data.train", "ds_type"): "path; the ending of the file says it",
    ("data.train", "max_rows"): "limit",
    ("model", "name"): "path",
    ("model", "id"): "path",
    ("model", "template"): "chat_template",
    ("model.lora", "rank"): "r",
    ("model.lora", "lora_r"): "r",
    ("algorithm", "name"): "type",
    ("algorithm", "kl"): "beta",
    ("eval", "n"): "num_samples",
    ("eval", "k"): "num_samples",
    ("eval", "n_samples"): "num_samples",
    ("eval", "num_generations"): "num_samples",
    ("eval", "num_return_sequences"): "num_samples",
    ("eval", "num_samples_per_prompt"): "num_samples",
    ("eval", "n_samples_per_prompt"): "num_samples",
    ("eval", "samples_per_prompt"): "num_samples",
    ("eval", "rollouts_per_example"): "num_samples",
    ("eval", "reward"): "rewards",
    ("eval", "reward_funcs"): "rewards",
    ("eval", "components"): "eval.rewards.components",
    ("eval", "threshold"): "pass; write e.g. `{correct: \">=0.5\"}`",
    ("eval", "metrics"): "metric; one, which decides; all are measured",
    ("eval", "group"): "group_by",
    ("eval", "column"): "group_by",
    ("eval", "steps"): "training.eval_steps",
    ("eval", "eval_steps"): "training.eval_steps",
    ("eval", "dataset"): "data.eval",
    ("eval", "tasks"): "eval.lm_eval.tasks",
    ("eval.lm_eval", "task"): "tasks",
    ("eval.lm_eval", "shots"): "num_fewshot",
    ("eval.lm_eval", "tasks_path"): "include_path",
    ("training", "batch_size"): KEYS["batch_size"],
    ("eval", "every"): "training.eval_steps",
    ("generation", "n"): "algorithm.num_generations",
    ("run", "experiment"): "name",
    ("tracking", "name"): "run.name; it is the tracker's run name too",
}  # fmt: skip
"""(Section, key of another tool) → ours; stronger than `KEYS`. List indices are left out of the section."""

VALUES: dict[str, dict[str, str]] = {
    "algorithm.type": {
        "grpo` with `loss_type: dapo": "dapo",
        "grpo` with `loss_type: dr_grpo": "dr_grpo",
        "grpo` with `importance_sampling_level: sequence": "gspo",
        "grpo` with `loss_type: cispo": "cispo",
    },
    "algorithm.loss_type": {
        "grpo` with `importance_sampling_level: sequence": "gspo",
        "dr_grpo": "dr-grpo",
    },
    "algorithm.scale_rewards": {
        "group": "true std",
        "none": "false null",
    },
    "algorithm.dead_groups": {
        "drop": "filter skip mask",
    },
    "model.dtype": {
        "bfloat16": "bf16 torch.bfloat16",
        "float16": "fp16 half torch.float16",
        "float32": "fp32 float torch.float32",
    },
    "model.device": {
        "cuda": "gpu cuda:0",
        "mps": "metal",
    },
    "model.quantization": {
        "4bit": "4 nf4 int4 true",
        "8bit": "8 int8",
    },
    "model.attn_implementation": {
        "flash_attention_2": "flash fa2 flash_attn flash_attn_2",
    },
    "data.overlong": {
        "drop": "skip filter",
        "fail": "error",
        "truncate": "cut left",
    },
    "data.chat_template": {
        "always": "true",
        "never": "false",
    },
    "rewards.invalid_penalty": {
        "auto": "automatic calibrate calibrated",
    },
    "rewards.on_error": {
        "mask": "skip ignore none",
        "fail": "raise",
        "penalty": "zero",
    },
    "rewards.aggregate": {
        "weighted_sum": "sum sum_then_normalize",
        "weighted_mean": "mean average arithmetic_mean",
        "weighted_geometric_mean": "geometric_mean product",
        "normalize_then_sum": "gdpo",
    },
    "rewards.components.normalize": {
        "batch_std": "std zscore",
        "batch_min_max": "norm min_max minmax",
        "batch_mean": "subtract_mean mean",
        "none` and `transform: {type: clip, min: -1, max: 1}": "clip",
        "none": "null",
        "group_std": "group",
    },
    "rewards.components.type": {
        "math_answer": "accuracy accuracy_reward math math_verify",
        "exact_match": "exact em",
        "regex": "regexp pattern",
        "format": "format_reward think_format think_format_reward tags",
        "length": "len soft_overlong cosine",
        "repetition": "repetition_penalty",
        "python": "custom function callable",
    },
    "rewards.components.transform.type": {
        "step": "right_step left_step",
        "clip": "clamp",
        "linear": "scale",
        "exponential_decay": "exp_decay",
    },
    "training.optim": {
        "adamw_torch": "adam adamw adamw_hf",
        "adamw_8bit": "adamw_bnb_8bit",
        "paged_adamw_32bit": "paged_adamw",
    },
    "training.lr_scheduler_type": {
        "constant": "none",
        "constant_with_warmup": "warmup",
    },
    "eval.watch": {
        "off": "false no never none",
        "warn": "true yes on warning",
        "stop": "abort fail raise error",
    },
    "tracking.report_to": {
        "tensorboard": "tb",
        "wandb": "wb weights_and_biases",
    },
}
"""Place without list indices → our value → how other tools spell it."""


def key_answer(section: str, key: str) -> tuple[str, str] | None:
    """Our place and a remark for another tool's key, or None; either may be empty.

    Args:
        section: Where the key stands, without list indices, e.g. `rewards.components`.
        key: The key as it was written.
    """
    name = re.sub(r"[- ]", "_", key.lower())
    answer = meant_in(section, name) or KEYS.get(name)
    if answer is None:
        return None
    place, _, remark = answer.partition("; ")
    return place, remark


def meant_in(section: str, key: str) -> str | None:
    """Our place and remark for another tool's key in this very section, or None."""
    return KEYS_IN.get((_like(section), key))


def value_answer(place: str, value: object) -> str | None:
    """Our value for another tool's at a place without list indices, or None."""
    word = value if isinstance(value, str) else json.dumps(value)
    for ours, words in VALUES.get(_like(place), {}).items():
        if word.lower().strip() in words.split():
            return ours
    return None


def _like(place: str) -> str:
    """The place in `rewards` that one in `eval.rewards` is like; any other, itself."""
    return place.removeprefix("eval.") if place.startswith("eval.rewards") else place
