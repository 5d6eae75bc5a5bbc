"""Every private override of TRL; `tests/training/test_trl_contract.py` fails when TRL changes beneath it.

TRL scores a batch, then keeps every row in the loss and in the normalisers, whatever its reward was. Here a
row that could not be scored (or, with `dead_groups: drop`, one whose group has no spread) leaves the batch
before the update: no forward pass, no share in loss, KL, entropy or any normaliser.
"""

import math
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import gather_object
from transformers.trainer_utils import rotate_checkpoints
from trl.trainer import grpo_trainer
from trl.trainer.grpo_trainer import GRPOTrainer

from rlctl.errors import TrainingError
from rlctl.training.run import complete_or_absent

KEEP = "rlctl_keep"
WEIGHT = "rlctl_weight"
TOKENS = "rlctl_tokens"
"""Keys of a batch: which rows stay; factor of the loss; share of the step's tokens, here and everywhere."""

MEAN_OVER_ROWS = {"grpo", "sapo", "dr_grpo", "luspo"}
"""Loss types that TRL divides by the number of rows of a micro-batch."""
MEAN_OVER_TOKENS_OF_A_MICRO_BATCH = {"bnpo"}
"""Loss types that TRL divides by the tokens of a micro-batch; the others, by the tokens of the whole step."""


