"""Every config that ships is valid, and trains two steps; GSM8K's with the real problems and answers."""

import json
import shutil
from pathlib import Path

import pytest
from models_for_tests import training_text

from rlctl.cli.app import run as command
from rlctl.config.load import load_config
from rlctl.rewards.batch import Batch
from rlctl.rewards.compose import Scorer

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
SHIPPED = sorted(CONFIGS.glob("*.yaml"))
SHORT = [
    "training.max_steps=2",
    "training.prompts_per_step=2",
    "training.warmup_steps=0",
    "algorithm.num_generations=4",
]


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_it_is_valid(file: Path, capsys: pytest.CaptureFixture) -> None:
    assert command(["check", str(file)]) == 0
    assert capsys.readouterr().out.startswith(f"{file} is valid")
    assert load_config(file).rewards.tests, "a shipped config shows how to test a reward"


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_its_header_names_its_own_command(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert f"rlctl train configs/{file.name}" in text
    assert text.startswith("# yaml-language-server: $schema=../rlctl.schema.json")


def problems(folder: Path, count: int) -> Path:
    """Problems in the format of GSM8K."""
    rows = []
    for text in training_text()[:count]:
        question, _, answer = text.partition("\n")
        rows.append({"question": question, "answer": answer})
    file = folder / "problems.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_it_trains(
    file: Path, tmp_path: Path, tiny_chat_model_folder: Path, capsys: pytest.CaptureFixture
) -> None:
    settings = [*SHORT, "data.eval.limit=2"]
    if file.stem == "gsm8k_grpo":
        local = problems(tmp_path, 20)
        settings = [*SHORT, f"model.path={tiny_chat_model_folder}"]
        settings += [f"data.train={{path: {local}}}", f"data.eval={{path: {local}, limit: 2}}"]
        settings += ["training.per_device_train_batch_size=8", "generation.max_completion_length=16"]
    assert train(file, tmp_path, settings) == 0, capsys.readouterr().err
    run = tmp_path / load_config(file).run.name
    assert json.loads((run / "run.json").read_text())["status"] == "done"
    steps = [json.loads(line)["step"] for line in (run / "logs/metrics.jsonl").read_text().splitlines()]
    assert steps == [0, 1, 2, 2]


def train(file: Path, out: Path, settings: list[str]) -> int:
    flags = [flag for setting in settings for flag in ("--set", setting)]
    return command(["train", str(file), "--quiet", "--output-dir", str(out), *flags])


def test_own_reward_moves_with_its_file(tmp_path: Path) -> None:
    for name in ("own_reward.yaml", "own_reward.py"):
        shutil.copy(CONFIGS / name, tmp_path / name)
    assert command(["check", str(tmp_path / "own_reward.yaml"), "--quiet"]) == 0
    (tmp_path / "own_reward.py").unlink()
    assert command(["check", str(tmp_path / "own_reward.yaml"), "--quiet"]) == 3


@pytest.fixture(scope="module")
def gsm8k_run(
    tmp_path_factory: pytest.TempPathFactory, tiny_chat_model_folder: Path, gsm8k_folder: Path
) -> Path:
    """Two steps of configs/gsm8k_grpo.yaml on the real files; only the model and sizes are others."""
    out = tmp_path_factory.mktemp("gsm8k")
    settings = [
        *SHORT,
        f"model.path={tiny_chat_model_folder}",
        f"data.train={{path: {gsm8k_folder}/train.jsonl.gz}}",
        f"data.eval={{path: {gsm8k_folder}/test.jsonl, limit: 4}}",
        "training.prompts_per_step=4",
        "generation.max_completion_length=24",
        "rewards.max_failure_rate=0",
    ]
    assert train(CONFIGS / "gsm8k_grpo.yaml", out, settings) == 0
    return out / "gsm8k-grpo"


def real_rows(folder: Path) -> dict[str, str]:
    """Question → answer, of both files."""
    from rlctl.config.data import Source
    from rlctl.data.sources import read_source

    rows: dict[str, str] = {}
    for name in ("train.jsonl.gz", "test.jsonl"):
        part = read_source(Source(path=str(folder / name)))
        rows |= dict(zip(part["question"][:], part["answer"][:], strict=True))
    return rows


def test_gsm8k_is_scored_against_the_real_answers(gsm8k_run: Path, gsm8k_folder: Path) -> None:
    """Every logged completion, scored anew with the gold answer of its question, has the total of the log."""
    golds = real_rows(gsm8k_folder)
    assert len(golds) == 7473 + 1319
    logged = [json.loads(line) for line in (gsm8k_run / "logs/completions.jsonl").read_text().splitlines()]
    assert len([row for row in logged if row["split"] == "train"]) == 2 * 4 * 4
    questions = [row["prompt"][-1]["content"] for row in logged]
    rewards = load_config(CONFIGS / "gsm8k_grpo.yaml").rewards
    with Scorer(rewards) as scorer:
        columns = {"answer": [golds[question] for question in questions]}
        scored = scorer.score(Batch(questions, [row["completion"] for row in logged], columns))
    assert [row["total"] for row in logged] == scored.totals
    assert {row["outcome"] for row in logged} == {"scored", "invalid"}


def test_gsm8k_would_reward_the_right_number(gsm8k_run: Path, gsm8k_folder: Path) -> None:
    """The first training question of the log: its own solution scores 1.1, another number only its form."""
    golds = real_rows(gsm8k_folder)
    first = next(json.loads(line) for line in (gsm8k_run / "logs/completions.jsonl").read_text().splitlines())
    gold = golds[first["prompt"][-1]["content"]]
    number = gold.rpartition("#### ")[2]
    wrong = str(int(number.replace(",", "")) + 1)
    texts = [gold, f"It is {number}.", f"#### {wrong}", "no idea"]
    with Scorer(load_config(CONFIGS / "gsm8k_grpo.yaml").rewards) as scorer:
        totals = scorer.score(Batch([""] * 4, texts, {"answer": [gold] * 4})).totals
    assert totals == pytest.approx([1.1, 1.0, 0.1, -0.5])


def test_gsm8k_report(gsm8k_run: Path) -> None:
    record = json.loads((gsm8k_run / "run.json").read_text())
    assert record["data"]["train"]["rows"] + record["data"]["train"]["dropped_overlong"] == 7473
    assert record["data"]["eval"]["overlap_with_training"] == 0
    assert (gsm8k_run / "final/adapter_model.safetensors").is_file()
