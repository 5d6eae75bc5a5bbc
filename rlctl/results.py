"""Folders that keep what a command found: one for each request; nothing of another one is overwritten."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from rlctl.errors import CheckpointError, UsageError


def place(
    kind: str,
    request: Mapping[str, Any],
    file: str,
    *,
    output: str | Path | None,
    run: Path | None,
    default: Path,
) -> Path:
    """The folder of some results: the same for the same request, another for any other.

    Args:
        kind: What it is called, without a digest of the request: `eval`.
        request: What is asked for; the results keep it under `request`.
        file: The file of the folder that holds the results.
        output: The folder that the user names, if so.
        run: The run that they are of; its `results` is the place.
        default: The place where no run is.

    Raises:
        UsageError: The folder that the user names holds something else.
    """
    text = json.dumps(request, sort_keys=True, default=str)
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    if output is None:
        folder = ((run / "results" if run else default) / f"{kind}-{digest}").absolute()
    else:
        folder = Path(output).absolute()
        if folder.is_file():
            raise UsageError("a file, not a folder", where=str(folder), hint="Choose another: --output DIR.")
        if folder.is_dir() and any(folder.iterdir()) and _request(folder / file) != json.loads(text):
            raise UsageError(
                "holds something else than this command would write; nothing is overwritten",
                where=str(folder),
                hint="Choose another: --output DIR.",
            )
    _try_to_write(folder)
    return folder


def _try_to_write(folder: Path) -> None:
    """Find out before hours of sampling whether a folder can be written; nothing new stays."""
    new = [one for one in (folder, *folder.parents) if not one.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
        for one in new:
            one.rmdir()
    except OSError as error:
        message = f"the results could not be written ({error.strerror or error})"
        raise UsageError(message, where=str(folder), hint="Choose another: --output DIR.") from error


def _request(file: Path) -> Any:
    """What the results in a file are of; None where there are none."""
    try:
        return json.loads(file.read_text(encoding="utf-8")).get("request") if file.is_file() else None
    except (OSError, ValueError, AttributeError) as error:
        raise CheckpointError(f"cannot be read ({error})", where=str(file)) from error
