"""pass@k against what it means: the share of all ways to draw k of n samples that hold one that passes."""

from itertools import combinations
from math import comb

import numpy as np
import pytest

from rlctl.statistics.pass_at_k import pass_at_k


def test_two_of_five_pass() -> None:
    # Of the C(5,2) = 10 pairs, C(3,2) = 3 hold none of the two that pass.
    assert pass_at_k(5, 2, 2) == pytest.approx(0.7)
    assert pass_at_k(5, 2, 1) == pytest.approx(0.4)
    assert pass_at_k(5, 2, 4) == 1.0


def test_equals_enumeration_and_the_formula() -> None:
    for n in range(1, 8):
        for c in range(n + 1):
            for k in range(1, n + 1):
                draws = list(combinations([True] * c + [False] * (n - c), k))
                assert pass_at_k(n, c, k) == pytest.approx(sum(map(any, draws)) / len(draws))
                assert pass_at_k(n, c, k) == pytest.approx(1 - comb(n - c, k) / comb(n, k))


def test_no_overflow_and_no_cancellation() -> None:
    assert pass_at_k(100_000, 1, 50_000) == pytest.approx(0.5)
    assert pass_at_k(10_000, 0, 100) == 0.0
    assert pass_at_k(10_000, 3, 10_000) == 1.0


def test_without_bias() -> None:
    # A sample passes with 0.2: one of three does with 1 − 0.8³ = 0.488. 1 − (1 − c/n)³ would give 0.455 here.
    counts = np.random.default_rng(0).binomial(10, 0.2, 100_000)
    assert np.mean([pass_at_k(10, int(c), 3) for c in counts]) == pytest.approx(0.488, abs=0.003)


@pytest.mark.parametrize(("n", "c", "k"), [(3, 4, 1), (3, -1, 1), (3, 1, 0), (3, 1, 4), (0, 0, 1)])
def test_counts_that_do_not_fit(n: int, c: int, k: int) -> None:
    with pytest.raises(ValueError, match=f"n={n}, c={c}, k={k}"):
        pass_at_k(n, c, k)
