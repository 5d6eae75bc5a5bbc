"""pass@k without bias: how often at least one of k samples passes, from n ≥ k samples."""

import math


def pass_at_k(n: int, c: int, k: int) -> float:
    """Chance that k samples drawn without replacement from n hold at least one of the c that pass.

    1 − C(n−c, k) / C(n, k), as a product so that no binomial coefficient grows large: Chen et al. 2021,
    "Evaluating Large Language Models Trained on Code", equation 1 and figure 3. Its mean over prompts is
    an unbiased estimate of pass@k.

    Args:
        n: Samples of the prompt that could be scored.
        c: How many of them pass, 0 to n.
        k: Samples that one may try, 1 to n.

    Raises:
        ValueError: If the counts do not fit together.
    """
    if not 0 <= c <= n or not 1 <= k <= n:
        raise ValueError(f"pass@k needs 0 <= c <= n and 1 <= k <= n, got n={n}, c={c}, k={k}")
    if n - c < k:
        return 1.0
    return 1.0 - math.prod(1.0 - k / i for i in range(n - c + 1, n + 1))
