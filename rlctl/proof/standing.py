"""Whether a proof that is called again still stands on what it was made of: weights, completions, values.

What was evaluated before is not evaluated again, so it must be what it was: a verdict over figures that were
edited since, or over a model that another one has replaced, would look like any other.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rlctl.config.config import Config
from rlctl.errors import DataError
from rlctl.evaluation.figures import Figures
from rlctl.evaluation.samples import Drawn, Sample
from rlctl.proof.measured import FILE, SAMPLES, Measured
from rlctl.rewards.aggregate import Row
from rlctl.rewards.outcome import Failed, Invalid, Score

CURE = "Put it back, or prove it in another folder (--output DIR)."


def require_unchanged(found: Measured, weights: Mapping[str, str], config: Config, model: str) -> None:
    """Raise where a model that was measured before, or what was measured, is no longer what it was.

    Args:
        found: What was measured.
        weights: Fingerprint of each of the model's files now.
        config: The resolved config.
        model: The model's folder, for the message.

    Raises:
        DataError: Weights have changed, or values that are not those of the samples.
    """
    if found.weights != weights:
        names = {**found.weights, **weights}
        changed = [name for name in names if found.weights.get(name) != weights.get(name)]
        raise DataError(f"not the model that was judged ({', '.join(changed)})", where=model, hint=CURE)
    if found.sha256 != found.sha256_now():
        raise DataError("has changed since it was written", where=str(found.folder / SAMPLES), hint=CURE)
    counted = recount(found.folder / SAMPLES, config)
    per_prompt = {name: counted.per_prompt(name) for name in found.per_prompt}
    if found.per_prompt != per_prompt or found.figures != json.loads(json.dumps(counted.as_dict())):
        raise DataError(
            f"says something else than {SAMPLES} beside it", where=str(found.folder / FILE), hint=CURE
        )


def require_as_concluded(former: Mapping[str, Any], document: Mapping[str, Any], where: Path) -> None:
    """Raise where a proof that was concluded before would now be concluded from something else.

    A run that was removed and trained again is another run, and may be another model.

    Args:
        former: `proof.json` as it is.
        document: The same as it would be written now.
        where: The file.

    Raises:
        DataError: The same run has other weights or completions.
    """
    for name, now in document["models"].items():
        before = former.get("models", {}).get(name)
        if before is not None and before.get("run") == now["run"] and before != now:
            raise DataError(f"concluded from another {name} than there is now", where=str(where), hint=CURE)


def recount(file: Path, config: Config) -> Figures:
    """The figures of the completions in a `samples.jsonl`, by the scores that it holds.

    Raises:
        DataError: It is no such file.
    """
    try:
        with file.open(encoding="utf-8") as lines:
            rows = [json.loads(line) for line in lines]
        asked = {row["prompt_index"]: {"prompt": row["prompt"], **row["columns"]} for row in rows}
        return Figures([_sample(row) for row in rows], [asked[place] for place in range(len(asked))], config)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"cannot be read ({error})", where=str(file), hint=CURE) from error


def _score(part: dict[str, Any]) -> Score:
    """What a component said, the four outcomes kept apart."""
    apart = {"invalid": Invalid, "failed": Failed}.get(part["outcome"])
    score: Score = part["raw"] if apart is None else apart(part["reason"])
    return score


def _sample(row: dict[str, Any]) -> Sample:
    scores = {name: _score(part) for name, part in row["components"].items()}
    scored = Row(row["outcome"], row["reason"], row["total"], scores, {}, {})
    told = ("truncated", "kl", "entropy")
    drawn = Drawn(
        row["prompt_index"],
        row["greedy"],
        row["completion"],
        row["completion_ids"],
        *(row[name] for name in told),
    )
    return Sample(drawn, scored, row["passed"], row["answer_given"], row["extra"])
