"""Each tracker gets names, numbers, distributions and samples; all is read back from what it stored itself.

TensorBoard comes with the development set-up. The others are tested where they are installed:
`pip install -c constraints.txt -e '.[wandb,trackio,mlflow]'`.
"""

import json
import sqlite3
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from small_runs import small_config

import rlctl
from rlctl.cli.app import run as command
from rlctl.config.load import config_from_dict
from rlctl.errors import MissingError
from rlctl.training import trackers
from rlctl.training.trackers import Trackers, flatten, markdown_table

PARTS = [{"type": "length", "unit": "characters", "weight": 0.1}]


def trained(folder: Path, model: Path, name: str) -> tuple[Path, list[dict[str, Any]]]:
    """The folder of a run of two steps that reports to a tracker, and its own metrics."""
    config = small_config(
        folder,
        model,
        rewards={"components": PARTS},
        data={"eval": {"path": str(folder / "train.jsonl"), "limit": 2}},
        tracking={"report_to": [name], "project": "project", "group": "group", "tags": ["first", "second"]},
    )
    run = rlctl.train(config_from_dict(config), quiet=True).path
    return run, [json.loads(line) for line in (run / "logs/metrics.jsonl").read_text().splitlines()]


def series(metrics: list[dict[str, Any]], name: str) -> dict[int, float]:
    """Step → value, as the run itself logged it."""
    return {line["step"]: line[name] for line in metrics if name in line}


