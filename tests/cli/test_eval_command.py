"""`rlctl eval` as a user meets it."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

SMALL = ["--set", "data.eval.limit=10", "--set", "eval.num_samples=2"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_in_an_empty_folder_it_takes_the_quickstart(rlctl, here):
    ran = rlctl("eval", *SMALL)
    assert ran.code == 0
    assert "config: the built-in quickstart (no rlctl.yaml or config.yaml in this folder)" in ran.err
    assert "held-out prompts: 10 from builtin:arithmetic:test" in ran.err
    lines = ran.out.splitlines()
    assert lines[0] == "10 prompts × 2 samples; mean and 95 % interval"
    assert lines[1].split() == ["base"]
    labels = [line[:21].strip() for line in lines]
    names = ["reward, sampled", "correct", "pass@1", "pass@2", "majority vote", "pass, greedy", "valid"]
    assert [label for label in labels if label in names] == names
    assert "KL from the base" in labels
    folder = Path(lines[-1].removeprefix("results  "))
    assert folder.parent == here / "outputs"
    assert sorted(path.name for path in folder.iterdir()) == ["results.json", "samples.jsonl"]


def test_json_is_one_document_and_the_same_twice(rlctl, here):
    first = rlctl("eval", *SMALL, "--json")
    assert first.code == 0
    assert rlctl("eval", *SMALL, "--json").out == first.out
    document = json.loads(first.out)
    base = document["checkpoints"]["base"]
    assert set(base["reward"]) >= {"mean", "std", "ci95"}
    assert list(base["pass_at"]) == ["1", "2"]
    assert base["valid_fraction"] == 1.0
    assert document["comparison"] is None


def test_completions_of_a_file_are_compared(rlctl, here):
    """No model is loaded: its path does not even exist."""
    rlctl("init")
    config = yaml.safe_load((here / "config.yaml").read_text())
    config["model"] = {"path": "some-team/some-model"}
    del config["rewards"]["tests"]  # one of their parts counts tokens, and no row says which
    (here / "mine.yaml").write_text(yaml.safe_dump(config))
    rows = [
        {
            "prompt": f"{i}+1=",
            "answer": str(i + 1),
            "completion": text,
            "completion_ids": [1],
            "checkpoint": name,
        }
        for i in range(30)
        for name, text in (("good", str(i + 1)), ("bad", str(i + 1) if i % 3 else "0"))
    ]
    (here / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    ran = rlctl(
        "eval", "mine.yaml", "--completions", "rows.jsonl", "--checkpoint", "good", "--against", "bad"
    )
    assert ran.code == 0
    assert "completions of rows.jsonl: 60, no model is loaded" in ran.err
    assert "good against bad: reward, 30 prompts in pairs" in ran.out
    assert "better on 10 prompts, the same on 20, worse on 0" in ran.out
    assert "difference +0.3" in ran.out
    assert ": better\n" in ran.out
    ran = rlctl("eval", "mine.yaml", "--completions", "rows.jsonl", "--checkpoint", "god")
    assert ran.code == 2
    assert "rows.jsonl has no completions of 'god'" in ran.err
    assert "it has completions of good, bad" in ran.err


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--num-samples", "0"], 2, "--num-samples: 0 samples"),
        (["--export", "trl"], 2, "no export 'trl'"),
        (["--checkpoint", "outputs/none"], 3, "no such run"),
        (["--checkpoint", "base", "--against", "base"], 2, "base is to be compared with itself"),
        (["--export", "lm-eval"], 2, "eval.lm_eval: missing"),
        (["--export", "lm-eval", "--completions", "x.jsonl"], 2, "cannot be exported"),
        (["--completions", "none.jsonl"], 3, "no such file or folder"),
        (["none.yaml"], 2, "no such file"),
        (["--set", "eval.metric=rewrd"], 2, "did you mean 'reward'?"),
        (
            ["--set", "data.eval=null", "--set", "training.eval_steps=null", "--set", "eval={}"],
            2,
            "data.eval: missing",
        ),
    ],
)
def test_what_is_wrong_is_said(rlctl, here, arguments, code, says):
    ran = rlctl("eval", *arguments)
    assert ran.code == code
    assert says in ran.err
    assert "Traceback" not in ran.err
    assert ran.out == ""
    assert not (here / "outputs").exists()


def test_a_launcher_is_refused(rlctl, here, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    ran = rlctl("eval", *SMALL)
    assert ran.code == 2
    assert "evaluation runs in one process" in ran.err


def test_quiet_prints_nothing(rlctl, here):
    ran = rlctl("eval", *SMALL, "--quiet")
    assert (ran.code, ran.out, ran.err) == (0, "", "")


def test_the_folder_that_is_named_is_not_overwritten(rlctl, here):
    assert rlctl("eval", *SMALL, "--output", "mine", "-q").code == 0
    assert rlctl("eval", *SMALL, "--output", "mine", "-q").code == 0
    ran = rlctl("eval", *SMALL, "--output", "mine", "--num-samples", "3")
    assert ran.code == 2
    assert "holds something else than this command would write" in ran.err
    (here / "notes.txt").write_text("mine")
    assert rlctl("eval", *SMALL, "--output", str(here)).code == 2


TASK = """
task: own_sums
dataset_path: json
dataset_kwargs: {{data_files: {{test: {file}}}}}
test_split: test
target_delimiter: ''
output_type: generate_until
doc_to_text: "{{{{question}}}}"
doc_to_target: "{{{{answer}}}}"
generation_kwargs: {{until: ["\\n"], max_gen_toks: 6, do_sample: false}}
metric_list: [{{metric: exact_match, aggregation: mean, higher_is_better: true}}]
metadata: {{version: 1.0}}
"""


@pytest.mark.skipif(find_spec("lm_eval") is None, reason="lm_eval is not installed")
def test_benchmarks_of_the_harness(rlctl, here):
    """Without held-out prompts of our own; both names are one model, so nothing tells them apart."""
    tasks = here / "tasks"
    tasks.mkdir()
    rows = [{"question": f"{a}+{b}=", "answer": str(a + b)} for a in (1, 2, 3) for b in (4, 5)]
    (tasks / "sums.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tasks / "sums.yaml").write_text(TASK.format(file=tasks / "sums.jsonl"))
    benchmarks = f"eval={{lm_eval: {{tasks: [own_sums], include_path: {tasks}}}}}"
    changes = ["data.eval=null", "training.eval_steps=null", benchmarks]
    settings = [word for one in changes for word in ("--set", one)]
    names = ["--checkpoint", "base", "--against", "builtin:tiny-math", "--export", "lm-eval"]
    ran = rlctl("eval", *settings, *names, "--output", "out", "--json")
    assert ran.code == 0
    document = json.loads(ran.out)
    assert document["checkpoints"] == {}
    found = document["benchmarks"]["base"]["own_sums"]["exact_match"]
    assert found["n"] == 6
    assert document["benchmarks"]["builtin:tiny-math"]["own_sums"]["exact_match"] == found
    [comparison] = document["benchmark_comparisons"]
    assert (comparison["difference"], comparison["p_value"]) == (0.0, 1.0)
    assert len((here / "out/benchmarks.jsonl").read_text().splitlines()) == 12
    assert "own_sums, exact_match" in rlctl("eval", *settings, *names, "--output", "out").out
