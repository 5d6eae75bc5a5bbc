"""What a run has reached so far: its evaluations, and the mean reward of every logged step."""

from collections.abc import Iterable
from typing import Any

METRIC = "val/reward"
"""What decides which checkpoint is the best."""


class Progress:
    """Evaluations and rewards of a run, in the order of the steps. `Stateful`.

    `evaluations` holds `{"step": …, "val/…": …}` each, `rewards` pairs of step and mean training reward.
    """

    def __init__(self) -> None:
        self.evaluations: list[dict[str, Any]] = []
        self.rewards: list[tuple[int, float]] = []

    def evaluation(self, step: int) -> dict[str, Any] | None:
        """The metrics of the evaluation after a step, without the step; None where there is none."""
        found = next((one for one in self.evaluations if one["step"] == step), None)
        return None if found is None else {name: value for name, value in found.items() if name != "step"}

    def best(self, steps: Iterable[int]) -> int | None:
        """The one of these steps with the highest held-out reward, the first of equals; or None."""
        among = set(steps)
        scored = [
            (one[METRIC], -one["step"]) for one in self.evaluations if METRIC in one and one["step"] in among
        ]
        return -max(scored)[1] if scored else None

    def state_dict(self) -> dict[str, Any]:
        """Both lists."""
        return {"evaluations": [dict(one) for one in self.evaluations], "rewards": list(self.rewards)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from both lists."""
        self.evaluations = [dict(one) for one in state["evaluations"]]
        self.rewards = [(step, reward) for step, reward in state["rewards"]]
