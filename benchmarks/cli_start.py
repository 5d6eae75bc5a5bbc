"""CPU time of the commands that a person waits for, interpreter included: median of seven cold processes.

    python -m benchmarks cli_start

Budget: 0.3 s for `rlctl --help`, 0.6 s for `rlctl check configs/quickstart.yaml`.
"""

import resource
import subprocess
import sys
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parent.parent
RUNS = 7
BUDGETS = {("--help",): 0.3, ("check", "configs/quickstart.yaml"): 0.6}
"""Arguments of `rlctl` → CPU seconds that they may take."""


def cpu_seconds(arguments: tuple[str, ...]) -> float:
    """User and system time of one `rlctl` process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "rlctl", *arguments]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measure every command and print it beside its budget."""
    for arguments, budget in BUDGETS.items():
        seconds = sorted(cpu_seconds(arguments) for _ in range(RUNS))
        verdict = "ok" if median(seconds) <= budget else "TOO SLOW"
        print(
            f"rlctl {' '.join(arguments):32} {median(seconds):.2f} s CPU "
            f"({seconds[0]:.2f} to {seconds[-1]:.2f}, n={RUNS}); budget {budget} s: {verdict}"
        )


if __name__ == "__main__":
    main()