MEANS_OVER_TOKENS = (
    "kl",
    "entropy",
    "clip_ratio/low_mean",
    "clip_ratio/high_mean",
    "clip_ratio/region_mean",
    "cispo_clip_ratio",
    "vespo/phi_seq_mean",
)
"""Metrics of TRL that are means over the tokens of a micro-batch."""


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
        self._unfinished: str | None = None
        with _reference_is_a_copy(kwargs["model"]):
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
        inputs: dict[str, Any] = super()._prepare_inputs(generation_batch)
        if KEEP in inputs:
            self._drop_rows()  # the buffered micro-batches are changed where they are, this one among them
        return inputs

    def _drop_rows(self) -> None:
        """Take the rows that are not kept out of the buffered micro-batches; weigh what is left.

        TRL's loss of micro-batch b is a mean over its n_b rows, divided by the A micro-batches of a step;
        DDP averages that over W processes. The mean over all N kept rows is Σ_b n_b / N · mean_b, so
        the factor is n_b · A · W / N. For losses that are means over the tokens of a micro-batch, one with
        any row counts as one: the factor is A · W / (micro-batches that have rows).

        Processes must agree on n_b, since TRL gathers one figure per row; where one keeps fewer rows than
        another, rows without a mask fill up, which add nothing to any sum.
        """
        accumulation, processes = self.args.gradient_accumulation_steps, self.accelerator.num_processes
        buffered: list[dict[str, Any]] = self._buffered_inputs or []
        for start in range(0, len(buffered), accumulation):
            window = buffered[start : start + accumulation]
            counts = torch.stack([torch.stack([micro[KEEP].sum(), _tokens(micro)]) for micro in window])
            everywhere = self.accelerator.gather(counts.unsqueeze(0))  # (W, A, 2)
            kept, tokens = everywhere[..., 0], everywhere[..., 1]
            rows = kept.max(dim=0).values.clamp(min=1).tolist()
            for place, (micro, count) in enumerate(zip(window, rows, strict=True)):
                if self.loss_type in MEAN_OVER_ROWS:
                    share = count / max(int(kept.sum()), 1)
                elif self.loss_type in MEAN_OVER_TOKENS_OF_A_MICRO_BATCH:
                    share = int(counts[place, 0] > 0) / max(int((kept > 0).sum()), 1)
                else:
                    share = 1 / (len(window) * processes)
                order = micro.pop(KEEP).int().argsort(descending=True, stable=True)
                for name, value in micro.items():
                    if isinstance(value, torch.Tensor) and value.shape[:1] == order.shape:
                        micro[name] = value[order[:count]]
                micro[WEIGHT] = share * len(window) * processes
                total = int(tokens.sum()) or math.nan  # without a token there is nothing to report
                here, all_processes = int(counts[place, 1]), int(tokens[:, place].sum())
                micro[TOKENS] = (here * len(window) * processes / total, all_processes * len(window) / total)

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        if WEIGHT not in inputs:
            return super()._compute_loss(model, inputs)
        # The policy term is proportional to the advantages and the KL term to beta, whatever the loss type.
        # The entropy bonus and these metrics are means over the tokens of a micro-batch, of which TRL takes
        # plain means: with shares of the step's tokens they become means over the tokens of the step.
        weight, (here, everywhere) = inputs[WEIGHT], inputs[TOKENS]
        beta, coefficient = self.beta, self.entropy_coef
        metrics = self._metrics["train"]
        known = {name: len(metrics.get(name, ())) for name in MEANS_OVER_TOKENS}
        self.beta = beta * weight
        if not self.use_adaptive_entropy:  # the adaptive coefficient is TRL's to change, and stays as it is
            self.entropy_coef = coefficient * (0.0 if math.isnan(here) else here)
        try:
            return super()._compute_loss(model, {**inputs, "advantages": inputs["advantages"] * weight})
        finally:
            self.beta = beta
            if not self.use_adaptive_entropy:
                self.entropy_coef = coefficient
                if "entropy_coef" in metrics:
                    metrics["entropy_coef"] = [coefficient] * len(metrics["entropy_coef"])
            for name in known.keys() & metrics.keys():
                new = metrics[name][known[name] :]
                metrics[name][known[name] :] = [value * everywhere for value in new]

    def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:
        norm = super()._get_grad_norm(model, grad_norm=grad_norm)
        if norm is not None and not math.isfinite(float(norm)):
            raise TrainingError(
                f"the gradient of step {self.state.global_step + 1} is not finite (norm {float(norm)}); "
                "the weights were not touched",
                hint="Lower training.learning_rate or training.max_grad_norm, or use model.dtype: float32.",
            )
        return norm

    def _get_output_dir(self, trial: Any) -> str:
        return self._unfinished or str(super()._get_output_dir(trial))

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Checkpoints are written elsewhere, then moved into place: they are complete or absent."""
        folder = Path(str(self.args.output_dir))
        name = f"checkpoint-{self.state.global_step}"
        try:
            with complete_or_absent(folder / name, main=self.args.should_save) as unfinished:
                self._unfinished = str(unfinished.parent)
                super()._save_checkpoint(model, trial)
                self.accelerator.wait_for_everyone()  # each process adds its random state
        finally:
            self._unfinished = None
        if self.args.should_save:
            rotate_checkpoints(str(folder), save_total_limit=self.args.save_total_limit)

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        model: Any = self.model
        if not all(bool(parameter.isfinite().all()) for parameter in model.parameters()):
            raise TrainingError(
                f"after step {self.state.global_step} the weights are no longer finite; they were not saved",
                hint="Lower training.learning_rate, or use model.dtype: float32.",
            )
        super()._save(output_dir, state_dict)
        if "ref" in getattr(model, "peft_config", {}):  # an adapter goes on learning; this is its start
            shutil.rmtree(Path(output_dir or str(self.args.output_dir)) / "ref", ignore_errors=True)

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """No card beside the checkpoints; it would describe TRL's run, not this one."""


def _tokens(micro: dict[str, Any]) -> torch.Tensor:
    """Tokens of a micro-batch that the loss counts."""
    mask = micro["completion_mask"]
    return (mask * micro["tool_mask"] if "tool_mask" in micro else mask).sum()


def one_gpu(arguments: Any) -> Any:
    """Keep a single process to one GPU: transformers would use all through DataParallel, which TRL refuses.

    Not run on several GPUs; `accelerate launch` is the way to use them all.
    """
    if arguments.n_gpu > 1:
        arguments._n_gpu = 1
    return arguments


@contextmanager
def _reference_is_a_copy(model: Any) -> Iterator[None]:
    """Make the reference of the KL term a copy of the model as it is now.

    TRL loads it from the path in the model's config: the newest revision whatever `model.revision` says,
    other weights than a changed model object has, or nothing at all.
    """
    names = vars(grpo_trainer)
    original = names["create_model_from_path"]
    names["create_model_from_path"] = lambda *_, **__: deepcopy(model).eval().requires_grad_(False)
    try:
        yield
    finally:
        names["create_model_from_path"] = original
