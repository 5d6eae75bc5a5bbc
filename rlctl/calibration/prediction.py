"""How many groups would have no spread at another group size: counted where there are enough completions of a
prompt, else from a model of how prompts differ.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from rlctl.calibration.table import Floats, Integers
from rlctl.statistics.intervals import Moments, bounded_interval, moments

SIZES = (4, 8, 16, 32, 64)
"""Group sizes that are predicted by default."""
ALONE = 8
"""Values with a distribution over prompts of their own, the most often tied; all others share one."""
WIDTH = 5.0
"""Standard deviation of the normal prior of log a and log b: keeps them finite, and says next to nothing."""
NEVER = 1e-9
"""A share below is 0."""


@dataclass(frozen=True)
class Prediction:
    """Share of groups without spread at one group size.

    Args:
        zero_std_fraction: The share; None where neither way can tell.
        ci95: Its interval over prompts; None below two.
        how: `counted` from the completions that there are, or from the `model`.
    """

    zero_std_fraction: float | None
    ci95: list[float] | None
    how: Literal["counted", "model"]

    def as_dict(self) -> dict[str, Any]:
        """All fields."""
        return asdict(self)


def share_interval(shares: Floats) -> list[float] | None:
    """95 % interval of the mean of values from 0 to 1; None below two of them.

    Args:
        shares: (n,) values.
    """
    if len(shares) < 2:
        return None
    return list(bounded_interval(moments(shares.tolist()), (0.0, 1.0)))


def predict(codes: Integers, groups: Integers, sizes: Sequence[int] = SIZES) -> dict[int, Prediction]:
    """Group size → expected share of groups whose totals are all the same.

    Up to the number n of completions that half of the prompts or more have, it is counted without bias: the
    chance that G of the n, drawn without replacement, are the same is Σᵥ C(cᵥ, G)/C(n, G), cᵥ of them having
    the value v. Beyond, Σᵥ E[pᵥᴳ] with pᵥ, a prompt's chance of v, Beta distributed over prompts; its
    parameters are fitted by maximum likelihood (Skellam 1948, beta-binomial) with a weak prior. A value that
    no prompt has twice, as those of a continuous reward, adds nothing.

    Args:
        codes: (M,) which value each total is, from 0.
        groups: (M,) group of each; groups of one are left out.
        sizes: Group sizes G, at least 2.

    Returns:
        Empty where no group has two totals.
    """
    counts = _count(codes, groups)
    if not len(counts.sizes):
        return {}
    classes = (
        [_Class.fit(counts, members) for members in counts.repeated()] if len(counts.sizes) > 1 else None
    )
    found = {}
    for size in sizes:
        enough = counts.sizes >= size
        if 2 * enough.sum() >= len(enough):
            shares = counts.drawn(size)[enough]
            found[size] = Prediction(float(shares.mean()), share_interval(shares), "counted")
        elif classes is None:
            found[size] = Prediction(None, None, "model")
        else:
            found[size] = _modelled(counts, classes, size)
    return found


@dataclass(frozen=True)
class _Counts:
    """How often each group has each value: `times[i]` times the value `codes[i]` in the group `places[i]`."""

    sizes: Integers
    places: Integers
    codes: Integers
    times: Integers

    def drawn(self, size: int) -> Floats:
        """(groups,) chance that `size` of a group's totals, drawn without replacement, are the same."""
        chance = (self.times >= size).astype(np.float64)
        some = np.flatnonzero(chance)
        times, whole = self.times[some], self.sizes[self.places[some]]
        for i in range(size):
            chance[some] *= (times - i) / (whole - i)
        return np.minimum(np.bincount(self.places, weights=chance, minlength=len(self.sizes)), 1.0)

    def repeated(self) -> list[Integers]:
        """The values that some group has twice: the commonest alone, the others in one class."""
        pairs = np.bincount(self.codes, weights=self.times * (self.times - 1))
        order = np.argsort(-pairs, kind="stable")[: int((pairs > 0).sum())]
        rare = order[ALONE:]
        return [order[i : i + 1] for i in range(min(ALONE, len(order)))] + ([rare] if len(rare) else [])


