"""Pushing: to a stand-in that takes files over HTTP as the Hub does, and everything that may go wrong."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_stand_in import Hub
from huggingface_hub import constants

from rlctl.errors import MissingError, UsageError
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


def test_private_is_never_sent_to_a_public_repository(folder: Path, hub: Hub) -> None:
    hub.repositories = {"me/open": False, "me/mine": True}
    with pytest.raises(UsageError) as caught:
        push(folder, "me/open", private=True, commit_message="")
    assert str(caught.value) == (
        "me/open: --private, but the repository exists and is public\n"
        "  Make it private (`hf repos settings me/open --private`) or choose another name; then "
        f"`hf upload me/open {folder} .` sends the export, which is in {folder}. Nothing was sent."
    )
    assert (hub.files, hub.commits, hub.repositories["me/open"]) == ({}, 0, False)
    assert not [asked for asked in hub.asked if "upload" in asked or "commit" in asked]
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "model.safetensors"]
    push(folder, "me/mine", private=True, commit_message="")
    assert hub.commits == 1


def test_an_earlier_model_does_not_stay_beside_the_new_one(folder: Path, hub: Hub) -> None:
    hub.repositories = {"me/model": False}
    shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    kept = ["LICENSE", "data/model.txt", "figures/config.png", ".gitattributes"]
    old = ["adapter_config.json", "adapter_model.safetensors", "model.safetensors.index.json", *shards]
    hub.files = dict.fromkeys([*old, *kept, "README.md", "model.safetensors"], b"old")
    push(folder, "me/model", private=False, commit_message="")
    assert sorted(hub.files) == sorted([*kept, "README.md", "model.safetensors"])
    assert hub.files["model.safetensors"] == bytes(range(256))
    assert {hub.files[name] for name in kept} == {b"old"}
    assert hub.commits == 1


def test_an_adapter_over_an_earlier_model(folder: Path, hub: Hub) -> None:
    hub.repositories = {"me/model": False}
    (folder / "model.safetensors").rename(folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text("{}")
    hub.files = dict.fromkeys(["config.json", "generation_config.json", "pytorch_model.bin"], b"old")
    push(folder, "me/model", private=False, commit_message="")
    assert sorted(hub.files) == ["README.md", "adapter_config.json", "adapter_model.safetensors"]


def test_a_refusal_says_what_to_do(folder: Path, hub: Hub) -> None:
    hub.refuse = 403
    with pytest.raises(MissingError) as caught:
        push(folder, "me/model", private=True, commit_message="")
    assert str(caught.value) == (
        "me/model: the Hub refused (403: you may not write here)\n"
        "  Check that the token may write there (`hf auth whoami`). "
        f"The export is in {folder}; "
        f"`hf repos create me/model --private && hf upload me/model {folder} .` sends it."
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
