"""How far a mean may be from the truth, and whether it can be 0: what holds for few, skewed, bounded values.

The methods were chosen by simulation among t, bootstrap (percentile, BCa, t), sign-flip and score intervals;
`python -m benchmarks coverage` prints how often each of these covers the truth.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

LEVEL = 0.95
"""Of every interval."""
DOUBT = 0.4
"""What is held against a sample's own word on its spread; see `bounded_interval`."""
ROUNDING = 1e-12
"""Values that differ by no more than this share of their size are the same: the rest is arithmetic."""
NOTHING = 1e-15
"""Values that differ by no more than this are the same: it is left where numbers about 1 cancel."""

Interval = tuple[float, float]


@dataclass(frozen=True)
class Moments:
    """What the intervals need to know of n values.

    Args:
        n: How many values; at least two.
        mean: Their mean.
        std: Standard deviation, n−1; 0 exactly where all are the same up to rounding.
        skewness: Third standardised moment, corrected for n (Joanes and Gill 1998, G1); 0 below three values.
    """

    n: int
    mean: float
    std: float
    skewness: float

    @property
    def error(self) -> float:
        """Standard error of the mean."""
        return self.std / math.sqrt(self.n)


def moments(values: Sequence[float]) -> Moments:
    """The moments of two or more values."""
    n, mean = len(values), math.fsum(values) / len(values)
    std = deviation(values)
    if std == 0:
        return Moments(n, float(values[0]), 0.0, 0.0)
    cubes = math.fsum(((value - mean) / std) ** 3 for value in values) if n > 2 else 0.0
    return Moments(n, mean, std, cubes * n / ((n - 1) * (n - 2)) if n > 2 else 0.0)


def deviation(values: Sequence[float]) -> float:
    """Standard deviation of two or more values, n−1; 0 exactly where all are the same up to rounding."""
    if same(min(values), max(values)):
        return 0.0
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum([(value - mean) ** 2 for value in values]) / (len(values) - 1))


def same(x: float, y: float) -> bool:
    """Whether two values are equal up to rounding."""
    return math.isclose(x, y, rel_tol=ROUNDING, abs_tol=NOTHING)


def difference(x: float, y: float) -> float:
    """x − y; 0 exactly where the two are equal up to rounding."""
    return 0.0 if same(x, y) else x - y


def inside(values: Sequence[float], bounds: Interval) -> list[float]:
    """The values, moved onto a bound where they are outside by rounding alone.

    Raises:
        ValueError: If a value lies outside.
    """
    low, high = bounds
    slack = ROUNDING * max(abs(low), abs(high))
    if any(not low - slack <= value <= high + slack for value in values):
        raise ValueError(f"a value lies outside the bounds {bounds}")
    return [min(max(value, low), high) for value in values]


def critical(freedom: float, p_value: float = 1 - LEVEL) -> float:
    """The |t| that chance exceeds with this two-sided p-value."""
    from scipy.special import stdtrit

    return -float(stdtrit(freedom, p_value / 2))


def two_sided(t: float, freedom: float) -> float:
    """Chance of a |t| at least as large."""
    from scipy.special import stdtr

    return 2 * float(stdtr(freedom, -abs(t)))


def interval(of: Moments) -> Interval:
    """95 % interval of a mean: Student's t, with the end longer to which the values are skewed.

    The longer end is that of a score interval whose variance changes with the mean as skewness says:
    x² = t² + x (2t² + 1) γ / (3√n), x = (μ − mean)/error. To the order 1/√n it is the Cornish–Fisher
    correction of t (Johnson 1978, "Modified t Tests and Confidence Intervals for Asymmetrical
    Populations"; Hall 1992, "On the Removal of Skewness by Transformation"); with x² kept it
    stays finite and grows with γ. The other end is not shortened: few values tell too little of skewness.
    """
    t = critical(of.n - 1)
    lean = (2 * t * t + 1) * of.skewness / (6 * math.sqrt(of.n))
    longer = abs(lean) + math.hypot(t, lean)
    low, high = (t, longer) if lean > 0 else (longer, t)
    return of.mean - low * of.error, of.mean + high * of.error


