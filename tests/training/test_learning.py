"""The claim of the quickstart, over seeds: a wrong habit is unlearnt, within two minutes of one CPU."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

QUICKSTART = Path(__file__).resolve().parents[2] / "configs" / "quickstart.yaml"
MOST_SECONDS = 120


@pytest.mark.full
@pytest.mark.parametrize("seed", [42, 1, 2])
def test_quickstart(seed: int, tmp_path: Path) -> None:
    """The whole command as a person runs it: start, both evaluations, worker processes and all."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "rlctl", "train", str(QUICKSTART), "--json"]
    done = subprocess.run(
        [*command, "--output-dir", str(tmp_path), "--set", f"run.seed={seed}"],
        capture_output=True,
        text=True,
        env={name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"},
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    seconds = (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)
    found = json.loads(done.stdout)
    assert found["before"]["val/reward"] < 0.5
    assert found["after"]["val/reward"] > 0.85
    assert found["training_reward"]["first_tenth"] < 0.5
    assert found["training_reward"]["last_tenth"] > 0.85
    assert found["before"]["val/greedy_pass"] < 0.6
    assert found["after"]["val/greedy_pass"] > 0.85
    assert seconds <= MOST_SECONDS
    print(  # noqa: T201  shown with -rP: the figures of this machine
        f"seed {seed}: {seconds:.0f} s CPU, reward {found['before']['val/reward']:.3f} → "
        f"{found['after']['val/reward']:.3f}, tenths {found['training_reward']}, greedy "
        f"{found['before']['val/greedy_pass']:.3f} → {found['after']['val/greedy_pass']:.3f}"
    )
