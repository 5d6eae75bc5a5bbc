"""Correlations, against SciPy."""

import json

import numpy as np
import pytest
from scipy import stats

from rlctl.calibration.correlation import correlations, pearson, ranks, with_length

pytestmark = pytest.mark.filterwarnings("error")


def test_pairs_are_those_of_scipy_over_the_rows_that_have_both():
    rng = np.random.default_rng(0)
    a = rng.normal(size=300)
    b = a + rng.normal(size=300)
    c = np.round(2 * b)  # ties
    b[::7], c[::5] = np.nan, np.nan
    b[1] = 1e6
    for pair in correlations({"a": a, "b": b, "c": c}):
        x, y = {"a": a, "b": b, "c": c}[pair.a], {"a": a, "b": b, "c": c}[pair.b]
        both = ~np.isnan(x) & ~np.isnan(y)
        assert pair.n == both.sum()
        assert pair.pearson == pytest.approx(np.corrcoef(x[both], y[both])[0, 1], abs=1e-9)
        assert pair.spearman == pytest.approx(stats.spearmanr(x[both], y[both]).statistic, abs=1e-9)


def test_ranks_share_their_mean():
    assert ranks(np.array([3.0, 1.0, 3.0, np.nan, 2.0])).tolist()[:3] == [3.5, 1.0, 3.5]
    values = np.round(np.random.default_rng(1).normal(size=200), 1)
    assert ranks(values).tolist() == stats.rankdata(values).tolist()


def test_there_is_no_correlation_without_spread_or_rows():
    constant = np.array([0.1 + 0.2, 0.3, 0.3, 0.3])
    varying = np.array([1.0, 2.0, 3.0, 5.0])
    assert pearson(constant, varying) is None
    assert pearson(varying[:2], varying[:2]) is None
    assert pearson(1e15 * varying, -1e15 * varying) == pytest.approx(-1, abs=1e-12)
    empty = np.full(4, np.nan)
    (pair,) = correlations({"a": empty, "b": varying})
    assert pair.as_dict() == {"a": "a", "b": "b", "pearson": None, "spearman": None, "n": 0}


def test_length_within_prompts_is_not_length_over_all():
    # Longer prompts' completions score higher, but within a prompt the longer completion scores lower.
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(50), 8)
    of_prompt = rng.normal(size=50)[groups]
    lengths = 100 + 40 * of_prompt + rng.normal(size=400)
    totals = 10 * of_prompt - (lengths - 100 - 40 * of_prompt) + 0.5 * rng.normal(size=400)
    valid = rng.random(400) < 0.9
    found = with_length(totals, lengths, groups, valid)
    assert found.overall == pytest.approx(np.corrcoef(totals[valid], lengths[valid])[0, 1], abs=1e-9)
    apart = [
        [
            v - np.mean(values[valid & (groups == g)])
            for v, g in zip(values[valid], groups[valid], strict=True)
        ]
        for values in (totals, lengths)
    ]
    assert found.within == pytest.approx(np.corrcoef(*apart)[0, 1], abs=1e-9)
    assert found.rank_within == pytest.approx(stats.spearmanr(*apart).statistic, abs=1e-9)
    assert found.overall > 0.9 > -0.8 > found.within
    assert found.share_of_variance == found.within**2
    assert found.n == valid.sum()


@pytest.mark.parametrize(
    ("totals", "lengths", "groups"),
    [
        ([], [], []),
        ([1.0], [3.0], [0]),
        ([1.0, 2.0], [3.0, 4.0], [0, 0]),
        ([1.0, 2.0, 3.0], [3.0, 4.0, 9.0], [0, 1, 2]),
        ([1.0, 1.0, 1.0, 1.0], [3.0, 4.0, 5.0, 6.0], [0, 0, 1, 1]),
        ([np.nan] * 4, [3.0, 4.0, 5.0, 6.0], [0, 0, 1, 1]),
        ([1e6, -1e6, 2.0, 1.0], [3.0, np.nan, 5.0, 6.0], [0, 0, 1, 1]),
    ],
)
def test_length_of_odd_samples(totals, lengths, groups):
    totals = np.array(totals, float)
    found = with_length(totals, np.array(lengths, float), np.array(groups, int), ~np.isnan(totals))
    assert found.within is None
    json.dumps(found.as_dict(), allow_nan=False)
