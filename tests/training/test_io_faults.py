"""Whatever a disk refuses, and whenever: the newest checkpoint is sound, and the run can go on."""

import errno
import json
import resource
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from faulty_disk import FaultyDisk
from same_runs import differences
from small_runs import merged, small_config

from rlctl.cli.app import run as command
from rlctl.training.checkpoints import Checkpoints
from rlctl.training.faults import in_words
from rlctl.training.saver import Saver
from rlctl.training.trl.seams import PolicyTrainer

STEPS = 3
MIDDLE = 2
"""The step at whose end something happens."""


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> FaultyDisk:
    return FaultyDisk(monkeypatch)


def train(folder: Path, model: Path, *arguments: str, place: str = "runs", **training: Any) -> int:
    """Three steps, saved at each; the folder of the run is `<folder>/<place>/small`."""
    changes = {"training": {"save_steps": 1, "save_total_limit": 1, "max_steps": STEPS, **training}}
    config = merged(small_config(folder, model), changes)
    (folder / "config.yaml").write_text(json.dumps(config))
    where = ("--output-dir", str(folder / place))
    return command(["train", str(folder / "config.yaml"), "--quiet", *where, *arguments])


def straight(folder: Path, model: Path) -> Path:
    """The run that nothing happens to."""
    assert train(folder, model, place="straight") == 0
    return folder / "straight/small"


def once_at_the_save(
    monkeypatch: pytest.MonkeyPatch, happens: Callable[[Saver, Callable[[], Exception | None]], None]
) -> None:
    """Call this in place of the save at the end of the second step, the first time that one is due."""
    save, called = Saver.save, []

    def saved(self: Saver, *, wait: bool = True) -> Exception | None:
        if self.step == MIDDLE and not called:
            called.append(True)
            happens(self, lambda: save(self))
        return save(self, wait=wait)

    monkeypatch.setattr(Saver, "save", saved)


def sound(checkpoints: Checkpoints) -> int:
    """Step of the newest checkpoint; every folder with a checkpoint's name must be whole."""
    assert [checkpoints.fault(step) for step in checkpoints.steps()] == [None] * len(checkpoints.steps())
    newest, damaged = checkpoints.newest()
    assert newest is not None
    assert damaged == []
    return newest.step


@pytest.mark.parametrize(
    ("number", "each"),
    [
        (None, 5),
        pytest.param(None, 1, marks=pytest.mark.full),
        pytest.param(errno.EIO, 1, marks=pytest.mark.full),
        pytest.param(errno.ENOSPC, 1, marks=pytest.mark.full),
        pytest.param(errno.EACCES, 1, marks=pytest.mark.full),
        pytest.param(errno.EROFS, 1, marks=pytest.mark.full),
        pytest.param(errno.ESTALE, 1, marks=pytest.mark.full),
    ],
)
def test_every_operation_of_a_save_can_fail(
    number: int | None,
    each: int,
    tmp_path: Path,
    tiny_model_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    disk: FaultyDisk,
) -> None:
    """Once; and (with a number of its own) every later one too: a disk that stays away.

    Every operation in the full tier, else each fifth.
    """
    expected = straight(tmp_path, tiny_model_folder)
    outcomes: Counter[str] = Counter()

    def every(saver: Saver, save: Callable[[], Exception | None]) -> None:
        folder = saver.checkpoints.folder
        shutil.copytree(folder, tmp_path / "before")

        def one(fails: Callable[[int, str], bool]) -> list[str]:
            with disk.failing(folder, number or errno.EIO, fails) as done:
                fault = save()
            newest = sound(saver.checkpoints)
            assert fault is None or (isinstance(fault, OSError) and in_words(fault))
            assert fault is not None or newest == MIDDLE
            outcomes[f"{'told' if fault else 'silent'}, newest {newest}"] += 1
            assert save() is None, "the fault is gone"
            assert sound(saver.checkpoints) == MIDDLE
            shutil.rmtree(folder)
            shutil.copytree(tmp_path / "before", folder)
            saver.saved = 1
            return done

        operations = one(lambda place, what: False)
        kinds = Counter(operation.split()[0] for operation in operations)
        assert kinds.keys() >= {"fsync", "save", "safe_save_file", "write_text", "os.mkdir", "os.rename"}
        for k in range(0, len(operations), each):
            one(lambda place, what, k=k: place == k)
            if number is not None:
                one(lambda place, what, k=k: place >= k)

    once_at_the_save(monkeypatch, every)
    assert train(tmp_path, tiny_model_folder) == 0
    assert differences(expected, tmp_path / "runs/small") == []
    assert outcomes["told, newest 1"] > 10 // each
    assert outcomes["told, newest 2"] > 1  # what was saved before could not be removed


