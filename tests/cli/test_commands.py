"""What each command does when all is well."""

import json
import os
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from rlctl.config.catalogue import passed_through
from rlctl.config.load import load_config

ROOT = Path(__file__).parents[2]


def everything_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_check_says_what_the_yaml_describes(rlctl, quickstart):
    ran = rlctl("check", "config.yaml")
    assert ran.code == 0
    assert ran.err == ""
    assert ran.out.startswith("config.yaml is valid\n  run: quickstart, grpo\n  model: builtin:tiny-math\n")
    assert "16 prompts × 8 generations = 128 completions" in ran.out
    assert "note:" not in ran.out
    assert rlctl("check", "config.yaml", "--quiet") == (0, "", "")


def test_check_with_v_prints_the_resolved_config(rlctl, quickstart):
    out = rlctl("check", "config.yaml", "-v").out
    text = out[out.index("\n\n") :]
    (quickstart / "again.yaml").write_text(text)
    assert load_config(quickstart / "again.yaml") == load_config(quickstart / "config.yaml")


def test_check_as_json(rlctl, quickstart):
    document = json.loads(rlctl("check", "config.yaml", "--json", "--set", "run.seed=7").out)
    assert document["valid"] is True
    assert document["config"]["run"]["seed"] == 7
    assert document["plan"]["completions_per_step"] == 128
    assert document["notices"] == []


def test_check_notes_what_deserves_a_second_look(rlctl, quickstart):
    (quickstart / "mine.py").write_text(
        "def score(completions, **kwargs):\n    return [0.0] * len(completions)\n"
    )
    part = "{type: python, name: mine, function: mine.py:score, isolate: false}"
    ran = rlctl(
        *("check", "config.yaml"),
        *("--set", f"rewards.components=[{part}]", "--set", "rewards.tests=[]"),
        *(
            "--set",
            "data.eval=null",
            "--set",
            "training.eval_steps=null",
            "--set",
            "eval={}",
            "--set",
            "model.trust_remote_code=true",
        ),
    )
    assert ran.code == 0, ran.err
    notes = [line for line in ran.out.splitlines() if line.startswith("note: ")]
    assert [note.split()[1] for note in notes] == ["mine:", "`data.eval`", "`model.trust_remote_code`"]
    assert "cannot be stopped" in notes[0]


def test_dry_run_prints_the_plan_and_writes_nothing(rlctl, quickstart):
    before = everything_below(quickstart)
    ran = rlctl("train", "config.yaml", "--dry-run", "--output-dir", "01")
    assert ran.code == 0
    assert ran.out.splitlines()[:2] == [
        f"run: {quickstart / '01' / 'quickstart'} (not written: --dry-run)",
        "one step: 16 prompts × 8 generations = 128 completions, at most 4,096 tokens",
    ]
    assert everything_below(quickstart) == before


def test_dry_run_as_json(rlctl, quickstart):
    document = json.loads(rlctl("train", "config.yaml", "--dry-run", "--json").out)
    assert document["run"] == str(quickstart / "outputs" / "quickstart")
    assert document["plan"]["num_prompts"] == 2000
    assert document["config"]["algorithm"]["type"] == "grpo"


