"""The tutorial, followed word for word: its files are written, its commands run, in its order."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FENCE = re.compile(
    r"^(?:<!-- (?P<mark>[^\n]*?) -->\n)?"
    r'```(?P<language>\w+)(?: title="(?P<title>[^"]+)")?\n(?P<body>.*?)^```',
    re.DOTALL | re.MULTILINE,
)


def script() -> str:
    """One shell script of the whole page; installing is left out."""
    lines = ["set -euo pipefail", 'rlctl train "$ROOT/configs/quickstart.yaml" --set training.max_steps=30']
    for fence in FENCE.finditer((ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")):
        mark, body = fence["mark"] or "", fence["body"]
        if fence["title"]:
            lines.append(f"cat > {fence['title']} <<'END OF FILE'\n{body}END OF FILE")
        elif fence["language"] == "bash" and mark.startswith("exit code"):
            *before, last = body.strip().splitlines()
            lines += [*before, f"code=0; {last} || code=$?; test $code = {mark.rpartition(' ')[2]}"]
        elif fence["language"] == "bash" and mark != "before the test":
            lines.append(body)
    return "\n".join(lines)


@pytest.mark.full
def test_every_command_of_the_tutorial_runs(tmp_path: Path) -> None:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-c", script()],
        cwd=tmp_path,
        env={**os.environ, "PATH": path, "ROOT": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "sums.yaml is valid" in done.stdout
    assert done.stderr.count("did you mean") == 3
    assert "Findings\n  warning  dead_groups" in done.stdout
    assert re.search(r"^  invalid_penalty: 0\.4\d+$", done.stdout, re.MULTILINE), (
        "--apply wrote another value"
    )
    assert re.search(r"^  invalid, total 0\.4\d+ +close: no number$", done.stdout, re.MULTILINE)
    assert re.search(r"^invalid penalty: .*chosen from 512 completions", done.stdout, re.MULTILINE)
    assert done.stdout.rstrip().endswith("38+47=85")
    assert (tmp_path / "sums" / "outputs" / "sums-more" / "final" / "model.safetensors").is_file()


def test_the_script_holds_the_whole_page() -> None:
    text = script()
    for part in (
        "make_data.py <<",
        "my_rewards.py <<",
        "sums.yaml <<",
        "test $code = 2",
        "--apply",
        "python use.py",
    ):
        assert part in text
    assert "git clone" not in text
