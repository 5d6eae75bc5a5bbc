"""What is found of the reward before training; it belongs to a proof: a reward may pay for other things."""

from pathlib import Path
from typing import Any

from rlctl.calibration.result import RESULTS
from rlctl.config.config import Config
from rlctl.errors import CheckpointError
from rlctl.evaluation.audience import Audience
from rlctl.proof.document import read

FOLDER = "rewards"
COMPLETIONS = 256


def analysed(config: Config, proof: Path, audience: Audience) -> dict[str, Any]:
    """The findings about the training reward, made once and kept in the proof's folder.

    Args:
        config: The config, its penalty settled.
        proof: The proof's folder.
        audience: Who is told how it goes.

    Raises:
        CheckpointError: What was kept is damaged.
        RlctlError: The analysis cannot be made.
    """
    folder = proof / FOLDER
    document = read(folder / RESULTS)
    if not document:
        from rlctl.calibration.analyze import analyze_rewards

        document = analyze_rewards(config, COMPLETIONS, output=folder, audience=audience).as_dict()
    try:
        return {
            "completions": document["num_samples"],
            "valid": document["valid"],
            "mean": document["reward"]["mean"],
            "std": document["reward"]["std"],
            "findings": document["findings"],
            "folder": FOLDER,
        }
    except (KeyError, TypeError) as error:
        hint = "Remove this folder; the same command makes it anew."
        raise CheckpointError(f"is no analysis ({error!r})", where=str(folder), hint=hint) from error


def in_words(found: dict[str, Any]) -> list[str]:
    """Lines for a person: what was scored, then what is grave."""
    grave = [one for one in found["findings"] if one["severity"] != "info"]
    mean = "no reward" if found["mean"] is None else f"mean {found['mean']:.3g}"
    head = f"reward before training: {mean} of {found['valid']} valid completions of {found['completions']}; "
    count = f"{len(grave)} finding{'' if len(grave) == 1 else 's'}" if grave else "nothing found against it"
    return [head + count, *(f"{one['severity']}: {one['message']}" for one in grave)]
