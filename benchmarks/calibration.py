"""How often the intervals of penalty, mean and std cover the truth; how far plain rules are from the advice.

    python -m benchmarks calibration

1,000 samples of each population at each number of groups of 8. One minute of CPU time.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

REPEATS = 1000
SIZES = (12, 100, 500)
GROUP = 8
LONG = 20
"""Draws of 20,000 groups that a population's own figures are taken from."""

Draw = Callable[[Any, int], Any]
"""A numpy Generator and a number of groups → groups × 8 rewards, NaN where the completion is invalid."""


@dataclass(frozen=True)
class Population:
    """Where rewards come from.

    Args:
        draw: Makes a sample.
        quantile: Its 0.5 % quantile where rewards have few values, so that it is exact; else it is estimated.
    """

    draw: Draw
    quantile: float | None = None

    @cached_property
    def truth(self) -> dict[str, float]:
        """`mean`, `std`, `s` (within prompts), `q`, `penalty`, of 3,200,000 rewards."""
        import numpy as np

        rng, squares, freedom, values = np.random.default_rng(123), 0.0, 0, []
        for _ in range(LONG):
            sample = self.draw(rng, 20_000)
            known = ~np.isnan(sample)
            counts = known.sum(1)
            means = np.where(known, sample, 0).sum(1) / np.maximum(counts, 1)
            squares += float((np.where(known, sample - means[:, None], 0) ** 2).sum())
            freedom += int(np.maximum(counts - 1, 0).sum())
            values.append(sample[known])
        pooled = np.concatenate(values)
        q = float(np.quantile(pooled, 0.005)) if self.quantile is None else self.quantile
        mean, std, s = float(pooled.mean()), float(pooled.std()), math.sqrt(squares / freedom)
        return {"mean": mean, "std": std, "s": s, "q": q, "penalty": min(mean - 2.5 * s, q - 0.1 * s)}

    def sample(self, rng: Any, groups: int) -> tuple[Any, Any]:
        """Valid rewards and their groups."""
        import numpy as np

        drawn = self.draw(rng, groups).astype(float)
        valid = ~np.isnan(drawn)
        return drawn[valid], np.repeat(np.arange(groups), GROUP).reshape(drawn.shape)[valid]


def ragged(draw: Draw) -> Draw:
    """The same with 10 to 40 % of each prompt's completions invalid."""

    def some(rng: Any, groups: int) -> Any:
        import numpy as np

        sample = draw(rng, groups)
        valid = rng.random(sample.shape) >= rng.uniform(0.1, 0.4, (groups, 1))
        return np.where(valid, sample, np.nan)

    return some


def normal(between: float) -> Draw:
    """Normal with standard deviation 1 within prompts."""
    return lambda rng, groups: rng.normal(0, 1, (groups, GROUP)) + between * rng.normal(0, 1, (groups, 1))


def gamma(shape: float, between: float = 0.0) -> Draw:
    """Left-skewed: minus a gamma variable; shape 1 is the exponential."""
    return lambda rng, groups: between * rng.normal(0, 1, (groups, 1)) - rng.gamma(shape, 1, (groups, GROUP))


def right(a: float, b: float, brevity: float = 0.0) -> Draw:
    """1 where right and 0 where wrong, each prompt with its own chance; less a penalty on length."""
    return lambda rng, groups: (
        (rng.random((groups, GROUP)) < rng.beta(a, b, (groups, 1)))
        - brevity * rng.gamma(2, 0.5, (groups, GROUP))
    )


def three(rng: Any, groups: int) -> Any:
    """0, 0.5 or 1, each prompt with its own chances."""
    limits = rng.dirichlet([1, 1, 1], (groups, 1)).cumsum(-1)[..., :2]
    return (rng.random((groups, GROUP, 1)) > limits).sum(-1) / 2


def steps(rng: Any, groups: int) -> Any:
    """Normal, rounded to halves of the standard deviation within prompts."""
    import numpy as np

    return np.round(2 * normal(1)(rng, groups)) / 2


def rare(rng: Any, groups: int) -> Any:
    """Right or wrong, and −1 once in a hundred."""
    import numpy as np

    return np.where(rng.random((groups, GROUP)) < 0.01, -1.0, right(2, 1)(rng, groups))


def crowd(rng: Any, groups: int) -> Any:
    """Most of the spread is between prompts, and exponential."""
    return rng.normal(0, 1, (groups, GROUP)) - 2 * rng.gamma(1, 1, (groups, 1))


