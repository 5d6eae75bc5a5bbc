"""Totals dealt out at random within each group, for a control run: rewards of the size and spread of a real
run, from which nothing can be learnt, because they do not depend on the completion that gets them.
"""

import random


def shuffled(
    totals: list[float | None], group_size: int, *, seed: int, step: int, first_group: int = 0
) -> list[float | None]:
    """The totals of each group in another order.

    The order depends on the arguments alone, so a resumed run deals as one that never stopped, and several
    processes as one. A completion without a total stays without, and takes nobody's.

    Args:
        totals: Total rewards, `group_size` after each other for each prompt; None where not scored.
        group_size: Completions per prompt, G.
        seed: The run's seed.
        step: The training step; each deals anew.
        first_group: Place of the first group among the groups of all processes.
    """
    dealt = list(totals)
    for start in range(0, len(totals), group_size):
        scored = [i for i in range(start, min(start + group_size, len(totals))) if totals[i] is not None]
        order = scored.copy()
        random.Random(f"shuffle {seed} {step} {first_group + start // group_size}").shuffle(order)
        for place, source in zip(scored, order, strict=True):
            dealt[place] = totals[source]
    return dealt
