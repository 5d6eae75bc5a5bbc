"""Runs whose rewards are fixed by row: every total, advantage and metric equals what is worked out here."""

import json
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pytest
from safetensors.torch import load_file
from small_runs import merged, read_rows, small_config, write_rows

import rlctl
from rlctl.cli.app import run as command
from rlctl.config.load import config_from_dict

REWARDS = """
from collections import Counter
from rlctl import Invalid

NAN = float("nan")
POINTS = {"a": [1, 0, 3, 2], "b": [1, NAN, Invalid("empty"), None], "c": [1, 1, 1, 1]}
BONUS = {"a": [2, 2, 0, 4], "b": [2, 2, 2, 2], "c": [2, 2, 2, 2]}


def by_place(table, rows):
    seen = Counter()
    values = []
    for row in rows:
        values.append(table[row][seen[row]])
        seen[row] += 1
    return values


def points(completions, row, **columns):
    return by_place(POINTS, row)


def bonus(completions, row, **columns):
    return by_place(BONUS, row)


def tokens(completions, completion_ids, **columns):
    return [len(ids) for ids in completion_ids]
"""
# points · 2 + min(bonus, 3) · ½. Row b: right; failed, so masked; invalid, so −1.5; only the bonus applies,
# which takes the place of both weights: 2 · ½ · (2 + ½) / ½.
TOTALS = {"a": [3.0, 1.0, 6.0, 5.5], "b": [3.0, None, -1.5, 5.0], "c": [3.0, 3.0, 3.0, 3.0]}
OUTCOMES = {
    "a": ["scored"] * 4,
    "b": ["scored", "failed", "invalid", "scored"],
    "c": ["scored"] * 4,
}


def part(name: str, **more: Any) -> dict[str, Any]:
    return {"type": "python", "name": name, "function": f"rewards.py:{name}", "isolate": False, **more}


def fixed_config(folder: Path, model: Path) -> Path:
    """Three prompts a step in the order of the file, and rewards that are fixed by row and place."""
    (folder / "rewards.py").write_text(REWARDS)
    rows = [{"prompt": f"{name} and more", "row": name} for name in "abc"]
    write_rows(folder / "rows.jsonl", rows)
    write_rows(folder / "held_out.jsonl", [{"prompt": f"held out {name}", "row": name} for name in "ab"])
    config = small_config(
        folder,
        model,
        run={"name": "fixed"},
        data={"train": {"path": "rows.jsonl"}, "eval": {"path": "held_out.jsonl"}, "shuffle": False},
        rewards={
            "invalid_penalty": -1.5,
            "max_failure_rate": 1.0,
            "components": [
                part("points", weight=2.0),
                part("bonus", weight=0.5, transform={"type": "clip", "min": 0, "max": 3}),
                part("tokens", weight=0.0),
            ],
        },
        eval={"num_samples": 2},
        training={"eval_steps": 1},
    )
    file = folder / "fixed.yaml"
    file.write_text(json.dumps(config))
    return file


@pytest.fixture(scope="module")
def fixed(tmp_path_factory: pytest.TempPathFactory, tiny_model_folder: Path) -> Path:
    folder = tmp_path_factory.mktemp("fixed")
    return rlctl.train(fixed_config(folder, tiny_model_folder), quiet=True).path


def train_rows(run: Path) -> list[dict[str, Any]]:
    return [row for row in read_rows(run / "logs/completions.jsonl") if row["split"] == "train"]


def metrics_of(run: Path, step: int) -> dict[str, Any]:
    lines = read_rows(run / "logs/metrics.jsonl")
    return {name: value for line in lines if line["step"] == step for name, value in line.items()}


def test_totals_and_outcomes(fixed: Path) -> None:
    rows = train_rows(fixed)
    assert [row["prompt"][0] for row in rows] == list("aaaabbbbcccc") * 2
    for start in range(0, len(rows), 4):
        name = rows[start]["prompt"][0]
        group = rows[start : start + 4]
        assert [row["total"] for row in group] == pytest.approx(TOTALS[name])
        assert [row["outcome"] for row in group] == OUTCOMES[name]
    assert rows[5]["reason"] == "points: returned nan"
    assert rows[6]["reason"] == "points: empty"
    best = rows[3]["components"]
    assert best["points"] == {"raw": 2.0, "value": 2.0, "weighted": 4.0, "outcome": "scored", "reason": None}
    assert best["bonus"] == {"raw": 4.0, "value": 3.0, "weighted": 1.5, "outcome": "scored", "reason": None}


