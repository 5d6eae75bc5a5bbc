"""Completions of a policy on training prompts, in groups, as training would sample them: what a reward is
measured on before training.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rlctl.calibration.collect import Completions, of_drawn
from rlctl.config.config import Config
from rlctl.data.prompts import load_prompts, prompt_budget
from rlctl.evaluation.audience import Audience
from rlctl.evaluation.samples import Drawn

if TYPE_CHECKING:
    from datasets import Dataset

    from rlctl.data.assemble import PromptSet


def template_arguments_of(config: Config) -> dict[str, Any]:
    """Arguments of the chat template, as training hands them on."""
    return dict(config.algorithm.trl.get("chat_template_kwargs") or {})


def training_prompts(config: Config, tokenizer: Any, *, context: int | None = None) -> "PromptSet":
    """The prompts of `data.train`, as training reads them.

    Args:
        config: The resolved config.
        tokenizer: The model's tokenizer.
        context: Longest sequence that the model takes, in tokens; None to ask the config's model.

    Raises:
        DataError: They cannot be read, or no prompt is left.
    """
    from rlctl.models.load import context_length, read_config

    longest = context_length(read_config(config.model)) if context is None else context
    return load_prompts(
        config.data.train,
        config.data,
        tokenizer,
        prompt_budget(config.data.max_length, config.generation.max_completion_length, longest),
        seed=config.run.seed,
        role="train",
        template_arguments=template_arguments_of(config),
    )


def first_prompts(dataset: "Dataset", config: Config, count: int) -> list[dict[str, Any]]:
    """The first prompts that training sees, in its order.

    Args:
        dataset: Rows with `prompt` and the columns that the rewards read.
        config: The seed, and whether `data.shuffle` is on.
        count: How many; there are fewer where the dataset is shorter.
    """
    rows = len(dataset)
    if not config.data.shuffle:
        return list(dataset.select(range(min(count, rows))))
    import torch

    generator = torch.Generator().manual_seed(config.run.seed)  # as TRL's sampler does for the first epoch
    return list(dataset.select(torch.randperm(rows, generator=generator)[:count].tolist()))


def sample_groups(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[Mapping[str, Any]],
    config: Config,
    *,
    groups: int,
    size: int,
    seed: int,
    template_arguments: Mapping[str, Any] | None = None,
    advance: Callable[[int], None] = lambda count: None,
) -> list[Drawn]:
    """Sample `size` completions of each of the first `groups` prompts, with the settings of training.

    Leaves the mode of the model and the global random state as they were; equal arguments, equal completions.

    Args:
        model: The policy, not wrapped.
        tokenizer: Its tokenizer, padding on the left.
        prompts: Rows with `prompt`.
        config: Generation settings.
        groups: Prompts to complete; there may be fewer.
        size: Completions of each, G.
        seed: Seed of the sampling.
        template_arguments: Arguments of the chat template; None for those of the config.
        advance: Told after each batch how many completions it had; may raise.

    Returns:
        The completions, those of one prompt next to each other, in the order of the prompts.
    """
    from rlctl.generation.local import generate

    arguments = template_arguments_of(config) if template_arguments is None else template_arguments
    found = generate(
        model,
        tokenizer,
        [row["prompt"] for row in prompts[:groups]],
        config.generation,
        num_samples=size,
        batch_size=config.eval.batch_size,
        seed=seed,
        template_arguments=arguments,
        more=config.algorithm.trl.get("generation_kwargs"),
        advance=advance,
    )
    return [
        Drawn(prompt, False, one.text, one.ids, one.truncated)
        for prompt, each in enumerate(found)
        for one in each
    ]


def completions_of(
    model: Any,
    tokenizer: Any,
    dataset: "Dataset",
    config: Config,
    count: int,
    *,
    template_arguments: Mapping[str, Any] | None = None,
    audience: Audience,
) -> Completions:
    """Sample completions of the first training prompts, in groups as training would.

    Args:
        model: The policy, not wrapped.
        tokenizer: Its tokenizer, padding on the left.
        dataset: The training prompts.
        config: The config; its seed is that of the sampling.
        count: Completions; the last group may be smaller than the others.
        template_arguments: Arguments of the chat template; None for those of the config.
        audience: Who is told how it goes.
    """
    size = config.algorithm.num_generations
    prompts = first_prompts(dataset, config, -(-count // size))
    if len(prompts) * size < count:
        audience.tell(
            f"{len(prompts) * size} completions in place of {count}: there are {len(prompts)} prompts"
        )
    drawn = sample_groups(
        model,
        tokenizer,
        prompts,
        config,
        groups=len(prompts),
        size=size,
        seed=config.run.seed,
        template_arguments=template_arguments,
        advance=audience.counter("sampling", len(prompts) * size),
    )[:count]
    return of_drawn(drawn, prompts, {"kind": "policy", "model": config.model.path, "seed": config.run.seed})


def completions_of_policy(config: Config, count: int, audience: Audience) -> Completions:
    """Sample completions of the config's model on its training prompts, in groups as training would.

    Args:
        config: The config.
        count: Completions; the last group may be smaller than the others.
        audience: Who is told how it goes.

    Raises:
        CheckpointError: The model cannot be loaded.
        DataError: The prompts cannot be read.
    """
    from rlctl.models.load import load_model
    from rlctl.models.tokenizer import load_tokenizer

    tokenizer = load_tokenizer(config.model)
    found = training_prompts(config, tokenizer)
    for line in found.describe("training prompts"):
        audience.tell(line)
    model = load_model(config.model, gradient_checkpointing=False, trained=False).model.eval()
    return completions_of(model, tokenizer, found.dataset, config, count, audience=audience)
