"""The shape of rewards."""

import json

import numpy as np
import pytest
from scipy import stats

from rlctl.calibration.summary import QUANTILES, describe, histogram, quantiles, skewness

pytestmark = pytest.mark.filterwarnings("error")


def test_quantiles_and_skewness_are_those_of_numpy_and_scipy():
    values = np.random.default_rng(0).gamma(2, size=500)
    for name, share in QUANTILES.items():
        assert quantiles(values)[name] == pytest.approx(np.quantile(values, share), rel=1e-12)
    assert skewness(values) == pytest.approx(stats.skew(values, bias=False), rel=1e-9)
    assert skewness(np.array([1.0, 2.0])) is None
    assert skewness(np.full(9, 0.1)) is None


def test_few_values_get_a_bar_each():
    found = histogram(np.array([0.0, 1.0, 1.0, 0.0, 1.0, np.nan]))
    assert found.as_dict() == {"edges": [-0.5, 0.5, 1.5], "counts": [2, 3], "values": [0.0, 1.0]}
    assert histogram(np.array([0.3] * 3)).edges == pytest.approx([-0.2, 0.8])
    # Halves, far apart: the edges lie between.
    found = histogram(np.array([-1e6, 0.5, 1.5] * 4))
    assert found.counts == [4, 4, 4]
    assert found.edges[1:] == [(0.5 - 1e6) / 2, 1.0, 2.0]


def test_many_values_are_counted_in_even_bars():
    values = np.random.default_rng(1).normal(size=1000)
    found = histogram(values)
    assert found.values is None
    assert sum(found.counts) == 1000
    assert np.histogram(values, found.edges)[0].tolist() == found.counts
    width = 2 * (np.quantile(values, 0.75) - np.quantile(values, 0.25)) / 10  # 1000 to the third is 10
    assert found.edges[3] - found.edges[2] == pytest.approx(width, rel=0.1)


def test_a_value_far_out_does_not_hide_the_others():
    values = np.append(np.random.default_rng(2).normal(size=1000), [-1e6, 1e6])
    found = histogram(values)
    assert (found.edges[0], found.edges[-1]) == (-1e6, 1e6)
    assert sum(count > 10 for count in found.counts) > 10
    assert sum(found.counts) == 1002
    assert len(found.counts) <= 40


@pytest.mark.parametrize(
    "values",
    [
        [],
        [np.nan],
        [1.0],
        [1.0, 1.0 + 1e-15, 2.0],
        [0.1, 0.2],
        [1e15, -1e15, 3.0, 0.5, 0.25],
        [0.5, *[1.0 + 1e-9 * i for i in range(9)]],
        np.random.default_rng(3).normal(size=97),
        [0.0] * 900 + np.random.default_rng(4).normal(size=100).tolist(),
    ],
)
def test_odd_values(values):
    values = np.array(values, float)
    found = describe(values)
    json.dumps(found, allow_nan=False)
    assert sum(found["histogram"]["counts"]) == found["n"] == np.count_nonzero(~np.isnan(values))
    assert np.all(np.diff(found["histogram"]["edges"]) > 0)
