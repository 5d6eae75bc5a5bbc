"""Writes rlctl/config/trl_catalogue.json: every argument of the TRL config classes that rlctl trains with.

TRL types enum-like arguments as plain `str` and checks few ranges, so choices and bounds that its dataclasses
do not state are listed here, by hand, from its documentation and its trainers. Run after an upgrade of TRL or
transformers; tests/config/test_catalogue.py fails until the committed file agrees with what is installed.

    python scripts/make_trl_catalogue.py
"""

import dataclasses
import enum
import json
import re
import types
import typing
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parent.parent / "rlctl" / "config" / "trl_catalogue.json"

CHOICES: dict[str, list[str]] = {
    "cache_implementation": ["dynamic", "static", "offloaded", "offloaded_static", "quantized"],
    "importance_sampling_level": ["token", "sequence"],
    "include_num_input_tokens_seen": ["all", "non_padding", "no"],
    "loss_type": ["grpo", "dr_grpo", "dapo", "bnpo", "cispo", "sapo", "luspo", "vespo"],
    "multi_objective_aggregation": ["sum_then_normalize", "normalize_then_sum"],
    "pad_to_multiple_of": ["auto"],
    "scale_rewards": ["group", "batch", "none"],
    "torch_compile_mode": ["default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs"],
    "vllm_importance_sampling_mode": ["token_truncate", "token_mask", "sequence_truncate", "sequence_mask"],
    "vllm_mode": ["server", "colocate"],
    "vllm_model_impl": ["transformers", "vllm"],
}

AT_LEAST_0: dict[str, float] = {"minimum": 0}
AT_LEAST_1: dict[str, float] = {"minimum": 1}
ABOVE_0: dict[str, float] = {"exclusiveMinimum": 0}
SHARE: dict[str, float] = {"minimum": 0, "maximum": 1}
DECAY: dict[str, float] = {"minimum": 0, "exclusiveMaximum": 1}

RANGES: dict[str, dict[str, float]] = {
    "adam_beta1": DECAY,
    "adam_beta2": DECAY,
    "adam_epsilon": ABOVE_0,
    "beta": AT_LEAST_0,
    "dataloader_num_workers": AT_LEAST_0,
    "dataloader_prefetch_factor": AT_LEAST_1,
    "ddp_bucket_cap_mb": AT_LEAST_1,
    "ddp_timeout": AT_LEAST_1,
    "delta": {"exclusiveMinimum": 1},
    "entropy_coef_delta": ABOVE_0,
    "entropy_target": AT_LEAST_0,
    "epsilon": ABOVE_0,
    "epsilon_high": ABOVE_0,
    "generation_batch_size": AT_LEAST_1,
    "gradient_accumulation_steps": AT_LEAST_1,
    "learning_rate": ABOVE_0,
    "max_completion_length": AT_LEAST_1,
    "max_grad_norm": AT_LEAST_0,
    "min_p": SHARE,
    "neftune_noise_alpha": ABOVE_0,
    "num_generations": {"minimum": 2},
    "num_iterations": AT_LEAST_1,
    "num_train_epochs": ABOVE_0,
    "off_policy_mask_threshold": AT_LEAST_0,
    "pad_to_multiple_of": AT_LEAST_1,
    "per_device_eval_batch_size": AT_LEAST_1,
    "per_device_train_batch_size": AT_LEAST_1,
    "ref_model_mixup_alpha": SHARE,
    "ref_model_sync_steps": AT_LEAST_1,
    "repetition_penalty": ABOVE_0,
    "router_aux_loss_coef": AT_LEAST_0,
    "sapo_temperature_neg": ABOVE_0,
    "sapo_temperature_pos": ABOVE_0,
    "save_total_limit": AT_LEAST_1,
    "seed": AT_LEAST_0,
    "steps_per_generation": AT_LEAST_1,
    "temperature": ABOVE_0,
    "top_entropy_quantile": {"exclusiveMinimum": 0, "maximum": 1},
    "top_k": AT_LEAST_0,
    "top_p": {"exclusiveMinimum": 0, "maximum": 1},
    "torch_empty_cache_steps": AT_LEAST_1,
    "vespo_k_neg": AT_LEAST_0,
    "vespo_k_pos": AT_LEAST_0,
    "vespo_lambda_neg": AT_LEAST_0,
    "vespo_lambda_pos": AT_LEAST_0,
    "warmup_steps": AT_LEAST_0,
    "weight_decay": AT_LEAST_0,
}


