"""What a proof will cost, before anything is written: runs, completions, tokens, disk, hours. Torch-free."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from statistics import fmean
from typing import Any

from rlctl.config.config import Config
from rlctl.config.load import load_config
from rlctl.config.plan import Plan
from rlctl.errors import CheckpointError, ConfigError
from rlctl.models.resolve import resolve
from rlctl.proof import measured
from rlctl.proof.document import logged
from rlctl.proof.runs import BASE, ProofRun
from rlctl.training.checkpoints import Checkpoints
from rlctl.training.place import folder_of
from rlctl.training.resume import changes, read_record

OTHERWISE = (("run",), ("tracking",), ("rewards", "shuffle"), ("rewards", "tests"))
SPEED_STAYS = (*OTHERWISE, *(("training", f"{name}_steps") for name in ("save", "eval", "logging", "max")))
"""Keys that may differ in a run that tells how long a step takes."""


@dataclass(frozen=True)
class Done:
    """How far a run is.

    Args:
        run: The run.
        steps: Steps that are saved, or all where it is finished.
        finished: Whether it has reached its end.
        evaluated: Whether its final model is evaluated.
    """

    run: ProofRun
    steps: int
    finished: bool
    evaluated: bool


def progress(folder: Path, runs: Sequence[ProofRun], steps: int | None) -> list[Done]:
    """How far every run of a proof is."""
    found = []
    for run in runs:
        finished = run.finished
        saved = Checkpoints(run.folder / "checkpoints").steps()
        known = measured.read(folder / measured.FOLDER / run.name, run.identity) if finished else None
        found.append(
            Done(run, steps or 0 if finished else max(saved, default=0), finished, known is not None)
        )
    return found


def cost(
    config: Config, folder: Path, runs: Sequence[ProofRun], plan: Plan, prompts: int | None
) -> dict[str, Any]:
    """What a proof will take, as `rlctl prove --dry-run --json` prints it. None is what is not known.

    Args:
        config: The resolved config, as the user gave it.
        folder: The proof's folder.
        runs: Its runs.
        plan: The batch geometry of each.
        prompts: Held-out prompts, where a quick look tells.
    """
    done = progress(folder, runs, plan.steps)
    steps = None if plan.steps is None else sum(plan.steps - one.steps for one in done)
    each = config.eval.num_samples + 1
    looks = sum(point > one.steps or not one.steps for one in done for point in plan.evaluations)
    base_done = measured.read(folder / measured.FOLDER / BASE, None) is not None
    models = sum(not one.evaluated for one in done) + (not base_done)
    sampled = None if steps is None else steps * plan.completions_per_step // plan.num_iterations
    held_out = None if prompts is None else (looks + models) * prompts * each
    longest = config.generation.max_completion_length
    seconds, source = step_seconds([*(one.run.folder for one in done), folder_of(config)], config)
    return {
        "runs": len(runs),
        "steps_per_run": plan.steps,
        "steps_left": steps,
        "training_completions": sampled,
        "training_tokens_sampled_at_most": None if sampled is None else sampled * longest,
        "training_tokens_at_most": None if sampled is None else sampled * config.data.max_length,
        "held_out_prompts": prompts,
        "evaluations_in_training": looks,
        "models_to_evaluate": models,
        "held_out_completions": held_out,
        "held_out_tokens_sampled_at_most": None if held_out is None else held_out * longest,
        "disk": disk(config, runs, plan),
        "seconds_per_step": seconds,
        "seconds_per_step_from": source,
        "hours_of_steps": None if steps is None or seconds is None else steps * seconds / 3600,
        "done": [
            {"run": one.run.name, "steps": one.steps, "finished": one.finished, "evaluated": one.evaluated}
            for one in done
        ],
        "base_evaluated": base_done,
    }


def step_seconds(folders: Sequence[Path], config: Config) -> tuple[float | None, str | None]:
    """Mean seconds of a step in the first of these runs that is of the same config, and its folder."""
    for folder in folders:
        if not _comparable(folder, config):
            continue
        if rows := logged(folder / "logs" / "metrics.jsonl", "time/step"):
            return fmean(seconds for _, seconds in rows), str(folder)
    return None, None


def _comparable(folder: Path, config: Config) -> bool:
    """Whether a folder is a run whose steps take as long as those of the config."""
    try:
        found = load_config(folder / "config.yaml") if folder.is_dir() and read_record(folder) else None
    except (ConfigError, CheckpointError, ValueError):
        return False
    if found is None:
        return False
    return all(any(path[: len(key)] == key for key in SPEED_STAYS) for path, _, _ in changes(found, config))


def disk(config: Config, runs: Sequence[ProofRun], plan: Plan) -> dict[str, Any]:
    """Models and checkpoints that will lie on the disk, and the bytes of each where they are known."""
    limit = config.training.save_total_limit
    kept = len(plan.checkpoints) if limit is None else min(limit, len(plan.checkpoints))
    if limit == 1 and len(plan.checkpoints) > 1 and plan.evaluations:
        kept = 2  # the newest and the best
    finals = [size for run in runs if (size := _bytes(run.folder / "final"))]
    saved = [one for run in runs for one in (run.folder / "checkpoints").glob("checkpoint-*")]
    checkpoints = [_bytes(one) for one in saved]
    weights = None if config.model.lora is not None else _weights(config)
    final = max(finals, default=weights)
    checkpoint = max(checkpoints, default=None if weights is None else 3 * weights)
    known = None if final is None or checkpoint is None else len(runs) * (final + kept * checkpoint)
    return {
        "final_models": len(runs),
        "bytes_per_final_model": final,
        "checkpoints_at_most": len(runs) * kept,
        "bytes_per_checkpoint": checkpoint,
        "bytes_at_most": known,
    }


def _weights(config: Config) -> int | None:
    """Bytes of the weights as they are trained; with two moments of AdamW, a checkpoint has thrice as many.

    A folder may hold them in half precision: with `model.dtype: auto` they are trained and saved in float32.
    """
    try:
        folder = Path(resolve(config.model.path))
    except CheckpointError:
        return None
    each = 4 if config.model.dtype in ("auto", "float32") else 2
    try:
        return each * sum(_numbers(file) for file in folder.glob("*.safetensors")) or None
    except (OSError, ValueError):
        return None


def _numbers(file: Path) -> int:
    """How many numbers a file of safetensors holds, by its header."""
    with file.open("rb") as handle:
        header = json.loads(handle.read(int.from_bytes(handle.read(8), "little")))
    return sum(prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__")


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
