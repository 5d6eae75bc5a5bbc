"""The simulation of penalties: against TRL's advantages, a plain loop, and what theory says."""

import json
import math
import time

import numpy as np
import pytest

from rlctl.calibration.parts import advantage
from rlctl.calibration.simulation import _draw, _Sums, simulate

pytestmark = pytest.mark.filterwarnings("error")

# Groups of 8 with normal rewards, from a Monte Carlo of its own: invalid completions, depth of the penalty →
# advantage of an invalid one, and root mean squared distance of the valid ones from their mean.
TABLE = {
    1: {1: (-0.94, 0.91), 2: (-1.55, 0.77), 2.5: (-1.75, 0.70), 5: (-2.20, 0.45), 100: (-2.47, 0.03)},
    2: {1: (-0.80, 0.92), 2: (-1.21, 0.70), 2.5: (-1.32, 0.62), 5: (-1.52, 0.36), 100: (-1.62, 0.02)},
    4: {1: (-0.58, 0.98), 2: (-0.80, 0.68), 2.5: (-0.84, 0.57), 5: (-0.91, 0.31), 100: (-0.94, 0.02)},
    6: {1: (-0.37, 1.11), 2: (-0.49, 0.71), 2.5: (-0.51, 0.59), 5: (-0.53, 0.30), 100: (-0.54, 0.02)},
}


def normal(n=50_000):
    values = np.random.default_rng(1).normal(size=n)
    return (values - values.mean()) / values.std(ddof=1), np.zeros(n, int)


def cells(totals, groups, **options):
    defaults = {"penalties": [-2.5], "group_sizes": [8], "invalid_fractions": [0.25], "scales": ["group"]}
    return simulate(np.asarray(totals, float), np.asarray(groups), **{**defaults, **options})


@pytest.mark.parametrize("invalid", TABLE)
def test_normal_rewards_give_the_known_table(invalid):
    expected = TABLE[invalid]
    found = cells(
        *normal(),
        penalties=[-depth for depth in expected],
        invalid_fractions=[invalid / 8],
        fixed=True,
        draws=20_000,
    )
    for cell, (depth, (lowest, spread)) in zip(found, expected.items(), strict=True):
        assert cell.depth == pytest.approx(depth, abs=1e-9)
        assert cell.invalid_advantage == pytest.approx(lowest, abs=0.015)
        # The table divides by the number of valid completions, we by one less, as standard deviations do.
        valid = 8 - invalid
        assert cell.valid_spread * math.sqrt((valid - 1) / valid) == pytest.approx(spread, abs=0.02)


def test_large_groups_come_to_the_formulas():
    # −√(1−f) d/√(1+f d²), 1/√((1−f)(1+f d²)), f d²/(1+f d²)
    f, d = 0.25, 2.5
    (cell,) = cells(*normal(), group_sizes=[512], fixed=True, draws=1000)
    assert cell.invalid_advantage == pytest.approx(-math.sqrt(1 - f) * d / math.sqrt(1 + f * d * d), abs=0.01)
    assert cell.valid_spread == pytest.approx(1 / math.sqrt((1 - f) * (1 + f * d * d)), abs=0.01)
    assert cell.validity_share == pytest.approx(f * d * d / (1 + f * d * d), abs=0.01)


@pytest.mark.parametrize("scale", ["group", "batch", "none"])
def test_the_figures_are_those_of_advantages_one_by_one(scale):
    rng = np.random.default_rng(2)
    rewards = np.round(rng.normal(size=(300, 5)), 0)  # with ties, so that some groups are dead
    invalid = rng.random((300, 5)) < 0.4
    penalty = -2.0
    totals = np.where(invalid, penalty, rewards)
    groups = np.repeat(np.arange(300), 5)
    felt = advantage(totals.ravel(), groups, scale=scale).reshape(300, 5)
    without = advantage(np.where(invalid, np.nan, rewards).ravel(), groups, scale=scale).reshape(300, 5)
    apart, before, between, everything = 0.0, 0.0, 0.0, 0.0
    for group in range(300):
        valid = ~invalid[group]
        everything += np.sum(felt[group] ** 2)
        if valid.any():
            apart += np.sum((felt[group, valid] - felt[group, valid].mean()) ** 2)
            before += np.sum(without[group, valid] ** 2)
            between += valid.sum() * felt[group, valid].mean() ** 2
            between += sum(felt[group, ~valid] ** 2)
    ((_, found),) = _Sums.of(rewards, invalid).felt(penalty, [scale])
    assert found["invalid_advantage"] == pytest.approx(felt[invalid].mean(), rel=1e-9)
    assert found["valid_spread"] == pytest.approx(math.sqrt(apart / before), rel=1e-9)
    assert found["validity_share"] == pytest.approx(between / everything, rel=1e-9)
    assert found["dead_fraction"] == np.mean([len(set(group)) == 1 for group in totals])