def test_advantages(fixed: Path) -> None:
    """(r − mean) / (std + 1e-4) inside each group, n − 1, over the rows that have a total."""
    rows = train_rows(fixed)[:12]
    a = [3.0, 1.0, 6.0, 5.5]
    expected: list[float | None] = [(r - 3.875) / (stdev(a) + 1e-4) for r in a]
    centre, spread = 6.5 / 3, stdev([3.0, -1.5, 5.0])
    b = [None if r is None else (r - centre) / (spread + 1e-4) for r in (3.0, None, -1.5, 5.0)]
    expected += [*b, 0.0, 0.0, 0.0, 0.0]
    for row, value in zip(rows, expected, strict=True):
        assert row["advantage"] == (None if value is None else pytest.approx(value, abs=1e-5))


def test_metrics(fixed: Path) -> None:
    totals = [3.0, 1.0, 6.0, 5.5, 3.0, -1.5, 5.0, 3.0, 3.0, 3.0, 3.0]
    lengths = [row["components"]["tokens"]["raw"] for row in train_rows(fixed)]
    for step in (1, 2):
        metrics = metrics_of(fixed, step)
        assert metrics["train/reward"] == pytest.approx(34.0 / 11)
        assert metrics["train/reward_std"] == pytest.approx(stdev(totals))
        assert metrics["train/points"] == pytest.approx((1 + 0 + 3 + 2 + 1 + 4) / 9)
        assert metrics["train/bonus"] == pytest.approx((8 + 8 + 8) / 12)
        assert metrics["train/invalid_fraction"] == pytest.approx(1 / 12)
        assert metrics["train/failed_fraction"] == pytest.approx(1 / 12)
        assert metrics["train/not_applicable_fraction"] == 0
        assert metrics["train/dead_group_fraction"] == pytest.approx(1 / 3)
        assert metrics["train/completion_length"] == pytest.approx(fmean(lengths[12 * step - 12 : 12 * step]))
        assert metrics["train/kl_div"] is None
        assert metrics["train/learning_rate"] == pytest.approx(1e-3 if step == 1 else 5e-4)
        assert metrics["time/step"] > 0
        assert metrics["perf/tokens_per_second"] > 0


def test_running_statistics(fixed: Path) -> None:
    """Two steps with the same rewards: twice the counts, the same means, the spread with 2n − 1."""
    found = json.loads((fixed / "logs/rewards.json").read_text())
    valid = [3.0, 1.0, 6.0, 5.5, 3.0, 5.0, 3.0, 3.0, 3.0, 3.0] * 2
    counts = {name: found[name] for name in ("num_samples", "scored", "invalid", "not_applicable", "failed")}
    assert counts == {"num_samples": 24, "scored": 20, "invalid": 2, "not_applicable": 0, "failed": 2}
    assert found["valid_reward"]["mean"] == pytest.approx(35.5 / 10)
    assert found["valid_reward"]["std"] == pytest.approx(stdev(valid))
    assert found["reward"]["mean"] == pytest.approx(34.0 / 11)
    assert found["reward"]["min"] == -1.5
    assert found["components"]["points"]["count"] == 18
    assert found["components"]["points"]["not_applicable"] == 2
    assert found["components"]["bonus"]["max"] == 4.0
    assert found["groups"] == {"count": 6, "dead_fraction": pytest.approx(1 / 3)}
    assert found["reasons"] == {"failed: points: returned nan": 2, "invalid: points: empty": 2}


