"""`rlctl prove`: what it would cost, what it refuses and with which words, and one proof as JSON."""

import json
from pathlib import Path

import pytest

from rlctl.training.place import lock

QUICK = [
    *(
        "--set",
        "training.max_steps=2",
        "--set",
        "training.warmup_steps=0",
        "--set",
        "training.eval_steps=null",
    ),
    *("--set", "training.save_steps=null", "--set", "training.prompts_per_step=2"),
    *("--set", "data.eval.limit=4", "--set", "eval.num_samples=1"),
    *("--set", "rewards.components=[{name: correct, type: exact_match}]", "--set", "rewards.tests=[]"),
]


def line_of(key: str) -> int:
    text = Path("config.yaml").read_text()
    return next(i for i, row in enumerate(text.splitlines(), start=1) if row.strip().startswith(f"{key}:"))


def test_the_cost_of_the_quickstart(rlctl, quickstart):
    ran = rlctl("prove", "config.yaml", "--dry-run")
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert lines[0] == f"proof: {quickstart}/outputs/quickstart-prove (not written: --dry-run)"
    assert lines[1] == "runs: 4 of 100 steps"
    # 4 × 100 steps × 128 completions, of at most 8 tokens, 32 with the prompt
    assert lines[2].startswith(
        "training: 51,200 completions sampled and scored, at most 409,600 tokens, 1,638,400"
    )
    # 5 models, 4 runs × 3 evaluations; 17 × 200 prompts × (4 + 1)
    assert (
        "5 models at the end, 12 evaluations in training, each 200 prompts × 5 completions = 17,000"
        in lines[3]
    )
    assert lines[4].startswith("disk: 4 final models of about 3.9 MB, at most 8 checkpoints of about 11.8 MB")
    assert lines[5].startswith("time: not known")
    assert "judged by reward:" in lines
    assert "  no evidence: anything else." in lines
    assert not Path("outputs").exists()


def test_the_cost_as_json(rlctl, quickstart):
    ran = rlctl("prove", "config.yaml", "--dry-run", "--json", "--seeds", "1", "--output", "here")
    found = json.loads(ran.out)
    assert found["folder"] == f"{quickstart}/here"
    assert found["runs"] == ["seed-42", "control"]
    assert found["cost"]["steps_left"] == 200
    assert found["cost"]["training_completions"] == 200 * 128
    assert found["cost"]["held_out_completions"] == (3 + 2 * 3) * 200 * 5
    assert found["cost"]["hours_of_steps"] is None
    assert [one["steps"] for one in found["cost"]["done"]] == [0, 0]


def test_no_held_out_prompts(rlctl, quickstart):
    ran = rlctl("prove", "config.yaml", "--set", "data.eval=null", "--dry-run")
    assert ran.code == 2
    assert ran.err.startswith("--set data.eval=null: data.eval: a proof is judged on held-out prompts")
    text = Path("config.yaml").read_text()
    rest = [row for row in text.splitlines() if not row.strip().startswith("eval")]
    Path("config.yaml").write_text("\n".join(rest))
    ran = rlctl("prove", "config.yaml")
    assert ran.code == 2
    place = f"config.yaml:{line_of('data')}: data.eval"
    assert ran.err.startswith(
        f"{place}: a proof is judged on held-out prompts, and there are none; name held-out"
    )


@pytest.mark.parametrize("seeds", ["0", "-1"])
def test_seeds_there_must_be(rlctl, quickstart, seeds):
    ran = rlctl("prove", "config.yaml", "--seeds", seeds)
    assert ran.code == 2
    assert ran.err == f"error: --seeds: a proof needs one seed or more, not {seeds}\n"


def test_a_folder_of_something_else(rlctl, quickstart):
    Path("taken").mkdir()
    Path("taken/notes.txt").write_text("x")
    ran = rlctl("prove", "config.yaml", "--output", "taken", "--dry-run")
    assert ran.code == 2
    assert "taken: this is no proof: it holds 'notes.txt', but no plan.json" in ran.err


@pytest.fixture(scope="module")
def proved(tmp_path_factory):
    """A folder with a config and a proof of one seed; its exit code and output."""
    import os
    import subprocess
    import sys

    folder = tmp_path_factory.mktemp("proved")
    run = {"cwd": folder, "capture_output": True, "text": True}
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    rlctl = [sys.executable, "-m", "rlctl"]
    subprocess.run([*rlctl, "init"], check=True, env=environment, **run)
    command = [*rlctl, "prove", "config.yaml", "--seeds", "1", "--json", *QUICK]
    return folder, subprocess.run(command, env=environment, **run)


def test_a_proof_as_json(proved):
    folder, ran = proved
    assert ran.returncode == 0, ran.stderr
    document = json.loads(ran.stdout)
    assert document["verdict"] in ("improved", "no evidence", "worse")
    assert Path(document["paths"]["page"]) == folder / "outputs" / "quickstart-prove" / "proof.html"
    assert "seed 42 (1 of 1): training in" in ran.stderr
    assert document["headline"] in ran.stderr


def test_called_again_it_tells_what_is_done(proved, rlctl, monkeypatch):
    folder, _ = proved
    monkeypatch.chdir(folder)
    ran = rlctl("prove", "config.yaml", "--seeds", "1", "--dry-run", *QUICK)
    assert ran.code == 0
    assert "runs: 2 of 2 steps, 0 left" in ran.out
    assert "base model evaluated, seed-42 trained and evaluated, control trained and evaluated" in ran.out
    assert "0 completions sampled and scored" in ran.out
    assert "time: 0 hours for the steps" in ran.out
    again = rlctl("prove", "config.yaml", "--seeds", "1", "--json", "-q", *QUICK)
    assert (again.code, again.err) == (0, "")
    assert json.loads(again.out)["gain"] == json.loads(proved[1].stdout)["gain"]


def test_another_plan_is_refused_with_its_place(proved, rlctl, monkeypatch):
    folder, _ = proved
    monkeypatch.chdir(folder)
    ran = rlctl("prove", "config.yaml", "--seeds", "1", *QUICK, "--set", "eval.metric=correct")
    assert ran.code == 2
    assert ran.err.startswith(
        '--set eval.metric=correct: eval.metric: "reward" when this proof was planned, and now "correct"; '
    )
    ran = rlctl("prove", "config.yaml", "--seeds", "1")
    assert f"config.yaml:{line_of('max_steps')}: training.max_steps: 2 when this proof was planned" in ran.err
    ran = rlctl("prove", "config.yaml", "--seeds", "3", *QUICK)
    assert "seeds: [42] in the plan, and now [42, 43, 44]" in ran.err


def test_another_process(proved, rlctl, monkeypatch):
    folder, _ = proved
    monkeypatch.chdir(folder)
    held = lock(folder / "outputs" / "quickstart-prove")
    try:
        ran = rlctl("prove", "config.yaml", "--seeds", "1", *QUICK)
    finally:
        held.release()
    assert ran.code == 2
    assert "another process is writing this run" in ran.err
