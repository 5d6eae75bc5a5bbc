"""How often the 95 % intervals cover the truth, and so how often the tests reject what is true.

    python -m benchmarks coverage

1,000 samples of each population at each number of prompts. The populations are synthetic, so the truth is
known. Two minutes of CPU time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

REPEATS = 1000
SIZES = (20, 100, 500)
SEEDS = (3, 5)

Draw = Callable[[Any, int], Any]
"""A numpy Generator and a number of prompts → one sample."""


@dataclass(frozen=True)
class Population:
    """Where samples come from.

    Args:
        draw: Makes a sample: for means the values of each prompt (prompts × samples, NaN for none), for
            comparisons the difference of each prompt (for seeds: seeds × prompts).
        truth: The mean that an interval should cover.
        bounds: What the values cannot leave, where that is known.
    """

    draw: Draw
    truth: float
    bounds: tuple[float, float] | None = None


def _difficulty(rng: Any, p: float, correlation: float, shape: Any) -> Any:
    """Chances of passing, one per prompt: Beta with mean p; two samples of a prompt correlate this much."""
    size = 1 / correlation - 1
    return rng.beta(p * size, (1 - p) * size, shape)


def passes(p: float, correlation: float, samples: int) -> Population:
    """Shares: every prompt has a chance of its own."""

    def draw(rng: Any, prompts: int) -> Any:
        return rng.random((prompts, samples)) < _difficulty(rng, p, correlation, (prompts, 1))

    return Population(draw, p, (0, 1))


def ragged(p: float) -> Population:
    """Eight samples, of which some could not be scored, more of them where the prompt is hard."""
    import numpy as np

    def draw(rng: Any, prompts: int) -> Any:
        chance = _difficulty(rng, p, 0.5, (prompts, 1))
        lost = rng.random((prompts, 8)) < 0.1 + 0.5 * (1 - chance)
        lost[:, 0] = False  # a prompt without any sample would leave the population
        return np.where(lost, np.nan, rng.random((prompts, 8)) < chance)

    return Population(draw, p, (0, 1))


def penalised(p: float, samples: int, correlation: float = 0.5) -> Population:
    """Rewards 0 and 1, and −2 for the one in twenty that is invalid."""
    import numpy as np

    def draw(rng: Any, prompts: int) -> Any:
        invalid = rng.random((prompts, samples)) < 0.05
        right = rng.random((prompts, samples)) < _difficulty(rng, p, correlation, (prompts, 1))
        return np.where(invalid, -2.0, right)

    return Population(draw, 0.95 * p - 0.1)


def rejected(share: float) -> Population:
    """Nine in ten right; all eight samples of some prompts are invalid, −2."""
    import numpy as np

    def draw(rng: Any, prompts: int) -> Any:
        right = rng.random((prompts, 8)) < 0.9
        return np.where(rng.random((prompts, 1)) < share, -2.0, right)

    return Population(draw, 0.9 * (1 - share) - 2 * share)


def means() -> dict[str, Population]:
    """Populations for `mean_interval`."""
    found = {"normal": Population(lambda rng, n: rng.normal(1, 2, (n, 1)), 1.0)}
    for p in (0.05, 0.1, 0.3, 0.5, 0.9):
        found[f"share {p}, 1 sample"] = passes(p, 0.5, 1)
    for samples, correlation in ((4, 0.1), (4, 0.5), (8, 0.1), (8, 0.5), (8, 0.9)):
        for p in (0.05, 0.1, 0.5, 0.9):
            found[f"share {p}, {samples} samples, correlation {correlation}"] = passes(
                p, correlation, samples
            )
    for p in (0.98, 0.99, 0.995):
        found[f"share {p}, 1 sample"] = passes(p, 0.5, 1)
        found[f"share {p}, 8 samples, correlation 0.5"] = passes(p, 0.5, 8)
    for p in (0.1, 0.5, 0.9):
        found[f"share {p}, 8 samples, some missing"] = ragged(p)
    for p, samples in ((0.1, 1), (0.5, 1), (0.9, 1), (0.5, 4), (0.9, 4)):
        found[f"reward with penalty, {p} right, {samples} sample{'s' * (samples > 1)}"] = penalised(
            p, samples
        )
    for share in (0.01, 0.02, 0.05):
        found[f"reward with penalty on all 8 samples of {share} of the prompts"] = rejected(share)
    found["exponential"] = Population(lambda rng, n: rng.gamma(1, 1, (n, 1)), 1.0)
    found["log-normal"] = Population(lambda rng, n: rng.lognormal(0, 0.5, (n, 1)), 1.1331484530668263)
    found["t with 3 degrees"] = Population(lambda rng, n: rng.standard_t(3, (n, 1)), 0.0)
    return found


def _gain(rng: Any, prompts: int, p: float, correlation: float, samples: int, gain: float) -> Any:
    """a − b where a passes what b does not with this chance."""
    before = _difficulty(rng, p, correlation, prompts)
    after = before + gain * (1 - before)
    return (rng.binomial(samples, after) - rng.binomial(samples, before)) / samples


def _steady(rng: Any, prompts: int) -> Any:
    """a passes every prompt with 0.1; b some always and most never, 0.1 in the mean. Eight samples."""
    return (rng.binomial(8, 0.1, prompts) - rng.binomial(8, _difficulty(rng, 0.1, 0.9, prompts))) / 8


def pairs() -> dict[str, Population]:
    """Populations of differences for `compare`; where the truth is 0, what is not covered is rejected."""
    found = {"no difference, normal": Population(lambda rng, n: rng.normal(0, 1, n), 0.0)}
    for samples in (1, 4, 8):
        for p, correlation in ((0.1, 0.5), (0.5, 0.1), (0.5, 0.5), (0.5, 0.9), (0.9, 0.5)):
            name = (
                f"no difference, share {p}, {samples} sample{'s' * (samples > 1)}, correlation {correlation}"
            )
            draw = partial(_gain, p=p, correlation=correlation, samples=samples, gain=0.0)
            found[name] = Population(draw, 0.0)
    found["no difference, few large gains, many small losses"] = Population(
        lambda rng, n: rng.gamma(1, 1, n) - 1, 0.0
    )
    found["no difference, share 0.1, 8 samples, only one of the two depends on the prompt"] = Population(
        _steady, 0.0
    )
    for samples in (1, 8):
        for p, gain in ((0.1, 0.1), (0.5, 0.1), (0.5, 0.5), (0.9, 0.5)):
            draw = partial(_gain, p=p, correlation=0.5, samples=samples, gain=gain)
            name = f"share {p}, {gain} of the rest gained, {samples} sample{'s' * (samples > 1)}"
            found[name] = Population(draw, gain * (1 - p))
    return found


def _crossed(rng: Any, prompts: int, seeds: int, of_seeds: float, of_prompts: float, rest: float) -> Any:
    return (
        of_seeds * rng.normal(size=(seeds, 1))
        + of_prompts * rng.normal(size=prompts)
        + rest * rng.normal(size=(seeds, prompts))
    )


def _trained(rng: Any, prompts: int, seeds: int, spread: float) -> Any:
    """Eight samples per prompt of each seed's model minus the same eight of the base."""
    before = _difficulty(rng, 0.4, 0.5, prompts)
    gain = spread * rng.uniform(-1, 1, (seeds, 1))
    return (rng.binomial(8, before + 2 * gain * before * (1 - before)) - rng.binomial(8, before)) / 8


