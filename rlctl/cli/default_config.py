"""The YAML of a command that was called without one."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path

NAMES = ("rlctl.yaml", "config.yaml")
"""Looked for in the current folder, in this order."""


@contextmanager
def config_or_default(path: str | None) -> Iterator[tuple[str, str | None]]:
    """The YAML to read, and which one that is in words where the user has not named it.

    Args:
        path: What the user has named; None for `rlctl.yaml`, else `config.yaml`, of the current folder if
            there is one, else the built-in quickstart.
    """
    here = next((name for name in NAMES if Path(name).is_file()), None)
    if path is not None or here is not None:
        yield (path, None) if path is not None else (str(here), f"config: {here} of this folder")
        return
    with as_file(files("rlctl.templates").joinpath("quickstart", "config.yaml")) as file:
        yield str(file), "config: the built-in quickstart (no rlctl.yaml or config.yaml in this folder)"
