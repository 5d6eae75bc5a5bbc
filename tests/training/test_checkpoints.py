"""Checkpoints are complete or absent, damage is seen, and rotation keeps what it should."""

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from rlctl.training import logs
from rlctl.training.checkpoints import MANIFEST, READABLE, Checkpoints, complete_or_absent
from rlctl.training.logs import RunLogs
from rlctl.training.progress import Progress

CONTENT = {"weights.bin": bytes(range(256)) * 5000, "inner/state.pt": b"state"}


def write(checkpoints: Checkpoints, *steps: int) -> None:
    for step in steps:
        folder = checkpoints.prepare(step)
        (folder / "inner").mkdir()
        for name, content in CONTENT.items():
            (folder / name).write_bytes(content + str(step).encode())
        checkpoints.commit(step, {"logs": {"metrics.jsonl": step}, "processes": 1})


@pytest.fixture
def checkpoints(tmp_path: Path) -> Checkpoints:
    return Checkpoints(tmp_path / "checkpoints")


def test_what_was_written_is_read_again(checkpoints: Checkpoints) -> None:
    write(checkpoints, 2, 10)
    assert checkpoints.steps() == [2, 10], "by number, not by name"
    newest, damaged = checkpoints.newest()
    assert newest is not None
    assert (newest.step, newest.name, damaged) == (10, "checkpoint-10", [])
    assert newest.about == {"logs": {"metrics.jsonl": 10}, "processes": 1}


def test_without_a_commit_there_is_nothing(checkpoints: Checkpoints) -> None:
    assert checkpoints.newest() == (None, [])
    (checkpoints.folder.parent / "x").touch()
    (checkpoints.prepare(3) / "weights.bin").write_bytes(b"half")
    assert checkpoints.newest() == (None, [])
    assert checkpoints.prepare(3).exists()
    assert not list(checkpoints.prepare(3).iterdir()), "what was left there is gone"
    checkpoints.clear()
    assert not list(checkpoints.folder.iterdir())


def test_the_same_step_can_be_written_again(checkpoints: Checkpoints) -> None:
    write(checkpoints, 3, 3)
    assert checkpoints.fault(3) is None
    assert checkpoints.steps() == [3]


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "a byte": (lambda folder: flip(folder / "weights.bin"), "weights.bin is not the same as"),
    "cut": (lambda folder: (folder / "weights.bin").write_bytes(b"half"), "weights.bin is not as long as"),
    "longer": (
        lambda folder: (folder / "weights.bin").open("ab").write(b"x"),
        "weights.bin is not as long as",
    ),
    "a file": (lambda folder: (folder / "inner/state.pt").unlink(), "inner/state.pt cannot be read (No such"),
    "manifest": (lambda folder: (folder / MANIFEST).unlink(), f"it has no {MANIFEST}"),
    "garbled": (lambda folder: (folder / MANIFEST).write_text("{"), f"its {MANIFEST} cannot be read"),
    "bytes": (lambda folder: (folder / MANIFEST).write_bytes(b"\xff\xfe"), f"its {MANIFEST} cannot be read"),
    "a list": (lambda folder: (folder / MANIFEST).write_text("[]"), f"its {MANIFEST} cannot be read"),
    "no sizes": (
        lambda folder: (folder / MANIFEST).write_text('{"step": 2, "files": {"weights.bin": {}}}'),
        f"its {MANIFEST} cannot be read",
    ),
    "incomplete": (
        lambda folder: (folder / MANIFEST).write_text('{"step": 2, "files": {}}'),
        f"its {MANIFEST} cannot be read",
    ),
    "an offset": (
        lambda folder: (folder / MANIFEST).write_text(
            (folder / MANIFEST).read_text().replace('"metrics.jsonl": 2', '"metrics.jsonl": 0')
        ),
        f"its {MANIFEST} cannot be read (not the same",
    ),
    "another step": (
        lambda folder: (folder / MANIFEST).write_bytes(
            (folder.parent / "checkpoint-1" / MANIFEST).read_bytes()
        ),
        "it is the checkpoint of step 1",
    ),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_named_and_the_one_before_is_used(kind: str, checkpoints: Checkpoints) -> None:
    write(checkpoints, 1, 2)
    damage, words = DAMAGE[kind]
    damage(checkpoints.path(2))
    newest, damaged = checkpoints.newest()
    assert newest is not None
    assert newest.step == 1
    assert len(damaged) == 1
    assert damaged[0].startswith(f"{checkpoints.path(2)}: {words}")
    checkpoints.set_aside(after=1)
    assert sorted(path.name for path in checkpoints.folder.iterdir() if path.name[0] != ".") == [
        "checkpoint-1",
        "damaged-checkpoint-2",
    ]


def test_an_empty_folder_is_no_checkpoint(checkpoints: Checkpoints) -> None:
    write(checkpoints, 1)
    checkpoints.path(5).mkdir()
    newest, damaged = checkpoints.newest()
    assert newest is not None
    assert newest.step == 1
    assert len(damaged) == 1


