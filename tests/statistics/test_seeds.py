"""Prompts and seeds crossed: the two-way table by hand, missing cells, level and coverage."""

import math

import numpy as np
import pytest
from scipy import stats

from benchmarks.coverage import SEEDS, covered, crossed
from rlctl.statistics.paired import compare
from rlctl.statistics.seeds import SMALLEST, SeedsEstimate, across_seeds


def test_two_way_table_by_hand() -> None:
    found = across_seeds([[1.0, 2.0, 6.0], [3.0, 4.0, 8.0]])
    # Means: prompts 2, 3, 7, seeds 3, 5, all 4; prompt and seed add up exactly, so the rest is 0.
    # Prompts: variance (4 + 1 + 9)/2 = 7, over 3 prompts 7/3. Seeds: variance 2, over 2 seeds 1.
    # t(2) = 4.3027, t(1) = 12.7062: h² = 4.3027²·7/3 + 12.7062².
    half = math.sqrt(4.3027**2 * 7 / 3 + 12.7062**2)
    assert (found.mean, found.prompts, found.seeds) == (4.0, 3, 2)
    assert (found.low, found.high) == pytest.approx((4 - half, 4 + half), rel=1e-4)


def test_the_rest_is_not_counted_twice() -> None:
    found = across_seeds([[1.0, 2.0, 6.0], [5.0, 4.0, 6.0]])
    # Means: prompts 3, 3, 6, seeds 3, 5, all 4. Rest ±(−1, 0, 1): squares sum to 4, over (2−1)(3−1) = 2.
    # Prompts: variance (1 + 1 + 4)/2 = 3, over 3 is 1, less 2/(2·3): 2/3. Seeds: variance 2, over 2 is 1.
    half = math.sqrt(4.3027**2 * 2 / 3 + 12.7062**2)
    assert (found.low, found.high) == pytest.approx((4 - half, 4 + half), rel=1e-4)


def test_p_value_agrees_with_the_interval() -> None:
    rng = np.random.default_rng(0)
    for seeds in (2, 3, 5):
        for _ in range(10):
            table = rng.normal(0, 0.1, (seeds, 1)) + rng.normal(0, 1, 30) + rng.normal(0, 1, (seeds, 30))
            found = across_seeds(table.tolist())
            assert found.low is not None
            moved = across_seeds((table - found.low).tolist())
            assert moved.p_value == pytest.approx(0.05, rel=1e-6)
            assert moved.low == pytest.approx(0, abs=1e-9)


def test_one_seed_is_the_paired_comparison() -> None:
    a, b = [0.4, 0.9, 0.1, 1.0, 0.7], [0.3, 0.5, 0.2, 0.1, 0.7]
    found = across_seeds([[x - y for x, y in zip(a, b, strict=True)]])
    reference = compare(a, b)
    assert (found.mean, found.low, found.high, found.p_value) == pytest.approx(
        (reference.difference, reference.low, reference.high, reference.p_value)
    )
    assert (found.seeds, found.prompts) == (1, 5)


def test_missing_cells() -> None:
    table: list[list[float | None]] = [[1.0, 2.0, 6.0], [3.0, 4.0, 8.0]]
    complete = across_seeds(table)
    assert across_seeds([[*table[0], None], [*table[1], 5.0], [None] * 4]) == complete
    assert across_seeds([]) == SeedsEstimate(None, None, None, None, 0, 0)
    assert across_seeds([[None, 1.0], [2.0, None]]) == SeedsEstimate(None, None, None, None, 0, 2)
    assert across_seeds([[1.0, 1.0], [2.0, None]]) == SeedsEstimate(1.5, None, None, None, 1, 2)
    with pytest.raises(ValueError, match="zip"):
        across_seeds([[1.0], [1.0, 2.0]])


def test_without_spread() -> None:
    assert across_seeds([[0.0] * 5] * 3) == SeedsEstimate(0.0, None, None, 1.0, 5, 3)
    assert across_seeds([[0.5] * 5] * 3) == SeedsEstimate(0.5, None, None, None, 5, 3)


def test_as_dict_and_a_large_effect() -> None:
    rng = np.random.default_rng(0)
    found = across_seeds((5 + rng.normal(0, 0.1, (8, 50))).tolist())
    assert found.p_value == SMALLEST
    assert found.as_dict() == {
        "difference": found.mean,
        "ci95": [found.low, found.high],
        "p_value": SMALLEST,
        "prompts": 50,
        "seeds": 8,
    }


def test_prompts_alone_would_be_too_sure() -> None:
    """What goes wrong without the seeds: 100 prompts, three seeds that differ."""
    rng, hits = np.random.default_rng(0), 0
    population = crossed(3)["large spread over seeds"]
    for _ in range(300):
        means = population.draw(rng, 100).mean(axis=0)
        hits += stats.ttest_1samp(means, 0).pvalue >= 0.05
    assert hits / 300 < 0.5
    assert covered("seeds", population, 100) >= 0.93


@pytest.mark.parametrize("seeds", SEEDS)
@pytest.mark.parametrize("name", crossed(3))
def test_level(seeds: int, name: str) -> None:
    # The truth is 0, so what is not covered is a false positive; 0.93 is 5 % and three standard deviations.
    assert covered("seeds", crossed(seeds)[name], 20, repeats=1000) >= 0.93


@pytest.mark.full
@pytest.mark.parametrize("seeds", SEEDS)
@pytest.mark.parametrize("name", crossed(3))
def test_coverage_everywhere(seeds: int, name: str) -> None:
    """The band that docs/explanation/statistics.md states, over 2,000 repeats."""
    for size in (20, 100, 500):
        share = covered("seeds", crossed(seeds)[name], size, repeats=2000, seed=1)
        assert share >= (0.92 if name == "shares, large spread over seeds" else 0.935), size
        assert share <= 0.99, size
