"""What a run needs before its first step: model, tokenizer and prompts, and a few words about each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from datasets import Dataset

from rlctl.config.config import Config
from rlctl.data.assemble import PromptSet, Rows
from rlctl.data.fit import Ruler
from rlctl.data.prompts import Role, load_prompts, overlap, prompt_budget, prompts_of
from rlctl.data.sources import from_columns
from rlctl.errors import DataError, UsageError
from rlctl.models.load import LoadedModel, context_length, load_model, loaded_from_object, read_config
from rlctl.models.tokenizer import load_tokenizer


@dataclass(frozen=True)
class Objects:
    """Ready Python objects that take the place of sections of the YAML; None where the YAML decides."""

    model: Any = None
    tokenizer: Any = None
    train_dataset: Any = None
    eval_dataset: Any = None


@dataclass(frozen=True)
class Inputs:
    """Model and data of a run.

    Args:
        name: The model as the user names it.
        model: The model, and the adapters that it is to get.
        tokenizer: Its tokenizer, padding on the left.
        train: Prompts to train on.
        eval: Held-out prompts; None without `data.eval`.
        overlap: Held-out prompts that are also trained on.
        template_arguments: Arguments of the chat template.
    """

    name: str
    model: LoadedModel
    tokenizer: Any
    train: PromptSet
    eval: PromptSet | None
    overlap: int
    template_arguments: dict[str, Any] = field(default_factory=dict)

    def describe(self) -> list[str]:
        """Model and data in a few lines; what was dropped or shortened is said."""
        parameters = next(self.model.model.parameters())
        trained = (
            "all trained" if self.model.trainable == self.model.total else f"{self.model.trainable:,} trained"
        )
        lines = [
            f"model: {self.name}, {self.model.total:,} parameters, {trained}, "
            f"{str(parameters.dtype).removeprefix('torch.')} on {parameters.device}",
            *self.train.describe("training prompts"),
        ]
        if self.eval is not None:
            lines += self.eval.describe("held-out prompts")
            common = f"{self.overlap:,} of the held-out prompts are also trained on"
            lines.append(f"overlap: {common if self.overlap else 'no held-out prompt is trained on'}")
        return lines

    def report(self) -> dict[str, Any]:
        """The data reports, for `run.json`."""
        held_out = None if self.eval is None else {**self.eval.report, "overlap_with_training": self.overlap}
        return {"train": self.train.report, "eval": held_out}


def load_inputs(config: Config, objects: Objects, tokenizer: Any) -> Inputs:
    """Load prompts and model, the prompts first: what is wrong with them is known before weights are read.

    Raises:
        RlctlError: Something is missing or broken.
    """
    given = objects.model
    context = context_length(read_config(config.model) if given is None else given.config)
    budget = prompt_budget(config.data.max_length, config.generation.max_completion_length, context)
    arguments = dict(config.algorithm.trl.get("chat_template_kwargs") or {})
    train = _prompts(config, tokenizer, budget, arguments, "train", objects.train_dataset)
    assert train is not None
    held_out = _prompts(config, tokenizer, budget, arguments, "eval", objects.eval_dataset)
    common = 0 if held_out is None else overlap(train.dataset, held_out.dataset)
    if given is None:
        model = load_model(config.model, gradient_checkpointing=config.training.gradient_checkpointing)
    else:
        model = loaded_from_object(given, config.model)
    name = config.model.path if given is None else model.source
    return Inputs(name, model, tokenizer, train, held_out, common, arguments)


def find_tokenizer(config: Config, objects: Objects) -> Any:
    """The tokenizer of the run.

    Raises:
        CheckpointError: It is missing or broken.
        UsageError: A model object came without one.
    """
    if objects.tokenizer is not None:
        return objects.tokenizer
    if objects.model is not None:
        raise UsageError(
            "a model object needs its tokenizer", where="train(model=…)", hint="Pass tokenizer=…"
        )
    return load_tokenizer(config.model)


def _prompts(
    config: Config, tokenizer: Any, budget: int, arguments: Mapping[str, Any], role: Role, given: Any
) -> PromptSet | None:
    if given is not None:
        rows = given if isinstance(given, Dataset) else _rows(given, role)
        ruler = Ruler(tokenizer, arguments)
        part = Rows(rows, f"{role}_dataset")
        return prompts_of([part], config.data, ruler, budget, seed=config.run.seed, role=role)
    sources = config.data.train if role == "train" else config.data.eval
    if sources is None:
        return None
    return load_prompts(
        sources,
        config.data,
        tokenizer,
        budget,
        seed=config.run.seed,
        role=role,
        template_arguments=arguments,
    )


def _rows(given: Any, role: Role) -> Dataset:
    """A dataset from a list of rows."""
    try:
        rows = [dict(row) for row in given]
    except (TypeError, ValueError) as error:
        raise DataError(
            f"must be a datasets.Dataset or a list of rows, not {type(given).__name__}",
            where=f"{role}_dataset",
        ) from error
    names = dict.fromkeys(name for row in rows for name in row)
    if not rows:
        raise DataError("has no rows", where=f"{role}_dataset")
    return from_columns({name: [row.get(name) for row in rows] for name in names}, f"{role}_dataset")
