"""The paired comparison: by hand, against scipy, its level, its coverage, its power."""

import math

import numpy as np
import pytest
from scipy import stats

from benchmarks.coverage import Population, covered, pairs
from rlctl.statistics.paired import compare, detectable_effect, holm


def test_by_hand() -> None:
    found = compare([1.0, 2.0, None, 3.0, 4.0, 5.0], [0.0, 2.5, 1.0, 3.0, 2.0, None])
    # Differences 1, −½, 0, 2 over the four prompts that both have: mean 2.5/4.
    assert found.difference == 0.625
    assert (found.wins, found.ties, found.losses, found.n) == (2, 1, 1, 4)
    assert found.as_dict() == {
        "difference": 0.625,
        "ci95": [found.low, found.high],
        "p_value": found.p_value,
        "wins": 2,
        "ties": 1,
        "losses": 1,
        "prompts": 4,
        "detectable_effect": found.detectable_effect,
    }


def test_symmetric_differences_are_the_paired_t_test() -> None:
    a, b = [1.0, 3.0, 3.5, 5.0, 7.5], [0.0, 1.0, 0.5, 1.0, 2.5]  # differences 1, 2, 3, 4, 5
    found, reference = compare(a, b), stats.ttest_rel(a, b)
    assert found.p_value == pytest.approx(reference.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(reference.confidence_interval(0.95)))


def test_the_other_way_round() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.gamma(1, 1, 30).tolist(), rng.gamma(2, 1, 30).tolist()
    one, other = compare(a, b), compare(b, a)
    assert one.p_value == pytest.approx(other.p_value)
    assert (one.low, one.wins) == (pytest.approx(-other.high), other.losses)  # type: ignore[operator]


def test_the_same_prompts_find_what_others_would_not() -> None:
    rng = np.random.default_rng(0)
    difficulty = rng.normal(0, 1, 100)
    a, b = difficulty + 0.1 + rng.normal(0, 0.2, 100), difficulty + rng.normal(0, 0.2, 100)
    p_value = compare(a.tolist(), b.tolist()).p_value
    assert p_value is not None
    assert p_value < 0.01
    assert stats.ttest_ind(a, b).pvalue > 0.3


def test_no_difference_at_all() -> None:
    found = compare([0.5] * 20, [0.5] * 20, bounds=(0, 1))
    assert (found.difference, found.p_value, found.ties, found.detectable_effect) == (0.0, 1.0, 20, None)
    # At most t²/(19 + t²) of the prompts differ, by at most 1.
    assert (found.low, found.high) == pytest.approx((-0.18736, 0.18736), abs=1e-4)
    unknown = compare([3.0] * 20, [3.0] * 20)
    assert (unknown.difference, unknown.p_value, unknown.low, unknown.high) == (0.0, 1.0, None, None)
    assert unknown.as_dict()["ci95"] is None


def test_the_same_difference_everywhere() -> None:
    found = compare([1.0] * 20, [0.0] * 20)
    assert (found.p_value, found.low) == (2.0**-19, None)
    bounded = compare([1.0] * 20, [0.0] * 20, bounds=(0, 1))
    assert bounded.low == pytest.approx(1 - 2 * 0.18736, abs=1e-4)
    assert bounded.high == 1.0
    assert bounded.p_value is not None
    assert bounded.p_value < 0.05


def test_differences_by_rounding_are_none() -> None:
    assert compare([0.3, 0.1 + 0.2], [0.0, 0.0]).p_value == 0.5  # the sign-flip test: 2 of 4
    equal = compare([0.1 + 0.2, 0.3, 0.7], [0.3, 0.3, 0.7])
    assert (equal.difference, equal.p_value, equal.wins, equal.ties) == (0.0, 1.0, 0, 3)
    left = compare([0.1 + 0.2 - 0.3, 0.0, 0.0], [0.0] * 3)  # 5.6e-17 of what cancels
    assert (left.difference, left.p_value, left.ties) == (0.0, 1.0, 3)
    small = compare([1.0, 1.0 + 1e-9], [1.0, 1.0])
    assert (small.wins, small.low is None) == (1, False)
    assert compare([0.1 + 0.2, 0.0], [0.3, 0.0], bounds=(0, 0.3)).difference == 0.0


