"""A row that leaves the batch leaves no trace: the update equals one worked out from the kept rows alone."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import GRPOConfig

from rlctl.errors import TrainingError
from rlctl.training.trl.rows import KEEP, WEIGHT, drop_rows
from rlctl.training.trl.seams import PolicyTrainer

GROUP = 4
LENGTH = 6
REWARDS = [1.0, 2.0, None, 4.0, 3.0, 3.0, 3.0, 3.0, 0.5, None, None, None, 0.0, 1.0, 0.0, 5.0]
"""Four groups: one row missing, no spread, one row left, whole."""


class Recorder(PolicyTrainer):
    """Keeps what was generated, before any row leaves."""

    recorded: dict[str, Any]

    def _generate_and_score_completions(self, inputs: Any) -> dict[str, Any]:
        output = super()._generate_and_score_completions(inputs)
        self.recorded = {name: value.clone() for name, value in output.items() if hasattr(value, "clone")}
        return output


def build(folder: Path, out: Path, *, keep: list[bool], rewards: Any = None, **arguments: Any) -> Recorder:
    """A trainer that takes one plain SGD step at rate 1, so that the change of weights is the gradient."""
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
    config = {
        "output_dir": str(out),
        "per_device_train_batch_size": 4,
        "gradient_accumulation_steps": 4,
        "num_generations": GROUP,
        "max_completion_length": LENGTH,
        "max_steps": 1,
        "optim": "sgd",
        "learning_rate": 1.0,
        "lr_scheduler_type": "constant",
        "max_grad_norm": 0.0,
        "report_to": "none",
        "disable_tqdm": True,
        "save_strategy": "no",
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,
        "temperature": 1.0,
        "seed": 3,
        **arguments,
    }
    values = REWARDS if rewards is None else rewards
    return Recorder(
        on_scored=lambda advantages: keep,
        model=AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32),
        reward_funcs=[lambda completions, **kwargs: values],
        args=GRPOConfig(**config),
        train_dataset=Dataset.from_dict(
            {"prompt": ["one and two", "three", "the sum of four and five", "six"]}
        ),
        processing_class=tokenizer,
    )


def advantages(scale: str) -> np.ndarray:
    """(r − mean) / (std + 1e-4) inside each group of kept rewards, n − 1; worked out with NumPy."""
    values = np.array([np.nan if reward is None else reward for reward in REWARDS]).reshape(-1, GROUP)
    centred = values - np.nanmean(values, axis=1, keepdims=True)
    if scale == "group":
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            std = np.nanstd(values, axis=1, ddof=1, keepdims=True)
        centred = centred / (np.nan_to_num(std) + 1e-4)
    return np.nan_to_num(centred.reshape(-1))


def reference_gradient(
    folder: Path,
    recorded: dict[str, Any],
    keep: list[bool],
    loss_type: str,
    beta: float = 0.0,
    reference: Any = None,
) -> dict[str, torch.Tensor]:
    """Gradient of the loss over kept rows only, from the definition of each loss type, in one batch."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    prompt, completion = recorded["prompt_ids"], recorded["completion_ids"]
    attention = torch.cat([recorded["prompt_mask"], recorded["completion_mask"]], dim=1)
    logits = model(input_ids=torch.cat([prompt, completion], dim=1), attention_mask=attention).logits
    logps = torch.log_softmax(logits[:, prompt.shape[1] - 1 : -1], dim=-1)
    logps = logps.gather(2, completion.unsqueeze(2)).squeeze(2)
    ratio = torch.exp(logps - logps.detach())
    advantage = torch.tensor(advantages("group"), dtype=torch.float32).unsqueeze(1)
    token_loss = -ratio * advantage
    if reference is not None:
        with torch.no_grad():
            logits = reference(
                input_ids=torch.cat([prompt, completion], dim=1), attention_mask=attention
            ).logits
            ref = torch.log_softmax(logits[:, prompt.shape[1] - 1 : -1], dim=-1)
            ref = ref.gather(2, completion.unsqueeze(2)).squeeze(2)
        # k3 of Schulman (2020) with TRL's importance weight on it
        token_loss = token_loss + beta * (torch.exp(ref - logps) - (ref - logps) - 1) * ratio
    mask = recorded["completion_mask"] * torch.tensor(keep).unsqueeze(1)
    kept = torch.tensor(keep)
    if loss_type in ("grpo", "sapo"):  # on-policy, sapo's soft ratio has value and slope 1 as well
        rows = (token_loss * mask).sum(1) / mask.sum(1).clamp(min=1)
        loss = rows.sum() / kept.sum()
    elif loss_type == "luspo":
        loss = (token_loss * mask).sum() / kept.sum()
    elif loss_type == "dr_grpo":
        loss = (token_loss * mask).sum() / (kept.sum() * LENGTH)
    else:
        assert loss_type in ("dapo", "cispo", "bnpo")  # cispo has the same gradient on-policy
        loss = (token_loss * mask).sum() / mask.sum()
    loss.backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("loss_type", ["grpo", "dr_grpo", "dapo", "sapo", "luspo", "cispo"])
@pytest.mark.parametrize("drop_dead", [False, True])
def test_update_equals_kept_rows(
    tiny_model_folder: Path, tmp_path: Path, loss_type: str, drop_dead: bool
) -> None:
    keep = [reward is not None for reward in REWARDS]
    if drop_dead:
        keep[4:8] = [False] * 4  # all rewards equal
        keep[8:12] = [False] * 4  # one reward left
    clip = {"epsilon_high": 5.0} if loss_type == "cispo" else {}  # there it bounds the weight itself
    trainer = build(tiny_model_folder, tmp_path, keep=keep, loss_type=loss_type, **clip)
    before = {name: p.detach().clone() for name, p in trainer.model.named_parameters()}
    trainer.train()
    expected = reference_gradient(tiny_model_folder, trainer.recorded, keep, loss_type)
    moved = 0.0
    for name, parameter in trainer.model.named_parameters():
        if name in expected:
            torch.testing.assert_close(
                before[name] - parameter.detach(), expected[name], atol=2e-6, rtol=2e-4
            )
            moved += float(expected[name].abs().sum())
    assert moved > 0