def crossed(seeds: int) -> dict[str, Population]:
    """Populations of differences for `across_seeds`, without a true difference."""
    spreads = {"no": 0.0, "small": 0.05, "some": 0.2, "large": 1.0}
    found = {
        f"{name} spread over seeds": Population(
            partial(_crossed, seeds=seeds, of_seeds=spread, of_prompts=1.0, rest=1.0), 0.0
        )
        for name, spread in spreads.items()
    }
    found["shares, no spread over seeds"] = Population(partial(_trained, seeds=seeds, spread=0.0), 0.0)
    found["shares, large spread over seeds"] = Population(partial(_trained, seeds=seeds, spread=0.3), 0.0)
    return found


def covered(kind: str, population: Population, prompts: int, repeats: int = REPEATS, seed: int = 0) -> float:
    """Share of repeats whose interval covers the truth; no interval counts as covered, for it claims nothing.

    Args:
        kind: `mean`, `pair` or `seeds`: which function makes the interval.
        population: Where samples come from.
        prompts: Prompts in each.
        repeats: How many samples.
        seed: Of all of them.
    """
    import numpy as np

    from rlctl.statistics.estimates import mean_interval
    from rlctl.statistics.paired import compare
    from rlctl.statistics.seeds import across_seeds

    rng, hits = np.random.default_rng(seed), 0
    for _ in range(repeats):
        sample = population.draw(rng, prompts).astype(float)
        found: Any
        if kind == "mean":
            clusters = [[value for value in row if value == value] for row in sample.tolist()]
            found = mean_interval(clusters, population.bounds)
        elif kind == "pair":
            found = compare(sample.tolist(), [0.0] * prompts)
        else:
            found = across_seeds(sample.tolist())
        hits += found.low is None or found.low <= population.truth <= found.high
    return hits / repeats


def table(kind: str, populations: dict[str, Population]) -> None:
    """Print one row per population, as Markdown."""
    print(f"| {'population':62} | " + " | ".join(f"{size:>5}" for size in SIZES) + " |")
    print("|---|" + "---|" * len(SIZES))
    for name, population in populations.items():
        shares = [f"{100 * covered(kind, population, size):5.1f}" for size in SIZES]
        print(f"| {name:62} | " + " | ".join(shares) + " |", flush=True)


def main() -> None:
    """Print all tables; percentages of covered truths at so many prompts, ± 1.4 by chance."""
    print(f"mean_interval: % of {REPEATS:,} intervals that cover the truth, by number of prompts\n")
    table("mean", means())
    print("\ncompare: the same; with no difference, 100 % less the false positives\n")
    table("pair", pairs())
    for seeds in SEEDS:
        print(f"\nacross_seeds: the same with {seeds} seeds\n")
        table("seeds", crossed(seeds))


if __name__ == "__main__":
    main()
