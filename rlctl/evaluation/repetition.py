"""How much a completion repeats itself: one measure for training, evaluation and the watch."""

from collections.abc import Sequence

from rlctl.rewards.shape import repeated_share


def repetition(ids: Sequence[int], n: int = 4) -> float:
    """Share of the n-grams of a completion's tokens that occurred before in it.

    Args:
        ids: Tokens, the end of text included; 0 of them repeat where there are n or fewer.
        n: Tokens of an n-gram.

    Returns:
        0 for none, near 1 for the same again and again.
    """
    return repeated_share(ids, n)
