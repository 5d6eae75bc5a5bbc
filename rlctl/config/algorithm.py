"""The learning algorithm, its generation settings, and which sections each algorithm takes."""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from rlctl.config import catalogue
from rlctl.config.base import Section


class Generation(Section):
    """How completions are sampled."""

    max_completion_length: Annotated[int, Field(ge=1)] = 256
    """Tokens of a completion at most."""
    temperature: Annotated[float, Field(gt=0)] = 1.0
    """Softmax temperature of sampling; training uses the same."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Nucleus sampling: smallest set of tokens with this probability."""
    top_k: Annotated[int, Field(ge=0)] = 0
    """Sample from this many most likely tokens; 0 for all."""
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    """Drop tokens less likely than this share of the most likely one."""
    repetition_penalty: Annotated[float, Field(gt=0)] = 1.0
    """Divide the logits of tokens that were used already; 1 for none."""
    engine: Literal["auto", "transformers"] = "auto"
    """What generates. auto: transformers, the only one so far."""


class Grpo(Section):
    """Group relative policy optimisation (Shao et al. 2024, arXiv 2402.03300), on TRL's trainer."""

    type: Literal["grpo"]
    """Group relative policy optimisation."""
    num_generations: Annotated[int, Field(ge=2)] = 8
    """Completions per prompt; their rewards are compared with each other."""
    beta: Annotated[float, Field(ge=0)] = 0.0
    """Weight of the KL divergence from the model before training; 0 loads no reference."""
    loss_type: Literal["grpo", "dr_grpo", "dapo", "bnpo", "cispo", "sapo", "luspo", "vespo"] = "dapo"
    """How token losses are weighted and normalised."""
    scale_rewards: Literal["group", "batch", "none"] = "group"
    """Standard deviation that advantages are divided by."""
    epsilon: Annotated[float, Field(gt=0)] = 0.2
    """Clip range of the probability ratio, below (and above, unless `epsilon_high` is set)."""
    epsilon_high: Annotated[float, Field(gt=0)] | None = None
    """Clip range above (DAPO recommends 0.28)."""
    num_iterations: Annotated[int, Field(ge=1)] = 1
    """Updates on the same completions."""
    importance_sampling_level: Literal["token", "sequence"] = "token"
    """Ratio per token, or per sequence (GSPO, arXiv 2507.18071)."""
    mask_truncated_completions: bool = False
    """Leave completions without an end out of the loss."""
    dead_groups: Literal["keep", "drop"] = "keep"
    """Groups whose rewards have no spread: keep them in the loss's normaliser, or leave them out."""
    trl: dict[str, Any] = {}
    """Any further argument of TRL's GRPOConfig (`rlctl list algorithms -v`)."""

    @field_validator("trl")
    @classmethod
    def _spelt_out(cls, given: dict[str, Any]) -> dict[str, Any]:
        """The resolved config holds every argument, so that a repetition depends on no default of TRL."""
        return {**catalogue.passed_defaults("grpo"), **given}


Need = Literal["required", "optional"]
SECTIONS: dict[str, dict[str, Need]] = {
    "grpo": {
        "run": "optional",
        "model": "required",
        "data": "required",
        "rewards": "required",
        "generation": "optional",
        "algorithm": "required",
        "training": "optional",
        "eval": "optional",
        "tracking": "optional",
    },
}
"""Algorithm type → the sections that it takes; one that is not named is refused."""
