"""A run that is told to end does so in order: its status says so, and no worker stays."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest


@pytest.mark.full
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_a_signal_ends_the_run_in_order(number: signal.Signals, tmp_path: Path) -> None:
    config = Path(__file__).parents[2] / "configs" / "quickstart.yaml"
    command = [sys.executable, "-m", "rlctl", "train", str(config), "--output-dir", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    metrics = tmp_path / "quickstart/logs/metrics.jsonl"
    for _ in range(600):
        if metrics.exists() and '"step": 3,' in metrics.read_text():
            break
        time.sleep(0.1)
    children = [int(pid) for pid in children_of(process.pid)]
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopped at step" in out
    assert "Traceback" not in err
    assert json.loads((tmp_path / "quickstart/run.json").read_text())["status"] == "interrupted"
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]


def children_of(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split() if os.path.exists("/proc") else []
