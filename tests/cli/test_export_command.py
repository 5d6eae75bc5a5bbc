"""`rlctl export` as a user meets it: after a real run with LoRA, and wherever it cannot work."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import constants

from rlctl.cli.app import run as command

SETTINGS = {
    "run.name": "lora",
    "model.lora": "{r: 4}",
    "training.learning_rate": "0.01",
    "training.max_steps": "4",
    "training.warmup_steps": "0",
    "training.save_steps": "2",
    "training.eval_steps": "null",
    "training.prompts_per_step": "4",
    "data.eval.limit": "10",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `outputs/lora` in it: four steps of the quickstart with LoRA, by the trainer itself."""
    folder = tmp_path_factory.mktemp("export")
    assert command(["init", "--output", str(folder / "config.yaml")]) == 0
    settings = [word for key, value in SETTINGS.items() for word in ("--set", f"{key}={value}")]
    arguments = [
        "train",
        str(folder / "config.yaml"),
        "-q",
        "--output-dir",
        str(folder / "outputs"),
        *settings,
    ]
    assert command(arguments) == 0
    return folder


@pytest.fixture
def here(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(place)
    return place


def test_a_run_is_exported_and_can_be_named_as_a_model(rlctl, here):
    ran = rlctl("export", "outputs/lora")
    assert (ran.code, ran.err) == (0, "")
    first, second = ran.out.splitlines()
    assert first.startswith("outputs/lora/export: lora, step 4, adapter merged, float32, ")
    assert first.endswith(" MB in 6 files")
    assert second == "greedy output of 8 prompts: the same"
    card = (here / "outputs/lora/export/README.md").read_text()
    assert "| pass, greedy | " in card
    assert "n = 10 held-out prompts, 4 sampled completions and a greedy one for each" in card
    assert str(here) not in card
    again = ["--set", "model.path=outputs/lora/export", "--set", "run.name=again"]
    assert rlctl("check", "config.yaml", *again).code == 0

    ran = rlctl("export", "outputs/lora")
    assert ran.code == 2
    assert ran.err == (
        "error: outputs/lora/export: the folder exists and is not empty\n"
        "  Choose another folder (--output DIR), or remove it.\n"
    )


def test_one_document_for_scripts(rlctl, here):
    ran = rlctl("export", "outputs/lora@2", "--adapter", "--json")
    assert (ran.code, ran.err) == (0, "")
    files = ["README.md", "adapter_config.json", "adapter_model.safetensors", "tokenizer.json"]
    assert json.loads(ran.out) == {
        "run": "outputs/lora",
        "step": 2,
        "folder": "outputs/lora/export-2",
        "files": [*files, "tokenizer_config.json"],
        "dtype": "float32",
        "merged": False,
        "verified": {"prompts": 8, "same": 8, "ties": 0},
        "pushed": None,
    }


def test_quiet_and_rounded(rlctl, here):
    assert rlctl("export", "outputs/lora", "-o", "quiet", "-q") == (0, "", "")
    ran = rlctl("export", "outputs/lora", "-o", "half", "--dtype", "bfloat16", "-v")
    assert ran.code == 0
    assert "  model.safetensors\n" in ran.out
    last = ran.out.splitlines()[-1]
    assert last.startswith("greedy output of 8 prompts: ")
    assert last.endswith(("the same", " of 8 the same (rounding to bfloat16)"))


def test_a_push_that_fails_leaves_the_export_and_names_it(rlctl, here, monkeypatch):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(here / "no-token"))
    ran = rlctl("export", "outputs/lora", "-o", "mine", "--push", "me/model", "--private")
    assert ran.code == 4
    assert (here / "mine/model.safetensors").is_file()
    assert ran.err == (
        "error: --push: no login for the Hugging Face Hub\n"
        "  Run `hf auth login`, or set HF_TOKEN. "
        "The export is in mine; `hf repos create me/model --private && hf upload me/model mine .` sends it.\n"
    )
    ran = rlctl("export", "outputs/lora", "-o", "mine", "--push", "me/model")
    assert ran.code == 2
    assert "`hf upload me/model mine .` sends what is there." in ran.err


WRONG = [
    (["lora"], 3, "lora: no such run\n  did you mean 'outputs/lora'?"),
    ([], 2, "missing argument 'RUN'"),
    (["outputs/lora@3"], 3, "no checkpoint '3'\n  it has 2, 4"),
    (["outputs/lora", "--dtype", "bfloat"], 2, "--dtype: no such type 'bfloat'\n  did you mean 'bfloat16'?"),
    (["outputs/lora", "--dtype", "int8"], 2, "there is float32, bfloat16, float16"),
    (["outputs/lora", "--adapter", "--dtype", "float16"], 2, "--adapter keeps the type"),
    (["outputs/lora", "--push", "model"], 2, "--push: 'model' is no repository of the Hub"),
    (["outputs/lora", "--private"], 2, "--private is for --push"),
    (["outputs/lora", "-o", "config.yaml"], 2, "config.yaml: a file of this name exists"),
    (["outputs/lora", "-o", "config.yaml/x"], 2, "config.yaml: cannot write here"),
]


def test_what_cannot_work_is_said_before_torch_is_there(rlctl, here):
    for arguments, code, text in WRONG:
        ran = rlctl("export", *arguments)
        assert (ran.code, ran.out) == (code, "")
        assert text in ran.err
    script = f"""
import sys
from rlctl.cli.app import run
codes = [run(["export", *arguments]) for arguments in {[row[0] for row in WRONG]}]
print(codes, [name for name in ("torch", "transformers", "peft", "datasets") if name in sys.modules])
"""
    ran = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert ran.stdout == f"{[row[1] for row in WRONG]} []\n"


def test_help(rlctl):
    out = rlctl("export", "--help").out
    assert all(word in out for word in ("RUN@STEP", "--push OWNER/NAME", "--adapter", "--dtype TYPE"))
    assert max(map(len, out.splitlines())) <= 80