def test_the_plan_counts_the_processes_of_a_launcher(rlctl, quickstart, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    document = json.loads(rlctl("train", "config.yaml", "--dry-run", "--json").out)
    assert document["plan"]["completions_per_process"] == 64
    monkeypatch.setenv("WORLD_SIZE", "3")
    ran = rlctl("train", "config.yaml", "--dry-run")
    assert ran.code == 2
    assert "16 prompts cannot be shared by 3 processes" in ran.err
    monkeypatch.setenv("WORLD_SIZE", "many")
    assert rlctl("train", "config.yaml", "--dry-run").err.startswith("error: WORLD_SIZE: 'many' is no number")


def test_a_run_that_exists_is_refused_before_anything_else(rlctl, quickstart):
    (quickstart / "outputs" / "quickstart").mkdir(parents=True)
    ran = rlctl("train", "config.yaml", "--dry-run")
    assert ran.code == 2
    assert "run.name=quickstart-2" in ran.err


def test_train_hands_over_and_keeps_stdout_for_json(rlctl, quickstart, monkeypatch):
    """Libraries may print; with --json stdout still holds one document."""
    seen = {}

    def train(config, *, resume, console, quiet, stop):
        seen.update(config=config, resume=resume, quiet=quiet)
        print("a library talks")  # noqa: T201
        os.write(1, b"so does a child process\n")
        console.print("a person reads this")
        return SimpleNamespace(summary={"run": config.run.name})

    monkeypatch.setattr("rlctl.training.train.train", train)
    ran = rlctl("train", "config.yaml", "--json", "-q", "--set", "run.name=other")
    assert json.loads(ran.out) == {"run": "other"}
    assert all(text in ran.err for text in ("a library talks", "child process", "a person reads"))
    assert seen["quiet"] is True
    assert seen["resume"] is False
    ran = rlctl("train", "config.yaml", "--resume")
    assert ran.out == "a library talks\nso does a child process\na person reads this\n"
    assert seen["quiet"] is False
    assert seen["resume"] is True


def test_init_writes_files_that_are_valid(rlctl, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for template in json.loads(rlctl("list", "templates", "--json").out)["templates"]:
        ran = rlctl("init", template, "--output", f"{template}/config.yaml")
        assert ran.code == 0
        assert f"wrote {template}/config.yaml" in ran.out
        assert rlctl("check", f"{template}/config.yaml").code == 0


def test_init_never_overwrites(rlctl, quickstart):
    before = (quickstart / "config.yaml").read_text()
    ran = rlctl("init", "grpo")
    assert ran.code == 2
    assert ran.err == (
        "error: config.yaml exists, and nothing is overwritten\n"
        "  Write somewhere else: rlctl init grpo --output FOLDER/config.yaml\n"
    )
    assert (quickstart / "config.yaml").read_text() == before
    assert everything_below(quickstart) == {"config.yaml"}
    (quickstart / "train.jsonl").write_text("mine")
    assert "train.jsonl exists" in rlctl("init", "grpo", "-o", "new.yaml").err
    assert (quickstart / "train.jsonl").read_text() == "mine"
    assert "is a folder" in rlctl("init", "-o", ".").err


def test_init_as_json(rlctl, tmp_path):
    document = json.loads(rlctl("init", "-o", tmp_path / "deep" / "run.yaml", "--json").out)
    assert document == {"template": "quickstart", "written": [str(tmp_path / "deep" / "run.yaml")]}
    assert (tmp_path / "deep" / "run.yaml").is_file()


@pytest.mark.parametrize(
    ("kind", "name", "parameter"),
    [
        ("rewards", "length", "max=null"),
        ("rewards", "python", "(function, args={}"),
        ("algorithms", "grpo", "num_generations=8"),
        ("datasets", "builtin:arithmetic", "levels=[1, 2, 3]"),
        ("models", "builtin:tiny-math", ""),
        ("templates", "quickstart", ""),
    ],
)
def test_list_has_one_line_each(rlctl, kind, name, parameter):
    ran = rlctl("list", kind)
    assert ran.code == 0
    (line,) = [line for line in ran.out.splitlines() if line.startswith(f"{name} ")]
    assert parameter in line
    assert len(line.removeprefix(name).strip()) > 20, "no description"
    entry = json.loads(rlctl("list", kind, "--json").out)[kind][name]
    assert entry["description"] in line


def test_list_in_full_shows_every_key_and_trls_arguments(rlctl):
    out = rlctl("list", "algorithms", "-v").out
    assert "    num_generations " in out
    assert all(f"\n    {name} " in out for name in passed_through("grpo"))
    assert "a number, at least 0 and below 1; default 0.9." in out
    assert "weight, transform" in rlctl("list", "rewards").out


def test_schema_prints_the_committed_schema(rlctl):
    committed = (ROOT / "rlctl.schema.json").read_text(encoding="utf-8")
    assert rlctl("schema").out == committed, "run `make schema`"


def test_columns_are_wrapped_in_a_terminal(monkeypatch, capsys):
    from rlctl.cli.output import print_columns

    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    print_columns([("name", "word " * 20), ("[x]", "brackets stay")], indent=0)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()
    assert lines[0].startswith("name  word word")
    assert all(len(line) <= 40 for line in lines)
    assert lines[-1].strip() == "[x]   brackets stay"
