"""A disk that fails at a chosen operation: every one that a save asks of it, one after the other.

Operations are seen where Python announces them (its audit events), and where torch and safetensors write by
themselves. One that fails in the middle of writing leaves half of what it was to write, as a disk does.
"""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers.modeling_utils

EVENTS = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate", "os.scandir")


class FaultyDisk:
    """Counts operations below a folder while it is armed, and fails those that are chosen.

    `fails` gets the number of an operation, from 0, and what it is, `event path`; and tells whether it fails.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.armed = False
        self.done: list[str] = []
        self._lock = threading.Lock()
        self._inside = threading.local()
        sys.addaudithook(self._heard)
        synced = os.fsync

        def fsync(descriptor: int) -> None:
            self._asked("fsync", os.readlink(f"/proc/self/fd/{descriptor}"))
            synced(descriptor)

        monkeypatch.setattr(os, "fsync", fsync)
        self._half(monkeypatch, torch, "save", 1)
        self._half(monkeypatch, transformers.modeling_utils, "safe_save_file", 1)
        self._half(monkeypatch, Path, "write_text", 0)

    @contextmanager
    def failing(self, root: Path, number: int, fails: Callable[[int, str], bool]) -> Iterator[list[str]]:
        """Meanwhile, operations below `root` fail with this error number; yields what is asked for."""
        self._root, self._number, self._fails, self.done = str(root), number, fails, []
        self.armed = True
        try:
            yield self.done
        finally:
            self.armed = False

    def _half(self, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, place: int) -> None:
        write = getattr(owner, name)

        def half(*args: Any, **kwargs: Any) -> Any:
            self._inside.write = True  # what it does by itself is one operation
            try:
                result = write(*args, **kwargs)
            finally:
                self._inside.write = False
            try:
                self._asked(name, str(args[place]))
            except OSError:
                os.truncate(args[place], os.stat(args[place]).st_size // 2)
                raise
            return result

        monkeypatch.setattr(owner, name, half)

    def _heard(self, event: str, args: tuple[Any, ...]) -> None:
        if self.armed and event in EVENTS and isinstance(args[0], str | Path):
            self._asked(event, str(args[0]))

    def _asked(self, event: str, path: str) -> None:
        if not self.armed or getattr(self._inside, "write", False):
            return
        if os.path.isabs(path) and not path.startswith(self._root):
            return
        with self._lock:
            self.done.append(f"{event} {path.removeprefix(self._root)}")
            fails = self._fails(len(self.done) - 1, self.done[-1])
        if fails:
            raise OSError(self._number, os.strerror(self._number), path)
