"""Noise, dependence on batch mates and changed outcomes, of rewards that have each of them."""

import json
from collections.abc import Sequence
from functools import partial
from typing import Any

import flawed_rewards
import numpy as np
import pytest
from flawed_rewards import arithmetic, habits, part, rewards

from rlctl.calibration.noise import Noise, amplified, check_noise, difference
from rlctl.config.rewards import Rewards
from rlctl.rewards.aggregate import Row
from rlctl.rewards.batch import Batch
from rlctl.rewards.compose import Scorer

GROUPS = np.repeat(np.arange(40), 8)


def score_all(scorer: Scorer, rows: Any, texts: Any, order: Sequence[int], size: int | None) -> list[Row]:
    """Score in an order and in batches, as `analyze-rewards` does."""
    found: dict[int, Row] = {}
    for start in range(0, len(order), size or len(order)):
        places = order[start : start + (size or len(order))]
        columns = {"answer": [rows[i]["answer"] for i in places]}
        batch = Batch([rows[i]["prompt"] for i in places], [texts[i] for i in places], columns)
        scored = scorer.score(batch, normalize=False, tolerant=True).rows
        found |= dict(zip(places, scored, strict=True))
    return [found[i] for i in range(len(texts))]


def check(reward: Rewards, **keys: Any) -> Noise:
    flawed_rewards.RNG.seed(1)
    rows = [row for row in arithmetic(40) for _ in range(8)]
    rng = np.random.default_rng(0)
    texts = [text if rng.random() < 0.5 else f"It is {text}." for text in habits(0.5, 40) for _ in range(8)]
    with Scorer(reward) as scorer:
        noise = check_noise(partial(score_all, scorer, rows, texts), GROUPS, group_size=8, **keys)
    json.dumps(noise.as_dict(), allow_nan=False)
    return noise


def test_a_reward_that_says_the_same_again_has_no_noise():
    noise = check(rewards({"type": "math_answer"}, {"type": "length", "unit": "characters"}))
    assert noise.n == 320
    for one in (noise.total, noise.batch.difference, *noise.components.values()):
        assert (one.n, one.std, one.largest, one.share_of_within_variance) == (320, 0, 0, 0)
        assert one.changed_outcomes == 0
    assert noise.amplified == 0
    assert not noise.batch.depends


def test_a_random_reward_is_nothing_but_noise():
    noise = check(rewards(part("chance")))
    # A number between 0 and 1 has variance 1/12.
    assert noise.total.std == pytest.approx(12**-0.5, rel=0.1)
    assert noise.total.share_of_within_variance == pytest.approx(1, abs=0.12)
    assert noise.amplified == pytest.approx((7 / 8) ** 0.5, abs=1e-3)
    assert not noise.batch.depends, "it differs as much in the same company"


def test_noise_beside_a_signal():
    noise = check(rewards({"type": "math_answer", "weight": 0}, part("length"), part("chance", weight=0.1)))
    assert noise.components["length"].std == 0
    assert noise.components["chance"].std == pytest.approx(12**-0.5, rel=0.1)
    # "It is …." adds 7 characters, worth 0.07, to half of them: 0.035² of variance beside 0.01/12.
    expected = (0.01 / 12) / (0.01 / 12 + 0.035**2)
    assert noise.total.share_of_within_variance == pytest.approx(expected, rel=0.25)
    assert not noise.batch.depends


def test_a_group_tied_but_for_noise_of_a_thousandth_gets_full_advantages():
    noise = check(rewards(part("hundredths")))
    assert noise.total.std == pytest.approx(1e-3, rel=0.1)
    assert noise.amplified == pytest.approx(0.84, abs=0.01)
    assert noise.total.share_of_within_variance == pytest.approx(1, abs=0.12)
    thousandfold = check(rewards(part("hundredths"), scale=1000))
    assert thousandfold.amplified == pytest.approx((7 / 8) ** 0.5, abs=1e-3)


@pytest.mark.parametrize("function", ["above_average", "position"])
def test_dependence_on_batch_mates_is_found(function: str):
    noise = check(rewards(part(function)))
    assert noise.total.std == 0
    assert noise.batch.depends
    assert noise.batch.batch_size == 7
    assert noise.batch.difference.share_of_within_variance > 0.05


def test_dependence_on_batch_mates_is_found_beside_noise():
    noise = check(rewards(part("above_average"), part("chance", weight=0.1)))
    assert noise.total.std > 0
    assert noise.batch.depends


