"""Between TRL's batches and rlctl's rewards: one callable that scores, and what is logged of every batch."""

import time
from collections.abc import Callable
from statistics import fmean
from typing import Any

from rlctl.evaluation.repetition import repetition
from rlctl.rewards.compose import Batch, Scored, Scorer
from rlctl.rewards.shuffle import shuffled
from rlctl.rewards.statistics import RewardStatistics, batch_metrics
from rlctl.training.run import Run


class RewardBridge:
    """The one reward function that TRL gets, with weight 1; every part is composed and logged by rlctl.

    Args:
        scorer: The composed reward.
        run: Where completions and statistics are written.
        group_size: Completions per prompt, G; rows i·G … (i+1)·G−1 of a batch share a prompt.
        drop_dead_groups: Leave groups without spread out of the update.
        exchange: Gathers a list over all processes in rank order.
    """

    __name__ = "reward"

    def __init__(
        self,
        scorer: Scorer,
        run: Run,
        *,
        group_size: int,
        drop_dead_groups: bool,
        exchange: Callable[[list], list],
    ) -> None:
        self.scorer = scorer
        self.run = run
        self.group_size = group_size
        self.drop_dead_groups = drop_dead_groups
        self.exchange = exchange
        self.statistics = RewardStatistics([part.name for part in run.config.rewards.components])
        self.seconds = 0.0
        self.pending: list[dict[str, float | None]] = []
        self.tokens = 0
        self.rows: list[dict[str, Any]] = []
        self._scored: Scored | None = None
        self._dealt: list[float | None] | None = None
        self._batch: Batch | None = None
        self._step = 0
        self._repetition: float | None = None

    def __call__(
        self,
        prompts: list[Any],
        completions: list[Any],
        completion_ids: list[list[int]],
        trainer_state: Any = None,
        log_extra: Any = None,
        log_metric: Any = None,
        **columns: list[Any],
    ) -> list[float | None]:
        """Score this process's completions; None keeps one out of every statistic of TRL.

        Raises:
            RewardError: Too many completions could not be scored.
        """
        start = time.perf_counter()
        batch = Batch(
            prompts=prompts,
            completions=completions,
            columns={**columns, "completion_ids": completion_ids},
            group_size=self.group_size,
            trainer_state=trainer_state,
        )
        self._scored = self.scorer.score(batch, exchange=self.exchange)
        everywhere = self.exchange([(len(ids), repetition(ids)) for ids in completion_ids])
        self.tokens += sum(length for length, _ in everywhere)
        self._repetition = fmean(share for _, share in everywhere) if everywhere else None
        self._batch = batch
        self._step = trainer_state.global_step + 1
        self._dealt = self._deal(self._scored) if self.run.config.rewards.shuffle else None
        self.seconds += time.perf_counter() - start
        return self._scored.totals if self._dealt is None else self._dealt

    def _deal(self, scored: Scored) -> list[float | None]:
        """What the trainer gets in a control run, in place of the totals."""
        first = scored.start // self.group_size
        seed = self.run.config.run.seed
        return shuffled(scored.totals, self.group_size, seed=seed, step=self._step, first_group=first)

    def on_scored(self, advantages: list[float]) -> list[bool]:
        """Log the batch with the advantages that TRL computed; say which rows take part in the update."""
        assert self._scored is not None
        assert self._batch is not None
        keep = [total is not None for total in self._scored.totals]
        if self.drop_dead_groups:
            live = live_rows(self._scored.totals, self.group_size)
            keep = [kept and alive for kept, alive in zip(keep, live, strict=True)]
        columns = self._batch.values(self.scorer.columns)
        rows = [
            {
                "step": self._step,
                "split": "train",
                "prompt": self._batch.prompts[i],
                "completion": self._batch.texts[i],
                **row.as_dict(),
                **({} if self._dealt is None else {"shuffled_total": self._dealt[i]}),
                "advantage": advantages[i] if keep[i] else None,
                "columns": columns[i],
                "extra": {name: values[i] for name, values in self._scored.extras.items()},
            }
            for i, row in enumerate(self._scored.rows)
        ]
        self.rows = self.exchange(rows)
        self.run.logs.completions(self.rows)
        self.statistics.update(self._scored.everywhere, group_size=self.group_size)
        metrics = batch_metrics(self._scored.everywhere, group_size=self.group_size)
        metrics["repetition_fraction"] = self._repetition
        self.pending.append({**self._scored.metrics, **metrics})
        return keep

    def state_dict(self) -> dict[str, Any]:
        """The statistics, and what was scored since the last line of the metrics; `Stateful`."""
        return {"statistics": self.statistics.state_dict(), "pending": [dict(one) for one in self.pending]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.statistics.load_state_dict(state["statistics"])
        self.pending = [dict(one) for one in state["pending"]]


def live_rows(totals: list[float | None], group_size: int) -> list[bool]:
    """Whether each row's group has at least two different totals."""
    alive: list[bool] = []
    for start in range(0, len(totals), group_size):
        scored = {total for total in totals[start : start + group_size] if total is not None}
        alive += [len(scored) > 1] * min(group_size, len(totals) - start)
    return alive
