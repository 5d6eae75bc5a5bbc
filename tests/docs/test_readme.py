"""The analysis that the README shows is what the command prints."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def section() -> str:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return text.partition("## Know the reward before you train\n")[2].partition("\n## ")[0]


def block(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```", section(), re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1]


@pytest.mark.full
def test_the_analysis_in_the_readme_is_real(tmp_path: Path) -> None:
    quickstart = (ROOT / "configs" / "quickstart.yaml").read_text(encoding="utf-8")
    before, _, after = quickstart.partition("rewards:\n")
    _, _, after = after.partition("\ngeneration:")
    (tmp_path / "config.yaml").write_text(f"{before}{block('yaml')}\ngeneration:{after}", encoding="utf-8")
    command, *shown = block("console").splitlines()
    done = subprocess.run(
        [sys.executable, "-m", *command.removeprefix("$ ").split()],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = iter(done.stdout.splitlines())
    for line in shown:
        if line != "⋮":
            assert any(printed.startswith(line.removesuffix("…").rstrip()) for printed in lines), line