def populations() -> dict[str, Population]:
    """All of them, the hard ones last."""
    found = {f"normal, spread between prompts {b} × within": Population(normal(b)) for b in (0, 1, 4)}
    found["normal, 1 ×, 10–40 % invalid"] = Population(ragged(normal(1)))
    found["left-skewed (gamma 2)"] = Population(gamma(2))
    found["left-skewed (gamma 2), 1 × between"] = Population(gamma(2, 1.4))
    found["exponential tail"] = Population(gamma(1))
    found["exponential tail, 1 ×, 10–40 % invalid"] = Population(ragged(gamma(1, 1)))
    found["uniform"] = Population(lambda rng, groups: rng.random((groups, GROUP)))
    for a, b in ((0.5, 0.5), (2, 2), (1, 4), (8, 2)):
        found[f"right or wrong, Beta({a}, {b})"] = Population(right(a, b), 0.0)
    found["right or wrong, Beta(0.5, 0.5), 10–40 % invalid"] = Population(ragged(right(0.5, 0.5)), 0.0)
    found["three values"] = Population(three, 0.0)
    found["three values, 10–40 % invalid"] = Population(ragged(three), 0.0)
    found["right or wrong and brevity, Beta(1, 1)"] = Population(right(1, 1, 0.1))
    found["right or wrong and brevity, Beta(8, 2)"] = Population(right(8, 2, 0.1))
    found["right or wrong and brevity, Beta(9, 1)"] = Population(right(9, 1, 0.05))
    found["normal, 1 ×, in steps of half a standard deviation"] = Population(steps)
    found["exponential between prompts, 2 ×"] = Population(crowd)
    found["right or wrong, and −1 once in 100"] = Population(rare, -1.0)
    return found


def covered(population: Population, groups: int, repeats: int = REPEATS, seed: int = 0) -> dict[str, float]:
    """Share of repeats whose interval covers the truth; no interval counts as covered, for it claims nothing.

    Args:
        population: Where samples come from.
        groups: Groups of 8 in each.
        repeats: How many samples.
        seed: Of all of them.

    Returns:
        `penalty`, `deeper` (the true penalty lies below the interval), `mean`, `std`.
    """
    import numpy as np

    from rlctl.calibration.penalty import advise
    from rlctl.calibration.uncertainty import mean_and_std

    rng, truth = np.random.default_rng(seed), population.truth
    found = {"penalty": 0, "deeper": 0, "mean": 0, "std": 0}
    slack = 1e-9 * truth["std"]

    def holds(ends: Any, name: str) -> bool:
        return ends is None or ends[0] - slack <= truth[name] <= ends[1] + slack

    for _ in range(repeats):
        values, of = population.sample(rng, groups)
        ends = advise(values, of, current=None, invalid=0, group_size=GROUP).as_dict()["ci95"]
        spread = mean_and_std(values, of)
        found["penalty"] += holds(ends, "penalty")
        found["deeper"] += ends is not None and truth["penalty"] < ends[0] - slack
        found["mean"] += holds(spread.mean_ci95, "mean")
        found["std"] += holds(spread.std_ci95, "std")
    return {name: count / repeats for name, count in found.items()}


def coverage() -> None:
    """Print % covered at each number of groups: penalty (of which missed below), mean, std."""
    print(
        f"% of {REPEATS:,} intervals that cover the truth, by groups of {GROUP}; in brackets: truth below it"
    )
    print(f"\n| {'population':52} | " + " | ".join(f"penalty {n}" for n in SIZES), end=" | ")
    print(" | ".join(f"{name} {n}" for name in ("mean", "std") for n in SIZES) + " |")
    print("|---|" + "---|" * 3 * len(SIZES))
    for name, population in populations().items():
        cells = [covered(population, size) for size in SIZES]
        shares = [f"{100 * cell['penalty']:.1f} ({100 * cell['deeper']:.1f})" for cell in cells]
        shares += [f"{100 * cell[figure]:.1f}" for figure in ("mean", "std") for cell in cells]
        print(f"| {name:52} | " + " | ".join(shares) + " |", flush=True)


def penalties(population: Population) -> list[tuple[str, float]]:
    """Name → penalty of each recipe, on 500 groups; `range/4` takes the sample's range for four std."""
    import numpy as np

    from rlctl.calibration.penalty import recommended

    values, groups = population.sample(np.random.default_rng(0), 500)
    advised = recommended(values, groups)
    return [
        ("range/4", float(values.mean() - 2.5 * np.ptp(values) / 4)),
        ("pooled", float(values.mean() - 2.5 * values.std(ddof=1))),
        ("advised", math.nan if advised is None else advised),
    ]


def comparison() -> None:
    """Print what each recipe gives on 500 groups: penalty, depth, inversions, spread left."""
    import numpy as np

    from rlctl.calibration.penalty import spread_left

    print(
        "500 groups of 8: penalty (depth in s, % of valid rewards below, spread left with 1 of 8 invalid)\n"
    )
    print(f"| {'population':52} | mean − 2.5·range/4 | mean − 2.5·std, pooled | advised |")
    print("|---|---|---|---|")
    for name, population in populations().items():
        truth, cells = population.truth, []
        values, _ = population.sample(np.random.default_rng(1), 20_000)
        for _, penalty in penalties(population):
            depth = (truth["mean"] - penalty) / truth["s"]
            below = 100 * float(np.mean(values < penalty))
            cells.append(f"{penalty:.2f} ({depth:.1f}, {below:.1f}, {spread_left(depth, 1 / GROUP):.2f})")
        print(f"| {name:52} | " + " | ".join(cells) + " |")


def main() -> None:
    """Print both tables."""
    coverage()
    print()
    comparison()


if __name__ == "__main__":
    main()