@pytest.mark.parametrize(
    "what",
    [
        "safe_save_file",
        pytest.param("fsync", marks=pytest.mark.full),
        pytest.param("os.rename", marks=pytest.mark.full),
        pytest.param("save ", marks=pytest.mark.full),
        pytest.param("os.mkdir", marks=pytest.mark.full),
    ],
)
def test_a_save_that_fails_is_told_and_training_goes_on(
    what: str,
    tmp_path: Path,
    tiny_model_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    disk: FaultyDisk,
    capfd: pytest.CaptureFixture,
) -> None:
    """As it stood after the failed save, the run is taken up again too, and ends as the straight one."""
    expected = straight(tmp_path, tiny_model_folder)
    run = tmp_path / "runs/small"
    save = Saver.save

    def saved(self: Saver, *, wait: bool = True) -> Exception | None:
        if self.step != MIDDLE or "runs" not in str(self.checkpoints.folder):
            return save(self, wait=wait)
        with disk.failing(run, errno.EIO, lambda place, operation: operation.startswith(what)):
            fault = save(self)
        shutil.copytree(run, tmp_path / "stood/small")
        return fault

    monkeypatch.setattr(Saver, "save", saved)
    assert train(tmp_path, tiny_model_folder) == 0
    log = (run / "logs/training_log.txt").read_text()
    warning = "warning: step 2 could not be saved: Input/output error"
    assert warning in log
    assert "(the newest checkpoint is of step 1). Training goes on." in log
    assert Checkpoints(run / "checkpoints").steps() == [STEPS]
    monkeypatch.setattr(Saver, "save", save)
    assert train(tmp_path, tiny_model_folder, "--resume", place="stood") == 0
    assert differences(expected, tmp_path / "stood/small") == []
    assert "Traceback" not in capfd.readouterr().err


FULL = pytest.mark.full