def test_tensorboard(tmp_path: Path, tiny_model_folder: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run, metrics = trained(tmp_path, tiny_model_folder, "tensorboard")
    events = EventAccumulator(str(run / "logs/tensorboard"), {"histograms": 0, "tensors": 0})  # 0: keep all
    events.Reload()
    for name, steps in (("train/reward", [1, 2]), ("train/length", [1, 2]), ("val/reward", [0, 2])):
        found = {event.step: event.value for event in events.Scalars(name)}
        assert list(found) == steps
        assert found == pytest.approx(series(metrics, name), rel=1e-6)
    assert {"train/reward", "train/length"} <= set(events.Tags()["histograms"])
    histogram = events.Histograms("train/reward")[0].histogram_value
    assert histogram.num == 12
    assert histogram.sum / 12 == pytest.approx(series(metrics, "train/reward")[1], rel=1e-6)
    for split, steps in (("train", [1, 2]), ("eval", [0, 2])):
        texts = events.Tensors(f"{split}_samples/text_summary")
        assert [text.step for text in texts] == steps
        assert b"| prompt | completion | total | outcome |" in texts[0].tensor_proto.string_val[0]
    assert b"num_generations: 4" in events.Tensors("config/text_summary")[0].tensor_proto.string_val[0]


def records(file: Path) -> Iterator[Any]:
    """The records of a `.wandb` file: LevelDB's log format, after a header of seven bytes."""
    from wandb.proto import wandb_internal_pb2

    content, place, whole = file.read_bytes(), 7, b""
    while place < len(content):
        if 32768 - place % 32768 < 7:  # no record starts in the last bytes of a block
            place += 32768 - place % 32768
            continue
        length, kind = struct.unpack_from("<HB", content, place + 4)
        whole += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # a full record, or the last part of one
            record = wandb_internal_pb2.Record()
            record.ParseFromString(whole)
            yield record
            whole = b""


def test_wandb(tmp_path: Path, tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    run, metrics = trained(tmp_path, tiny_model_folder, "wandb")
    (file,) = run.glob("wandb/offline-run-*/*.wandb")
    found: dict[str, dict[int, Any]] = {}
    started = None
    for record in records(file):
        if record.HasField("run"):
            started = started or record.run
        for item in record.history.item:
            name = item.key or "/".join(item.nested_key)
            found.setdefault(name, {})[record.history.step.num] = json.loads(item.value_json)
    assert started is not None
    assert (started.project, started.display_name, started.run_group) == ("project", "small", "group")
    assert list(started.tags) == ["first", "second"]
    for name in ("train/reward", "train/length", "val/reward"):
        assert found[name] == pytest.approx(series(metrics, name))
    assert sum(found["train/reward_histogram/values"][1]) == 12
    assert list(found["train_samples/nrows"]) == [1, 2]
    assert list(found["eval_samples/nrows"]) == [0, 2]
    (table,) = run.glob("wandb/offline-run-*/files/media/table/train_samples_1_*.json")
    assert json.loads(table.read_text())["columns"] == trackers.COLUMNS


def test_trackio(tmp_path: Path, tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trackio = pytest.importorskip("trackio")
    for place in ("trackio.utils.TRACKIO_DIR", "trackio.sqlite_storage.TRACKIO_DIR"):
        monkeypatch.setattr(place, tmp_path / "trackio", raising=False)
    _, metrics = trained(tmp_path, tiny_model_folder, "trackio")
    assert trackio.__version__
    with sqlite3.connect(tmp_path / "trackio" / "project.db") as database:
        lines = database.execute("select run_name, step, metrics from metrics").fetchall()
        (config,) = database.execute("select config from configs").fetchone()
    found: dict[str, dict[int, Any]] = {}
    for name, step, values in lines:
        assert name == "small"
        for key, value in json.loads(values).items():
            found.setdefault(key, {})[step] = value
    for name in ("train/reward", "train/length", "val/reward"):
        assert found[name] == pytest.approx(series(metrics, name))
    assert sum(found["train/reward_histogram"][1]["values"]) == 12
    assert list(found["train_samples"]) == [1, 2]
    assert list(found["eval_samples"]) == [0, 2]
    settings = json.loads(config)
    assert settings["_Group"] == "group"
    assert settings["algorithm.num_generations"] == 4
    assert "allow_val_change" not in settings


def test_mlflow(tmp_path: Path, tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.chdir(tmp_path)  # mlflow puts the artifacts into the current folder
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    _, metrics = trained(tmp_path, tiny_model_folder, "mlflow")
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name("project")
    (found,) = client.search_runs([experiment.experiment_id])
    assert found.info.run_name == "small"
    assert found.info.status == "FINISHED"
    tags = {name: found.data.tags.get(name) for name in ("first", "second", "group")}
    assert tags == {"first": "true", "second": "true", "group": "group"}
    for name in ("train/reward", "train/length", "val/reward"):
        history = {one.step: one.value for one in client.get_metric_history(found.info.run_id, name)}
        assert history == pytest.approx(series(metrics, name))
    assert found.data.params["algorithm.num_generations"] == "4"
    for split, steps in (("train", [1, 2]), ("eval", [0, 2])):
        files = [one.path for one in client.list_artifacts(found.info.run_id, f"{split}_samples")]
        assert files == [f"{split}_samples/{step:06}.json" for step in steps]
    (file,) = tmp_path.rglob("train_samples/000001.json")
    assert json.loads(file.read_text())["columns"] == trackers.COLUMNS


@pytest.mark.parametrize("name", ["wandb", "trackio", "mlflow"])
def test_one_that_is_not_installed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr("rlctl.config.checks.find_spec", lambda module: None)
    config = small_config(
        tmp_path, "builtin:tiny-math", data={"max_length": 32}, tracking={"report_to": [name]}
    )
    (tmp_path / "config.yaml").write_text(json.dumps(config))
    assert command(["check", str(tmp_path / "config.yaml")]) == 4
    assert f"{name} is not installed; pip install 'rlctl[{name}]'" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (
            ImportError("no module"),
            "the tracker 'tensorboard' is not installed\n  pip install 'rlctl[tensorboard]'",
        ),
        (RuntimeError("refused\nand more"), "'tensorboard' did not start: refused\n  Leave it out"),
    ],
)
def test_one_that_does_not_start(
    fault: Exception, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(self: Any) -> None:
        raise fault

    monkeypatch.setattr(trackers.TensorBoardTracker, "start", start)
    data = small_config(
        tmp_path, "builtin:tiny-math", data={"max_length": 32}, tracking={"report_to": ["tensorboard"]}
    )
    with pytest.raises(MissingError) as caught:
        Trackers(config_from_dict(data), tmp_path)
    assert words in caught.value.render()
    assert caught.value.exit_code == 4


def test_the_config_as_single_values() -> None:
    nested = {"model": {"path": "a", "lora": None}, "data": [{"limit": 2}, True]}
    expected = {"model.path": "a", "model.lora": "None", "data.0.limit": 2, "data.1": True}
    assert flatten(nested) == expected


def test_a_table_in_markdown() -> None:
    assert markdown_table(["a", "b"], [["1|2", "x"]]) == "| a | b |\n| --- | --- |\n| 1\\|2 | x |"


def resumed(folder: Path, model: Path, name: str) -> tuple[Path, list[dict[str, Any]]]:
    """A run of three steps that was put down after two, and its own metrics."""
    changes = {"rewards": {"components": PARTS}, "tracking": {"report_to": [name], "project": "resumed"}}
    for steps in (2, 3):
        training = {"max_steps": steps, "save_steps": 1}
        config = config_from_dict(small_config(folder, model, training=training, **changes))
        run = rlctl.train(config, quiet=True, resume=steps == 3).path
    return run, [json.loads(line) for line in (run / "logs/metrics.jsonl").read_text().splitlines()]


def test_tensorboard_goes_on_with_a_resumed_run(tmp_path: Path, tiny_model_folder: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run, metrics = resumed(tmp_path, tiny_model_folder, "tensorboard")
    events = EventAccumulator(str(run / "logs/tensorboard"), {"histograms": 0, "tensors": 0})
    events.Reload()
    found = {event.step: event.value for event in events.Scalars("train/reward")}
    assert list(found) == [1, 2, 3]
    assert found == pytest.approx(series(metrics, "train/reward"), rel=1e-6)


def test_mlflow_goes_on_with_a_resumed_run(
    tmp_path: Path, tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    _, metrics = resumed(tmp_path, tiny_model_folder, "mlflow")
    client = mlflow.MlflowClient()
    runs = client.search_runs([client.get_experiment_by_name("resumed").experiment_id])
    assert len(runs) == 1
    history = client.get_metric_history(runs[0].info.run_id, "train/reward")
    assert {point.step: point.value for point in history} == pytest.approx(series(metrics, "train/reward"))


def test_wandb_goes_on_with_a_resumed_run(
    tmp_path: Path, tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    run, _ = resumed(tmp_path, tiny_model_folder, "wandb")
    identities = {path.name.rpartition("-")[2] for path in (run / "wandb").glob("offline-run-*")}
    assert len(identities) == 1
    assert json.loads((run / "run.json").read_text())["trackers"] == {"wandb": identities.pop()}


def test_trackio_goes_on_with_a_resumed_run(
    tmp_path: Path, tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("trackio")
    for place in ("trackio.utils.TRACKIO_DIR", "trackio.sqlite_storage.TRACKIO_DIR"):
        monkeypatch.setattr(place, tmp_path / "trackio", raising=False)
    _, metrics = resumed(tmp_path, tiny_model_folder, "trackio")
    with sqlite3.connect(tmp_path / "trackio/resumed.db") as database:
        rows = database.execute("SELECT run_name, step, metrics FROM metrics").fetchall()
    assert {name for name, _, _ in rows} == {"small"}
    found = {
        step: logged["train/reward"]
        for _, step, text in rows
        if "train/reward" in (logged := json.loads(text))
    }
    assert found == pytest.approx(series(metrics, "train/reward"))
