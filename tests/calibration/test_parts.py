"""Advantages as TRL computes them, and what each part of a reward does to them."""

import json
import math
import re

import numpy as np
import pytest

from rlctl.calibration.parts import advantage, describe_part, shares
from rlctl.calibration.table import FAILED, INVALID, NOT_APPLICABLE, SCORED, Table

pytestmark = pytest.mark.filterwarnings("error")


def table(totals, groups, parts, outcomes=None):
    outcomes = [SCORED] * len(totals) if outcomes is None else outcomes
    columns = {name: np.array(part, float) for name, part in parts.items()}
    return Table(
        np.array(totals, float), np.array(outcomes, np.int8), np.array(groups, np.int64), parts=columns
    )


def trl_advantages(rewards, size, scale, nanstd):
    """The lines of TRL 1.16's `GRPOTrainer`, in double precision."""
    import torch

    rewards = torch.tensor(rewards, dtype=torch.float64)
    means = torch.nanmean(rewards.view(-1, size), dim=1).repeat_interleave(size, dim=0)
    if scale in ["group", "none"]:
        std = nanstd(rewards.view(-1, size), dim=1).repeat_interleave(size, dim=0)
    else:
        std = nanstd(rewards).expand_as(rewards)
    advantages = rewards - means
    if scale != "none":
        advantages = advantages / (std + 1e-4)
    return torch.nan_to_num(advantages, nan=0.0).numpy()


def exact_nanstd(tensor, dim=None):
    """TRL's `nanstd` with n/(n−1) in double precision; TRL divides these whole numbers in single."""
    import torch

    mean = torch.nanmean(tensor, dim=dim, keepdim=True)
    count = torch.sum(~torch.isnan(tensor), dim=dim, keepdim=True).double()
    variance = torch.nanmean((tensor - mean) ** 2, dim=dim, keepdim=True) * count / (count - 1)
    std = torch.sqrt(torch.where(count > 1, variance, torch.nan))
    return std.squeeze() if dim is None else std.squeeze(dim)


@pytest.mark.parametrize("scale", ["group", "batch", "none"])
def test_the_advantage_is_that_of_trl(scale):
    rng = np.random.default_rng(0)
    totals = rng.normal(size=400)
    totals[:8] = [-1e6, 1, 2, 3, 0, 0, 0, 0]
    totals[8:16] = 1.0  # a group without spread
    totals[16:23] = np.nan  # one total left
    totals[24:32] = np.nan  # none
    totals[rng.random(400) < 0.2] = np.nan
    groups = np.repeat(np.arange(50), 8)
    from trl.trainer.utils import nanstd

    found = advantage(totals, groups, scale=scale)
    assert found == pytest.approx(trl_advantages(totals, 8, scale, nanstd), rel=1e-7, abs=1e-9)
    assert found == pytest.approx(trl_advantages(totals, 8, scale, exact_nanstd), rel=1e-9, abs=1e-9)


def test_trl_still_computes_advantages_so():
    import inspect

    from trl import GRPOTrainer

    source = re.sub(r"\s+", " ", inspect.getsource(GRPOTrainer._generate_and_score_completions))
    for line in (
        "std_rewards = nanstd(rewards.view(-1, num_generations), dim=1)",
        "std_rewards = nanstd(rewards).expand_as(rewards)",
        "advantages = rewards - mean_grouped_rewards",
        "advantages = advantages / (std_rewards + 1e-4)",
        "advantages = torch.nan_to_num(advantages, nan=0.0)",
    ):
        assert line in source


def test_a_harsh_penalty_flattens_the_valid_ones():
    found = advantage(np.array([-1e6, 1, 2, 3]), np.zeros(4, int))
    assert found == pytest.approx([-1.5, 0.5, 0.5, 0.5], abs=1e-5)


def test_a_part_that_varies_a_hundred_times_more_takes_all_but_a_ten_thousandth():
    # Uncorrelated inside the group by construction: variances 1 and 100², so 1/10001 and 10000/10001.
    small, large = [1, -1, 1, -1], [100, 100, -100, -100]
    totals = np.add(small, large)
    found = shares(table(totals, [0] * 4, {"small": small, "large": large}))
    assert found.components["small"].value == pytest.approx(1 / 10001, rel=1e-9)
    assert found.components["large"].value == pytest.approx(10000 / 10001, rel=1e-9)
    assert found.validity.value == found.interaction.value == 0


