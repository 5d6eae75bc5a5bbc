"""Several processes close their connections before they end."""

import pytest
from torch import distributed

from rlctl.training.together import leave_group


@pytest.fixture
def group(tmp_path):
    """A group of one process."""
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'meet'}", rank=0, world_size=1)
    yield
    if distributed.is_initialized():
        distributed.destroy_process_group()


@pytest.mark.parametrize("all_done", [True, False])
def test_nothing_is_left_open(group, all_done, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")  # as a launcher says it
    leave_group(all_done=all_done)
    assert not distributed.is_initialized()


def test_a_group_that_no_launcher_made_is_somebody_else_s(group, monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    leave_group(all_done=True)
    assert distributed.is_initialized()


def test_where_there_is_none_there_is_nothing_to_do(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    leave_group(all_done=True)
    assert not distributed.is_initialized()
