"""The claim of the quickstart, proved: improved over three seeds, and its control not."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

QUICKSTART = Path(__file__).resolve().parents[2] / "configs" / "quickstart.yaml"


@pytest.mark.full
def test_the_quickstart_is_proved(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "rlctl", "prove", str(QUICKSTART), "--json", "-q"]
    done = subprocess.run(
        [*command, "--output", str(tmp_path / "proof")],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["verdict"] == "improved"
    assert not found["control"]["improved"]
    assert len(found["by_seed"]) == 3
    assert found["gain"]["ci95"][0] > 0.35
    assert found["over_control"]["ci95"][0] > 0.3
    assert abs(found["control"]["difference"]) < 0.15
    assert all(one["losses"] < 20 for one in found["by_seed"])
    assert (tmp_path / "proof" / "proof.html").stat().st_size < 200_000
    print(found["headline"], found["about_control"], sep="\n")  # noqa: T201  shown with -rP