def test_a_part_that_is_constant_within_prompts_has_no_share_however_large_its_mean():
    varying, prompts = [0.0, 0.1, 0.3, 0.0], [70.1, 70.1, 3.3, 3.3]
    totals = np.add(varying, prompts)
    found = shares(table(totals, [0, 0, 1, 1], {"varying": varying, "prompts": prompts}))
    assert found.components["prompts"].value == 0
    assert found.components["prompts"].ends is None
    assert found.components["varying"].value == pytest.approx(1, rel=1e-9)


def test_validity_is_apart_from_what_the_valid_ones_do():
    # Valid 0, 2 with mean 1; invalid −3 twice: deviations of the total 1, 3, −2, −2 from its mean −1.
    # The part has 0, 2, 1, 1 (deviations ∓1, 0, 0); validity 0, 0, −4, −4 (deviations 2, 2, −2, −2).
    # Cov(part, total) = −1·1 + 1·3 = 2, Cov(validity, total) = 2 + 6 + 4 + 4 = 16, Var(total) = 18.
    found = shares(
        table([0, 2, -3, -3], [0] * 4, {"a": [0, 2, np.nan, np.nan]}, [SCORED, SCORED, INVALID, FAILED])
    )
    assert found.components["a"].value == pytest.approx(2 / 18, rel=1e-9)
    assert found.validity.value == pytest.approx(16 / 18, rel=1e-9)


def random_table(seed=0, groups=80):
    rng = np.random.default_rng(seed)
    of = np.repeat(np.arange(groups), rng.integers(1, 9, groups))
    n = len(of)
    parts = {"a": rng.normal(size=n), "b": 5 + rng.normal(size=n) * rng.uniform(0, 3, groups)[of]}
    parts["c"] = -0.5 * parts["a"] + rng.normal(size=n) * 0.1
    parts["b"][rng.random(n) < 0.1] = np.nan
    outcomes = rng.choice([SCORED, INVALID, FAILED, NOT_APPLICABLE], n, p=[0.7, 0.2, 0.05, 0.05])
    totals = sum(np.nan_to_num(part) for part in parts.values()) + 0.3 * parts["a"] ** 2
    totals[outcomes == INVALID] = -4
    totals[outcomes >= NOT_APPLICABLE] = np.nan
    for part in parts.values():
        part[outcomes != SCORED] = np.nan
    return table(totals, of, parts, outcomes)


@pytest.mark.parametrize("scale", ["group", "batch", "none"])
def test_shares_are_covariances_with_the_advantage(scale):
    of = random_table()
    found = shares(of, scale=scale)
    felt = advantage(of.totals, of.groups, scale=scale)
    every = np.zeros(len(of))
    for group in range(of.groups.max() + 1):
        rows = (of.groups == group) & ~np.isnan(of.totals)
        if rows.sum() < 2:
            continue
        column = np.where(of.valid, np.nan_to_num(of.parts["a"]), 0.0)
        valid = rows & of.valid
        column[rows & of.invalid] = column[valid].mean() if valid.any() else 0
        std = {"group": of.totals[rows].std(ddof=1), "batch": np.nanstd(of.totals, ddof=1), "none": 1.0}[
            scale
        ]
        every[rows] = (column[rows] - column[rows].mean()) / (std + (scale != "none") * 1e-4)
    known = ~np.isnan(of.totals)
    covariance = np.cov(every[known], felt[known])
    assert found.components["a"].value == pytest.approx(covariance[0, 1] / covariance[1, 1], rel=1e-9)
    values = [one.value for one in (*found.components.values(), found.validity, found.interaction)]
    assert sum(values) == pytest.approx(1, rel=1e-9)
    assert found.components["c"].value < 0 < found.interaction.value
    for one in found.components.values():
        assert one.low < one.value < one.high


def test_shares_of_nothing_are_none():
    nothing = {"share": None, "ci95": None}
    for of in (
        table([], [], {"a": []}),
        table([1.0], [0], {"a": [1.0]}),
        table([2.0] * 4, [0, 0, 1, 1], {"a": [2.0] * 4}),
        table([-2.0] * 2, [0, 0], {"a": [np.nan] * 2}, [INVALID] * 2),
        table([np.nan] * 2, [0, 0], {"a": [np.nan] * 2}, [INVALID] * 2),
    ):
        assert shares(of).as_dict() == {
            "components": {"a": nothing},
            "validity": nothing,
            "interaction": nothing,
        }


