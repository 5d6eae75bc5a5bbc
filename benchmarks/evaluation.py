"""CPU time of an evaluation, interpreter and loading included: median of three cold processes.

    python -m benchmarks evaluation

200 prompts of the built-in task, 8 samples and a greedy completion each, scored, with KL and entropy, every
completion written down. Budget: 60 s.
"""

import tempfile
from pathlib import Path
from statistics import median

from benchmarks.cli_start import ROOT, cpu_seconds

RUNS = 3
BUDGET = 60.0


def main() -> None:
    """Evaluate the built-in model, and print what it cost beside the budget."""
    config = str(ROOT / "configs/quickstart.yaml")
    seconds = []
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory() as folder:
            place = str(Path(folder) / "results")
            options = ("--checkpoint", "base", "--num-samples", "8", "--output", place, "--quiet")
            seconds.append(cpu_seconds(("eval", config, *options)))
    verdict = "ok" if median(seconds) <= BUDGET else "TOO SLOW"
    print(
        f"rlctl eval, 200 prompts × (8 samples + 1 greedy): {median(seconds):.1f} s CPU "
        f"({min(seconds):.1f} to {max(seconds):.1f}, n={RUNS}); budget {BUDGET:.0f} s: {verdict}"
    )


if __name__ == "__main__":
    main()
