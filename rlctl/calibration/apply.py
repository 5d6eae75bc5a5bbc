"""`--apply`: the advised penalty goes into the user's YAML, of which nothing else changes.

What cannot work is said before anything is sampled.
"""

import math
import os
from collections.abc import Sequence
from pathlib import Path
from stat import S_IMODE, S_IWGRP, S_IWOTH, S_IWUSR
from typing import Any

import rlctl
from rlctl.config.edit import replace_value, shortest
from rlctl.config.overrides import read_override
from rlctl.config.rewards import LARGEST_PENALTY, Rewards
from rlctl.config.yaml_marks import parse
from rlctl.errors import DataError, UsageError
from rlctl.files import replace_text

PATH = ("rewards", "invalid_penalty")
CHANGE_TOTALS = ("components", "aggregate", "shuffle")
"""Keys of `rewards` on which the advice depends."""
_WRITABLE = S_IWUSR | S_IWGRP | S_IWOTH


def require_applicable(config_file: Path, overrides: Sequence[str] = ()) -> None:
    """Whether a penalty could be written into the YAML, and would fit the rewards that it describes.

    Args:
        config_file: A YAML that has been read without complaints.
        overrides: What `--set` puts over it.

    Raises:
        UsageError: It belongs to rlctl, or `--set` changes the rewards that the advice is for.
        DataError: It cannot be written.
        ConfigError: The value serves several places through an anchor.
    """
    if config_file.resolve().is_relative_to(Path(rlctl.__file__).parent):
        raise UsageError(
            "the built-in quickstart is not yours to change",
            where="--apply",
            hint="Write a copy of it first: rlctl init quickstart",
        )
    for text in overrides:
        path = read_override(text).path
        if path == ("rewards",) or (path[:1] == ("rewards",) and path[1] in CHANGE_TOTALS):
            raise UsageError(
                f"--set {text} changes the rewards: their penalty would not fit those in {config_file}",
                where="--apply",
                hint="Change the rewards in the file, or leave --apply out.",
            )
    target = config_file.resolve()
    if not os.access(target, os.W_OK) or not target.stat().st_mode & _WRITABLE:
        raise DataError("the file is read-only", where=str(config_file), hint="Make it writable for --apply.")
    if not os.access(target.parent, os.W_OK):
        raise DataError("the folder of the file is read-only", where=str(config_file))
    replace_value(_text(target), PATH, 0.0, str(config_file))


def apply_penalty(config_file: Path, value: float, overrides: Sequence[str] = ()) -> str:
    """Write `rewards.invalid_penalty` into a YAML: all of it or nothing, its mode and its links kept.

    Args:
        config_file: The YAML.
        value: The penalty, in units of the key.
        overrides: What `--set` put over the file while the value was found.

    Returns:
        What changed: `config.yaml:23: rewards.invalid_penalty: -1.0 → -1.87`.

    Raises:
        ConfigError: The file is no sound YAML any more, or the value serves several places.
        DataError: The key does not take the value, or the file cannot be written.
    """
    if abs(value) > LARGEST_PENALTY:
        message = (
            f"`rewards.invalid_penalty` takes {-LARGEST_PENALTY:g} to {LARGEST_PENALTY:g}, not {value:g}"
        )
        raise DataError(message, where=str(config_file), hint="Make the rewards smaller by their weights.")
    value = rounded_down(value)
    target = config_file.resolve()
    before = _text(target)
    after = replace_value(before, PATH, value, str(config_file))
    old, new = parse(before, str(config_file)), parse(after, str(config_file))
    place = f"{config_file}:{new.lines[PATH]}: rewards.invalid_penalty"
    if old.data == new.data:
        return f"{place}: is {shortest(value)} already"
    try:
        replace_text(target, after, synced=True, mode=S_IMODE(target.stat().st_mode))
    except OSError as error:
        message = f"cannot be written ({error.strerror or error})"
        raise DataError(message, where=str(config_file)) from error
    wins = any(read_override(text).path == PATH for text in overrides)
    note = "; where --set rewards.invalid_penalty is given, it still wins" if wins else ""
    return f"{place}: {_former(old.data)} → {shortest(value)}{note}"


def rounded_down(value: float) -> float:
    """To six significant digits, never above the value: above it the advice would call itself too mild."""
    near = float(shortest(value))
    if near <= value:
        return near
    step = 10.0 ** (math.floor(math.log10(abs(value))) - 5)
    return float(shortest(near - step))


def _text(file: Path) -> str:
    """The text, with its own line ends and byte order mark."""
    try:
        return file.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot be read ({error})", where=str(file)) from error


def _former(data: Any) -> str:
    """What the file said."""
    section = data.get("rewards") or {}
    if section.get("invalid_penalty") is None:
        return f"{Rewards.model_fields['invalid_penalty'].default} (the default)"
    value = section["invalid_penalty"]
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {one}' for key, one in value.items())}}}"
    return str(value)
