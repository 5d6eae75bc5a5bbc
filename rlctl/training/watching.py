"""The watch in a run: what it says goes to log, screen, trackers and `run.json`, and may end the run."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rlctl.errors import TrainingError
from rlctl.evaluation.watch import Notice, Watch
from rlctl.training.run import Run
from rlctl.training.trackers import Trackers
from rlctl.training.view import View


class Watching:
    """Feeds the watch of a run, and does what `eval.watch` says. `Stateful`.

    Args:
        run: The run.
        view: What a person sees.
        trackers: Experiment trackers; None on every process but the main one.
        evaluates: Whether there are held-out prompts.
    """

    def __init__(self, run: Run, view: View, trackers: Trackers | None, *, evaluates: bool) -> None:
        self.run = run
        self.view = view
        self.trackers = trackers
        self.mode = run.config.eval.watch
        self.watch = Watch(run.config.eval.metric, evaluates=evaluates)

    def begin(self, step: int) -> None:
        """The run begins, or goes on after a step: `run.json` holds what was said so far.

        Raises:
            TrainingError: The watch has stopped this run, and is still to stop it.
        """
        if self.mode != "off":
            self._remember()
            self.stop_if_parted(step)

    def training(self, step: int, metrics: Mapping[str, Any]) -> None:
        """A step is done; `metrics` are its own."""
        if self.mode != "off":
            self._say(step, self.watch.training(step, metrics))

    def evaluation(self, step: int, values: Sequence[float | None], left_out: float) -> None:
        """The held-out prompts were evaluated: the metric of each, and the share that has none."""
        if self.mode != "off":
            self._say(step, self.watch.evaluation(step, values, left_out))

    def stop_if_parted(self, step: int) -> None:
        """End the run if reward and metric have parted, and the config says so; what was reached is saved.

        Raises:
            TrainingError: They have, as one process at least sees it; on every process.
        """
        if self.mode != "stop":
            return
        parted = next(filter(None, self.run.together.gather(self.watch.parted)), None)
        if parted is None:
            return
        saved = self.run.save_now()
        best = self.run.progress.best()
        where = f"before training ({self.run.config.model.path})" if best == 0 else f"{self.run.path}@best"
        raise TrainingError(
            f"stopped by the watch after step {step}: {parted}",
            where=str(self.run.path),
            hint=f"The best evaluation is of step {best}: {where}. {saved}; "
            "to go on all the same: --resume --set eval.watch=warn",
        )

    def _say(self, step: int, notices: Sequence[Notice]) -> None:
        for one in notices:
            line = f"{one.severity}: step {one.step}: {one.text}"
            self.run.logs.text(line)
            self.view.notice(line)
        if notices:
            self._remember()
            if self.trackers is not None:
                self.trackers.log_notices(step, notices)

    def _remember(self) -> None:
        self.run.remember(watch=[asdict(one) for one in self.watch.notices])

    def state_dict(self) -> dict[str, Any]:
        """The watch's."""
        return self.watch.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.watch.load_state_dict(state)