def test_too_little() -> None:
    one = compare([1.0, None], [0.5, 1.0])
    assert (one.difference, one.low, one.p_value, one.wins, one.n) == (0.5, None, None, 1, 1)
    assert compare([], []).difference is None
    with pytest.raises(ValueError, match="zip"):
        compare([1.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="outside the bounds"):
        compare([2.0, 0.0], [1.0, 0.0], bounds=(0, 1))


def test_detectable_effect_by_the_noncentral_t() -> None:
    for n in (2, 5, 20, 500, 5000):
        effect = detectable_effect(0.1, n)
        critical = stats.t.ppf(0.975, n - 1)
        assert stats.nct.sf(critical, n - 1, effect / 0.1) == pytest.approx(0.8, abs=1e-6)
    assert detectable_effect(1.0, 100_000) == pytest.approx(1.959964 + 0.841621, abs=1e-3)


@pytest.mark.parametrize("n", [20, 100])
def test_power_at_the_detectable_effect(n: int) -> None:
    rng = np.random.default_rng(0)
    effect = detectable_effect(1 / math.sqrt(n), n)
    samples = rng.normal(effect, 1, (2000, n)).tolist()
    found = sum((compare(sample, [0.0] * n).p_value or 0) < 0.05 for sample in samples) / 2000
    # One of the ends is longer than Student's, which takes up to a hundredth or two.
    assert 0.75 <= found <= 0.82


def test_exact_level_for_shares_with_one_sample() -> None:
    """Over all outcomes: of n prompts d differ, w of them for a, each as likely as for b."""
    n = 20
    rejects = np.zeros(n + 1)  # chance to reject when d prompts differ
    for d in range(1, n + 1):
        for w in range(d + 1):
            a = [1.0] * w + [0.0] * (n - w)
            b = [0.0] * w + [1.0] * (d - w) + [0.0] * (n - d)
            p_value = compare(a, b).p_value
            assert p_value is not None
            rejects[d] += stats.binom.pmf(w, d, 0.5) * (p_value < 0.05)
    levels = [stats.binom.pmf(range(n + 1), n, share) @ rejects for share in np.linspace(0.01, 1, 100)]
    assert max(levels) < 0.055
    assert max(levels) > 0.04


def test_holm_by_hand() -> None:
    # Sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1: 0.02, 0.03, 0.06, 0.04, and none below the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


NULL = {
    name: population
    for name, population in pairs().items()
    if name
    in (
        "no difference, normal",
        "no difference, share 0.5, 1 sample, correlation 0.5",
        "no difference, share 0.5, 8 samples, correlation 0.5",
        "no difference, few large gains, many small losses",
    )
}
TRUE = ("share 0.1, 0.1 of the rest gained, 8 samples", "share 0.5, 0.5 of the rest gained, 1 sample")


@pytest.mark.parametrize("size", [20, 100])
@pytest.mark.parametrize("population", NULL.values(), ids=NULL.keys())
def test_level(population: Population, size: int) -> None:
    # Three standard deviations of a share of 5 % over 1,000 repeats are 2.1 %.
    assert 1 - covered("pair", population, size) <= 0.071


def test_level_with_many_prompts() -> None:
    population = pairs()["no difference, share 0.5, 8 samples, correlation 0.5"]
    assert 0.03 <= 1 - covered("pair", population, 500) <= 0.071


@pytest.mark.parametrize("size", [20, 100, 500])
@pytest.mark.parametrize("name", TRUE)
def test_coverage(name: str, size: int) -> None:
    assert 0.93 <= covered("pair", pairs()[name], size) <= 0.97


@pytest.mark.full
@pytest.mark.parametrize("name", pairs())
def test_coverage_and_level_everywhere(name: str) -> None:
    """The band that docs/explanation/statistics.md states, over 2,000 repeats."""
    for size in (20, 100, 500):
        share = covered("pair", pairs()[name], size, repeats=2000, seed=1)
        few = size == 20 and ("0.9, 0.5 of the rest gained, 8" in name or "only one of the two" in name)
        assert share >= (0.86 if few else 0.93), size
        assert share <= (0.97 if size == 500 else 1.0), size
