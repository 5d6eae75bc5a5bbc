"""The evaluation of a run that goes on: the same prompts, seed and settings every time."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from rlctl.config.config import Config
from rlctl.evaluation.divergence import adapter_off
from rlctl.evaluation.drawing import draw, measured
from rlctl.evaluation.figures import Figures
from rlctl.evaluation.judge import Judge
from rlctl.evaluation.samples import Share, score
from rlctl.models.resolve import is_adapter, resolve
from rlctl.rewards.batch import plain
from rlctl.rewards.compose import Scorer


@dataclass(frozen=True)
class HeldOut:
    """What one evaluation found.

    Args:
        metrics: `val/…` names → values, ready for the logs; a value that does not exist is left out.
        values: `eval.metric` of each prompt, in the order of the prompts; None where there is none.
        rows: One dict per completion, for `completions.jsonl`.
    """

    metrics: dict[str, float]
    values: list[float | None]
    rows: list[dict[str, Any]]


def evaluate(
    model: Any,
    tokenizer: Any,
    prompts: list[dict[str, Any]],
    scorer: Scorer,
    config: Config,
    *,
    step: int,
    template_arguments: Mapping[str, Any] | None = None,
    share: Share | None = None,
    alone: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> HeldOut:
    """Sample and score held-out prompts, and complete each once greedily.

    Args:
        model: The policy, not wrapped.
        tokenizer: Its tokenizer.
        prompts: Rows with `prompt` and the columns that the rewards read.
        scorer: The reward that evaluation uses: of `config.eval_rewards`.
        config: Generation and evaluation settings, and the seed.
        step: Training step that the rows are logged under.
        template_arguments: Arguments of the chat template.
        share: Which part of the scoring this process does; None for all of it. Every process generates
            everything, because sampling by parts would draw other completions than one process does.
        alone: Entered around generation, where no process waits for another.
    """
    with alone():
        drawn = draw(model, tokenizer, prompts, config, template_arguments=template_arguments)
        base = adapter_off(model) if config.eval.kl and _starts_from_base(config) else None
        if base is not None:
            drawn = measured(
                drawn, model, base, tokenizer, prompts, config, template_arguments=template_arguments
            )
    samples = score(drawn, prompts, scorer, Judge(config), share=share)
    figures = Figures(samples, prompts, config)
    columns = [name for name in scorer.columns if prompts and name in prompts[0]]
    rows = [
        {
            "step": step,
            "split": "eval",
            "prompt_index": one.drawn.prompt,
            **one.as_dict(prompts[one.drawn.prompt]),
            "columns": {name: plain(prompts[one.drawn.prompt][name]) for name in columns},
        }
        for one in samples
    ]
    return HeldOut(figures.for_logs(), figures.per_prompt(config.eval.metric), rows)


def _starts_from_base(config: Config) -> bool:
    """Whether the model before training is the policy without its adapters."""
    return config.model.lora is not None and not is_adapter(resolve(config.model.path))