@pytest.mark.parametrize(
    ("limit", "best", "left"),
    [
        (None, None, [1, 2, 3, 4]),
        (4, None, [1, 2, 3, 4]),
        (2, None, [3, 4]),
        (1, None, [4]),
        (3, 1, [1, 3, 4]),  # the best is one of three
        (2, 1, [1, 4]),
        (2, 4, [3, 4]),
        (1, 1, [1, 4]),  # beside the newest
        (1, 4, [4]),
        (9, 2, [1, 2, 3, 4]),
    ],
)
def test_rotation(tmp_path: Path, limit: int | None, best: int | None, left: list[int]) -> None:
    checkpoints = Checkpoints(tmp_path / "checkpoints", limit)
    write(checkpoints, 1, 2, 3, 4)
    checkpoints.rotate(best)
    assert checkpoints.steps() == left


def test_the_best_is_by_held_out_reward_and_the_first_of_equals() -> None:
    progress = Progress()
    assert progress.best([1, 2]) is None, "no evaluation"
    progress.evaluations = [
        {"step": 0, "val/reward": 9.0},
        {"step": 2, "val/reward": 0.5},
        {"step": 4, "val/reward": 0.7},
        {"step": 6, "val/reward": 0.7},
        {"step": 8, "val/brevity": 1.0},
    ]
    assert progress.best([2, 4, 6, 8]) == 4
    assert progress.best([2, 6]) == 6
    assert progress.best([8]) is None
    assert progress.best() == 0, "the model before training"
    assert [progress.stalled(patience) for patience in (None, 5)] == [None, None]
    assert progress.stalled(4) == (
        "no better reward in 4 evaluations, as eval.patience has it; the best is 9 at step 0"
    )
    assert Progress("pass_at_1").stalled(1) is None, "no evaluation"


def test_a_final_folder_that_cannot_take_its_place_leaves_the_former(tmp_path: Path) -> None:
    final = tmp_path / "final"
    for text in ("one", "two"):
        with complete_or_absent(final) as unfinished:
            unfinished.mkdir()
            (unfinished / "model").write_text(text)
    assert (final / "model").read_text() == "two"
    with pytest.raises(OSError, match="No such file"), complete_or_absent(final):
        pass  # nothing was written, so there is nothing to move
    assert (final / "model").read_text() == "two"
    (tmp_path / ".final.former").mkdir()  # as a kill leaves it
    (tmp_path / ".final.former/model").write_text("zero")
    with complete_or_absent(final) as unfinished:
        unfinished.mkdir()
    assert [path.name for path in tmp_path.iterdir()] == ["final"]


def test_a_full_disk_after_a_kill_between_the_two_renames_leaves_the_former(tmp_path: Path) -> None:
    """The one before has no name then but that of the former: it gets its own again first."""
    (tmp_path / ".final.former").mkdir()
    (tmp_path / ".final.former/model").write_text("one")
    with pytest.raises(OSError, match="No space left"), complete_or_absent(tmp_path / "final") as unfinished:
        unfinished.mkdir()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert [path.name for path in tmp_path.iterdir()] == ["final"]
    assert (tmp_path / "final/model").read_text() == "one"


def test_logs_are_cut_to_their_lengths(tmp_path: Path) -> None:
    written = RunLogs(tmp_path)
    written.metrics(1, {"a": 1})
    lengths = written.lengths()
    assert lengths == {"metrics.jsonl": 20, "completions.jsonl": 0, "training_log.txt": 0}
    written.metrics(2, {"a": 1})
    written.completions([{"completion": "é"}])
    assert written.cut(lengths) == []
    assert written.lengths() == lengths
    missing = written.cut({**lengths, "metrics.jsonl": 1020})
    assert missing == [f"{tmp_path / 'metrics.jsonl'} has lost 1,000 bytes"]


def test_packed_completions_are_unpacked_before_they_are_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "GZIP_ABOVE", 10)
    written = RunLogs(tmp_path)
    written.completions([{"completion": "one"}])
    lengths = written.lengths()
    written.completions([{"completion": "two"}])
    written.pack()
    assert [file.name for file in tmp_path.iterdir()] == ["completions.jsonl.gz"]
    written.cut(lengths)
    assert (tmp_path / "completions.jsonl").read_text() == '{"completion": "one"}\n'
    assert [file.name for file in tmp_path.iterdir()] == ["completions.jsonl"]


def test_a_log_that_has_lost_the_end_of_a_line_goes_on_with_a_whole_one(tmp_path: Path) -> None:
    written = RunLogs(tmp_path)
    written.metrics(1, {"a": 1})
    written.metrics(2, {"a": 2})
    lengths = written.lengths()
    with (tmp_path / "metrics.jsonl").open("r+") as file:
        file.truncate(30)
    assert "has lost" in written.cut(lengths)[0]
    written.metrics(3, {"a": 3})
    assert [json.loads(line)["step"] for line in (tmp_path / "metrics.jsonl").open()] == [1, 3]


def test_others_may_read_what_a_user_lets_them_read(checkpoints: Checkpoints) -> None:
    folder = checkpoints.prepare(1)
    weights = folder / "model.safetensors"
    weights.write_bytes(b"x")
    weights.chmod(0o600)
    assert checkpoints.commit(1, {}).path.joinpath("model.safetensors").stat().st_mode & 0o777 == READABLE
