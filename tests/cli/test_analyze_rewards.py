"""`rlctl analyze-rewards` as a user meets it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

REWARDS = """
rewards:
  invalid_penalty: -9.0   # too deep
  components:
    - {name: right, type: exact_match, column: answer}
    - {name: short, type: python, function: mine.py:short, weight: 0.5}
"""
MINE = """
import rlctl

def short(completions, **columns):
    return [rlctl.Invalid("nothing said") if not text else 1 / len(text) for text in completions]
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rlctl) -> Path:
    """A folder with a config whose rewards need no tokenizer, and completions in groups of four."""
    monkeypatch.chdir(tmp_path)
    assert rlctl("init").code == 0
    text = Path("config.yaml").read_text()
    start, end = text.index("rewards:\n"), text.index("generation:")
    Path("config.yaml").write_text(f"{text[:start]}{REWARDS.lstrip()}\n{text[end:]}")
    Path("mine.py").write_text(MINE)
    rows = [
        {"prompt": f"{i}+1=", "answer": str(i + 1), "completion": completion, "step": 1, "split": "train"}
        for i in range(30)
        for completion in (str(i + 1), f"it is {i}", "x" * (1 + i % 5), "" if i % 3 == 0 else "no")
    ]
    Path("rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


SCORE = ("analyze-rewards", "--completions", "rows.jsonl")


def test_completions_of_a_file_are_reported(rlctl, here) -> None:
    ran = rlctl(*SCORE)
    assert ran.code == 0
    assert "config: config.yaml of this folder" in ran.err
    lines = ran.out.splitlines()
    assert lines[0] == "120 completions of rows.jsonl: 30 prompts × 4"
    assert lines[1] == "  valid 110 (92%) · invalid 10 (8.3%)"
    assert lines[2] == "  invalid  10  short: nothing said"
    folder = Path(lines[-1].removeprefix("results  "))
    assert json.loads((folder / "analysis.json").read_text())["valid"] == 110


def test_json_is_one_document(rlctl, here) -> None:
    ran = rlctl(*SCORE, "--json")
    document = json.loads(ran.out)
    assert (ran.code, document["num_samples"], document["invalid"]) == (0, 120, 10)
    assert "applied" not in document
    few = json.loads(rlctl(*SCORE, "--num-samples", "8", "--json").out)
    assert few["num_samples"] == 8


def test_quiet_prints_nothing(rlctl, here) -> None:
    ran = rlctl(*SCORE, "--apply", "--quiet")
    assert (ran.code, ran.out, ran.err) == (0, "", "")
    assert yaml.safe_load(Path("config.yaml").read_text())["rewards"]["invalid_penalty"] > -9


def test_apply_writes_the_advice_and_says_so(rlctl, here) -> None:
    before = Path("config.yaml").read_text()
    advised = json.loads(rlctl(*SCORE, "--json").out)["penalty"]["recommended"]
    line = before[: before.index("invalid_penalty")].count("\n") + 1
    ran = rlctl(*SCORE, "--apply")
    assert ran.code == 0
    said = f"config.yaml:{line}: rewards.invalid_penalty: -9.0 → {advised:.6g}"
    assert ran.out.splitlines()[-1] == said
    assert Path("config.yaml").read_text() == before.replace("-9.0", f"{advised:.6g}")
    again = json.loads(rlctl(*SCORE, "--apply", "--json").out)
    assert again["applied"] == f"config.yaml:{line}: rewards.invalid_penalty: is {advised:.6g} already"


def test_without_advice_nothing_is_written(rlctl, here) -> None:
    before = Path("config.yaml").read_text()
    Path("one.jsonl").write_text('{"prompt": "1+1=", "answer": "2", "completion": "2"}\n')
    ran = rlctl("analyze-rewards", "--completions", "one.jsonl", "--apply")
    assert ran.code == 3
    assert "--apply: there is no penalty to write: " in ran.err
    assert "config.yaml is as it was" in ran.err
    assert Path("config.yaml").read_text() == before


def test_single_strings_show_their_parts(rlctl, here) -> None:
    ran = rlctl("analyze-rewards", "--text", "7", "--text", "", "--row", "{answer: '7'}")
    assert ran.code == 0
    assert [line.split() for line in ran.out.splitlines()] == [
        ["scored", "with", "answer:", "'7'"],
        [],
        ["'7'"],
        ["scored,", "total", "1.5"],
        ["raw", "value", "in", "the", "total"],
        ["right", "1", "1", "1"],
        ["short", "1", "1", "0.5"],
        [],
        ["''"],
        ["invalid,", "total", "-9", "short:", "nothing", "said"],
        ["raw", "value", "in", "the", "total"],
        ["right", "0", "–", "–"],
        ["short", "–", "–", "–", "nothing", "said"],
    ]
    assert not Path("outputs").exists()


def test_a_run_is_scored_by_its_own_config(rlctl, here) -> None:
    logs = here / "outputs" / "old" / "logs"
    logs.mkdir(parents=True)
    (logs / "completions.jsonl").write_text(Path("rows.jsonl").read_text())
    record = Path("config.yaml").read_text().replace("mine.py:short", f"{here / 'mine.py'}:short")
    (logs.parent / "config.yaml").write_text(record.replace("weight: 0.5", "weight: 2"))
    ran = rlctl("analyze-rewards", "--run", "outputs/old")
    assert ran.code == 0
    assert "config: outputs/old/config.yaml" in ran.err
    assert ran.out.startswith("120 completions logged by outputs/old, step 1: 30 prompts × 4\n")
    assert [line.split()[:2] for line in ran.out.splitlines() if "short " in line][-1] == ["short", "2"]
    step = rlctl("analyze-rewards", "--run", "outputs/old@1")
    assert step.code == 2
    assert "--run: outputs/old@1 is one step of a run" in step.err
    assert "--num-samples N takes its last N" in step.err
    own = rlctl("analyze-rewards", "config.yaml", "--run", "outputs/old", "--num-samples", "40", "--apply")
    assert own.code == 0
    assert own.out.startswith("40 completions logged by outputs/old")
    assert own.out.splitlines()[-1].startswith("config.yaml:")
    assert "-9.0" in (logs.parent / "config.yaml").read_text()


def test_the_policy_is_sampled_by_default(rlctl, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    ran = rlctl("analyze-rewards", "--num-samples", "16")
    assert ran.code == 0
    assert "config: the built-in quickstart" in ran.err
    assert ran.out.startswith("16 completions sampled from builtin:tiny-math: 2 prompts × 8\n")


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--num-samples", "0"], 2, "--num-samples: 0 samples"),
        (["--num-samples", "-3"], 2, "--num-samples: -3 samples"),
        (["--text", "7", "--completions", "rows.jsonl"], 2, "--completions and --text are different things"),
        (["--run", "x", "--completions", "rows.jsonl"], 2, "--completions and --run are different things"),
        (["--row", "{answer: 7}"], 2, "--row: is for the strings of --text alone"),
        (["--text", "7", "--row", "7"], 2, "--row: '7': not a mapping"),
        (["--text", "7", "--row", "{a: 1"], 2, "--row: '{a: 1': "),
        (["--text", "7", "--row", "{a: 1, a: 2}"], 2, "given twice"),
        (["--text", "7", "--apply"], 2, "--apply: single strings are shown, not analysed"),
        (["--text", "7", "--num-samples", "5"], 2, "--num-samples: single strings are shown"),
        (["--text", "7", "--output", "x"], 2, "--output: single strings are shown"),
        (["--run", "outputs/none"], 3, "outputs/none: no such run"),
        (["--run", "."], 3, "has no logs/completions.jsonl"),
        (["--run", "outputs/old", "--apply"], 2, "the config.yaml of a run is its record"),
        (["--completions", "none.jsonl"], 3, "no such file or folder"),
        (["none.yaml"], 2, "no such file"),
        (["--set", "rewards.invalid_penaltie=1"], 2, "did you mean 'invalid_penalty'?"),
        (
            [*SCORE[1:], "--apply", "--set", "rewards.aggregate=weighted_mean"],
            2,
            "--apply: --set rewards.agg",
        ),
        (["--aply"], 2, "no option --aply"),
    ],
)
def test_what_is_wrong_is_said(rlctl, here, arguments, code, says) -> None:
    before = Path("config.yaml").read_text()
    ran = rlctl("analyze-rewards", *arguments)
    assert ran.code == code
    assert says in ran.err
    assert "Traceback" not in ran.err
    assert ran.out == ""
    assert not Path("outputs").exists()
    assert Path("config.yaml").read_text() == before


def test_the_built_in_quickstart_is_not_changed(rlctl, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    ran = rlctl("analyze-rewards", "--apply")
    assert ran.code == 2
    assert "the built-in quickstart is not yours to change" in ran.err
    assert "rlctl init quickstart" in ran.err


def test_a_file_that_cannot_be_written_is_named_before_anything_is_scored(rlctl, here) -> None:
    Path("config.yaml").chmod(0o444)
    ran = rlctl(*SCORE, "--apply")
    assert (ran.code, ran.out) == (3, "")
    assert "config.yaml: the file is read-only" in ran.err


def test_scoring_a_file_imports_nothing_heavy(here) -> None:
    code = (
        "import sys; from rlctl.cli.app import run; "
        "run(['analyze-rewards', '--completions', 'rows.jsonl', '-q']); "
        "print(sorted({'torch', 'transformers', 'datasets', 'trl', 'scipy.stats'} & set(sys.modules)))"
    )
    root = str(Path(__file__).parents[2])
    ran = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": root}, capture_output=True, text=True
    )
    assert (ran.stdout, ran.stderr) == ("[]\n", "")