@pytest.mark.parametrize("share", [0.02, pytest.param(0.5, marks=FULL), 0.99])
def test_files_that_may_not_grow(
    share: float, tmp_path: Path, tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel itself refuses what torch and safetensors write, above a share of the largest file."""

    def limited(saver: Saver, save: Callable[[], Exception | None]) -> None:
        files = list(saver.checkpoints.path(1).iterdir())
        largest = max(file.stat().st_size for file in files)
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(share * largest), hard))
        try:
            fault = save()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert fault is not None
        assert sound(saver.checkpoints) == 1
        assert not (saver.checkpoints.folder / ".unfinished").exists()

    once_at_the_save(monkeypatch, limited)
    assert train(tmp_path, tiny_model_folder) == 0
    assert sound(Checkpoints(tmp_path / "runs/small/checkpoints")) == STEPS


def test_a_log_that_cannot_grow_ends_the_run_and_it_goes_on(
    tmp_path: Path, tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    """The kernel takes a part of the completions of step 3, and no more."""
    expected = straight(tmp_path, tiny_model_folder)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    save = Saver.save

    def saved(self: Saver, *, wait: bool = True) -> Exception | None:
        fault = save(self, wait=wait)
        if self.step == MIDDLE:
            size = (self.logs.folder / "completions.jsonl").stat().st_size
            resource.setrlimit(resource.RLIMIT_FSIZE, (size + 700, hard))
        return fault

    monkeypatch.setattr(Saver, "save", saved)
    try:
        code = train(tmp_path, tiny_model_folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        monkeypatch.setattr(Saver, "save", save)
    err = capfd.readouterr().err
    assert code == 5
    assert "File too large" in err
    assert "--resume" in err
    assert "Traceback" not in err
    log = tmp_path / "runs/small/logs/completions.jsonl"
    assert not log.read_text().endswith("\n"), "half a line"
    assert train(tmp_path, tiny_model_folder, "--resume") == 0
    assert differences(expected, tmp_path / "runs/small") == []


@pytest.mark.parametrize(
    "file",
    [
        "metrics.jsonl",
        pytest.param("completions.jsonl", marks=FULL),
        pytest.param("training_log.txt", marks=FULL),
        pytest.param("rewards.json", marks=FULL),
    ],
)
def test_no_space_for_a_log(
    file: str,
    tmp_path: Path,
    tiny_model_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    disk: FaultyDisk,
    capfd: pytest.CaptureFixture,
) -> None:
    expected = straight(tmp_path, tiny_model_folder)
    logs = tmp_path / "runs/small/logs"
    generate, later = PolicyTrainer._generate_single_turn, []

    def generating(self: Any, *args: Any, **kwargs: Any) -> Any:
        later.extend([True] * (self.state.global_step == MIDDLE))
        return generate(self, *args, **kwargs)

    monkeypatch.setattr(PolicyTrainer, "_generate_single_turn", generating)
    with disk.failing(logs, errno.ENOSPC, lambda k, what: bool(later) and file in what):
        assert train(tmp_path, tiny_model_folder) == 5
    later.clear()
    err = capfd.readouterr().err
    assert "the disk is full" in err
    assert "Traceback" not in err
    assert json.loads((logs.parent / "run.json").read_text())["status"] == "failed"
    assert train(tmp_path, tiny_model_folder, "--resume") == 0
    assert differences(expected, tmp_path / "runs/small") == []


@pytest.mark.parametrize(
    "what",
    ["safe_save_file", pytest.param("fsync", marks=FULL), pytest.param("os.rename", marks=FULL)],
)
def test_the_final_model_cannot_be_written(
    what: str,
    tmp_path: Path,
    tiny_model_folder: Path,
    disk: FaultyDisk,
    capfd: pytest.CaptureFixture,
) -> None:
    expected = straight(tmp_path, tiny_model_folder)
    run = tmp_path / "runs/small"
    with disk.failing(run / ".final", errno.EIO, lambda k, operation: operation.startswith(what)):
        assert train(tmp_path, tiny_model_folder) == 5
    err = capfd.readouterr().err
    assert "Input/output error" in err
    assert "--resume" in err
    assert "Traceback" not in err
    assert not (run / "final").exists()
    assert not list(run.glob(".final*"))
    assert train(tmp_path, tiny_model_folder, "--resume") == 0
    assert differences(expected, run) == []


def test_a_drive_that_is_lost(
    tmp_path: Path, tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    """Nothing is written where it was; when it is back, the run goes on."""
    expected = straight(tmp_path, tiny_model_folder)
    run, elsewhere = tmp_path / "runs/small", tmp_path / "elsewhere"
    once_at_the_save(monkeypatch, lambda saver, save: run.rename(elsewhere))
    assert train(tmp_path, tiny_model_folder) == 5
    err = capfd.readouterr().err
    assert "the run's folder is gone: removed, or its drive is lost" in err
    assert "Traceback" not in err
    assert len(err.splitlines()) <= 4, err
    assert not run.exists()
    elsewhere.rename(run)
    assert train(tmp_path, tiny_model_folder, "--resume") == 0
    assert differences(expected, run) == []
