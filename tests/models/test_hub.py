"""Pushing: to a stand-in that takes files over HTTP as the Hub does, and everything that may go wrong."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_stand_in import Hub
from huggingface_hub import constants

from rlctl.errors import MissingError
from rlctl.models.hub import push

README = "---\nlibrary_name: transformers\n---\n\n# A model\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", "hf_for_the_stand_in")
    (tmp_path / "README.md").write_text(README)
    (tmp_path / "model.safetensors").write_bytes(bytes(range(256)))
    return tmp_path


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    server = Hub()
    monkeypatch.setattr(constants, "ENDPOINT", server.address)
    yield server
    server.shutdown()
    server.server_close()


def test_every_file_arrives(folder: Path, hub: Hub) -> None:
    address = push(folder, "me/model", private=True, commit_message="Export of a run")
    assert address == f"{hub.address}/me/model"
    assert hub.repositories == {"me/model": True}
    assert hub.files == {"README.md": README.encode(), "model.safetensors": bytes(range(256))}
    assert hub.title == "Export of a run"
    push(folder, "me/open", private=False, commit_message="another")
    assert hub.repositories["me/open"] is False


def test_a_refusal_says_what_to_do(folder: Path, hub: Hub) -> None:
    hub.refuse = 403
    with pytest.raises(MissingError) as caught:
        push(folder, "me/model", private=True, commit_message="")
    assert str(caught.value) == (
        "me/model: the Hub refused (403: you may not write here)\n"
        "  Check that the token may write there (`hf auth whoami`). "
        f"The export is in {folder}; `hf upload me/model {folder} . --private` sends it."
    )


def test_nobody_answers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(
        MissingError, match=r"http://127\.0\.0\.1:9: the upload failed \(.*refused\)\n  Check the net"
    ):
        push(folder, "me/model", private=False, commit_message="")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(MissingError, match="offline mode is enabled"):
        push(folder, "me/model", private=False, commit_message="")


def test_no_login(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no token"))
    with pytest.raises(MissingError, match="no login for the Hugging Face Hub\n  Run `hf auth login`"):
        push(folder, "me/model", private=False, commit_message="")