def test_a_harsh_penalty_leaves_nothing_among_the_valid():
    rewards, invalid = np.array([[0.0, 1.0, 2.0, 3.0]]), np.array([[True, False, False, False]])
    ((_, found),) = _Sums.of(rewards, invalid).felt(-1e6, ["group"])
    assert found["invalid_advantage"] == pytest.approx(-1.5, abs=1e-5)
    assert found["valid_spread"] == pytest.approx(2e-6, rel=1e-3)  # 1 over the group's 500,001, less eps
    # Not divided, nothing is lost among the valid, but the penalty has no bound.
    ((_, found),) = _Sums.of(rewards, invalid).felt(-1e6, ["none"])
    assert found["valid_spread"] == 1
    assert found["invalid_advantage"] == pytest.approx(-0.75 * 1_000_002)


def test_draws_have_the_mean_and_spread_of_their_prompt():
    # Two completions each: drawn with replacement they would vary half as much as what they are a sample of.
    totals, groups = np.array([0.0, 2.0, 10.0, 12.0, 99.0]), np.array([0, 0, 1, 1, 2])
    drawn = _draw(totals, groups, 4000, 8, np.random.default_rng(0))
    of_first = drawn.mean(axis=1) < 6
    assert set(np.round(drawn[of_first].ravel(), 9)) == {
        round(1 - math.sqrt(2), 9),
        round(1 + math.sqrt(2), 9),
    }
    assert drawn[~of_first].mean() == pytest.approx(11, abs=0.1)
    assert np.mean(drawn.var(axis=1, ddof=1)) == pytest.approx(2, rel=0.05)  # that of 0 and 2
    assert of_first.mean() == pytest.approx(0.5, abs=0.03)


def test_groups_die_where_all_are_invalid_or_equal():
    right = [1.0] * 4 + [0.0] * 4
    groups = [0] * 4 + [1] * 4
    half, no = cells(right, groups, group_sizes=[2], invalid_fractions=[0.5, 0.0], draws=20_000)
    assert half.dead_fraction == pytest.approx(0.5, abs=0.02)  # both invalid or both valid
    assert no.dead_fraction == 1
    assert no.invalid_advantage is no.valid_spread is no.validity_share is None
    assert no.depth == pytest.approx(3 / math.sqrt(2 / 7))  # no spread within: that over all
    # A penalty that is what the valid ones get is no spread either.
    assert cells([0.1] * 3, [0] * 3, penalties=[0.1])[0].dead_fraction == 1


def test_the_same_seed_gives_the_same_cells():
    rewards = np.random.default_rng(3).normal(size=40)
    groups = np.repeat(np.arange(10), 4)
    assert cells(rewards, groups) == cells(rewards, groups)
    assert cells(rewards, groups) != cells(rewards, groups, seed=1)


@pytest.mark.parametrize(
    ("totals", "groups"),
    [
        ([], []),
        ([np.nan], [0]),
        ([1.0], [0]),
        ([1.0, 2.0, 3.0], [0, 1, 2]),
        ([1.0, 1.0, np.nan], [0, 0, 0]),
        ([-1e6, 1e6, 1.0, 2.0], [0, 0, 1, 1]),
        ([-1e15, 1e15, 1.0, 2.0], [0, 0, 1, 1]),
    ],
)
def test_odd_rewards(totals, groups):
    found = cells(
        totals,
        groups,
        penalties=[-1e6, 0.0],
        invalid_fractions=[0.0, 0.5, 1.0],
        group_sizes=[2, 4],
        scales=["group", "batch", "none"],
        draws=100,
    )
    assert len(found) == (36 if np.any(~np.isnan(totals)) else 0)
    json.dumps([cell.as_dict() for cell in found], allow_nan=False)


def test_the_usual_grid_takes_less_than_two_seconds():
    groups = np.repeat(np.arange(12_500), 8)
    rewards = np.random.default_rng(4).normal(size=100_000)
    start = time.process_time()
    found = cells(
        rewards,
        groups,
        penalties=np.linspace(-10, 0, 10),
        group_sizes=[4, 8, 16, 32, 64],
        invalid_fractions=[0.05, 0.125, 0.25, 0.5],
        scales=["group", "batch", "none"],
    )
    assert time.process_time() - start < 2
    assert len(found) == 600
