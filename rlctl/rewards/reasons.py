"""An exception that user code raised, in a few words for a log or an error."""

import traceback
from pathlib import Path

LONGEST_REASON = 200


def describe(error: BaseException, file: str | None = None) -> str:
    """An exception in a few words, with the line of the user's file that it comes from."""
    lines = str(error).strip().splitlines()
    text = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    text = text if len(text) <= LONGEST_REASON else text[:LONGEST_REASON] + "…"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename == file]
    if not own:
        return text
    return f"{text} ({Path(own[-1].filename).name}:{own[-1].lineno})"
