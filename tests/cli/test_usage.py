"""Help, wrong usage, and every way to end badly: exit codes, words, JSON."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rlctl import __version__
from rlctl.errors import DataError, MissingError, TrainingError

COMMANDS = (
    "train",
    "eval",
    "analyze-rewards",
    "prove",
    "check",
    "init",
    "list",
    "schema",
    "doctor",
    "export",
)
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
HEAVY = ("torch", "transformers", "trl", "datasets", "numpy", "accelerate", "peft")


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_fits_a_screen(rlctl, command):
    ran = rlctl(*[command] if command else [], "--help")
    assert ran.code == 0
    lines = ran.out.splitlines()
    assert 5 < len(lines) < 60
    assert max(map(len, lines)) <= 80
    assert "..." not in ran.out.replace("[ARGS]...", "")  # no description is cut short


def test_help_names_every_command(rlctl):
    out = rlctl("--help").out
    assert all(f"\n  {command} " in out for command in COMMANDS)


def test_nothing_at_all_is_a_call_for_help(rlctl):
    assert rlctl() == rlctl("--help")


def test_version(rlctl):
    assert rlctl("--version") == (0, f"rlctl {__version__}\n", "")


def test_nothing_heavy_is_imported(quickstart):
    code = f"""
import sys
from rlctl.cli.app import run
assert run(["--help"]) == 0
early = [name for name in ("pydantic", "rich", "yaml") if name in sys.modules]
commands = ["check config.yaml", "train config.yaml --dry-run", "schema", "check config.yaml --set x=1"]
kinds = ["rewards", "algorithms", "models", "datasets", "templates"]
codes = [run(line.split()) for line in [*commands, *(f"list {{kind}}" for kind in kinds)]]
import rlctl
rlctl.Invalid, rlctl.load_config
print("MODULES", early, codes, [name for name in {HEAVY!r} if name in sys.modules])
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=ENVIRONMENT)
    assert ran.stdout.splitlines()[-1] == "MODULES [] [0, 0, 0, 2, 0, 0, 0, 0, 0] []"


def test_a_closed_pipe_is_quiet():
    command = f"{sys.executable} -m rlctl list rewards -v | head -n 1"
    ran = subprocess.run(command, shell=True, capture_output=True, text=True, env=ENVIRONMENT)
    assert ran.stdout == "exact_match\n"
    assert ran.stderr == ""


WRONG = [
    (["trian"], "no such command 'trian'\n  Did you mean 'train'? See rlctl --help."),
    (["zzz"], "no such command 'zzz'\n  See rlctl --help."),
    (["train"], "rlctl train needs a CONFIG, the YAML of the run\n  rlctl init writes one to start from."),
    (["check"], "rlctl check needs a CONFIG"),
    (
        ["train", "a.yaml", "--dryrun"],
        "no option --dryrun\n  Did you mean --dry-run? See rlctl train --help.",
    ),
    (["check", "a.yaml", "--resume"], "no option --resume"),
    (["train", "a.yaml", "--set"], "option '--set' requires an argument"),
    (["check", "a.yaml", "b.yaml"], "got unexpected extra argument(s) (b.yaml)"),
    (["list"], "missing argument 'KIND'"),
    (["list", "reward"], "nothing to list under 'reward'\n  did you mean 'rewards'?"),
    (["list", "xyz"], "there is rewards, algorithms, models, datasets, templates"),
    (["init", "quikstart"], "no template 'quikstart'\n  did you mean 'quickstart'?"),
]


@pytest.mark.parametrize(("arguments", "text"), WRONG, ids=[" ".join(row[0]) for row in WRONG])
def test_wrong_usage_is_explained(rlctl, arguments, text):
    ran = rlctl(*arguments)
    assert ran.code == 2
    assert ran.out == ""
    assert text in ran.err
    assert "Traceback" not in ran.err


def test_wrong_usage_as_json(rlctl):
    ran = rlctl("train", "--json")
    assert ran.code == 2
    error = json.loads(ran.out)["error"]
    assert error["type"] == "UsageError"
    assert error["exit_code"] == 2
    assert "rlctl init" in error["hint"]


@pytest.mark.parametrize("missing", ["nothing.yaml", "."])
def test_a_config_that_cannot_be_read(rlctl, tmp_path, monkeypatch, missing):
    monkeypatch.chdir(tmp_path)
    for command in ("train", "check"):
        ran = rlctl(command, missing)
        assert ran.code == 2
        assert ran.err.startswith(f"{missing}: ")


def test_every_problem_of_a_config_has_its_place(rlctl, quickstart):
    text = (quickstart / "config.yaml").read_text().replace("num_generations:", "num_generation:")
    (quickstart / "config.yaml").write_text(text)
    line = next(i for i, row in enumerate(text.splitlines(), start=1) if "num_generation:" in row)
    ran = rlctl("train", "config.yaml", "--set", "training.max_steps=-1")
    assert ran.code == 2
    assert f"config.yaml:{line}: algorithm.num_generation: " in ran.err
    assert "did you mean 'num_generations'?" in ran.err
    assert "--set training.max_steps=-1: training.max_steps: " in ran.err
    assert ran.err.endswith("2 problems\n")

    ran = rlctl("check", "config.yaml", "--json")
    error = json.loads(ran.out)["error"]
    assert error["type"] == "ConfigError"
    (problem,) = error["problems"]
    assert (problem["file"], problem["line"]) == ("config.yaml", line)
    assert problem["key"] == "algorithm.num_generation"


def raising(error):
    def load_config(path, overrides):
        raise error

    return load_config


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DataError("no rows", where="a.jsonl", hint="add some"), 3),
        (MissingError("x"), 4),
        (TrainingError("x"), 5),
    ],
)
def test_each_family_of_errors_has_its_exit_code(rlctl, monkeypatch, error, code):
    monkeypatch.setattr("rlctl.config.load.load_config", raising(error))
    ran = rlctl("check", "a.yaml")
    assert ran.code == code
    assert ran.err == f"error: {error.render()}\n"


def test_a_bug_says_that_it_is_one(rlctl, monkeypatch):
    monkeypatch.setattr("rlctl.config.load.load_config", raising(ZeroDivisionError("oh")))
    ran = rlctl("check", "a.yaml")
    assert ran.code == 1
    assert ran.err == (
        "error: ZeroDivisionError: oh\n  This is a bug in rlctl. Run again with -v for the traceback.\n"
    )
    ran = rlctl("check", "a.yaml", "-v")
    assert "Traceback" in ran.err
    assert "raise error\nZeroDivisionError: oh" in ran.err
    ran = rlctl("check", "a.yaml", "--json")
    assert json.loads(ran.out)["error"] == {"type": "ZeroDivisionError", "exit_code": 1, "message": "oh"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_full_disk_is_no_bug(rlctl):
    command = [sys.executable, "-m", "rlctl", "schema"]
    with open("/dev/full", "w") as full:
        ran = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
    assert (ran.returncode, ran.stderr) == (1, "error: output: No space left on device\n")


def test_interrupted(rlctl, monkeypatch):
    monkeypatch.setattr("rlctl.config.load.load_config", raising(KeyboardInterrupt()))
    assert rlctl("check", "a.yaml") == (130, "", "interrupted\n")
