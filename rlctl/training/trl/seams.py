"""Every private override of TRL; `tests/training/test_trl_contract.py` fails when TRL changes beneath it.

TRL scores a batch, then keeps every row in the loss and in the normalisers, whatever its reward was. Here a
row that could not be scored (or, with `dead_groups: drop`, one whose group has no spread) leaves the batch
before the update: no forward pass, no share in loss, KL, entropy or any normaliser.
"""

import math
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import gather_object
from torch.nn.parallel import DistributedDataParallel
from torch.optim.lr_scheduler import LambdaLR
from transformers.trainer import TRAINER_STATE_NAME
from trl.trainer import grpo_trainer
from trl.trainer.grpo_trainer import GRPOTrainer
from trl.trainer.utils import RepeatSampler

from rlctl.errors import TrainingError
from rlctl.training.state import drawing_apart
from rlctl.training.stopping import StopSignals
from rlctl.training.trl.rows import KEEP, TOKENS, WEIGHT, drop_rows

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


REFERENCE = "reference.pt"
"""File of a checkpoint with a reference model that follows the policy."""


class PolicyTrainer(GRPOTrainer):
    """TRL's GRPO trainer, with rows that can leave the batch, and steps that can be put down and taken up.

    Args:
        on_scored: Called once per generated batch with this process's advantages (B,) as TRL computed them;
            returns one bool per row: whether the row takes part in the update.
        stop: Polled while it generates, and between micro-batches.
        **kwargs: What `trl.GRPOTrainer` takes.

    Three more may be set: `on_update`, called when the weights are about to change; `on_boundary`, with the
    number of steps, when one is done and logged; and `on_random`, where the random numbers of a checkpoint
    belong to be set.
    """

    def __init__(
        self,
        *,
        on_scored: Callable[[list[float]], list[bool]],
        stop: StopSignals | None = None,
        **kwargs: Any,
    ) -> None:
        self.on_scored = on_scored
        self.on_boundary: Callable[[int], None] = lambda step: None
        self.on_random: Callable[[], None] = lambda: None
        self.stop = stop or StopSignals()
        self.seconds = {"sampling": 0.0}
        self.on_update: Callable[[], None] = lambda: None
        self._bounded = 0
        self._follows: bool = kwargs["args"].sync_ref_model
        with _reference_is_a_copy(kwargs["model"]):
            super().__init__(**kwargs)
        policy: Any = self.model
        innermost: Any = policy.get_base_model() if hasattr(policy, "get_base_model") else policy
        polled = self.stop
        self._hook = innermost.register_forward_pre_hook(lambda module, inputs: polled.poll())

    @property
    def measured(self) -> Mapping[str, Sequence[float]]:
        """TRL's metrics of training by name, a value each time they were measured since the last line."""
        return self._metrics["train"]

    def let_go(self) -> None:
        """Leave the model as it came: without a look for signals at every forward pass."""
        self._hook.remove()

    def _generate(self, prompts: list) -> Any:
        start = time.perf_counter()
        generated = super()._generate(prompts)
        self.seconds["sampling"] += time.perf_counter() - start
        return generated

    def _generate_single_turn(self, *args: Any, **kwargs: Any) -> Any:
        with self.stop.alone():
            return super()._generate_single_turn(*args, **kwargs)

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """One micro-batch; signals are heeded before it."""
        self.stop.agree()
        return super().training_step(*args, **kwargs)

    def _get_train_sampler(self, dataset: Any = None) -> RepeatSampler:
        sampler: Any = super()._get_train_sampler(dataset)
        self._prompts = PromptSampler(
            sampler.data_source,
            sampler.mini_repeat_count,
            sampler.batch_size,
            sampler.repeat_count,
            sampler.shuffle,
            sampler.seed,
        )
        return self._prompts

    def _prepare_for_training(self, *args: Any, **kwargs: Any) -> Any:
        model, batches = super()._prepare_for_training(*args, **kwargs)
        if isinstance(model, DistributedDataParallel) and not model.find_unused_parameters:
            _settle_buckets(model, self.accelerator.device, self.args.seed)
        return model, batches

    def _run_epoch(self, model: Any, epoch: int, *args: Any, **kwargs: Any) -> None:
        done = self.state.global_step >= self.state.max_steps
        if done or self.control.should_training_stop:  # a run that has no step left is taken up
            self.control.should_training_stop = True
            return
        self._prompts.set_epoch(epoch)
        super()._run_epoch(model, epoch, *args, **kwargs)

    def _maybe_log_save_evaluate(self, *args: Any, **kwargs: Any) -> None:
        """TRL logs here; saving and evaluating are rlctl's."""
        super()._maybe_log_save_evaluate(*args, **kwargs)
        step = self.state.global_step
        if step > self._bounded:  # it is called once more at the end of an epoch
            self._bounded = step
            self.state.log_history.clear()  # it would grow in every checkpoint; metrics.jsonl has all of it
            self.on_boundary(step)

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
            # The buffered micro-batches are changed where they are, this one among them.
            drop_rows(
                self._buffered_inputs or [],
                self.args.gradient_accumulation_steps,
                self.loss_type,
                self.accelerator,
            )
        return inputs

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
        """The norm, which must be finite; what comes after it changes the weights."""
        norm = super()._get_grad_norm(model, grad_norm=grad_norm)
        if norm is not None and not math.isfinite(float(norm)):
            raise TrainingError(
                f"the gradient of step {self.state.global_step + 1} is not finite (norm {float(norm)}); "
                "the weights were not touched",
                hint="Lower training.learning_rate or training.max_grad_norm, or use model.dtype: float32.",
            )
        self.on_update()
        return norm

    def write_checkpoint(self, folder: Path) -> None:
        """Write what transformers resumes from: weights, optimizer, schedule, its own state."""
        self.save_model(str(folder), _internal_call=True)
        (folder / "training_args.bin").unlink(missing_ok=True)
        self._save_optimizer_and_scheduler(str(folder))
        self._save_scaler(str(folder))
        if self.args.should_save:
            self.state.save_to_json(str(folder / TRAINER_STATE_NAME))
            if self._follows:
                torch.save(self.accelerator.unwrap_model(self.ref_model).state_dict(), folder / REFERENCE)

    def steps_in_all(self) -> int:
        """Steps that training goes to, however many are done."""
        return int(self.set_initial_training_values(self.args, self.get_train_dataloader())[-1])

    def state_dict(self) -> dict[str, Any]:
        """What TRL and transformers keep between steps and do not save; `Stateful`."""
        arguments: Any = self.args
        between = self._step % (arguments.steps_per_generation * self.num_iterations) == 0
        return {
            "micro_batches": self._step,
            "buffered": None if between else self._buffered(),
            "metrics": {name: list(values) for name, values in self._metrics["train"].items()},
            "loss": float(self._tr_loss),
            "logged": self._globalstep_last_logged,
            "tokens": self.state.num_input_tokens_seen,
            "entropy": (self.entropy_coef, self._last_world_entropy),
        }

    def _buffered(self) -> list[dict[str, Any]]:
        kept: list[dict[str, Any]] = self._buffered_inputs or []
        return [dict(micro) for micro in kept]

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there; to be called when training begins."""
        device = self.accelerator.device
        self._step = state["micro_batches"]
        kept = state["buffered"]
        self._buffered_inputs: Any = None if kept is None else [_on(device, micro) for micro in kept]
        self._metrics["train"].update({name: list(values) for name, values in state["metrics"].items()})
        self._tr_loss = torch.tensor(state["loss"], device=device)
        self._globalstep_last_logged = state["logged"]
        self.state.num_input_tokens_seen = state["tokens"]
        self.state.compute_steps(self.args, self.state.max_steps)  # the cadence may be another one now
        self.entropy_coef, self._last_world_entropy = state["entropy"]

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is None:
            return
        schedule = self.lr_scheduler
        if isinstance(schedule, LambdaLR):  # of a run that was made longer or shorter, the new course
            rates = _rates(schedule)
            schedule._last_lr = [*rates]
            for group, rate in zip(schedule.optimizer.param_groups, rates, strict=True):
                group["lr"] = rate
        file = Path(checkpoint) / REFERENCE
        if file.exists():
            reference = self.accelerator.unwrap_model(self.ref_model)
            reference.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            self.on_random()

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        model: Any = self.model
        if not all(_finite(parameter.detach()) for parameter in model.parameters()):
            raise TrainingError(
                f"after step {self.state.global_step} the weights are no longer finite; they were not saved",
                hint="Lower training.learning_rate, or use model.dtype: float32.",
            )
        super()._save(output_dir, state_dict)
        if "ref" in getattr(model, "peft_config", {}):  # an adapter goes on learning; this is its start
            shutil.rmtree(Path(output_dir or str(self.args.output_dir)) / "ref", ignore_errors=True)

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """No card beside the checkpoints; it would describe TRL's run, not this one."""