def test_changed_outcomes_are_counted():
    noise = check(rewards(part("flips")))
    # Each of two scorings fails on half: they differ in half of 320, 80 each way.
    assert noise.total.changed_outcomes == pytest.approx(160, abs=30)
    assert set(noise.total.changes) == {"scored → failed", "failed → scored"}
    assert noise.total.n == pytest.approx(80, abs=25)
    assert noise.total.std == 0
    assert noise.components["flips"].changed_outcomes == noise.total.changed_outcomes
    assert not noise.batch.depends


def test_the_figures_of_a_difference():
    # Half of the mean square of 0, 0, 0.2 and 0.2 is 0.01. Within the groups: 1, 2 and 5, 6 vary by 0.5
    # each; 1, 2 and 5.2, 6.2 the same. So the share is 0.01 / 0.5.
    groups = np.array([0, 0, 1, 1])
    found = difference(np.array([1.0, 2, 5, 6]), np.array([1.0, 2, 5.2, 6.2]), groups)
    assert found.std == pytest.approx(0.1)
    assert found.share_of_within_variance == pytest.approx(0.02)
    assert found.largest == pytest.approx(0.2)
    # What is missing in one of them is left out, and a group may lose all of its rows.
    found = difference(np.array([np.nan, np.nan, 5, 6]), np.array([1.0, 2, 5, np.nan]), groups)
    assert (found.n, found.std) == (1, 0)
    # Without groups, against the variance over all: 1, 3 and 1, 3.2 vary by 2 and 2.42; the noise is 0.01.
    found = difference(np.array([1.0, 3]), np.array([1.0, 3.2]), np.array([0, 1]))
    assert found.share_of_within_variance == pytest.approx(0.01 / 2.21)


def test_nothing_scored_gives_no_figures():
    found = difference(
        np.full(2, np.nan), np.full(2, np.nan), np.zeros(2, int), ["failed"] * 2, ["invalid"] * 2
    )
    assert (found.n, found.std, found.share_of_within_variance) == (0, None, None)
    assert (found.changed_outcomes, found.changes) == (2, {"failed → invalid": 2})
    one = difference(np.array([1.0]), np.array([2.0]), np.zeros(1, int))
    assert (one.n, one.std, one.share_of_within_variance) == (1, pytest.approx(0.5**0.5), None)
    empty = check_noise(lambda order, size: [], np.zeros(0, int), group_size=8)
    assert (empty.n, empty.amplified, empty.components) == (0, None, {})


def test_advantages_of_groups_that_are_tied_but_for_noise():
    """Against 20,000 groups of normal noise, with the std of n − 1 and 1e-4 below the bar."""
    rng = np.random.default_rng(0)
    for std, size in ((1e-4, 8), (1e-3, 8), (1e-3, 2), (1e-5, 64)):
        noise = rng.normal(size=(20_000, size)) * std
        spread = noise.std(axis=1, ddof=1, keepdims=True)
        advantages = (noise - noise.mean(axis=1, keepdims=True)) / (spread + 1e-4)
        assert amplified(std, size) == pytest.approx(np.sqrt(np.mean(advantages**2)), rel=0.01)
    assert amplified(0.0, 8) == 0
    assert amplified(1.0, 1) == 0


def test_noise_that_is_not_divided_by_keeps_its_size():
    """Against 20,000 groups of normal noise, less their mean, undivided or divided by the batch's 2."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(20_000, 8)) * 0.01
    advantages = noise - noise.mean(axis=1, keepdims=True)
    felt = np.sqrt(np.mean(advantages**2))
    assert amplified(0.01, 8, scale="none") == pytest.approx(felt, rel=0.01)
    assert amplified(0.01, 8, scale="batch", batch_std=2.0) == pytest.approx(felt / 2.0001, rel=0.01)
    # √(7/8) · 0.01, and a batch without any spread is divided by 1e-4 alone.
    assert amplified(0.01, 8, scale="none") == pytest.approx(0.0093541, abs=1e-6)
    assert amplified(1e-4, 8, scale="batch") == pytest.approx(0.93541, abs=1e-4)


def test_the_scale_of_advantages_is_that_of_the_config():
    noisy = rewards({"type": "math_answer"}, part("chance", weight=0.1))
    felt = check(noisy, scale="none")
    assert felt.amplified == pytest.approx((7 / 8) ** 0.5 * felt.total.std)
    batch = check(noisy, scale="batch")
    # Half are right, and 0.1 of a number between 0 and 1 adds 0.01 / 12 to their variance of a quarter.
    assert batch.amplified == pytest.approx(
        batch.total.std * (7 / 8) ** 0.5 / (0.25 + 0.01 / 12) ** 0.5, rel=0.05
    )