def _count(codes: Integers, groups: Integers) -> _Counts:
    sizes = np.bincount(groups)
    kept = sizes[groups] > 1
    codes, groups = codes[kept], (np.cumsum(sizes > 1) - 1)[groups[kept]]
    distinct = int(codes.max(initial=0)) + 1
    both, times = np.unique(groups * distinct + codes, return_counts=True)
    return _Counts(sizes[sizes > 1], both // distinct, both % distinct, times)


@dataclass(frozen=True)
class _Class:
    """A Beta(a, b) for the chances of some values over prompts.

    `covariance` is that of (log a, log b); `scores` (groups, 2) is what each group adds to the gradient of
    the log likelihood there.
    """

    values: int
    a: float
    b: float
    covariance: Floats
    scores: Floats

    @classmethod
    def fit(cls, counts: _Counts, members: Integers) -> "_Class":
        """Most likely a and b; a group counts once for each of the values."""
        from scipy.optimize import minimize

        within = np.zeros(int(counts.codes.max()) + 1, dtype=bool)
        within[members] = True
        entries = within[counts.codes]
        places, times = counts.places[entries], counts.times[entries]
        groups = np.arange(len(counts.sizes))
        # Every group also has each value 0 times, less those that it does have.
        place = np.concatenate([places, groups])
        often = np.concatenate([times, np.zeros_like(groups)])
        absent = len(members) - np.bincount(places, minlength=len(groups))
        weight = np.concatenate([np.ones(len(places)), absent])
        wide = int(counts.sizes.max()) + 1
        kinds, kind = np.unique(often * wide + counts.sizes[place], return_inverse=True)
        seen: Floats = np.bincount(kind, weights=weight).astype(np.float64)
        likelihood = _Likelihood(kinds // wide, kinds % wide, seen)
        best = minimize(
            likelihood.loss,
            likelihood.start(),
            method="trust-exact",
            jac=likelihood.slope,
            hess=likelihood.bend,
        ).x
        scores = likelihood.scores(best)[kind] * weight[:, None]
        summed = np.stack([np.bincount(place, weights=column) for column in scores.T], axis=1)
        a, b = np.exp(best)
        covariance: Floats = np.linalg.inv(likelihood.bend(best)).astype(np.float64)
        return cls(len(members), float(a), float(b), covariance, summed.astype(np.float64))

    def power(self, size: int) -> tuple[float, Floats]:
        """Σ E[pᴳ] over the values, and its gradient by (log a, log b)."""
        from scipy.special import gammaln, psi

        a, b, s = self.a, self.b, self.a + self.b
        chance = self.values * np.exp(gammaln(a + size) - gammaln(a) - gammaln(s + size) + gammaln(s))
        shared = psi(s) - psi(s + size)
        return float(chance), chance * np.array([a * (psi(a + size) - psi(a) + shared), b * shared])


@dataclass(frozen=True)
class _Likelihood:
    """Beta-binomial log likelihood of `times` out of `sizes`, seen `weights` times, as a loss to minimise."""

    times: Integers
    sizes: Integers
    weights: Floats

    def start(self) -> Floats:
        """The mean share, at a concentration of 2."""
        share = (self.weights @ self.times) / (self.weights @ self.sizes)
        return np.log(2 * np.clip([share, 1 - share], 1e-6, None))

    def loss(self, logs: Floats) -> float:
        from scipy.special import betaln

        a, b = np.exp(logs)
        likely = betaln(self.times + a, self.sizes - self.times + b) - betaln(a, b)
        return float((logs @ logs) / (2 * WIDTH**2) - self.weights @ likely)

    def scores(self, logs: Floats) -> Floats:
        """(kinds, 2) gradient of the log likelihood of one group of each kind."""
        from scipy.special import psi

        a, b = np.exp(logs)
        whole = psi(a + b) - psi(self.sizes + a + b)
        by_a = a * (psi(self.times + a) - psi(a) + whole)
        return np.stack([by_a, b * (psi(self.sizes - self.times + b) - psi(b) + whole)], axis=1)

    def slope(self, logs: Floats) -> Floats:
        return logs / WIDTH**2 - self.weights @ self.scores(logs)

    def bend(self, logs: Floats) -> Floats:
        from scipy.special import polygamma

        a, b = np.exp(logs)
        first = self.weights @ self.scores(logs)
        whole = polygamma(1, a + b) - polygamma(1, self.sizes + a + b)
        by_a = polygamma(1, self.times + a) - polygamma(1, a) + whole
        by_b = polygamma(1, self.sizes - self.times + b) - polygamma(1, b) + whole
        second = self.weights @ np.stack([a * a * by_a, a * b * whole, b * b * by_b], axis=1)
        return np.eye(2) / WIDTH**2 - np.array(
            [[first[0] + second[0], second[1]], [second[1], first[1] + second[2]]]
        )


def _modelled(counts: _Counts, classes: Sequence[_Class], size: int) -> Prediction:
    """Σ E[pᴳ] with its interval.

    The variance is that of the groups' influence on the estimate (Huber 1967), or what the likelihood says of
    it where that is larger, as where nearly all groups are alike. With Wilson's interval it covered the truth
    in 92 to 100 % of 200 repeats for 12, 100 and 500 prompts of 8 with five beta distributions.
    """
    n = len(counts.sizes)
    if np.all(counts.times == counts.sizes[counts.places]):
        return Prediction(1.0, share_interval(np.ones(n)), "model")  # nothing differs within any prompt
    total, influence, likely = 0.0, np.zeros(n), 0.0
    for one in classes:
        chance, gradient = one.power(size)
        total += chance
        influence += one.scores @ one.covariance @ gradient
        likely += float(gradient @ one.covariance @ gradient)
    if total < NEVER:
        return Prediction(0.0, share_interval(np.zeros(n)), "model")
    total = min(total, 1 - NEVER)
    variance = max(float(influence.var()) * n * n / (n - 1), likely)
    low, high = bounded_interval(Moments(n, total, float(np.sqrt(variance * n)), 0.0), (0.0, 1.0))
    return Prediction(total, [float(low), float(high)], "model")
