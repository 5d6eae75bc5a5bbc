"""What a run achieved: before against after, first tenth of the steps against the last."""

from statistics import fmean
from typing import Any

from rlctl.config.config import Config
from rlctl.training.run import Run
from rlctl.training.view import View

PERCENT = {"val/accuracy", "val/greedy_accuracy", "val/invalid_fraction", "val/failed_fraction"}
LABELS = {
    "val/reward": "reward, sampled",
    "val/accuracy": "accuracy, sampled",
    "val/greedy_accuracy": "accuracy, greedy",
    "val/invalid_fraction": "invalid",
    "val/completion_length": "tokens per completion",
}


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
        self.steps = rewards[-1][0] if rewards else 0
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
            names = ["val/reward", *(f"val/{part.name}" for part in self.config.rewards.components)]
            names += [name for name in LABELS if name not in names]
            for name in names:
                if name in self.before or name in self.after:
                    label = LABELS.get(name, name.removeprefix("val/"))
                    rows.append([label, _cell(self.before, name), _cell(self.after, name)])
        if self.training:
            first, last = self.training["first_tenth"], self.training["last_tenth"]
            rows.append(["training reward, first and last tenth", f"{first:.3f}", f"{last:.3f}"])
        return rows

    def show(self, view: View) -> None:
        """Print the table and the paths of what was written."""
        view.notice("")
        view.table("held-out prompts" if self.before else "training", ["", "before", "after"], self.rows())
        view.notice("")
        for name, path in self.paths.items():
            view.notice(f"{name:12} {path}")
        view.notice(f"{self.steps} step{'s' * (self.steps != 1)} in {self.seconds:.0f} s")

    def lines(self) -> list[str]:
        """The table as plain text."""
        return [f"{label}: {before} → {after}" for label, before, after in self.rows()]

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
            "paths": self.paths,
        }


def _cell(metrics: dict[str, float], name: str) -> str:
    value = metrics.get(name)
    if value is None:
        return "–"
    if name in PERCENT:
        return f"{value:.1%}"
    interval = metrics.get("val/reward_ci95") if name == "val/reward" else None
    return f"{value:.3f} ± {interval:.3f}" if interval is not None else f"{value:.3f}"
