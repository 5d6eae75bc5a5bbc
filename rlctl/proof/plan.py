"""What a proof fixes before training, in `plan.json`: metric, prompts, seeds, rule. It cannot change later.

A metric or a number of seeds that is chosen once the results are known proves nothing. Torch-free.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlctl import __version__
from rlctl.config.config import Config
from rlctl.config.load import config_from_dict
from rlctl.errors import CheckpointError, ConfigError, DataError, Problem, UsageError
from rlctl.files import write_json
from rlctl.proof import verdict
from rlctl.training.place import LOCK
from rlctl.training.provenance import data_hashes, model_hashes, now, reward_hashes
from rlctl.training.resume import changes, in_words

FILE = "plan.json"
FREE = (
    ("run", "name"),
    ("training", "save_steps"),
    ("training", "save_total_limit"),
    ("training", "logging_steps"),
    ("tracking",),
)
"""Keys, and sections, that change no result: how often is saved and logged, tracking, names."""
ELSEWHERE = "prove it in another folder (--output DIR)"


@dataclass(frozen=True)
class HeldOut:
    """The prompts that a proof is judged on.

    Args:
        count: How many.
        sha256: Of the prompts and their columns, in their order.
    """

    count: int
    sha256: str


def place_of(config: Config, output: str | Path | None) -> Path:
    """The folder of a proof: `<output_dir>/<run.name>-prove`, or the one that the user names."""
    if output is not None:
        return Path(output).expanduser().absolute()
    return Path(config.run.output_dir).expanduser().resolve() / f"{config.run.name}-prove"


def require_provable(config: Config) -> None:
    """Raise where a config cannot be proved to make anything better.

    Raises:
        ConfigError: There is no `data.eval`, or every run would be a control.
    """
    found = []
    if config.data.eval is None:
        fix = "name held-out prompts, such as another split of data.train"
        message = "a proof is judged on held-out prompts, and there are none"
        found.append(Problem(message, ("data", "eval"), suggestion=fix))
    if config.rewards.shuffle:
        message = "every run of the proof would be a control"
        fix = "leave it out: a proof trains a control of its own"
        found.append(Problem(message, ("rewards", "shuffle"), suggestion=fix))
    if found:
        raise ConfigError(found)


def fingerprint(rows: Sequence[Mapping[str, Any]]) -> HeldOut:
    """Number and hash of held-out prompts.

    Args:
        rows: The prompts with their columns.

    Raises:
        DataError: There are fewer than two, which can show nothing.
    """
    if len(rows) < 2:
        raise DataError(
            f"a proof needs two held-out prompts or more, and there is {len(rows)}", where="data.eval"
        )
    digest = hashlib.sha256()
    for row in rows:
        digest.update(json.dumps(row, ensure_ascii=False, sort_keys=True, default=str).encode() + b"\n")
    return HeldOut(len(rows), digest.hexdigest())


def require_held_out(prompts: HeldOut, trained_on: int) -> None:
    """Raise where no held-out prompt is held out.

    Args:
        prompts: The held-out prompts.
        trained_on: How many of them are also trained on.

    Raises:
        DataError: All of them are.
    """
    if trained_on == prompts.count:
        raise DataError(
            f"every one of the {prompts.count:,} held-out prompts is also trained on",
            where="data.eval",
            hint="Name prompts that training does not see, such as another split of data.train.",
        )


def make_plan(config: Config, seeds: list[int], prompts: HeldOut, trained_on: int) -> dict[str, Any]:
    """The plan of a proof, as `plan.json` holds it.

    Args:
        config: The resolved config, as the user gave it.
        seeds: The training seeds.
        prompts: The held-out prompts.
        trained_on: How many of them are also trained on.
    """
    return {
        "made": now(),
        "metric": config.eval.metric,
        "metric_from": "eval.rewards" if config.eval.rewards is not None else "rewards",
        "num_samples": config.eval.num_samples,
        "prompts": {"count": prompts.count, "sha256": prompts.sha256, "trained_on": trained_on},
        "control": {"seed": seeds[0], "rewards.shuffle": True},
        "rule": verdict.rule(config.eval.metric, len(seeds)),
        **_circumstances(config, seeds),
    }


def _circumstances(config: Config, seeds: list[int]) -> dict[str, Any]:
    """What of a plan is known before any prompt is read."""
    resolved = config.model_dump(mode="json")
    text = json.dumps(resolved, ensure_ascii=False, sort_keys=True)
    return {
        "seeds": seeds,
        "rlctl": __version__,
        "hashes": {
            "config": hashlib.sha256(text.encode()).hexdigest(),
            "model": model_hashes(config),
            "data": data_hashes(config),
            "rewards": reward_hashes(config),
        },
        "config": resolved,
    }


def fix(folder: Path, plan: dict[str, Any]) -> dict[str, Any]:
    """Write the plan, or hold it against the one that was fixed before.

    Returns:
        The plan that was fixed.

    Raises:
        ConfigError: The config has changed; each key is a problem.
        UsageError: Something else has changed; each is named.
    """
    known = read(folder)
    if known is None:
        write_json(folder / FILE, plan, synced=True)
        return plan
    _refuse(folder, known, plan)
    return known


def refuse_changes(folder: Path, config: Config, seeds: list[int]) -> None:
    """What `fix` refuses, as far as it is known before any prompt is read.

    Raises:
        ConfigError: The config has changed; each key is a problem.
        UsageError: Something else has changed, or the folder holds something else.
    """
    known = read(folder)
    if known is not None:
        _refuse(folder, known, _circumstances(config, seeds))
    elif folder.exists():
        strange = (
            sorted(one.name for one in folder.iterdir() if one.name != LOCK)
            if folder.is_dir()
            else ["a file"]
        )
        if strange:
            raise UsageError(
                f"this is no proof: it holds {strange[0]!r}, but no {FILE}",
                where=str(folder),
                hint="Name another folder (--output DIR), or remove this one.",
            )


def require_planned(plan: dict[str, Any], prompts: HeldOut) -> None:
    """Raise where a model was evaluated on other prompts than the planned ones.

    Raises:
        DataError: It was: the data have changed while the proof went on.
    """
    if HeldOut(plan["prompts"]["count"], plan["prompts"]["sha256"]) != prompts:
        hint = f"Put them back, or {ELSEWHERE}."
        raise DataError("the held-out prompts have changed since the plan", where="data.eval", hint=hint)


def require_trained_as_planned(plan: dict[str, Any], run: Path, hashes: dict[str, dict[str, str]]) -> None:
    """Raise where a run was trained with other files than the planned ones.

    Args:
        plan: The plan.
        run: The run's folder.
        hashes: What its `run.json` says of its model, data and reward code.

    Raises:
        DataError: It was.
    """
    changed = _changed_files(plan["hashes"], hashes)
    if changed:
        raise DataError(
            f"trained with other files than planned ({', '.join(changed)})",
            where=str(run),
            hint=f"Put them back and remove this folder, to train it again, or {ELSEWHERE}.",
        )


def read(folder: Path) -> dict[str, Any] | None:
    """The plan that a proof's folder holds; None where there is none.

    Raises:
        CheckpointError: It cannot be read.
    """
    file = folder / FILE
    try:
        plan: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"cannot be read ({error})", where=str(file)) from error
    return plan


def _refuse(folder: Path, known: dict[str, Any], plan: dict[str, Any]) -> None:
    _refuse_keys(folder, known, plan)
    if found := _other_changes(known, plan):
        raise UsageError(
            "\n  ".join(["this proof was planned otherwise", *found]),
            where=str(folder / FILE),
            hint=f"Put it back, or {ELSEWHERE}.",
        )


def _refuse_keys(folder: Path, known: dict[str, Any], plan: dict[str, Any]) -> None:
    try:
        before, after = (config_from_dict(one["config"]) for one in (known, plan))
    except (ConfigError, KeyError) as error:
        raise CheckpointError(
            f"the config of this plan cannot be read\n  {error}",
            where=str(folder / FILE),
            hint="It may be of another version of rlctl, or have been edited.",
        ) from error
    found = [one for one in changes(before, after) if not any(one[0][: len(key)] == key for key in FREE)]
    if found:
        cure = f"put it back, or {ELSEWHERE}"
        raise ConfigError(
            [
                Problem(
                    f"{in_words(old)} when this proof was planned, and now {in_words(new)}",
                    key,
                    suggestion=cure,
                )
                for key, old, new in found
            ]
        )


def _other_changes(known: dict[str, Any], plan: dict[str, Any]) -> list[str]:
    """What else is not as it was planned, in words."""
    found = [
        f"{name}: {in_words(known.get(name))} in the plan, and now {in_words(plan[name])}"
        for name in ("seeds", "rlctl", "rule")
        if name in plan and known.get(name) != plan[name]
    ]
    prompts, before = plan.get("prompts"), known.get("prompts", {})
    if prompts and before.get("sha256") != prompts["sha256"]:
        words = f"({before.get('count')} then, {prompts['count']} now)"
        found.append(f"data.eval: the held-out prompts have changed {words}")
    elif prompts and before.get("trained_on") != prompts["trained_on"]:
        words = f"{before.get('trained_on')} in the plan, and now {prompts['trained_on']}"
        found.append(f"data.train: held-out prompts that are also trained on: {words}")
    return [*found, *_changed_files(known.get("hashes", {}), plan["hashes"])]


def _changed_files(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Files of model, data and reward code whose content is not what it was, in words."""
    found = []
    for what in ("model", "data", "rewards"):
        old, new = before.get(what, {}), after.get(what, {})
        changed = [Path(file).name for file in {**old, **new} if old.get(file) != new.get(file)]
        found += [f"{what}: {name} has changed" for name in changed]
    return found