class PromptSampler(RepeatSampler):
    """TRL's order of prompts, epoch after epoch; but any epoch can be begun without those before it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._drawn = 0

    def set_epoch(self, epoch: int) -> None:
        """Make the next pass that of `epoch`, counted from 0."""
        if not self.shuffle:
            return
        if epoch < self._drawn:
            self.generator.manual_seed(self.seed or 0)
            self._drawn = 0
        while self._drawn < epoch:
            torch.randperm(self.num_samples, generator=self.generator)
            self._drawn += 1

    def __iter__(self) -> Iterator[int]:
        self._drawn += 1
        yield from super().__iter__()


def _settle_buckets(model: DistributedDataParallel, device: torch.device, seed: int) -> None:
    """Have DDP order its buckets of gradients now, and not after the first step.

    It orders them by the first backward pass that it sees. Sums over three or more processes round by
    that order, so the first step of a run that is taken up would be another one than without a stop.
    """
    token = torch.zeros((1, 1), dtype=torch.long, device=device)
    model.train()
    with drawing_apart(seed):
        model(input_ids=token, attention_mask=token + 1).logits.float().mean().backward()
    model.zero_grad()


def _rates(schedule: LambdaLR) -> list[float]:
    """Learning rates of the schedule where it stands."""
    pairs = zip(schedule.base_lrs, schedule.lr_lambdas, strict=True)
    return [float(base) * course(schedule.last_epoch) for base, course in pairs]


def _finite(weights: torch.Tensor) -> bool:
    """Whether every number is finite; a sum that is tells it forty times as fast as a look at each."""
    return bool(weights.sum().isfinite()) or bool(weights.isfinite().all())


def _on(device: torch.device, micro: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.to(device) if isinstance(value, torch.Tensor) else value for name, value in micro.items()
    }


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