def test_a_group_with_invalid_ones_alone_takes_nothing_from_the_others():
    of = table([1, 2, -3, -3], [0, 0, 1, 1], {"a": [1, 2, np.nan, np.nan]}, [SCORED] * 2 + [INVALID] * 2)
    assert shares(of).components["a"].value == pytest.approx(1)
    assert shares(of).validity.value == 0


@pytest.mark.full
def test_intervals_of_shares_cover_the_truth():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(400):
        spread = rng.gamma(2, size=(60, 1))  # prompts differ in how much the first part varies
        a, b = rng.normal(size=(60, 8)) * spread, rng.normal(size=(60, 8))
        of = table((a + b).ravel(), np.repeat(np.arange(60), 8), {"a": a.ravel(), "b": b.ravel()})
        found = shares(of, scale="none").components["a"]
        hits += found.low < 6 / 7 < found.high  # E[spread²] = 6
    assert 0.91 < hits / 400 < 0.98


def test_a_part_is_described_by_its_valid_scores():
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(30), rng.integers(1, 7, 30))
    raw = np.clip(rng.normal(0.5, 0.4, len(groups)), 0, 1)
    raw[rng.random(len(raw)) < 0.1] = np.nan
    valid = rng.random(len(raw)) < 0.8
    found = describe_part(raw, 3 * raw, valid, groups, (0.0, 1.0))
    scores = raw[valid & ~np.isnan(raw)]
    assert found.count == len(scores)
    for value, expected in (
        (found.mean, scores.mean()),
        (found.std, scores.std(ddof=1)),
        (found.weighted_mean, 3 * scores.mean()),
        (found.weighted_std, 3 * scores.std(ddof=1)),
        (found.saturated_low, np.mean(scores == 0)),
        (found.saturated_high, np.mean(scores == 1)),
        (found.quantiles["p05"], np.quantile(scores, 0.05)),
    ):
        assert value == pytest.approx(expected, rel=1e-9)
    of = groups[valid & ~np.isnan(raw)]
    lists = [3 * scores[of == group] for group in set(of)]
    squares, freedom = (
        sum(len(one) * one.var() for one in lists),
        sum(len(one) - 1 for one in lists),
    )
    assert found.weighted_within_std == pytest.approx(math.sqrt(squares / freedom), rel=1e-9)
    assert found.ci95[0] < found.mean < found.ci95[1]
    assert not found.constant
    told = found.as_dict()
    assert told["saturated"] == {"low": found.saturated_low, "high": found.saturated_high}
    assert told["distinct"] == len(set(scores))


def test_the_interval_of_a_mean_is_clustered_by_prompt():
    # The same 20 scores once each or four times over: no more is known of the prompts.
    scores = np.random.default_rng(2).normal(size=20)
    everyone = np.ones(80, bool)
    once = describe_part(scores, scores, everyone[:20], np.arange(20))
    again = np.repeat(scores, 4)
    four = describe_part(again, again, everyone, np.repeat(np.arange(20), 4))
    assert four.ci95 == pytest.approx(once.ci95, rel=1e-9)


@pytest.mark.parametrize(
    ("raw", "bounds", "constant", "saturated"),
    [
        ([0.1 + 0.2, 0.3, 0.3, 0.3], None, True, (0.75, 0.25)),
        ([0.5, 0.5, 0.5, 0.5], (0.0, 1.0), True, (0.0, 0.0)),
        ([0.5, np.nan, np.nan, np.nan], None, False, (1.0, 1.0)),
        ([np.nan] * 4, None, False, (None, None)),
        ([1e6, -1e6, 1, 2], (-math.inf, 2.0), False, (0.0, 0.5)),
        ([1e15, -1e15, 1e15, 0], None, False, (0.25, 0.5)),
    ],
)
def test_odd_parts(raw, bounds, constant, saturated):
    raw = np.array(raw)
    found = describe_part(raw, raw, np.ones(4, bool), np.array([0, 0, 1, 1]), bounds)
    assert found.constant is constant
    assert (found.saturated_low, found.saturated_high) == saturated
    if constant:
        assert found.std == found.weighted_within_std == 0
    json.dumps(found.as_dict(), allow_nan=False)


def test_no_rows_at_all():
    nothing, no = np.zeros(0), np.zeros(0, bool)
    json.dumps(describe_part(nothing, nothing, no, np.zeros(0, int)).as_dict(), allow_nan=False)
