"""Score transforms: one raw score in, one number out. Shapes as in REINVENT4 (Loeffler et al. 2024)."""

import math
from typing import Annotated, Literal

from pydantic import Field, model_validator

from rlctl.config.base import Section


class Clip(Section):
    """Hold the score between two bounds."""

    type: Literal["clip"]
    """Hold the score between two bounds."""
    min: float | None = None
    """Lower bound; none if left out."""
    max: float | None = None
    """Upper bound; none if left out."""

    @model_validator(mode="after")
    def _ordered(self) -> "Clip":
        if self.min is None and self.max is None:
            raise ValueError("clip needs `min`, `max` or both")
        if self.min is not None and self.max is not None and self.min >= self.max:
            raise ValueError(f"`min` ({self.min:g}) must be below `max` ({self.max:g})")
        return self

    def apply(self, x: float) -> float:
        """min(max(x, self.min), self.max)."""
        if self.min is not None:
            x = max(x, self.min)
        return min(x, self.max) if self.max is not None else x

    def bounds(self, low: float, high: float) -> tuple[float, float]:
        """Range of the result for scores from `low` to `high`."""
        return self.apply(low), self.apply(high)


class Linear(Section):
    """Multiply and shift the score."""

    type: Literal["linear"]
    """Multiply and shift the score."""
    slope: float = 1.0
    """Factor."""
    offset: float = 0.0
    """Added after the factor."""

    def apply(self, x: float) -> float:
        """slope · x + offset."""
        return self.slope * x + self.offset

    def bounds(self, low: float, high: float) -> tuple[float, float]:
        """Range of the result for scores from `low` to `high`."""
        if self.slope == 0:
            return self.offset, self.offset
        ends = self.apply(low), self.apply(high)
        return min(ends), max(ends)


class _Unit(Section):
    def bounds(self, low: float, high: float) -> tuple[float, float]:
        """Range of the result, whatever the score."""
        return 0.0, 1.0


class _Between(_Unit):
    low: float
    """Lower end of the range."""
    high: float
    """Upper end of the range."""

    @model_validator(mode="after")
    def _ordered(self) -> "_Between":
        if self.low > self.high:
            raise ValueError(f"`low` ({self.low:g}) must not be above `high` ({self.high:g})")
        return self


class Sigmoid(_Between):
    """Rise from 0 below `low` to 1 above `high`."""

    type: Literal["sigmoid"]
    """Rise from 0 below `low` to 1 above `high`."""
    k: Annotated[float, Field(gt=0)] = 0.5
    """Steepness."""

    def apply(self, x: float) -> float:
        """1 / (1 + 10^(−10 k (x − (low + high)/2) / (high − low))); a step where low equals high, 0 on it."""
        if self.low == self.high:
            return 1.0 if x > self.low else 0.0
        return _logistic10(10 * self.k * (x - (self.low + self.high) / 2) / (self.high - self.low))


class ReverseSigmoid(_Between):
    """Fall from 1 below `low` to 0 above `high`."""

    type: Literal["reverse_sigmoid"]
    """Fall from 1 below `low` to 0 above `high`."""
    k: Annotated[float, Field(gt=0)] = 0.5
    """Steepness."""

    def apply(self, x: float) -> float:
        """One minus the sigmoid."""
        return 1 - Sigmoid(type="sigmoid", low=self.low, high=self.high, k=self.k).apply(x)


class DoubleSigmoid(_Between):
    """1 between `low` and `high`, falling to 0 on both sides."""

    type: Literal["double_sigmoid"]
    """1 between `low` and `high`, falling to 0 on both sides."""
    coef_div: Annotated[float, Field(gt=0)] = 100.0
    """Divides both steepnesses."""
    coef_si: Annotated[float, Field(gt=0)] = 150.0
    """Steepness at `low`."""
    coef_se: Annotated[float, Field(gt=0)] = 150.0
    """Steepness at `high`."""

    def apply(self, x: float) -> float:
        """A rising sigmoid at `low` below the centre, a falling one at `high` above it; ½ at each."""
        if x < (self.low + self.high) / 2:
            return _logistic10(self.coef_si * (x - self.low) / self.coef_div)
        return _logistic10(-self.coef_se * (x - self.high) / self.coef_div)


class Step(_Between):
    """1 from `low` to `high`, bounds included, 0 elsewhere."""

    type: Literal["step"]
    """1 from `low` to `high`, bounds included, 0 elsewhere."""

    def apply(self, x: float) -> float:
        """1 where low ≤ x ≤ high."""
        return 1.0 if self.low <= x <= self.high else 0.0


class ExponentialDecay(_Unit):
    """1 up to zero, then falling exponentially."""

    type: Literal["exponential_decay"]
    """1 up to zero, then falling exponentially."""
    k: Annotated[float, Field(gt=0)]
    """Rate of the fall."""

    def apply(self, x: float) -> float:
        """exp(−k · max(x, 0))."""
        return math.exp(-self.k * max(x, 0.0))


Transform = Annotated[
    Clip | Linear | Sigmoid | ReverseSigmoid | DoubleSigmoid | Step | ExponentialDecay,
    Field(discriminator="type"),
]


def _logistic10(z: float) -> float:
    """1 / (1 + 10^−z), without overflow for large |z|."""
    return 1 / (1 + 10.0**-z) if z > -300 else 0.0