def test_held_out(fixed: Path) -> None:
    """Two samples each: a gives 3 and 1; b gives 3 and nothing. Greedy ones are each row's third place."""
    found = json.loads((fixed / "logs/eval_results.json").read_text())
    assert [line["step"] for line in found["evaluations"]] == [0, 1, 2]
    assert found["before"] == {k: v for k, v in found["evaluations"][0].items() if k != "step"}
    for line in found["evaluations"]:
        assert line["val/reward"] == pytest.approx((2.0 + 3.0) / 2)
        assert line["val/reward_std"] == pytest.approx(stdev([3.0, 1.0, 3.0]))
        assert line["val/reward_low"] < 2.0
        assert line["val/reward_high"] > 3.0
        assert line["val/points"] == pytest.approx(((1 + 0) / 2 + 1) / 2)
        assert line["val/pass_at_1"] == pytest.approx((1 / 2 + 1) / 2)
        assert line["val/pass_at_2"] == 1.0  # of a alone: b has one completion that can be judged
        assert line["val/greedy_reward"] == (6.0 - 1.5) / 2
        assert line["val/greedy_pass"] == (1 + 0) / 2
        assert line["val/failed_fraction"] == 0.25
        assert line["val/valid_fraction"] == 1.0
    rows = [row for row in read_rows(fixed / "logs/completions.jsonl") if row["split"] == "eval"]
    assert [(row["step"], row["greedy"]) for row in rows[:6]] == [(0, False)] * 4 + [(0, True)] * 2
    assert [row["total"] for row in rows[:6]] == [3.0, 1.0, 3.0, None, 6.0, -1.5]
    assert metrics_of(fixed, 2)["val/reward"] == found["after"]["val/reward"]


def test_the_folder_is_complete(fixed: Path) -> None:
    files = {str(path.relative_to(fixed)) for path in fixed.rglob("*") if path.is_file()}
    logs = {"completions.jsonl", "eval_results.json", "metrics.jsonl", "rewards.json", "training_log.txt"}
    model = {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json"}
    wanted = (
        {".lock", "config.yaml", "run.json"}
        | {f"logs/{name}" for name in logs}
        | {f"final/{name}" for name in model}
    )
    assert files == wanted | {"final/tokenizer_config.json"}
    record = json.loads((fixed / "run.json").read_text())
    assert record["status"] == "done"
    assert set(record["hashes"]["rewards"]) == {str(fixed.parents[1] / "rewards.py")}
    assert len(record["hashes"]["data"]) == 2
    assert record["data"]["train"]["rows"] == 3
    assert "step 2/2" in (fixed / "logs/training_log.txt").read_text()


def test_a_run_repeats_from_its_own_config(
    fixed: Path, capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    """`config.yaml` of the run alone repeats it; with --json stdout is one document."""
    arguments = ["--set", "run.name=again", "--output-dir", str(tmp_path), "--json"]
    assert command(["train", str(fixed / "config.yaml"), *arguments]) == 0
    document = json.loads(capsys.readouterr().out)
    again = tmp_path / "again"
    assert document["status"] == "done"
    assert document["steps"] == 2
    assert document["before"]["val/reward"] == 2.5
    assert document["paths"]["run"] == str(again)
    assert same_bytes(fixed, again)
    weights = load_file(fixed / "final/model.safetensors"), load_file(again / "final/model.safetensors")
    assert all(weights[0][name].equal(weights[1][name]) for name in weights[0])


def same_bytes(one: Path, other: Path) -> bool:
    """Equal completions byte for byte, and equal metrics but for what the clock says."""
    completions = [(run / "logs/completions.jsonl").read_bytes() for run in (one, other)]
    metrics = [
        [
            {name: value for name, value in line.items() if not name.startswith(("time/", "perf/"))}
            for line in read_rows(run / "logs/metrics.jsonl")
        ]
        for run in (one, other)
    ]
    return completions[0] == completions[1] and metrics[0] == metrics[1]


def test_the_seed_decides(tmp_path: Path, tiny_model_folder: Path) -> None:
    """Sampling, order of the prompts and new adapters all come from `run.seed`."""
    runs = {}
    for name, seed in (("one", 7), ("two", 7), ("three", 8)):
        changes = {"run": {"name": name, "seed": seed}, "model": {"lora": {"r": 2}}}
        config = config_from_dict(merged(small_config(tmp_path, tiny_model_folder), changes))
        runs[name] = rlctl.train(config, quiet=True).path
    assert same_bytes(runs["one"], runs["two"])
    assert not same_bytes(runs["one"], runs["three"])
    adapters = [load_file(runs[name] / "final/adapter_model.safetensors") for name in runs]
    assert all(adapters[0][name].equal(adapters[1][name]) for name in adapters[0])
    assert not all(adapters[0][name].equal(adapters[2][name]) for name in adapters[0])
