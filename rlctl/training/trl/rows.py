"""Rows that leave a batch after scoring: no forward pass, no share in loss, KL, entropy or any normaliser."""

import math
from typing import Any

import torch

KEEP = "rlctl_keep"
WEIGHT = "rlctl_weight"
TOKENS = "rlctl_tokens"
"""Keys of a batch: which rows stay; factor of the loss; share of the step's tokens, here and everywhere."""

MEAN_OVER_ROWS = {"grpo", "sapo", "dr_grpo", "luspo"}
"""Loss types that TRL divides by the number of rows of a micro-batch."""
MEAN_OVER_TOKENS_OF_A_MICRO_BATCH = {"bnpo"}
"""Loss types that TRL divides by the tokens of a micro-batch; the others, by the tokens of the whole step."""


def drop_rows(buffered: list[dict[str, Any]], accumulation: int, loss_type: str, accelerator: Any) -> None:
    """Take the rows that are not kept out of buffered micro-batches, where they are; weigh what is left.

    TRL's loss of micro-batch b is a mean over its n_b rows, divided by the A micro-batches of a step;
    DDP averages that over W processes. The mean over all N kept rows is Σ_b n_b / N · mean_b, so
    the factor is n_b · A · W / N. For losses that are means over the tokens of a micro-batch, one with
    any row counts as one: the factor is A · W / (micro-batches that have rows).

    Processes must agree on n_b, since TRL gathers one figure per row; where one keeps fewer rows than
    another, rows without a mask fill up, which add nothing to any sum.

    Args:
        buffered: Micro-batches of this process, each with `KEEP` (B,); of one or several steps.
        accumulation: Micro-batches of a step, A.
        loss_type: `algorithm.loss_type`.
        accelerator: Gathers tensors over the W processes.
    """
    processes = accelerator.num_processes
    for start in range(0, len(buffered), accumulation):
        window = buffered[start : start + accumulation]
        counts = torch.stack([torch.stack([micro[KEEP].sum(), _tokens(micro)]) for micro in window])
        everywhere = accelerator.gather(counts.unsqueeze(0))  # (W, A, 2)
        kept, tokens = everywhere[..., 0], everywhere[..., 1]
        rows = kept.max(dim=0).values.clamp(min=1).tolist()
        for place, (micro, count) in enumerate(zip(window, rows, strict=True)):
            if loss_type in MEAN_OVER_ROWS:
                share = count / max(int(kept.sum()), 1)
            elif loss_type in MEAN_OVER_TOKENS_OF_A_MICRO_BATCH:
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


def _tokens(micro: dict[str, Any]) -> torch.Tensor:
    """Tokens of a micro-batch that the loss counts."""
    mask = micro["completion_mask"]
    return (mask * micro["tool_mask"] if "tool_mask" in micro else mask).sum()
