"""Means over prompts: arithmetic by hand, what clustering means, and intervals that cover what they claim."""

import math

import numpy as np
import pytest
from scipy import stats

from benchmarks.coverage import Population, covered, means, passes, penalised, ragged
from rlctl.statistics.estimates import Estimate, mean_interval


def test_by_hand() -> None:
    found = mean_interval([[0.0, 1.0], [1.0, 1.0], [], [3.0]])
    # Prompts: 0.5, 1, 3, mean 1.5; the empty one does not count. All values: 0 1 1 1 3, mean 1.2, squares of
    # the deviations 1.44 + 3·0.04 + 3.24 = 4.8, over 4 is 1.2.
    assert (found.mean, found.n) == (1.5, 3)
    assert found.std == pytest.approx(math.sqrt(1.2))
    assert found.as_dict() == {"mean": 1.5, "std": found.std, "ci95": [found.low, found.high], "n": 3}


def test_samples_of_a_prompt_are_one_cluster() -> None:
    values = [0.1, 0.4, 0.5, 0.9, 0.3, 0.7]
    once, often = mean_interval([[v] for v in values]), mean_interval([[v] * 8 for v in values])
    assert (often.mean, often.low, often.high, often.n) == pytest.approx((once.mean, once.low, once.high, 6))


def test_symmetric_prompts_are_students_t() -> None:
    values = [1.0, 2.0, 3.0, 4.0, 5.0]
    reference = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    found = mean_interval([[v - 1, v + 1] for v in values])
    assert (found.low, found.high) == pytest.approx((reference.low, reference.high))


def test_too_little() -> None:
    nothing = Estimate(None, None, None, None, 0)
    assert mean_interval([]) == mean_interval([[], []]) == nothing
    assert nothing.as_dict() == {"mean": None, "std": None, "ci95": None, "n": 0}
    one = mean_interval([[0.0, 1.0]], (0, 1))
    assert (one.mean, one.low, one.high, one.n) == (0.5, None, None, 1)
    assert one.std == pytest.approx(math.sqrt(0.5))


def test_without_spread_only_bounds_tell() -> None:
    assert mean_interval([[1.0], [1.0], [1.0]]) == Estimate(1.0, None, None, 0.0, 3)
    found = mean_interval([[1.0, 1.0]] * 20, (0, 1))
    assert found.high == 1.0
    assert found.low == pytest.approx(1 - 0.18736, abs=1e-4)  # 0.18736 = t²/(19 + t²)


def test_a_share_stays_between_0_and_1() -> None:
    rng = np.random.default_rng(0)
    for p in (0.02, 0.5, 0.98):
        for _ in range(50):
            found = mean_interval((rng.random((10, 4)) < p).astype(float).tolist(), (0, 1))
            assert found.mean is not None
            assert found.low is not None
            assert found.high is not None
            assert 0 <= found.low <= found.mean <= found.high <= 1
            assert found.high > found.low


def test_rounding_is_no_spread_and_leaves_no_bounds() -> None:
    # The mean of 0.1, 0.1, 0.1 is 0.10000000000000002, and 0.1 + 0.2 is 0.30000000000000004.
    found = mean_interval([[0.1] * 3, [0.1]], (0, 0.1))
    assert (found.high, found.std) == (pytest.approx(0.1), 0.0)
    assert mean_interval([[0.1 + 0.2], [0.3], [0.3]]).low is None
    over = mean_interval([[0.1 + 0.2], [0.0], [0.3]], (0, 0.3))
    assert over.high is not None
    assert over.high <= 0.3
    with pytest.raises(ValueError, match="outside"):
        mean_interval([[0.3 + 1e-9], [0.0]], (0, 0.3))


def test_values_and_bounds_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match=r"outside the bounds \(0, 1\)"):
        mean_interval([[0.5], [1.5]], (0, 1))
    with pytest.raises(ValueError, match="no range"):
        mean_interval([[1.0], [1.0]], (1, 1))


ORDINARY = {
    "normal": means()["normal"],
    "exponential": means()["exponential"],
    "share 0.1": passes(0.1, 0.5, 1),
    "share 0.5": passes(0.5, 0.5, 1),
    "clustered share 0.1": passes(0.1, 0.5, 4),
    "clustered share 0.3": passes(0.3, 0.9, 4),
    "clustered share 0.9": passes(0.9, 0.1, 4),
    "ragged share 0.5": ragged(0.5),
    "reward with penalty": penalised(0.5, 4),
}


@pytest.mark.parametrize("size", [20, 100])
@pytest.mark.parametrize("population", ORDINARY.values(), ids=ORDINARY.keys())
def test_coverage(population: Population, size: int) -> None:
    assert 0.93 <= covered("mean", population, size) <= 0.98


@pytest.mark.parametrize("name", ["share 0.1", "clustered share 0.3"])
def test_coverage_with_many_prompts(name: str) -> None:
    assert 0.93 <= covered("mean", ORDINARY[name], 500) <= 0.97


@pytest.mark.full
@pytest.mark.parametrize("name", means())
def test_coverage_everywhere(name: str) -> None:
    """The band that docs/explanation/statistics.md states, over 2,000 repeats."""
    rare = name.startswith(("share 0.98", "share 0.99"))
    for size, most in ((20, 0.985), (100, 0.98), (500, 0.97)):
        share = covered("mean", means()[name], size, repeats=2000, seed=1)
        if "of the prompts" in name:  # stated in the docs: too rarely below about five such prompts
            assert share >= (0.93 if size == 500 else 0.55), size
            continue
        assert share >= (0.90 if rare else 0.92), size
        # Values that are all the same and have no bounds get no interval, which counts as covered.
        assert share <= most or rare or name.startswith("reward with penalty, 0.9 right, 1"), size
