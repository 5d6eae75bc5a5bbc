"""Checks that pydantic cannot make: keys that do not fit together, and what this machine lacks. Torch-free.

Whatever a config names (files, models, columns, functions) is looked up in `references`.
"""

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

from rlctl.config.algorithm import SECTIONS
from rlctl.config.config import Config
from rlctl.config.evaluation_checks import check_evaluation
from rlctl.config.explain import Finding
from rlctl.config.model_files import check_model
from rlctl.config.references import Looked, check_references
from rlctl.errors import EXIT_MISSING

EXTRAS: dict[str, str] = {
    "tensorboard": "tensorboard",
    "wandb": "wandb",
    "trackio": "trackio",
    "mlflow": "mlflow",
    "quant": "bitsandbytes",
}
"""Extra of the package → the module that it brings."""


def check_sections(data: dict[str, Any]) -> Iterator[Finding]:
    """Sections that the algorithm needs and that are not there, or are there and not taken."""
    algorithm = data.get("algorithm")
    kind = algorithm.get("type") if isinstance(algorithm, dict) else None
    table = SECTIONS.get(kind) if isinstance(kind, str) else None
    if table is None:
        return
    for section, field in Config.model_fields.items():
        if section in data and section not in table:
            yield Finding((section,), f"{kind} takes no such section", f"it takes {', '.join(table)}")
        if table.get(section) == "required" and section not in data and not field.is_required():
            yield Finding((section,), f"missing; {kind} needs it", missing=True)


def check(config: Config) -> list[Finding]:
    """Everything that does not fit, by the indices of the config."""
    parts = (check_model, _model, _lengths, _algorithm, _training, check_evaluation, _tracking)
    looked = Looked(config.data)
    found = [finding for part in parts for finding in part(config)]
    return [*found, *check_references(config, looked), *_batches(config, looked.train_rows)]


def _lengths(config: Config) -> Iterator[Finding]:
    room, longest = config.generation.max_completion_length, config.data.max_length
    if room >= longest:
        yield Finding(
            ("generation", "max_completion_length"),
            f"{room} tokens of completion leave no room for a prompt in `data.max_length: {longest}`",
            "raise `data.max_length`, which counts prompt and completion together, or lower this",
            reads=(("data", "max_length"),),
        )


def _training(config: Config) -> Iterator[Finding]:
    training = config.training
    if training.max_steps is not None and training.num_epochs is not None:
        yield Finding(
            ("training", "num_epochs"),
            "`max_steps` and `num_epochs` both say how long to train",
            "keep one of them",
            reads=(("training", "max_steps"),),
        )
    if training.max_steps is not None and training.warmup_steps >= training.max_steps:
        yield Finding(
            ("training", "warmup_steps"),
            f"{training.warmup_steps} steps of warm-up leave nothing of {training.max_steps} steps",
            "lower it, or raise `max_steps`",
            reads=(("training", "max_steps"),),
        )
    if ("8bit" in training.optim or "paged" in training.optim) and not _installed("quant"):
        yield _lacks(("training", "optim"), f"{training.optim} needs bitsandbytes", "quant")


def _algorithm(config: Config) -> Iterator[Finding]:
    from rlctl.config import catalogue

    algorithm = config.algorithm
    if algorithm.epsilon_high is not None and algorithm.epsilon_high < algorithm.epsilon:
        yield Finding(
            ("algorithm", "epsilon_high"),
            f"{algorithm.epsilon_high:g} is below `epsilon: {algorithm.epsilon:g}`",
            "give at least that much, or leave it out",
            reads=(("algorithm", "epsilon"),),
        )
    if config.rewards.aggregate == "normalize_then_sum" and algorithm.scale_rewards == "group":
        yield Finding(
            ("algorithm", "scale_rewards"),
            "`group` would scale every group again, which undoes `rewards.aggregate: normalize_then_sum`",
            "set it to batch, which is GDPO, or to none",
            reads=(("rewards", "aggregate"),),
        )
    settings = algorithm.model_dump(exclude={"type", "trl"})
    for key, message, suggestion in catalogue.problems(algorithm.type, algorithm.trl, settings):
        yield Finding(("algorithm", "trl", key), message, suggestion)


def _batches(config: Config, rows: int | None) -> Iterator[Finding]:
    from rlctl.config.plan import geometry_problems

    reads = (
        ("training", "prompts_per_step"),
        ("training", "per_device_train_batch_size"),
        ("algorithm", "num_generations"),
        ("data", "train"),
    )
    for path, message, suggestion in geometry_problems(config, num_prompts=rows):
        yield Finding(path, message, suggestion, reads=reads)


def _model(config: Config) -> Iterator[Finding]:
    model = config.model
    if model.quantization is None:
        return
    place = ("model", "quantization")
    if model.lora is None:
        message = f"weights in {model.quantization} cannot be trained themselves"
        yield Finding(place, message, "add `lora: {}` under `model`", reads=(("model", "lora"),))
    if model.device in ("cpu", "mps"):
        message = f"{model.quantization} weights need a CUDA GPU, and `device` is {model.device}"
        yield Finding(place, message, "leave one of them out", reads=(("model", "device"),))
    elif not _installed("quant"):
        yield _lacks(place, f"{model.quantization} weights need bitsandbytes", "quant")


def _tracking(config: Config) -> Iterator[Finding]:
    for i, name in enumerate(config.tracking.report_to):
        path = ("tracking", "report_to", i)
        if name in config.tracking.report_to[:i]:
            yield Finding(path, f"{name} is named twice", "name it once")
        elif not _installed(name):
            yield _lacks(path, f"{name} is not installed", name)


def _installed(extra: str) -> bool:
    return find_spec(EXTRAS[extra]) is not None


def _lacks(path: tuple[str | int, ...], message: str, extra: str) -> Finding:
    return Finding(path, message, f"pip install 'rlctl[{extra}]'", exit_code=EXIT_MISSING)
