"""The prompts that a proof is judged on, and how many of them the models are trained on as well."""

from typing import Any

from rlctl.config.config import Config
from rlctl.evaluation.audience import Audience


def held_out(config: Config, audience: Audience) -> tuple[list[dict[str, Any]], int]:
    """The rows of `data.eval`, and how many of them ask what a row of `data.train` asks.

    Args:
        config: The resolved config.
        audience: Who is told how it goes.

    Raises:
        DataError: They cannot be read, or no prompt is left.
    """
    from datasets import Dataset

    from rlctl.data.prompts import load_prompts, overlap, prompt_budget
    from rlctl.evaluation.checkpoints import BASE, find_checkpoint
    from rlctl.evaluation.policies import Policies
    from rlctl.models.load import context_length, read_config
    from rlctl.models.tokenizer import load_tokenizer

    policies = Policies(config, audience)
    rows = policies.prompts(find_checkpoint(BASE, config))
    trained = load_prompts(
        config.data.train,
        config.data,
        load_tokenizer(config.model),
        prompt_budget(
            config.data.max_length,
            config.generation.max_completion_length,
            context_length(read_config(config.model)),
        ),
        seed=config.run.seed,
        role="train",
        template_arguments=policies.template_arguments,
    )
    return rows, overlap(trained.dataset, Dataset.from_list([{"prompt": row["prompt"]} for row in rows]))
