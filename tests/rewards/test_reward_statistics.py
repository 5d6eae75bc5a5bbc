"""Metrics of a batch and statistics of a run, against sums done by hand."""

import json
import math
import random
import statistics

import pytest

from rlctl.rewards.aggregate import Row
from rlctl.rewards.outcome import Failed, Invalid, Score
from rlctl.rewards.statistics import Moments, RewardStatistics, batch_metrics, is_dead


def row(total: float | None, score: Score, outcome: str = "scored") -> Row:
    return Row(outcome, None, total, {"a": score}, {"a": None}, {"a": None})  # type: ignore[arg-type]


ROWS = [
    row(1.0, 1.0),
    row(3.0, 3.0),
    row(-2.0, Invalid("no answer"), "invalid"),
    row(None, Failed("boom"), "failed"),
    row(None, None, "not_applicable"),
    row(5.0, 5.0),
]


def test_metrics_of_a_batch():
    assert batch_metrics(ROWS, group_size=2) == {
        # 1, 3, −2, 5: mean 7/4, squares 39 − 49/4 over 3.
        "reward": 1.75,
        "reward_std": pytest.approx(math.sqrt((39 - 49 / 4) / 3)),
        "a": 3.0,
        "invalid_fraction": 1 / 6,
        "not_applicable_fraction": 1 / 6,
        "failed_fraction": 1 / 6,
        # Only the first group has two different totals.
        "dead_group_fraction": 2 / 3,
    }
    assert "dead_group_fraction" not in batch_metrics(ROWS)


def test_what_is_missing_is_none_never_zero():
    metrics = batch_metrics([row(None, Failed("boom"), "failed")], group_size=2)
    assert metrics["reward"] is metrics["reward_std"] is metrics["a"] is None
    assert metrics["failed_fraction"] == metrics["dead_group_fraction"] == 1.0
    assert batch_metrics([])["reward"] is None


def test_dead_groups():
    assert is_dead([row(1.0, 1.0), row(1.0, 1.0)])
    assert is_dead([row(1.0, 1.0), row(None, None)])
    assert not is_dead([row(1.0, 1.0), row(-1.0, Invalid(), "invalid")])


def test_running_moments_equal_the_library():
    rng = random.Random(0)
    values = [rng.gauss(1e6, 2.0) for _ in range(1000)]
    moments = Moments()
    for value in values:
        moments.add(value)
    assert moments.as_dict() == {
        "count": 1000,
        "mean": pytest.approx(statistics.fmean(values)),
        "std": pytest.approx(statistics.stdev(values)),
        "min": min(values),
        "max": max(values),
    }
    assert Moments().as_dict() == {"count": 0, "mean": None, "std": None, "min": None, "max": None}


def test_statistics_of_a_run():
    found = RewardStatistics(["a"])
    found.update(ROWS, group_size=2)
    found.update(ROWS[:2], group_size=2)
    result = found.as_dict()
    assert {
        name: result[name] for name in ("num_samples", "scored", "invalid", "not_applicable", "failed")
    } == {
        "num_samples": 8,
        "scored": 5,
        "invalid": 1,
        "not_applicable": 1,
        "failed": 1,
    }
    # 1, 3, 5, 1, 3 were scored; training also saw the penalty −2.
    assert result["valid_reward"]["mean"] == pytest.approx(13 / 5)
    assert result["reward"]["mean"] == pytest.approx(11 / 6)
    assert result["reward"]["min"] == -2.0
    assert result["components"]["a"]["mean"] == pytest.approx(13 / 5)
    assert result["components"]["a"]["failed"] == 1
    assert result["groups"] == {"count": 4, "dead_fraction": 0.5}
    assert result["reasons"] == {"invalid: a: no answer": 1, "failed: a: boom": 1}
    json.dumps(result, allow_nan=False)


def test_a_checkpoint_goes_on_where_it_was():
    straight, first, second = (RewardStatistics(["a"]) for _ in range(3))
    straight.update(ROWS, group_size=2)
    straight.update(ROWS[::-1], group_size=2)
    first.update(ROWS, group_size=2)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    second.update(ROWS[::-1], group_size=2)
    assert second.as_dict() == straight.as_dict()
    assert json.loads(json.dumps(RewardStatistics(["a"]).state_dict()))


def test_many_different_reasons_stay_few():
    found = RewardStatistics(["a"])
    found.update([row(None, Failed(f"number {i}"), "failed") for i in range(2000)])
    assert len(found.state_dict()["reasons"]) <= 501
    assert found.as_dict()["failed"] == 2000
