"""Which evaluation of a run is the best: one rule, for a run that goes on and for what it has left."""

from collections.abc import Mapping


def best(values: Mapping[int, float | None]) -> int | None:
    """The step with the highest value, the first of equals.

    Args:
        values: Steps and the metric there; None where it has no value.

    Returns:
        The step, or None where no step has a value.
    """
    known = [(value, -step) for step, value in values.items() if value is not None]
    return -max(known)[1] if known else None