def p_value(of: Moments) -> float:
    """Two-sided p-value of a mean against 0; below 5 % exactly where `interval` leaves out 0."""
    x = -of.mean / of.error
    lean = of.skewness / (3 * math.sqrt(of.n))
    if lean * x <= 0:  # 0 lies to the side of the end that is Student's
        return two_sided(x, of.n - 1)
    squared = max(0.0, x * x - lean * x) / (1 + 2 * lean * x)
    return two_sided(math.sqrt(squared), of.n - 1)


def bounded_interval(of: Moments, bounds: Interval) -> Interval:
    """95 % interval of a mean of values that cannot leave their bounds; it stays inside and has no width 0.

    Wilson's score interval (Wilson 1927) with the effective sample size m(1−m)/error² in place
    of n (Kish 1965; Franco et al. 2019, "Comparative Study of Confidence Intervals for Proportions in
    Complex Sample Surveys") and Student's t in place of z. A sample with few events, E = (m(1−m)/error)²
    (for one value per prompt n·m(1−m)), says little of its own spread: the variance is drawn towards the
    largest that there can be, m(1−m)n/(n−1), with the weight `DOUBT`/(`DOUBT` + E²), 29 % for one event and
    2 % for four. Where all values are the same it is `constant_interval`.

    Wilson's end on the side of the near bound is too close below about ten events. It goes out to the exact
    one-sided 95 % limit (Clopper and Pearson 1934) where that is further: the modified Wilson interval of
    Brown, Cai and DasGupta 2001, "Interval Estimation for a Binomial Proportion", with the exact limit in
    place of their Poisson one.

    Args:
        of: The values' moments.
        bounds: Least and greatest value that there can be.
    """
    from scipy.special import betaincinv

    if of.std == 0:
        return constant_interval(of, bounds)
    least, width = bounds[0], bounds[1] - bounds[0]
    m = (of.mean - least) / width
    most = m * (1 - m) * of.n / (of.n - 1)
    doubt = DOUBT / (DOUBT + (m * (1 - m) * width / of.error) ** 4)
    share = (1 - doubt) * (of.std / width) ** 2 / most + doubt
    size = (of.n - 1) / share  # the effective sample size
    shift = critical(of.n - 1) ** 2 / size
    middle = (m + shift / 2) / (1 + shift)
    half = math.sqrt(shift * (m * (1 - m) + shift / 4)) / (1 + shift)
    low = min(middle - half, float(betaincinv(size * m, size * (1 - m) + 1, 1 - LEVEL)))
    high = max(middle + half, 1 - float(betaincinv(size * (1 - m), size * m + 1, 1 - LEVEL)))
    return least + width * max(0.0, low), least + width * min(1.0, high)


def constant_interval(of: Moments, bounds: Interval) -> Interval:
    """95 % interval where all n values are the same: the share t²/(n−1+t²) may be elsewhere, at a bound.

    The share is the upper end of `bounded_interval` for a share of 0, about 4/n; where the constant is a
    bound, the interval is that one.
    """
    elsewhere = critical(of.n - 1) ** 2
    elsewhere /= of.n - 1 + elsewhere
    return of.mean - elsewhere * (of.mean - bounds[0]), of.mean + elsewhere * (bounds[1] - of.mean)


def constant_p_value(of: Moments, bounds: Interval | None) -> float:
    """Two-sided p-value against 0 where all n values are the same.

    With bounds below and above 0, by inversion of `constant_interval`. Without, the sign-flip test: of the
    2ⁿ ways to give n equal differences a sign, two are as extreme.
    """
    if of.mean == 0:
        return 1.0
    if bounds is None:
        return 2.0 ** (1 - of.n)
    opposite = abs(bounds[0] if of.mean > 0 else bounds[1])
    return two_sided(math.sqrt((of.n - 1) * abs(of.mean) / opposite), of.n - 1)