def catalogue() -> dict[str, Any]:
    """The catalogue of the installed TRL: versions, and algorithm type → argument → its entry."""
    import transformers
    import trl

    classes = {"grpo": trl.GRPOConfig}
    known = {field.name for cls in classes.values() for field in dataclasses.fields(cls)}
    if gone := (CHOICES.keys() | RANGES.keys()) - known:
        raise SystemExit(f"this TRL no longer has: {', '.join(sorted(gone))}")
    algorithms = {
        algorithm: {field.name: entry(field, hints[field.name]) for field in sorted_fields(cls)}
        for algorithm, cls in classes.items()
        for hints in [typing.get_type_hints(cls)]
    }
    return {"trl": trl.__version__, "transformers": transformers.__version__, "algorithms": algorithms}


def sorted_fields(cls: type) -> list[Any]:
    """The fields of a dataclass that its constructor takes, by name."""
    return sorted((field for field in dataclasses.fields(cls) if field.init), key=lambda field: field.name)


def entry(field: Any, hint: Any) -> dict[str, Any]:
    """What is worth knowing about one argument; keys that do not apply are left out."""
    kinds, members = kinds_of(hint)
    choices = CHOICES.get(field.name) or members or list(field.metadata.get("choices") or ())
    found = {
        "types": kinds,
        "choices": choices,
        **RANGES.get(field.name, {}),
        "default": default_of(field),
        "help": first_sentence(field.metadata.get("help", "")),
    }
    return {key: value for key, value in found.items() if value != [] or key == "default"}


def kinds_of(hint: Any) -> tuple[list[str], list[str]]:
    """YAML types that a hint allows, and the members where it is an enum."""
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        parts = [kinds_of(part) for part in typing.get_args(hint)]
        kinds = list(dict.fromkeys(kind for part, _ in parts for kind in part))
        if "dict" in kinds and "str" in kinds:
            kinds.remove("str")  # JSON on a command line; in a YAML it is a mapping
        return kinds, [member for _, members in parts for member in members]
    if typing.get_origin(hint) is typing.Literal:
        return list(dict.fromkeys(type(value).__name__ for value in typing.get_args(hint))), []
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return ["str"], [member.value for member in hint]
    if typing.get_origin(hint) is list:
        (element,) = typing.get_args(hint)
        (kind,), members = kinds_of(element)
        return [f"list[{kind}]"], members
    if hint is dict or typing.get_origin(hint) is dict:
        return ["dict"], []
    if hint is type(None):
        return ["null"], []
    return ([hint.__name__], []) if hint in (bool, int, float, str) else ([], [])


def default_of(field: Any) -> Any:
    """The default as it stands in a YAML."""
    value = field.default if field.default is not dataclasses.MISSING else field.default_factory()
    return value.value if isinstance(value, enum.Enum) else value


def first_sentence(text: str) -> str:
    """The first sentence of a help text, on one line, without the doubled percent signs of argparse."""
    text = " ".join(text.split()).replace("%%", "%")
    return re.split(r"(?<=[a-z0-9`)'\]])\.\s+(?=[A-Z`'])", text, maxsplit=1)[0].rstrip(".") + "."


def render(found: dict[str, Any]) -> str:
    """JSON with one argument per line, so that a difference between two versions can be read."""
    lines = [f'{{"trl": {json.dumps(found["trl"])}, "transformers": {json.dumps(found["transformers"])},']
    lines.append('"algorithms": {')
    for number, (algorithm, arguments) in enumerate(found["algorithms"].items(), start=1):
        rows = [
            f"  {json.dumps(name)}: {json.dumps(arguments[name], ensure_ascii=False)}" for name in arguments
        ]
        end = "," if number < len(found["algorithms"]) else ""
        lines.append(f"{json.dumps(algorithm)}: {{\n" + ",\n".join(rows) + f"\n}}{end}")
    return "\n".join(lines) + "\n}}\n"


if __name__ == "__main__":
    TARGET.write_text(render(catalogue()), encoding="utf-8")
    print(f"wrote {TARGET}")
