"""Files that are whole or as they were: written beside, forced to the disk if need be, and renamed."""

import json
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

THREADS = 8
"""Files that are forced to the disk at a time, which the disk then does as one."""


def sync(paths: Iterable[Path]) -> None:
    """Force files and folders to the disk.

    Raises:
        OSError: The disk did not take them.
    """
    all_paths = list(paths)
    if len(all_paths) == 1:
        _sync(all_paths[0])
        return
    with ThreadPoolExecutor(THREADS) as pool:
        for done in [pool.submit(_sync, path) for path in all_paths]:
            done.result()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: Path, content: dict[str, Any], *, synced: bool = False) -> None:
    """Replace a file with this JSON; see `replace_text`."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    replace_text(path, text, synced=synced)


def replace_text(path: Path, text: str, *, synced: bool = False, mode: int | None = None) -> None:
    """Write to a temporary neighbour, then rename it into place: readers see the old text or the new.

    Args:
        path: The file.
        text: What it is to hold.
        synced: Whether that must outlast a loss of power.
        mode: Permissions of the file; None for those of any new file.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text, encoding="utf-8", newline="")
    if mode is not None:
        temporary.chmod(mode)
    if synced:
        sync([temporary])
    temporary.replace(path)
    if synced:
        sync([path.parent])
