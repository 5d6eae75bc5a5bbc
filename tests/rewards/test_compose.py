"""The whole way of a batch: components, missing columns, limits of failure, and several processes as one."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from rlctl.config.rewards import Rewards
from rlctl.errors import RewardError
from rlctl.rewards.compose import Batch, Scored, Scorer

QUICK = {
    "invalid_penalty": -2.0,
    "components": [
        {"name": "correct", "type": "math_answer", "weight": 1.0},
        {
            "name": "brevity",
            "type": "length",
            "max": 2.0,
            "weight": 0.1,
            "transform": {"type": "clip", "min": -1.0, "max": 0.0},
            "gate": {"correct": ">=1"},
        },
    ],
}


def test_a_batch_by_hand():
    ids = [[1], [1, 2, 3], [1], [1]]
    batch = Batch(["p"] * 4, ["7", "7", "8", "?"], {"answer": ["7"] * 4, "completion_ids": ids})
    with Scorer(Rewards.model_validate(QUICK)) as scorer:
        scored = scorer.score(batch)
    # Right and short; right but one token too long: 1 − 0.1·1; wrong; no answer.
    assert scored.totals == [1.0, pytest.approx(0.9), 0.0, -2.0]
    assert [row.raw for row in scored.rows] == [
        {"correct": 1.0, "brevity": 1.0},
        {"correct": 1.0, "brevity": -1.0},
        {"correct": 0.0, "brevity": 1.0},
        {"correct": None, "brevity": 1.0},
    ]
    assert scored.rows[3].reason == "correct: no answer"
    assert scored.everywhere == scored.rows


def test_a_missing_column_is_named():
    with Scorer(Rewards.model_validate(QUICK)) as scorer, pytest.raises(RewardError) as caught:
        scorer.score(Batch(["p"], ["7"], {"answers": ["7"]}))
    assert "the reward 'correct' reads the column 'answer', which is not there" in str(caught.value)
    assert "did you mean 'answers'?" in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"prompts": ["p"], "completions": ["a", "b"]},
        {"prompts": ["p"] * 2, "completions": ["a", "b"], "columns": {"answer": ["7"]}},
        {"prompts": ["p"] * 3, "completions": ["a"] * 3, "group_size": 2},
    ],
)
def test_batches_whose_lengths_do_not_fit(wrong: dict[str, Any]):
    with pytest.raises(ValueError, match="completions"):
        Batch(**wrong)


def test_an_empty_batch():
    with Scorer(Rewards.model_validate(QUICK)) as scorer:
        assert scorer.score(Batch([], [], {"answer": [], "completion_ids": []})).totals == []


def slow_pattern(**keys: Any) -> Rewards:
    """Fails by time-out on a long row of a's that ends in b."""
    part = {"type": "regex", "name": "shape", "pattern": "(a|aa)+$", "match_timeout": 0.05}
    return Rewards.model_validate({"components": [part], **keys})


BAD = "a" * 40 + "b"


@pytest.mark.parametrize(
    ("keys", "failing", "message"),
    [
        ({}, 2, None),
        ({"max_failure_rate": 0.1}, 2, r"2 of 10 .* more than rewards.max_failure_rate allows \(10%\)"),
        ({}, 3, r"3 of 10 completions could not be scored"),
        ({"max_failure_rate": 0.0}, 1, "1 of 10 completions"),
        ({"max_failure_rate": 1.0}, 9, None),
        ({"max_failure_rate": 1.0}, 10, "the reward 'shape' failed on every completion"),
        ({"max_failure_rate": 1.0, "on_error": "fail"}, 1, "1 of 10 .* rewards.on_error is `fail`"),
        ({"max_failure_rate": 0.1, "on_error": "penalty"}, 2, "2 of 10"),
    ],
)
def test_limits_of_failure(keys: dict[str, Any], failing: int, message: str | None):
    batch = Batch([""] * 10, [BAD] * failing + ["a"] * (10 - failing))
    with Scorer(slow_pattern(**keys)) as scorer:
        if message is None:
            assert scorer.score(batch).totals == [None] * failing + [1.0] * (10 - failing)
            return
        with pytest.raises(RewardError, match=message) as caught:
            scorer.score(batch)
    assert f"shape: {failing} × the pattern took longer than 0.05 s; e.g. 'aaaa" in str(caught.value)


class Ranks:
    """Several processes, played by threads: everyone's objects reach everyone, in the order of ranks."""

    def __init__(self, size: int) -> None:
        self.barrier = threading.Barrier(size, timeout=30)
        self.given: list[list[Any]] = [[] for _ in range(size)]

    def exchange(self, rank: int) -> Callable[[list[Any]], list[Any]]:
        def gather(mine: list[Any]) -> list[Any]:
            self.given[rank] = mine
            self.barrier.wait()
            everything = [item for items in self.given for item in items]
            self.barrier.wait()
            return everything

        return gather


def on_two_ranks(config: Rewards, batches: list[Batch]) -> list[Scored | RewardError]:
    ranks = Ranks(2)
    found: list[Any] = [None, None]

    def run(rank: int) -> None:
        with Scorer(config) as scorer:
            try:
                found[rank] = scorer.score(batches[rank], exchange=ranks.exchange(rank))
            except RewardError as error:
                found[rank] = error

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return found


def test_two_processes_give_what_one_gives():
    config = Rewards.model_validate(
        {
            "components": [
                {"type": "length", "unit": "characters", "normalize": "batch_std"},
                {"type": "repetition", "unit": "characters", "ngram": 1, "normalize": "group_std"},
            ]
        }
    )
    texts = ["a", "bb", "ccc", "abc", "abab", "x", "", "zzzzzz"]
    with Scorer(config) as scorer:
        alone = scorer.score(Batch([""] * 8, texts, group_size=2))
    halves = [Batch([""] * 4, texts[:4], group_size=2), Batch([""] * 4, texts[4:], group_size=2)]
    first, second = on_two_ranks(config, halves)
    assert isinstance(first, Scored)
    assert isinstance(second, Scored)
    assert first.totals + second.totals == alone.totals
    assert first.everywhere == second.everywhere == alone.everywhere


def test_failures_are_counted_over_all_processes():
    # 2 of 4 here, 0 of 12 there: 12.5 % of all is below the limit of 20 %.
    halves = [Batch([""] * 4, [BAD, BAD, "a", "a"]), Batch([""] * 12, ["a"] * 12)]
    first, second = on_two_ranks(slow_pattern(), halves)
    assert isinstance(first, Scored)
    assert isinstance(second, Scored)
    assert first.totals == [None, None, 1.0, 1.0]
    # 4 of 4 here: both stop, with the same words.
    halves[0] = Batch([""] * 4, [BAD] * 4)
    first, second = on_two_ranks(slow_pattern(), halves)
    assert isinstance(first, RewardError)
    assert str(first) == str(second)
    assert "4 of 16 completions" in str(first)


def test_an_error_on_one_process_stops_all():
    config = Rewards.model_validate({"components": [{"type": "exact_match"}]})
    halves = [Batch([""], ["a"], {"answer": ["a"]}), Batch([""], ["a"])]
    first, second = on_two_ranks(config, halves)
    assert isinstance(first, RewardError)
    assert str(first) == str(second)
    assert "reads the column 'answer'" in str(first)
