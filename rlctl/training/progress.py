"""What a run has reached so far: its evaluations, and the mean reward of every logged step."""

from collections.abc import Iterable
from typing import Any

from rlctl.statistics.best import best
from rlctl.statistics.selection import comparable


class Progress:
    """Evaluations and rewards of a run, in the order of the steps. `Stateful`.

    Args:
        metric: The held-out metric that decides which evaluation is the best, without `val/`.

    `evaluations` holds `{"step": …, "val/…": …}` each, `rewards` pairs of step and mean training reward.
    """

    def __init__(self, metric: str = "reward") -> None:
        self.metric = metric
        self.evaluations: list[dict[str, Any]] = []
        self.rewards: list[tuple[int, float]] = []

    def evaluation(self, step: int) -> dict[str, Any] | None:
        """The metrics of the evaluation after a step, without the step; None where there is none."""
        found = next((one for one in self.evaluations if one["step"] == step), None)
        return None if found is None else {name: value for name, value in found.items() if name != "step"}

    def value(self, step: int) -> float | None:
        """The metric at the evaluation after a step; None where it has none."""
        return (self.evaluation(step) or {}).get(f"val/{self.metric}")

    def best(self, steps: Iterable[int] | None = None) -> int | None:
        """The step with the highest metric, the first of equals; or None.

        An evaluation that is of a selection of the completions (`comparable`) is none of them.

        Args:
            steps: Those to choose from; None for all, 0 included, which is before training.
        """
        judged = [one["step"] for one in comparable(self.evaluations)]
        among = judged if steps is None else [step for step in steps if step in judged]
        return best({step: self.value(step) for step in among})

    def stalled(self, patience: int | None) -> str | None:
        """That so many evaluations have passed since the best one, in words; None where they have not."""
        top = self.best()
        since = sum(top is None or one["step"] > top for one in comparable(self.evaluations))
        if patience is None or since < patience:
            return None
        value = f"{self.value(top):.3g} at step {top}" if top is not None else "none at all"
        times = f"{since} evaluation{'s' * (since != 1)}"
        return f"no better {self.metric} in {times}, as eval.patience has it; the best is {value}"

    def state_dict(self) -> dict[str, Any]:
        """Both lists."""
        return {"evaluations": [dict(one) for one in self.evaluations], "rewards": list(self.rewards)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from both lists."""
        self.evaluations = [dict(one) for one in state["evaluations"]]
        self.rewards = [(step, reward) for step, reward in state["rewards"]]
