"""TRL's trainer reports here: metrics under rlctl's names, evaluation on the way, view and trackers."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from transformers import TrainerCallback

from rlctl.evaluation.held_out import HeldOut
from rlctl.evaluation.labels import describe
from rlctl.statistics.selection import SHARE
from rlctl.training.run import Run
from rlctl.training.trackers import Trackers
from rlctl.training.trl.bridge import RewardBridge
from rlctl.training.trl.metrics import StepMetrics, rename, reward_metrics
from rlctl.training.view import View
from rlctl.training.watching import Watching


class RunCallback(TrainerCallback):
    """Writes a run's logs and shows them; passes the boundaries between steps on to the run.

    Args:
        run: The run's folder.
        view: What a person sees.
        trackers: Experiment trackers; None on every process but the main one.
        bridge: The reward, which collects what was scored since the last line.
        seconds: The trainer's seconds by part of a step; emptied at every line.
        measured: The trainer's metrics by name, a value per batch or micro-batch since the last line.
        evaluate: Evaluates held-out prompts at a step; None without `data.eval`.
    """

    def __init__(
        self,
        run: Run,
        view: View,
        trackers: Trackers | None,
        bridge: RewardBridge,
        seconds: dict[str, float],
        measured: Mapping[str, Sequence[float]],
        evaluate: Callable[[int], HeldOut] | None,
    ) -> None:
        self.run = run
        self.view = view
        self.trackers = trackers
        self.bridge = bridge
        self.evaluate = evaluate
        self.seconds = seconds
        self.step_metrics = StepMetrics(bridge, measured)
        self.watching = Watching(run, view, trackers, evaluates=evaluate is not None)
        self.last_step = 0
        self._control: Any = None
        self._step_start = 0.0
        self._step_seconds = 0.0
        self._steps = 0
        self._written = 0.0
        self._warned = False

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Take the run up where it was put down; show how far there is to go; evaluate if that is due."""
        self.last_step, self._control = state.max_steps, control
        if self.run.point is None:
            self.run.boundary(0, state.max_steps)
        else:
            self.run.restore()
        self.watching.begin(state.global_step)
        components = [part.name for part in self.run.config.rewards.components]
        self.view.begin(
            state.max_steps, components, done=state.global_step, rewards=self.run.progress.rewards
        )
        if state.global_step < state.max_steps:
            self.evaluate_if_due(state.global_step)
            self._end_if_stalled()

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Start the clock; what is measured from here on is the step's own."""
        self._step_start = time.perf_counter()
        self.step_metrics.begin()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Stop the clock; the last step is always logged, and so is any that may become the last.

        The watch gets the figures of every step, so that what it says is the same however often is logged.
        """
        self._step_seconds += time.perf_counter() - self._step_start
        self._steps += 1
        self.view.advance(state.global_step)
        self.watching.training(state.global_step, self.step_metrics.end())
        patience = self.run.config.eval.patience
        may_end = patience is not None and self.run.evaluation_due(state.global_step, self.last_step)
        if may_end or state.global_step >= state.max_steps:
            control.should_log = True

    def boundary(self, step: int) -> None:
        """A step is done and logged: save and evaluate where it is due, heed signals."""
        self.run.boundary(step, self.last_step)
        self.run.stop.agree()
        if step < self.last_step:  # else with the final model, by the caller
            self.evaluate_if_due(step)
            self._end_if_stalled()

    def evaluate_if_due(self, step: int) -> None:
        """Complete the held-out prompts, unless that was done before.

        Raises:
            TrainingError: Training reward and held-out metric have parted, and `eval.watch` is `stop`.
        """
        if self.evaluate and self.run.evaluation_due(step, self.last_step):
            self.held_out(step)
            self.run.evaluated(step)
            self.watching.stop_if_parted(step)

    def _end_if_stalled(self) -> None:
        if self.run.stalled:
            self.run.end_early()
            self._control.should_training_stop = True

    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """One line of metrics: means over the steps since the last."""
        logs: dict[str, Any] = kwargs["logs"]
        if "loss" in logs:
            self._log(state, logs)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """The statistics of all steps; the view has no more to show."""
        self.view.end()
        self._write_statistics(at_once=True)

    def _log(self, state: Any, logs: dict[str, Any]) -> None:
        batches, self.bridge.pending = self.bridge.pending, []
        metrics = {**reward_metrics(batches), **rename(logs), **self._speed()}
        if metrics.get("train/reward") is not None:
            self.run.progress.rewards.append((state.global_step, metrics["train/reward"]))
        if self.run.main:
            self._show(state.global_step, metrics)

    def _show(self, step: int, metrics: dict[str, Any]) -> None:
        self._warn(step, metrics)
        self.run.logs.metrics(step, metrics)
        self.run.logs.text(self.view.line(step, metrics))
        self._write_statistics()
        self.view.step(step, metrics)
        if self.trackers is not None:
            self.trackers.log(step, metrics)
            self.trackers.log_rewards(step, self._distributions())
            self.trackers.log_samples(step, self.bridge.rows[:8])

    def held_out(self, step: int) -> HeldOut:
        """Evaluate and log; every process takes part."""
        assert self.evaluate is not None
        found = self.evaluate(step)
        self.run.progress.evaluations.append({"step": step, **found.metrics})
        if self.run.main:
            self.run.logs.metrics(step, found.metrics)
            self.run.logs.completions(found.rows)
            line = f"step {step}: held-out {describe(found.metrics, self.run.config)}"
            self.run.logs.text(line)
            self.view.notice(line)
            if self.trackers is not None:
                self.trackers.log(step, found.metrics)
                self.trackers.log_samples(step, found.rows[:8])
        self.watching.evaluation(step, found.values, found.metrics.get(SHARE, 0.0))
        return found

    def _warn(self, step: int, metrics: dict[str, Any]) -> None:
        """Say it, once, where a step can have taught nothing at all."""
        words = {
            "train/not_applicable_fraction": "no part of the reward applied to any completion",
            "train/invalid_fraction": "every completion was invalid",
            "train/dead_group_fraction": "no group had completions with different rewards",
        }
        nothing = next((words[name] for name in words if metrics.get(name) == 1.0), None)
        if nothing and not self._warned:
            self._warned = True
            line = f"warning: step {step}: {nothing}, so nothing was learnt from it"
            self.run.logs.text(line)
            self.view.notice(line)

    def state_dict(self) -> dict[str, Any]:
        """Whether it has warned, as it does once in a run; `Stateful`."""
        return {"warned": self._warned}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self._warned = state["warned"]

    def _write_statistics(self, *, at_once: bool = False) -> None:
        """Write `rewards.json`, once in a second at most while training goes on."""
        now = time.monotonic()
        if at_once or now - self._written >= 1.0:
            self._written = now
            self.run.logs.result("rewards.json", self.bridge.statistics.as_dict())

    def _speed(self) -> dict[str, float]:
        steps = max(self._steps, 1)
        sampling, scoring = self.seconds.get("sampling", 0.0), self.bridge.seconds
        total = self._step_seconds
        speed = {
            "time/step": total / steps,
            "time/sampling": sampling / steps,
            "time/scoring": scoring / steps,
            "time/update": max(total - sampling - scoring, 0.0) / steps,
        }
        if total > 0:
            speed["perf/tokens_per_second"] = self.bridge.tokens / total
        if torch.cuda.is_available():
            speed["perf/peak_device_memory_gib"] = torch.cuda.max_memory_allocated() / 2**30
        self.seconds["sampling"] = self.bridge.seconds = self._step_seconds = 0.0
        self._steps = self.bridge.tokens = 0
        return speed

    def _distributions(self) -> dict[str, list[float]]:
        rows = self.bridge.rows
        totals = [row["total"] for row in rows if row["total"] is not None]
        parts = {
            f"train/{name}": [
                part["raw"] for row in rows if (part := row["components"][name])["raw"] is not None
            ]
            for name in self.view.components
        }
        return {"train/reward": totals, **parts}
