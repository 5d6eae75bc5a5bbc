"""Every private override of TRL; `tests/training/test_trl_contract.py` fails when TRL changes beneath it.

TRL scores a batch, then keeps every row in the loss and in the normalisers, whatever its reward was. Here a
row that could not be scored (or, with `dead_groups: drop`, one whose group has no spread) leaves the batch
before the update: no forward pass, no share in loss, KL, entropy or any normaliser.
"""

import math
import time
from collections.abc import Callable
from typing import Any

import torch
from accelerate.utils import gather_object
from trl import GRPOTrainer

from rlctl.errors import TrainingError

KEEP = "rlctl_keep"
WEIGHT = "rlctl_weight"

MEAN_OVER_ROWS = {"grpo", "sapo", "dr_grpo", "luspo"}
"""Loss types that TRL divides by the number of rows of a micro-batch."""
MEAN_OVER_TOKENS_OF_A_MICRO_BATCH = {"bnpo"}
"""Loss types that TRL divides by the tokens of a micro-batch; the others, by the tokens of the whole step."""


class PolicyTrainer(GRPOTrainer):
    """TRL's GRPO trainer, with rows that can leave the batch and seconds counted per part of a step.

    Args:
        on_scored: Called once per generated batch with this process's advantages (B,) as TRL computed them;
            returns one bool per row: whether the row takes part in the update.
        **kwargs: What `trl.GRPOTrainer` takes.
    """

    def __init__(self, *, on_scored: Callable[[list[float]], list[bool]], **kwargs: Any) -> None:
        self.on_scored = on_scored
        self.seconds = {"sampling": 0.0}
        super().__init__(**kwargs)

    def _generate(self, prompts: list) -> Any:
        start = time.perf_counter()
        generated = super()._generate(prompts)
        self.seconds["sampling"] += time.perf_counter() - start
        return generated

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        output = super()._generate_and_score_completions(inputs)
        keep = torch.tensor(self.on_scored(output["advantages"].tolist()), device=output["advantages"].device)
        if not all(gather_object([bool(keep.all())])):
            output[KEEP] = keep
            output["completion_mask"] = output["completion_mask"] * keep.unsqueeze(1)
            mask = output["completion_mask"]
            if "tool_mask" in output:
                mask = mask * output["tool_mask"]
            output["num_items_in_batch"] = self.accelerator.gather(mask.sum()).sum()
        return output

    def _prepare_inputs(self, generation_batch: Any) -> dict[str, Any]:
        inputs = super()._prepare_inputs(generation_batch)
        if self.model.training and KEEP in inputs and WEIGHT not in inputs:
            self._weigh_micro_batches()
        return inputs

    def _weigh_micro_batches(self) -> None:
        """Give each buffered micro-batch the factor that makes its loss a share of a mean over kept rows.

        TRL's loss of micro-batch b is a mean over its own n_b kept rows, divided by the A micro-batches of a
        step; DDP averages that over W processes. The mean over all N kept rows of the step is
        Σ_b n_b / N · mean_b, so the factor is n_b · A · W / N. For losses that are means over the tokens of
        a micro-batch, one with any row counts as one: the factor is A · W / (micro-batches that have rows).
        """
        accumulation = self.args.gradient_accumulation_steps
        processes = self.accelerator.num_processes
        for start in range(0, len(self._buffered_inputs), accumulation):
            window = self._buffered_inputs[start : start + accumulation]
            if self.loss_type in MEAN_OVER_ROWS:
                shares = [micro[KEEP].sum().float() for micro in window]
            elif self.loss_type in MEAN_OVER_TOKENS_OF_A_MICRO_BATCH:
                shares = [micro[KEEP].any().float() for micro in window]
            else:
                shares = None
            if shares is None:
                weights = [torch.ones((), device=self.accelerator.device)] * len(window)
            else:
                total = self.accelerator.reduce(torch.stack(shares).sum(), reduction="sum").clamp(min=1.0)
                weights = [share * len(window) * processes / total for share in shares]
            for micro, weight in zip(window, weights, strict=True):
                micro[WEIGHT] = weight

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        if KEEP not in inputs:
            return super()._compute_loss(model, inputs)
        keep = inputs[KEEP].clone()
        keep[0] |= not keep.any()  # every process needs a forward pass; a row without mask adds nothing
        rows = len(keep)
        kept = {
            name: value[keep] if isinstance(value, torch.Tensor) and value.shape[:1] == (rows,) else value
            for name, value in inputs.items()
        }
        # The policy term is proportional to the advantages and the KL term to beta, whatever the loss type;
        # the entropy bonus is a mean over tokens of its own and stays as it is.
        weight, beta = inputs[WEIGHT], self.beta
        kept["advantages"] = kept["advantages"] * weight
        self.beta = beta * weight.item()
        try:
            return super()._compute_loss(model, kept)
        finally:
            self.beta = beta

    def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:
        norm = super()._get_grad_norm(model, grad_norm=grad_norm)
        if norm is not None and not math.isfinite(float(norm)):
            raise TrainingError(
                f"the gradient of step {self.state.global_step + 1} is not finite (norm {float(norm)}); "
                "the weights were not touched",
                hint="Lower training.learning_rate or training.max_grad_norm, or use model.dtype: float32.",
            )
        return norm

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """No card beside the checkpoints; it would describe TRL's run, not this one."""
