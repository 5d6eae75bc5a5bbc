"""What a published file says in place of the paths of the machine that it was written on."""

import re
from pathlib import Path, PurePath
from typing import Any

from rlctl import registry
from rlctl.config.model_files import HUB_ID

PATH_KEYS = ("path", "tokenizer", "chat_template", "output_dir", "function")
"""Keys of the YAML whose text is a path where it starts with a slash."""

BARE_PATH = re.compile(r"(/[^/\s]+){2,}/?")
"""Text under any other key that can only be an absolute path."""

IN_THE_CACHE = re.compile(r"/(?:models|datasets)--([^/]+)/snapshots/")


def hub_id(name: str) -> str | None:
    """The id on the Hugging Face Hub of a model or dataset, out of its cache too; None for any other."""
    if cached := IN_THE_CACHE.search(name):
        return cached[1].replace("--", "/")
    return name if HUB_ID.fullmatch(name) and not Path(name).exists() else None


def public_name(path: str) -> str:
    """A path by its last part: a built-in model, a run, a Hub id out of its cache, else the file or folder.

    Args:
        path: An absolute path, or a name that has nothing to hide, which stays as it is.
    """
    if not path.startswith("/"):
        return path
    parts = PurePath(path).parts
    for name, package in registry.names("models").items():
        inside = tuple(package.split("."))
        if parts[-len(inside) :] == inside:
            return f"builtin:{name}"
    if on_the_hub := hub_id(path):
        return on_the_hub
    if parts[-1] == "final" and len(parts) > 2:
        return parts[-2]
    if len(parts) > 3 and parts[-2] == "checkpoints":
        return f"{parts[-3]}@{parts[-1].removeprefix('checkpoint-')}"
    return parts[-1]


def without_paths(value: Any, key: str = "") -> Any:
    """A copy of what a config holds, every absolute path by its public name.

    Args:
        value: A dict, a list, or a single value.
        key: The key that it is under.
    """
    if isinstance(value, dict):
        return {name: without_paths(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [without_paths(inner, key) for inner in value]
    if isinstance(value, str) and (key in PATH_KEYS or BARE_PATH.fullmatch(value)):
        return public_name(value)
    return value
