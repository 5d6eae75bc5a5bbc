"""What a published file says in place of the paths of the machine that it was written on."""

import re
from pathlib import Path, PurePath, PureWindowsPath

from rlctl import registry
from rlctl.config.model_files import HUB_ID

IN_THE_CACHE = re.compile(r"/(?:models|datasets)--([^/]+)/snapshots/")

FILE_URL = re.compile(r"\Afile:(?://[\w.-]*)?(?=/)")
WINDOWS = re.compile(r"/?(?:[A-Za-z]:[\\/]|\\\\[\w.-])")
HOME = re.compile(r"~(?:[A-Za-z_][\w.-]*)?/")

_NAME = r"[^/\\\s|`'\"<>{}*?:]"
_SPACED = rf"(?:{_NAME}|(?<![.,;:!?\s])[ ])+"
"""Part of a path in a text, which may have spaces in it, but no end of a sentence."""

FOLDERS = re.compile(
    rf"(?<![\w./\\~<])(?:"
    rf"(?:file:(?://[\w.-]*)?)?/{_NAME}+/(?:{_SPACED}/)*"  # /home/me/My Data/
    rf"|file:///"
    rf"|~(?:[A-Za-z_][\w.-]*)?/(?:{_SPACED}/)*"
    rf"|(?:file:/*)?[A-Za-z]:/(?:{_SPACED}/)+"
    rf"|(?:[A-Za-z]:|\\\\[\w.-]+)\\(?:\w[\w .,()-]+\\)+"  # narrow: patterns of rewards have backslashes
    rf")(?=[^\s/\\])"
)
"""Everything of an absolute path within a text but its last part."""

WHOLE = re.compile(
    r"(?:/[^/\s]+){2,}/?"
    r"|(?:/[^/\n{}]+){2,}(?<=[^.\s])\.\w{1,8}(?::\w+)?"  # a file; spaces may be anywhere
    r"|(?:/[^/\n{}]+){3,}/?"
    r"|(?:file:|~[\w.-]*/|[A-Za-z]:[\\/]\w[\w .-]+[\\/]|\\\\[\w.-]+\\\w)[^\n{}]*"
)
"""Text that as a whole is an absolute path; `/no_think {question}` is none."""


def hub_id(name: str) -> str | None:
    """The id on the Hugging Face Hub of a model or dataset, out of its cache too; None for any other."""
    if cached := IN_THE_CACHE.search(name):
        return cached[1].replace("--", "/")
    return name if HUB_ID.fullmatch(name) and not Path(name).exists() else None


def public_name(path: str) -> str:
    """A path by its last part: a built-in model, a run, a Hub id out of its cache, else the file or folder.

    Args:
        path: An absolute path, also `~/…`, of Windows, or `file://…`; any other name stays as it is.
    """
    path = FILE_URL.sub("", path)
    if WINDOWS.match(path):
        path = path.lstrip("/")
        return PureWindowsPath(path).name or path
    if not path.startswith("/") and not HOME.match(path):
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


def without_folders(text: str) -> str:
    """A text, every absolute path in it by its last part; where in doubt, too much is cut.

    Args:
        text: A path, or any other text with paths in it.
    """
    return public_name(text) if WHOLE.fullmatch(text) else FOLDERS.sub("", text)
