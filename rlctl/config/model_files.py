"""Looks at the model that a config names: is it there, is it whole, how long may texts be? Torch-free."""

import json
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path as File
from typing import Any

from rlctl import registry
from rlctl.config.base import looks_local
from rlctl.config.config import Config
from rlctl.config.explain import Finding
from rlctl.config.yaml_marks import Path
from rlctl.errors import EXIT_DATA, CheckpointError
from rlctl.registry import closest, did_you_mean

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
"""`name` or `user/name`."""
CONTEXT_KEYS = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "n_ctx")
"""What model configs call the number of tokens that they can read."""


def check_model(config: Config) -> Iterator[Finding]:
    """Everything under `model` that names something that is not there or does not fit."""
    model = config.model
    yield from _named(model.path, ("model", "path"), what="model")
    if model.tokenizer is not None:
        yield from _named(model.tokenizer, ("model", "tokenizer"), what="tokenizer")
    if model.chat_template is not None and not File(model.chat_template).is_file():
        yield _missing(File(model.chat_template), ("model", "chat_template"))
    if model.revision is not None and (model.path.startswith("builtin:") or looks_local(model.path)):
        yield Finding(("model", "revision"), "only a model of the Hub has revisions", "leave it out")
    yield from _context(config)


def folder_of(path: str) -> File | None:
    """The folder with a model's files on this machine, a run's `final` included; None for one of the Hub."""
    if path.startswith("builtin:"):
        target = registry.names("models").get(path.removeprefix("builtin:"))
        spec = find_spec(target) if target else None
        places = list(spec.submodule_search_locations or []) if spec else []
        return File(places[0]) if places else None
    try:
        folder = _place(path)
    except CheckpointError:
        return None
    if not folder.is_dir():
        return None
    return folder / "final" if (folder / "final").is_dir() else folder


def _named(name: str, path: Path, what: str) -> Iterator[Finding]:
    if name.startswith("builtin:"):
        short, known = name.removeprefix("builtin:"), registry.names("models")
        if short not in known:
            meant = closest(short, known)
            listed = f"there is builtin:{', builtin:'.join(sorted(known))}"
            hint = f"did you mean 'builtin:{meant}'?" if meant else listed
            yield Finding(path, f"no built-in model {short!r}", hint)
    elif name.startswith("hub:"):
        yield Finding(path, f"this version has no published {what}s of its own", "name it by its Hub id")
    elif looks_local(name) or File(name).exists():
        try:
            yield from _folder(_place(name), path, what)
        except CheckpointError as error:
            yield Finding(path, f"{error.where}: {error.message}", error.hint, exit_code=EXIT_DATA)
    elif not HUB_ID.fullmatch(name):
        message = f"{name!r} is no folder and no name of a model of the Hub"
        yield Finding(path, message, "name a folder, `builtin:NAME` or `user/model`")


def _place(name: str) -> File:
    """The folder that a path names; `RUN@STEP` and `RUN@best` are those of a run's checkpoints."""
    from rlctl.models.best import BEST, best_step

    run, _, step = name.rpartition("@")
    folder = File(name)
    if not run or not File(run).is_dir() or folder.exists():
        return folder
    if step == BEST:
        best = best_step(File(run))
        return File(run) if best is None else File(run) / "checkpoints" / f"checkpoint-{best}"
    return File(run) / "checkpoints" / f"checkpoint-{step}"


_MARKS = {
    "model": ("config.json", "adapter_config.json"),
    "tokenizer": ("tokenizer.json", "tokenizer_config.json", "tokenizer.model", "vocab.json", "vocab.txt"),
}
"""What lies in a folder that holds one."""


def _folder(folder: File, path: Path, what: str) -> Iterator[Finding]:
    if not folder.exists():
        yield _missing(folder, path)
    elif not folder.is_dir():
        yield Finding(path, f"{folder} is a file, not the folder of a {what}", exit_code=EXIT_DATA)
    else:
        inside = folder / "final" if (folder / "final").is_dir() else folder
        if not any((inside / name).is_file() for name in _MARKS[what]):
            is_run = (folder / "run.json").exists()
            hint = (
                "the run has not finished; name one of its checkpoints" if is_run else _holding(folder, what)
            )
            message = f"{inside} holds no {what}: there is no {_MARKS[what][0]}"
            yield Finding(path, message, hint, exit_code=EXIT_DATA)


def _holding(folder: File, what: str) -> str | None:
    """A folder just below that holds one."""
    for inner in sorted(one for one in folder.iterdir() if one.is_dir()):
        if any((inner / name).is_file() for name in _MARKS[what]):
            return f"did you mean {str(inner)!r}?"
    return None


def _missing(file: File, path: Path) -> Finding:
    parent = file.parent
    hint = did_you_mean(file.name, [one.name for one in parent.iterdir()]) if parent.is_dir() else None
    hint = hint or (None if parent.is_dir() else f"there is no folder {parent} either")
    return Finding(path, f"{file}: no such file or folder", hint, exit_code=EXIT_DATA)


def _context(config: Config) -> Iterator[Finding]:
    """Whether prompt and completion together fit what the model can read."""
    folder = folder_of(config.model.path)
    file = folder / "config.json" if folder else None
    if file is None or not file.is_file():
        return
    try:
        described = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        message = f"{file}: not readable as JSON ({error})"
        yield Finding(
            ("model", "path"), message, "the model folder is broken; copy it anew", exit_code=EXIT_DATA
        )
        return
    longest = _longest(described)
    if longest is not None and config.data.max_length > longest:
        message = f"{config.data.max_length} tokens are more than the {longest} that the model can read"
        yield Finding(("data", "max_length"), message, f"use {longest} or less", reads=(("model", "path"),))


def _longest(described: Any) -> int | None:
    for part in (described, described.get("text_config")) if isinstance(described, dict) else ():
        for key in CONTEXT_KEYS:
            if isinstance(part, dict) and isinstance(part.get(key), int) and part[key] > 0:
                return int(part[key])
    return None
