"""Figures of an evaluation, worked out by hand."""

import math

import pytest

from rlctl.config.rewards import Rewards
from rlctl.evaluation.held_out import _pass_rate, clustered_mean
from rlctl.rewards.aggregate import Row, aggregate
from rlctl.rewards.outcome import Failed, Invalid, Score


def rows(*scores: Score) -> list[Row]:
    rewards = Rewards.model_validate(
        {"components": [{"type": "length", "name": "a"}], "invalid_penalty": -2.0}
    )
    return aggregate(rewards, {"a": list(scores)})


def test_completions_of_a_prompt_are_one_cluster() -> None:
    found = clustered_mean([1.0, 0.0, 1.0, 1.0, 0.0, 0.0], 2)
    # prompts: 1/2, 1, 0; their mean is 1/2 and their deviation 1/2
    assert found.mean == pytest.approx(0.5)
    assert found.n == 3
    assert found.half_width == pytest.approx(1.96 * 0.5 / math.sqrt(3))
    # completions: three 1 and three 0 around 1/2, n - 1
    assert found.std == pytest.approx(math.sqrt(6 * 0.25 / 5))


def test_what_was_not_scored_is_left_out_and_never_0() -> None:
    found = clustered_mean([None, 3.0, None, None, 1.0, 1.0], 2)
    assert (found.mean, found.n) == (2.0, 2)  # the second prompt has no score at all
    nothing = clustered_mean([None, None], 2)
    assert (nothing.mean, nothing.std, nothing.n, nothing.half_width) == (None, None, 0, None)
    assert clustered_mean([1.0, 2.0], 2).half_width is None, "one prompt has no interval"


def test_a_pass_is_a_raw_score_of_1_or_more() -> None:
    # an invalid completion does not pass; a failed one, and one to which nothing applies, are not judged
    judged = rows(1.0, 2.0, 0.999, Invalid("no"), Failed("oops"), None)
    assert _pass_rate(judged, "a") == pytest.approx(2 / 4)
    assert _pass_rate(rows(Failed("oops")), "a") is None
