"""Runs `rlctl` in this process: exit code, stdout, stderr."""

from collections.abc import Callable
from typing import NamedTuple

import pytest


class Ran(NamedTuple):
    """What a command line did."""

    code: int
    out: str
    err: str


@pytest.fixture
def rlctl(capfd) -> Callable[..., Ran]:
    from rlctl.cli.app import run

    def call(*arguments: str) -> Ran:
        capfd.readouterr()
        code = run([*map(str, arguments)])
        return Ran(code, *capfd.readouterr())

    return call


@pytest.fixture
def quickstart(tmp_path, monkeypatch, rlctl):
    """A folder of its own, with the quickstart's `config.yaml` in it, as the current folder."""
    monkeypatch.chdir(tmp_path)
    assert rlctl("init").code == 0
    return tmp_path
