"""`RUN@best`: which checkpoint of a run did best on held-out prompts, by the run's own logs. Torch-free."""

import json
from pathlib import Path
from typing import Any

from rlctl.config.yaml_marks import parse
from rlctl.errors import CheckpointError
from rlctl.statistics.best import best
from rlctl.statistics.selection import comparable

BEST = "best"


def best_step(run: Path) -> int | None:
    """The step of the best checkpoint of a run.

    Args:
        run: The run's folder.

    Returns:
        The step, or None where it is the last and only the final model has it.

    Raises:
        CheckpointError: The run has no evaluation, or the checkpoint is gone.
    """
    metric, rows = _metric(run), _rows(run)
    evaluations = comparable(row for row in rows if any(name.startswith("val/") for name in row))
    values = {
        row["step"]: row[f"val/{metric}"] for row in evaluations if row["step"] > 0 and f"val/{metric}" in row
    }
    chosen = best(values)
    if chosen is None:
        why = f"no evaluation with {metric!r} after a step is in its logs"
        hint = "Evaluations during training need data.eval and training.eval_steps."
        raise CheckpointError(f"which checkpoint is the best is not known: {why}", where=str(run), hint=hint)
    if _saved(run, chosen):
        return chosen
    if chosen == max(row["step"] for row in rows) and (run / "final").is_dir():
        return None
    second = best({step: value for step, value in values.items() if _saved(run, step)})
    hint = f"The best that is there is {run}@{second}." if second is not None else "No other is there."
    raise CheckpointError(
        f"the best checkpoint by {metric!r} is that of step {chosen}, and it is gone",
        where=str(run),
        hint=hint,
    )


def _saved(run: Path, step: int) -> bool:
    return (run / "checkpoints" / f"checkpoint-{step}").is_dir()


def _metric(run: Path) -> str:
    """`eval.metric` of the run."""
    file = run / "config.yaml"
    try:
        document: Any = parse(file.read_text(encoding="utf-8"), str(file)).data
        return str(document["eval"]["metric"])
    except KeyError:
        return "reward"
    except (OSError, ValueError, TypeError) as error:
        raise CheckpointError(f"cannot be read ({error})", where=str(file)) from error


def _rows(run: Path) -> list[dict[str, Any]]:
    """The lines of `metrics.jsonl`; one that is being written is left out."""
    file = run / "logs" / "metrics.jsonl"
    rows = []
    try:
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    except (OSError, ValueError) as error:
        raise CheckpointError(f"cannot be read ({error})", where=str(file)) from error
    for line in lines:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and isinstance(row.get("step"), int):
            rows.append(row)
    return rows