@pytest.mark.parametrize("loss_type", ["grpo", "dapo"])
def test_kl_term_is_of_kept_rows_too(tiny_model_folder: Path, tmp_path: Path, loss_type: str) -> None:
    keep = [reward is not None for reward in REWARDS]
    trainer = build(tiny_model_folder, tmp_path, keep=keep, loss_type=loss_type, beta=0.5)
    torch.manual_seed(0)
    with torch.no_grad():  # a reference that differs, or its gradient would be 0 at the first step
        for parameter in trainer.ref_model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    before = {name: p.detach().clone() for name, p in trainer.model.named_parameters()}
    trainer.train()
    reference = trainer.ref_model
    plain = AutoModelForCausalLM.from_pretrained(tiny_model_folder, dtype=torch.float32)
    plain.load_state_dict(reference.state_dict())
    recorded = trainer.recorded
    expected = reference_gradient(tiny_model_folder, recorded, keep, loss_type, 0.5, plain)
    for name, parameter in trainer.model.named_parameters():
        if name in expected:
            moved = before[name] - parameter.detach()
            torch.testing.assert_close(moved, expected[name], atol=5e-6, rtol=5e-4)


def test_metrics_do_not_depend_on_the_micro_batch(tiny_model_folder: Path, tmp_path: Path) -> None:
    """Entropy over the kept tokens of the step, whether they come in four micro-batches, sixteen or one."""
    keep = [True] * 4 + [False] * 8 + [True] * 4
    found = []
    for size in (16, 4, 1):
        out = tmp_path / str(size)
        sizes = {"per_device_train_batch_size": size, "gradient_accumulation_steps": 16 // size}
        trainer = build(tiny_model_folder, out, keep=keep, loss_type="dapo", entropy_coef=0.5, **sizes)
        trainer.train()
        weights = torch.cat([p.detach().flatten() for p in trainer.model.parameters()])
        found.append((trainer.state.log_history[0]["entropy"], weights))
    for entropy, weights in found[1:]:
        assert entropy == pytest.approx(found[0][0], rel=1e-5)
        torch.testing.assert_close(weights, found[0][1], atol=5e-6, rtol=1e-4)


def test_all_rows_kept_is_plain_trl(tiny_model_folder: Path, tmp_path: Path) -> None:
    rewards = [float(i % 5) for i in range(16)]
    trainer = build(tiny_model_folder, tmp_path, keep=[True] * 16, rewards=rewards, loss_type="grpo")
    trainer.train()
    assert KEEP not in trainer.recorded


def test_no_row_left_changes_nothing(tiny_model_folder: Path, tmp_path: Path) -> None:
    trainer = build(
        tiny_model_folder, tmp_path, keep=[False] * 16, rewards=[None] * 16, loss_type="dapo", beta=0.1
    )
    before = [p.detach().clone() for p in trainer.model.parameters()]
    trainer.train()
    for old, new in zip(before, trainer.model.parameters(), strict=True):
        assert torch.equal(old, new)


def micro_batches(keep: list[bool]) -> list[dict[str, Any]]:
    return [
        {
            KEEP: torch.tensor(keep[i : i + 4]),
            "advantages": torch.arange(i, i + 4),
            "completion_mask": torch.tensor(keep[i : i + 4]).int().unsqueeze(1).expand(4, 3),
        }
        for i in range(0, len(keep), 4)
    ]


def test_weights_of_micro_batches() -> None:
    keep = [True] * 4 + [False] * 4 + [False, False, True, False] + [False] * 4
    batches = micro_batches(keep)
    drop_rows(batches, 4, "grpo", Accelerator(cpu=True))
    # Five rows are kept, in 4 + 0 + 1 + 0: n_b · 4 / 5; an empty micro-batch holds one row without a mask.
    assert [micro[WEIGHT] for micro in batches] == pytest.approx([3.2, 0.8, 0.8, 0.8])
    assert [micro["advantages"].tolist() for micro in batches] == [[0, 1, 2, 3], [4], [10], [12]]

    batches = micro_batches(keep)
    drop_rows(batches, 4, "bnpo", Accelerator(cpu=True))
    # Two of four micro-batches have rows: each counts 4 / 2 = 2, the empty ones nothing.
    assert [micro[WEIGHT] for micro in batches] == [2.0, 0.0, 2.0, 0.0]

    batches = micro_batches(keep)
    drop_rows(batches, 4, "dapo", Accelerator(cpu=True))
    assert [micro[WEIGHT] for micro in batches] == [1.0] * 4


def test_a_gradient_that_is_not_finite_stops_before_the_weights(
    tiny_model_folder: Path, tmp_path: Path
) -> None:
    trainer = build(tiny_model_folder, tmp_path, keep=[True] * 16, rewards=[float(i) for i in range(16)])
    next(trainer.model.parameters()).register_hook(lambda grad: grad * float("inf"))
    before = [p.detach().clone() for p in trainer.model.parameters()]
    with pytest.raises(TrainingError, match="not finite"):
        trainer.train()
    for old, new in zip(before, trainer.model.parameters(), strict=True):
        assert torch.equal(old, new)
