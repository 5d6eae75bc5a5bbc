"""`make bench`: every figure of the docs, measured on this machine, one after the other."""

import os
import sys

from benchmarks import (
    analyze_rewards,
    calibration,
    cli_start,
    coverage,
    evaluation,
    parts,
    saving,
    step_overhead,
)

BENCHMARKS = {
    "cli_start": cli_start.main,
    "parts": parts.main,
    "analyze_rewards": analyze_rewards.main,
    "step_overhead": step_overhead.main,
    "saving": saving.main,
    "coverage": coverage.main,
    "calibration": calibration.main,
    "evaluation": evaluation.main,
}

if __name__ == "__main__":
    load = f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    print(f"{load}; figures are CPU seconds where nothing else is said\n")
    for name in sys.argv[1:] or BENCHMARKS:
        print(f"== {name}")
        BENCHMARKS[name]()
        print()
