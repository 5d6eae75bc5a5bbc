"""A run's folder: claimed once, written by one process, never half-written."""

import json
from pathlib import Path

import pytest
import yaml

from rlctl.config.config import Config
from rlctl.config.load import config_from_dict
from rlctl.errors import TrainingError, UsageError
from rlctl.training import logs
from rlctl.training.place import free_name
from rlctl.training.run import Run
from rlctl.training.together import Together


def config(folder: Path, name: str = "one") -> Config:
    return config_from_dict(
        {
            "run": {"name": name, "output_dir": str(folder)},
            "model": {"path": "builtin:tiny-math"},
            "data": {"train": {"path": "builtin:arithmetic"}},
            "rewards": {"components": [{"type": "exact_match"}]},
            "algorithm": {"type": "grpo"},
            "training": {"max_steps": 1},
        }
    )


def test_folder_of_a_finished_run(tmp_path: Path) -> None:
    with Run(config(tmp_path)) as run:
        run.begin({})
        run.logs.metrics(1, {"train/reward": 0.5})
        run.logs.completions([{"step": 1, "completion": "é"}])
        run.logs.text("two\nlines")
        run.logs.result("rewards.json", {"total": {"mean": 0.5}})
    folder = tmp_path / "one"
    assert json.loads((folder / "logs/metrics.jsonl").read_text()) == {"step": 1, "train/reward": 0.5}
    assert json.loads((folder / "logs/completions.jsonl").read_text()) == {"step": 1, "completion": "é"}
    assert len((folder / "logs/training_log.txt").read_text().splitlines()) == 2
    record = json.loads((folder / "run.json").read_text())
    assert record["status"] == "done"
    assert record["seed"] == 42
    assert record["packages"]["trl"].startswith("1.16")
    assert record["start"] <= record["end"]
    resolved = yaml.safe_load((folder / "config.yaml").read_text())
    assert resolved["run"]["name"] == "one"
    assert resolved["algorithm"]["num_generations"] == 8


def test_an_existing_run_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "mine.txt").write_text("keep")
    with pytest.raises(UsageError) as caught, Run(config(tmp_path)):
        pass
    assert "--set run.name=one-2" in caught.value.render()
    assert (tmp_path / "one" / "mine.txt").read_text() == "keep"


def test_free_name_skips_taken_ones(tmp_path: Path) -> None:
    (tmp_path / "a-2").mkdir()
    assert free_name(tmp_path / "a") == "a-3"


def test_failure_before_the_first_step_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="out of memory"), Run(config(tmp_path)) as run:
        run.begin({})
        run.logs.metrics(0, {"val/reward": 0.1})
        raise MemoryError
    assert not (tmp_path / "one").exists()


def test_failure_later_keeps_the_folder_and_says_why(tmp_path: Path) -> None:
    with pytest.raises(TrainingError), Run(config(tmp_path)) as run:
        run.begin({})
        run.boundary(1, 2)
        raise MemoryError
    record = json.loads((tmp_path / "one" / "run.json").read_text())
    assert record["status"] == "failed"
    assert "out of memory" in record["error"]


def test_other_processes_write_nothing(tmp_path: Path) -> None:
    with Run(config(tmp_path), together=Together(1)) as run:
        run.begin({})
        run.logs.metrics(1, {})
        run.logs.text("x")
        run.logs.result("rewards.json", {})
    assert list(tmp_path.iterdir()) == []


def test_nan_never_reaches_a_log(tmp_path: Path) -> None:
    with Run(config(tmp_path)) as run, pytest.raises(ValueError, match="JSON"):
        run.begin({})
        run.logs.metrics(1, {"train/reward": float("nan")})


def test_large_completions_are_compressed_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "GZIP_ABOVE", 100)
    with Run(config(tmp_path)) as run:
        run.begin({})
        run.logs.completions([{"completion": "x" * 200}])
    assert [file.name for file in (tmp_path / "one/logs").iterdir()] == ["completions.jsonl.gz"]


def test_of_two_runs_at_once_one_has_the_name_and_keeps_its_folder(tmp_path: Path) -> None:
    """Both have looked and seen nothing; the one that is late must not touch what the other has made."""
    with Run(config(tmp_path)) as first, Run(config(tmp_path)) as late:
        first.begin({})
        first.logs.text("mine")
        with pytest.raises(UsageError, match="exists"):
            late.begin({})
        assert "mine" in (tmp_path / "one/logs/training_log.txt").read_text()
