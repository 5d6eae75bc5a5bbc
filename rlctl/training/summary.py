"""What a run achieved: before against after, first tenth of the steps against the last."""

from statistics import fmean
from typing import Any

from rlctl.config.config import Config
from rlctl.evaluation.labels import figure, label, shown
from rlctl.training.run import Run
from rlctl.training.view import View


class Summary:
    """Collects the figures of a run and shows them.

    Args:
        config: The resolved config; names the components.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.before: dict[str, float] | None = None
        self.after: dict[str, float] | None = None
        self.training: dict[str, float] = {}
        self.steps = 0
        self.seconds = 0.0
        self.best: dict[str, Any] | None = None
        self.stopped_early: dict[str, Any] | None = None
        self.paths: dict[str, str] = {}

    def finish(self, run: Run, seconds: float) -> None:
        """Compute what remains, and write `logs/eval_results.json`.

        Args:
            run: The run's folder.
            seconds: Wall time of the whole command.
        """
        rewards, evaluations = run.progress.rewards, run.progress.evaluations
        if evaluations:
            self.before = run.progress.evaluation(0)
            self.after = run.progress.evaluation(evaluations[-1]["step"])
        self.steps = run.saver.step
        self.stopped_early = run.record.get("stopped_early")
        if (best := run.progress.best()) is not None:
            self.best = {"step": best, "metric": run.progress.metric, "value": run.progress.value(best)}
        self.seconds = seconds
        tenth = max(1, len(rewards) // 10)
        if rewards:
            self.training = {
                "first_tenth": fmean(value for _, value in rewards[:tenth]),
                "last_tenth": fmean(value for _, value in rewards[-tenth:]),
            }
        self.paths = {
            "run": str(run.path),
            "model": str(run.final),
            "metrics": str(run.logs.folder / "metrics.jsonl"),
            "completions": str(run.logs.folder / "completions.jsonl"),
            "log": str(run.logs.folder / "training_log.txt"),
        }
        if self.before is not None:
            content = {"before": self.before, "after": self.after, "evaluations": evaluations}
            run.logs.result("eval_results.json", content)
        run.logs.text("\n".join(self.lines()))
        run.remember(summary=self.as_dict())

    def rows(self) -> list[list[str]]:
        """Figure, before, after: what the table shows."""
        rows = []
        if self.before is not None and self.after is not None:
            for name in shown(self.config, [self.before, self.after]):
                rows.append([label(name), figure(self.before, name), figure(self.after, name)])
        if self.training:
            first, last = self.training["first_tenth"], self.training["last_tenth"]
            rows.append(["training reward, first, last tenth", f"{first:.3f}", f"{last:.3f}"])
        return rows

    def show(self, view: View) -> None:
        """Print the table and the paths of what was written."""
        view.notice("")
        view.table("held-out prompts" if self.before else "training", ["", "before", "after"], self.rows())
        view.notice("")
        for name, path in self.paths.items():
            view.notice(f"{name:12} {path}")
        if self.best is not None:
            view.notice(self._best())
        early = f", stopped early: {self.stopped_early['reason']}" if self.stopped_early else ""
        view.notice(f"{self.steps} step{'s' * (self.steps != 1)} in {self.seconds:.0f} s{early}")

    def _best(self) -> str:
        """`best         step 50 by correct: 0.875`"""
        assert self.best is not None
        value = figure({f"val/{self.best['metric']}": self.best["value"]}, self.best["metric"])
        return f"{'best':12} step {self.best['step']} by {label(self.best['metric'])}: {value}"

    def lines(self) -> list[str]:
        """The table as plain text."""
        lines = [f"{name}: {before} → {after}" for name, before, after in self.rows()]
        return [*lines, self._best()] if self.best is not None else lines

    def as_dict(self) -> dict[str, Any]:
        """What `rlctl train --json` prints."""
        return {
            "status": "done",
            "name": self.config.run.name,
            "steps": self.steps,
            "seconds": round(self.seconds, 1),
            "before": self.before,
            "after": self.after,
            "training_reward": self.training or None,
            "best": self.best,
            "stopped_early": self.stopped_early,
            "paths": self.paths,
        }
