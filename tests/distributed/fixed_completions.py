"""`rlctl train` with completions that depend on the prompt and the place in the group, not on sampling.

Sampling draws other numbers on each process; with this in its place, everything else is the real thing, and
two processes must do exactly what one does.
"""

import random
import sys
from collections import Counter
from typing import Any

from rlctl.cli import main
from rlctl.training.trl.seams import PolicyTrainer


def generate(
    self: PolicyTrainer, prompt_ids: list[list[int]], *args: Any, **kwargs: Any
) -> tuple[list[list[int]], None]:
    """Token ids from a generator that is seeded with the prompt, its place in the group and the step."""
    seen: Counter[tuple[int, ...]] = Counter()
    completions = []
    for ids in prompt_ids:
        rng = random.Random(f"{ids} {seen[tuple(ids)]} {self.state.global_step}")
        seen[tuple(ids)] += 1
        length = rng.randint(1, self.max_completion_length)
        completions.append([rng.randrange(5, 200) for _ in range(length)])
    return completions, None


if __name__ == "__main__":
    PolicyTrainer._generate_single_turn = generate
    sys.exit(main())
