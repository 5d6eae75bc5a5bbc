"""What `rlctl analyze-rewards --completions` costs: CPU time by part, memory, and how soon it starts.

    python -m benchmarks analyze_rewards

Eight completions to a prompt, about 190 characters each, with cheap rewards. Budgets: 20 s of CPU time and
1 GB for 100,000, cost linear in their number; 1 s until the first batch of 1,000 rows is scored.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.cli_start import ROOT

SIZES = (25_000, 50_000, 100_000)
GROUP = 8
CPU_BUDGET, MEMORY_BUDGET, START_BUDGET = 20.0, 1.0, 1.0
SOON, RUNS = 1_000, 5
"""Rows of the file that is started on, and how often."""

RIGHT = (
    r"{name: right, type: regex, pattern: '<answer>(\d+)</answer>', group: 1, column: answer, required: true}"
)
REWARDS = {
    "built-in types": [
        RIGHT,
        "{name: form, type: format, tags: [think, answer], weight: 0.2}",
        "{name: brevity, type: length, unit: words, max: 20, weight: 0.01}",
    ],
    "a function, in a process of its own": [RIGHT, "{name: mine, type: python, function: mine.py:score}"],
}
FUNCTION = """\
import hashlib

def score(completions, answer, **columns):
    return [int(hashlib.md5(text.encode()).hexdigest()[:8], 16) / 2**32 for text in completions]
"""
"""A reward with another value for each text."""

STAGES = """\
import atexit, resource, sys

from rlctl.calibration import analyze, collect
from rlctl.calibration.figures import Figures
from rlctl.calibration.result import Analysis

STAGES = {
    "reading": [(collect, "from_file")],
    "scoring": [(analyze, "score_all")],
    "figures": [(analyze, "as_table"), (Figures, "as_dict"), (analyze, "find")],
    "noise": [(analyze, "check_noise")],
    "probes": [(analyze, "check_gold"), (analyze, "make_probes"), (analyze, "run_probes")],
    "writing": [(Analysis, "write")],
}
spent = dict.fromkeys(STAGES, 0.0)

def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime

def timed(stage, function):
    def call(*args, **kwargs):
        start = cpu()
        try:
            return function(*args, **kwargs)
        finally:
            spent[stage] += cpu() - start
    return call

for stage, functions in STAGES.items():
    for owner, name in functions:
        setattr(owner, name, timed(stage, getattr(owner, name)))

def report():
    told = [f"{stage} {seconds:.1f}" for stage, seconds in spent.items()]
    print(", ".join([*told, f"all else {cpu() - sum(spent.values()):.1f}"]), file=sys.stderr)

atexit.register(report)
"""
FIRST_BATCH = """\
import os

from rlctl.evaluation.audience import Audience

def leave(*args):
    os._exit(0)

Audience.counter = lambda self, what, total: leave
"""
RUN = "\nimport sys\nfrom rlctl.cli import main\nsys.exit(main())\n"
PLAIN = ["-m", "rlctl"]


def write_completions(file: Path, count: int) -> None:
    """Sums with a line of thought; one in ten is without tags, and so invalid.

    Args:
        file: Where to.
        count: Completions.
    """
    draw = random.Random(0)
    words = ("add", "the", "tens", "then", "ones", "carry", "so", "that", "gives")
    with file.open("w", encoding="utf-8") as lines:
        for number in range(count // GROUP):
            a, b = draw.randrange(10, 100), draw.randrange(10, 100)
            for _ in range(GROUP):
                thought = " ".join(draw.choices(words, k=draw.randrange(5, 60)))
                found = a + b + draw.choice((0, 0, -10, 1))
                tagged = f"<think>{thought}</think><answer>{found}</answer>"
                completion = tagged if draw.random() > 0.1 else f"{thought} {found}"
                row = {"prompt": f"({number}) {a}+{b}=", "answer": str(a + b), "completion": completion}
                lines.write(json.dumps(row) + "\n")


def measured(start: list[str], folder: Path, config: str, file: str) -> tuple[float, float, float, str]:
    """One analysis in a process of its own.

    Args:
        start: How Python starts rlctl.
        folder: Where the files are.
        config: Name of the YAML.
        file: Name of the completions.

    Returns:
        CPU seconds, GB of memory at the peak, seconds on the clock, and what went to stderr.
    """
    command = [sys.executable, *start, "analyze-rewards", config, "--completions", file, "--quiet", "--json"]
    began = time.perf_counter()
    with (folder / "stderr").open("w+") as told:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(
            command, cwd=folder, stdout=subprocess.DEVNULL, stderr=told, env=environment
        )
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        told.seek(0)
        said = told.read().strip()
    if process.returncode != 0:
        raise SystemExit(said)
    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux KiB
    return used.ru_utime + used.ru_stime, used.ru_maxrss * unit / 1e9, wall, said


def cost(folder: Path) -> None:
    """Print CPU time and memory by number of completions, for each kind of reward."""
    for place, (name, parts) in enumerate(REWARDS.items()):
        config = f"rewards{place}.yaml"
        components = "".join(f"    - {part}\n" for part in parts)
        (folder / config).write_text(f"rewards:\n  invalid_penalty: -1.0\n  components:\n{components}")
        print(f"{name}:")
        for count in SIZES:
            seconds, memory, _, _ = measured(PLAIN, folder, config, f"{count}.jsonl")
            each = f"{1e6 * seconds / count:.0f} µs each"
            line = f"  {count:7,} completions: {seconds:5.1f} s CPU, {each}, {memory:.2f} GB"
            if count == SIZES[-1]:
                kept = seconds <= CPU_BUDGET and memory <= MEMORY_BUDGET
                verdict = "ok" if kept else "TOO MUCH"
                line += f"; budget {CPU_BUDGET:.0f} s, {MEMORY_BUDGET:.0f} GB: {verdict}"
            print(line, flush=True)
        *_, said = measured(["-c", STAGES + RUN], folder, config, f"{SIZES[-1]}.jsonl")
        print(f"  CPU seconds of it, workers aside: {said}", flush=True)


def first_batch(folder: Path) -> None:
    """Print the time from a cold start until the first batch is scored."""
    for place, name in enumerate(REWARDS):
        found = [
            measured(["-c", FIRST_BATCH + RUN], folder, f"rewards{place}.yaml", f"{SOON}.jsonl")
            for _ in range(RUNS)
        ]
        cpu, wall = min(one[0] for one in found), min(one[2] for one in found)
        verdict = "ok" if wall <= START_BUDGET else "TOO SLOW"
        print(
            f"first batch of {SOON:,} rows scored, {name}: {wall:.2f} s on the clock, {cpu:.2f} s CPU "
            f"(best of {RUNS}); budget {START_BUDGET:.0f} s: {verdict}",
            flush=True,
        )


def main() -> None:
    """Measure in a folder that is removed again."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "mine.py").write_text(FUNCTION)
        for count in (SOON, *SIZES):
            write_completions(folder / f"{count}.jsonl", count)
        cost(folder)
        first_batch(folder)


if __name__ == "__main__":
    main()
