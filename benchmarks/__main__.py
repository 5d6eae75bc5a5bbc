"""`make bench`: every figure of the docs, measured on this machine, one after the other."""

import os
import sys

from benchmarks import cli_start, parts, step_overhead

BENCHMARKS = {"cli_start": cli_start.main, "parts": parts.main, "step_overhead": step_overhead.main}

if __name__ == "__main__":
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; figures are CPU seconds\n")
    for name in sys.argv[1:] or BENCHMARKS:
        print(f"== {name}")
        BENCHMARKS[name]()
        print()
