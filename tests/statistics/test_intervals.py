"""Intervals against arithmetic by hand and against scipy; interval and p-value say the same."""

import math

import numpy as np
import pytest
from scipy import stats

from rlctl.statistics.intervals import (
    Moments,
    bounded_interval,
    constant_interval,
    constant_p_value,
    critical,
    interval,
    moments,
    p_value,
)


def test_moments() -> None:
    of = moments([0, 0, 0, 1])
    # Deviations −¼ −¼ −¼ ¾: squares sum to ¾, std = √(¾/3) = ½; cubes of (−½ −½ −½ 1½) sum to 3,
    # times n/((n−1)(n−2)) = 4/6 is 2.
    assert (of.n, of.mean, of.std, of.skewness) == (4, 0.25, 0.5, pytest.approx(2.0))
    assert of.error == 0.25
    values = np.random.default_rng(0).gamma(1, 1, 30)
    assert moments(values.tolist()).skewness == pytest.approx(stats.skew(values, bias=False))
    assert moments([0.1] * 7) == Moments(7, 0.1, 0.0, 0.0)
    assert moments([1, 2]).skewness == 0.0


def test_symmetric_values_are_students_t() -> None:
    values = [1.0, 2.0, 3.0, 4.0, 5.0]
    reference = stats.ttest_1samp(values, 0)
    assert interval(moments(values)) == pytest.approx(tuple(reference.confidence_interval(0.95)))
    assert p_value(moments(values)) == pytest.approx(reference.pvalue)


def test_the_end_to_which_values_are_skewed_is_longer() -> None:
    # t(3) = 3.1824, lean = (2·3.1824² + 1)·2/(6·√4) = 3.5427, √(3.1824² + 3.5427²) = 4.7622;
    # low = ¼ − 3.1824/4, high = ¼ + (3.5427 + 4.7622)/4.
    assert interval(moments([0, 0, 0, 1])) == pytest.approx((-0.5456, 2.3262), abs=1e-3)
    assert interval(moments([0, 0, 0, -1])) == pytest.approx((-2.3262, 0.5456), abs=1e-3)


def test_interval_and_p_value_agree() -> None:
    rng = np.random.default_rng(1)
    for n in (3, 5, 20, 100):
        for sample in (*rng.gamma(0.5, 1, (20, n)), *-rng.gamma(1, 1, (20, n)), *rng.normal(0, 1, (20, n))):
            low, high = interval(moments(sample.tolist()))
            width = high - low
            for end, inwards in ((low, 1), (high, -1)):
                assert p_value(moments((sample - end).tolist())) == pytest.approx(0.05, rel=1e-6)
                assert p_value(moments((sample - end - inwards * 0.01 * width).tolist())) > 0.05
                assert p_value(moments((sample - end + inwards * 0.01 * width).tolist())) < 0.05


def test_a_share_with_one_sample_per_prompt_solves_wilsons_equation() -> None:
    of = moments([1.0] * 8 + [0.0] * 12)
    low, high = bounded_interval(of, (0, 1))
    # (0.4 − p)² = t² p(1 − p)/19, with t(19) = 2.0930
    for end in (low, high):
        assert (0.4 - end) ** 2 == pytest.approx(2.0930**2 * end * (1 - end) / 19, rel=1e-3)
    # with many prompts t is z and 1/(n−1) is 1/n
    reference = stats.binomtest(300, 1000).proportion_ci(method="wilson")
    assert bounded_interval(moments([1.0] * 300 + [0.0] * 700), (0, 1)) == pytest.approx(
        (reference.low, reference.high), abs=1e-3
    )


def test_a_bounded_interval_moves_with_its_scale() -> None:
    values = [0.0, 0.25, 0.5, 0.5, 1.0]
    low, high = bounded_interval(moments(values), (0, 1))
    moved = bounded_interval(moments([10 * value - 3 for value in values]), (-3, 7))
    assert moved == pytest.approx((10 * low - 3, 10 * high - 3))


def test_bounds_far_away_change_little() -> None:
    values = np.random.default_rng(0).normal(0.5, 0.02, 20).tolist()
    bounded, free = bounded_interval(moments(values), (0, 1)), interval(moments(values))
    assert bounded[1] - bounded[0] == pytest.approx(free[1] - free[0], rel=0.1)


def test_one_prompt_with_one_pass_does_not_vouch_for_the_others() -> None:
    # One of 20 prompts passes one of its eight samples: error = m, one event, doubt = 0.4/1.4 = 2/7. The
    # between-prompt variance is 1/8 of the largest, and counts as 5/7·0.13 + 2/7; without doubt the
    # interval would end at 0.038 and leave out 0.05 far too often.
    of = moments([1 / 8] + [0.0] * 19)
    assert of.error == pytest.approx(of.mean)
    assert bounded_interval(of, (0, 1))[1] == pytest.approx(0.09, abs=0.01)


def test_a_few_failures_do_not_rule_out_that_they_are_rare() -> None:
    """Over all outcomes of n prompts with one sample: Wilson's end alone covers 85 to 92 % of these."""
    for n in (20, 100, 500):
        ends = [bounded_interval(moments([1.0] * c + [0.0] * (n - c)), (0, 1)) for c in range(n + 1)]
        for p in (0.95, 0.98, 0.99, 0.995, 0.998, 1 - 0.15 / n):
            covers = [low <= p <= high for low, high in ends]
            assert stats.binom.pmf(range(n + 1), n, p) @ covers >= 0.934, (n, p)
            assert stats.binom.pmf(range(n + 1), n, 1 - p) @ covers[::-1] >= 0.934, (n, p)
    # One failure of 100: 1 − Beta⁻¹(0.05; 0.99, 99.01) = 1 − 0.05 %; Wilson's is 1 − 0.18 %.
    assert bounded_interval(moments([1.0] * 99 + [0.0]), (0, 1))[1] == pytest.approx(0.9995, abs=5e-5)


def test_without_spread() -> None:
    of = Moments(20, 0.0, 0.0, 0.0)
    # t²/(19 + t²) = 4.3807/23.3807 = 0.18736
    assert constant_interval(of, (0, 1)) == pytest.approx((0.0, 0.18736), abs=1e-4)
    assert bounded_interval(of, (0, 1)) == constant_interval(of, (0, 1))
    assert constant_interval(Moments(20, 1.0, 0.0, 0.0), (0, 1)) == pytest.approx(
        (1 - 0.18736, 1.0), abs=1e-4
    )
    assert constant_interval(Moments(20, 0.5, 0.0, 0.0), (0, 1)) == pytest.approx((0.4063, 0.5937), abs=1e-4)


def test_p_value_without_spread() -> None:
    assert constant_p_value(Moments(20, 0.0, 0.0, 0.0), None) == 1.0
    assert constant_p_value(Moments(20, 0.0, 0.0, 0.0), (-1, 1)) == 1.0
    assert constant_p_value(Moments(5, 0.3, 0.0, 0.0), None) == 2 / 32
    for n in (3, 5, 20):
        for mean in (-1.0, -0.3, 0.05, 0.187, 0.3, 0.99):
            of = Moments(n, mean, 0.0, 0.0)
            low, high = constant_interval(of, (-1, 1))
            assert (constant_p_value(of, (-1, 1)) < 0.05) == (not low <= 0 <= high)


def test_critical_values() -> None:
    assert critical(19) == pytest.approx(2.0930, abs=1e-4)
    assert critical(1e9) == pytest.approx(1.959964)
    assert critical(10, 0.01) == pytest.approx(-stats.t.ppf(0.005, 10))
    assert math.isinf(critical(10, 0.0))
