"""Loads checkpoints one after the other, and has each complete the held-out prompts."""

import gc
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rlctl.config.config import Config
from rlctl.data.prompts import load_prompts, prompt_budget
from rlctl.errors import ConfigError, Problem
from rlctl.evaluation.audience import Audience
from rlctl.evaluation.checkpoints import BASE, Checkpoint, find_checkpoint, starts_from
from rlctl.evaluation.divergence import adapter_off, held, vocabulary
from rlctl.evaluation.drawing import draw, measured
from rlctl.evaluation.samples import Drawn
from rlctl.models.load import context_length, load_model, read_config
from rlctl.models.tokenizer import load_tokenizer

if TYPE_CHECKING:
    from rlctl.evaluation.benchmarks import Benchmarks
    from rlctl.evaluation.lm_eval import Suite


@dataclass(frozen=True)
class Policy:
    """A checkpoint in memory.

    Args:
        checkpoint: Which one.
        model: The causal LM.
        tokenizer: Its tokenizer.
    """

    checkpoint: Checkpoint
    model: Any
    tokenizer: Any


class Policies:
    """Checkpoints and the prompts that they complete.

    Args:
        config: Generation and evaluation settings.
        audience: Who is told how it goes.
    """

    def __init__(self, config: Config, audience: Audience) -> None:
        self.config = config
        self.audience = audience
        self.template_arguments: dict[str, Any] = dict(config.algorithm.trl.get("chat_template_kwargs") or {})
        self._base: Any = None

    def prompts(self, checkpoint: Checkpoint) -> list[dict[str, Any]]:
        """The rows of `data.eval`, fitted to a checkpoint's context and tokenizer.

        Raises:
            ConfigError: There is no `data.eval`.
            DataError: It cannot be read, or no prompt is left.
        """
        data, sources = self.config.data, self.config.data.eval
        if sources is None:
            fix = "name the held-out prompts there"
            raise ConfigError(
                [Problem("missing; evaluation needs held-out prompts", ("data", "eval"), suggestion=fix)]
            )
        context = context_length(read_config(checkpoint.model))
        found = load_prompts(
            sources,
            data,
            load_tokenizer(checkpoint.model),
            prompt_budget(data.max_length, self.config.generation.max_completion_length, context),
            seed=self.config.run.seed,
            role="eval",
            template_arguments=self.template_arguments,
        )
        for line in found.describe("held-out prompts"):
            self.audience.tell(line)
        return list(found.dataset)

    def run(
        self, checkpoint: Checkpoint, prompts: Sequence[Mapping[str, Any]], suite: "Suite | None" = None
    ) -> "tuple[list[Drawn], Benchmarks | None]":
        """Load a checkpoint, have it do its work, and let it go before the next one comes.

        Args:
            checkpoint: Which one.
            prompts: What it completes.
            suite: Benchmarks that it runs too.
        """
        self.audience.poll()
        try:
            policy = self._load(checkpoint)
            drawn = self.complete(policy, prompts) if prompts else []
            return drawn, None if suite is None else self.benchmark(policy, suite)
        finally:
            policy = None  # type: ignore[assignment]
            gc.collect()
            _give_back_memory()

    def _load(self, checkpoint: Checkpoint) -> Policy:
        if checkpoint.is_base and self._base is not None:
            return Policy(checkpoint, self._base, load_tokenizer(checkpoint.model))
        model = load_model(checkpoint.model, gradient_checkpointing=False, trained=False).model.eval()
        return Policy(checkpoint, model, load_tokenizer(checkpoint.model))

    def complete(self, policy: Policy, prompts: Sequence[Mapping[str, Any]]) -> list[Drawn]:
        """Sampled and greedy completions, with how far the policy has gone from the base model."""
        name, samples = policy.checkpoint.name, self.config.eval.num_samples
        shared: dict[str, Any] = {"template_arguments": self.template_arguments}
        sampling = self.audience.counter(f"{name}: sampling", len(prompts) * (samples + 1))
        drawn = draw(policy.model, policy.tokenizer, prompts, self.config, advance=sampling, **shared)
        if not self.config.eval.kl or (base := self._base_of(policy)) is None:
            return drawn
        measuring = self.audience.counter(f"{name}: KL from the base model", len(prompts) * samples)
        return measured(
            drawn, policy.model, base, policy.tokenizer, prompts, self.config, advance=measuring, **shared
        )

    def benchmark(self, policy: Policy, suite: "Suite") -> "Benchmarks":
        """What the lm-evaluation-harness finds of a checkpoint."""
        from rlctl.evaluation.lm_eval import run_benchmarks

        return run_benchmarks(
            suite,
            policy.checkpoint.name,
            policy.model,
            policy.tokenizer,
            chat_template=self.config.data.chat_template,
            template_arguments=self.template_arguments,
            audience=self.audience,
        )

    def _base_of(self, policy: Policy) -> Callable[[], AbstractContextManager[Any]] | None:
        """The model before training: inside an adapter's model already, or in memory beside it.

        None, said, where there is no KL between the two: their tokens are not the same.
        """
        if policy.checkpoint.is_base:
            return held(policy.model)
        inside = adapter_off(policy.model)
        if inside is not None and starts_from(policy.checkpoint, self.config.model):
            return inside
        section = find_checkpoint(BASE, self.config).model
        if load_tokenizer(section).get_vocab() != policy.tokenizer.get_vocab():
            self.audience.tell(f"{policy.checkpoint.name}: no KL, the base model has another tokenizer")
            return None
        if self._base is None:
            self._base = load_model(section, gradient_checkpointing=False, trained=False).model.eval()
        sizes = [vocabulary(model) for model in (policy.model, self._base)]
        if sizes[0] != sizes[1]:
            words = f"{sizes[0]:,} tokens in the vocabulary, {sizes[1]:,} in the base model's"
            self.audience.tell(f"{policy.checkpoint.name}: no KL, {words}")
            return None
        return held(self._base)


def _give_back_memory() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
