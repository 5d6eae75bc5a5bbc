"""Benchmarks with the real lm-evaluation-harness, on tasks made here, against counts of our own.

Tested where the harness is installed: `pip install -c constraints.txt -e '.[lm-eval]'`.
"""

import json
import logging
import random
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

from rlctl.config.algorithm import Generation
from rlctl.config.evaluation import LmEval
from rlctl.config.model import Model
from rlctl.errors import ConfigError, DataError, MissingError, Stopped, TrainingError
from rlctl.evaluation.audience import Audience
from rlctl.evaluation.benchmarks import Benchmarks, benchmark_results, compare_benchmarks
from rlctl.evaluation.lm_eval import Suite, load_suite, run_benchmarks
from rlctl.generation.local import generate
from rlctl.models.load import load_model
from rlctl.models.tokenizer import load_tokenizer

installed = pytest.mark.skipif(find_spec("lm_eval") is None, reason="lm_eval is not installed")

SUMS = [(a, b) for a in (3, 6, 8) for b in (1, 2, 5, 7)]
SHARED = "dataset_path: json\ntest_split: test\ntarget_delimiter: ''\n"
TASKS = {
    "sums.yaml": """
task: own_sums
tag: own_tag
output_type: generate_until
fewshot_split: test
doc_to_text: "{{question}}"
doc_to_target: "{{answer}}"
generation_kwargs: {until: ["\\n"], max_gen_toks: 6, do_sample: false}
metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]
metadata: {version: 1.5}
""",
    "choices.yaml": """
task: own_choices
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_choice: "{{choices}}"
doc_to_target: label
num_fewshot: 0
metadata: {version: 2}
""",
    "spread.yaml": """
task: own_spread
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_choice: "{{choices}}"
doc_to_target: label
metric_list: [{metric: brier_score, aggregation: brier_score, higher_is_better: false}]
""",
    "code.yaml": """
task: own_code
output_type: generate_until
unsafe_code: true
doc_to_text: "{{question}}"
doc_to_target: "{{answer}}"
""",
    "long.yaml": """
task: own_long
output_type: generate_until
doc_to_text: "{{question}}"
doc_to_target: "{{answer}}"
generation_kwargs: {max_gen_toks: 600}
""",
}
GROUP = """
group: own_group
task: [own_choices, own_more]
aggregate_metric_list: [{metric: acc, aggregation: mean, weight_by_size: true}]
metadata: {version: 3}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with tasks and their data."""
    folder = tmp_path_factory.mktemp("tasks")
    rows = [
        {
            "question": f"{a}+{b}=",
            "answer": str(a + b),
            "choices": [str(a + b), str(a + b + 1), str(10 * a + b)],
            "label": 0,
        }
        for a, b in SUMS
    ]
    (folder / "sums.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    # the first wrong answer counts as right here, so that not all are right
    more = [{**row, "label": i % 2} for i, row in enumerate(rows[:5])]
    (folder / "more.jsonl").write_text("".join(json.dumps(row) + "\n" for row in more))
    for name, text in TASKS.items():
        data = "more" if name == "spread.yaml" else "sums"
        source = f"dataset_kwargs: {{data_files: {{test: {folder}/{data}.jsonl}}}}\n"
        (folder / name).write_text(SHARED + source + text)
    choices = (folder / "choices.yaml").read_text().replace("own_choices", "own_more")
    (folder / "more.yaml").write_text(choices.replace("sums.jsonl", "more.jsonl"))
    (folder / "group.yaml").write_text(GROUP)
    (folder / "broken.yaml").write_text("task: own_broken\noutput_type: [\n")
    return folder


@pytest.fixture
def few_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the tasks of the folder: to read the 14,000 files of the harness takes seconds."""
    from lm_eval.tasks import TaskManager

    start = TaskManager.__init__

    def own_only(self: Any, *args: Any, **options: Any) -> None:
        start(self, *args, **{**options, "include_defaults": False})

    monkeypatch.setattr(TaskManager, "__init__", own_only)


def suite_of(folder: Path, *tasks: str, **settings: Any) -> Suite:
    """Tasks of the folder."""
    return load_suite(LmEval(tasks=list(tasks), include_path=str(folder), **settings))


@pytest.fixture(scope="module")
def tiny() -> tuple[Any, Any]:
    """The built-in model and its tokenizer."""
    section = Model(path="builtin:tiny-math")
    return load_model(section, gradient_checkpointing=False).model, load_tokenizer(section)


def run(suite: Suite, tiny: tuple[Any, Any], **options: Any) -> Benchmarks:
    """Run it on the built-in model."""
    return run_benchmarks(suite, "base", *tiny, **options)


def log_probability(model: Any, tokenizer: Any, prompt: str, continuation: str) -> float:
    """log p(continuation | prompt), worked out token by token from the logits."""
    start, end = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in (prompt, continuation))
    with torch.no_grad():
        logits = model.eval()(torch.tensor([start + end])).logits[0].double()
    total = 0.0
    for i, token in enumerate(end):
        row = logits[len(start) + i - 1]
        total += float(row[token] - row.exp().sum().log())
    return total


@installed
@pytest.mark.usefixtures("few_tasks")
def test_generation_is_what_our_own_greedy_completion_gives(folder: Path, tiny: tuple[Any, Any]) -> None:
    found = run(suite_of(folder, "own_sums", batch_size=5), tiny)
    model, tokenizer = tiny
    prompts = [f"{a}+{b}=" for a, b in SUMS]
    ours = generate(model, tokenizer, prompts, Generation(max_completion_length=6), greedy=True)
    texts = [one.text.split("\n")[0] for (one,) in ours]
    assert [sample["responses"][0][0] for sample in found.samples] == texts
    right = [text == str(a + b) for text, (a, b) in zip(texts, SUMS, strict=True)]
    assert 0 < sum(right) < 12
    score = found.scores["own_sums"]["exact_match"]
    assert (score.value, score.n, score.higher_is_better) == (sum(right) / 12, 12, True)
    assert list(score.documents.values()) == right
    share = sum(right) / 12
    assert score.stderr == pytest.approx((share * (1 - share) / 11) ** 0.5)  # sd with n − 1, over √n
    assert found.samples[0]["target"] == "4"
    assert found.samples[0]["requests"][0][0] == "3+1="
    assert found.samples[0]["scores"] == {"exact_match": float(right[0])}


@installed
@pytest.mark.usefixtures("few_tasks")
def test_log_likelihoods_are_those_of_the_logits(folder: Path, tiny: tuple[Any, Any]) -> None:
    found = run(suite_of(folder, "own_more"), tiny)
    model, tokenizer = tiny
    labels = [0, 1, 0, 1, 0]
    right = []
    for sample, (a, b), label in zip(found.samples, SUMS[:5], labels, strict=True):
        choices = [str(a + b), str(a + b + 1), str(10 * a + b)]
        ours = [log_probability(model, tokenizer, f"{a}+{b}=", choice) for choice in choices]
        theirs = [response[0][0] for response in sample["responses"]]
        assert theirs == pytest.approx(ours, abs=1e-4)
        right.append(ours.index(max(ours)) == label)
    assert found.scores["own_more"]["acc"].value == pytest.approx(sum(right) / 5)
    assert list(found.scores["own_more"]["acc"].documents.values()) == right


@installed
@pytest.mark.usefixtures("few_tasks")
def test_a_group_is_the_mean_over_its_documents(folder: Path, tiny: tuple[Any, Any]) -> None:
    found = run(suite_of(folder, "own_group"), tiny)
    parts = [found.scores[task]["acc"] for task in ("own_choices", "own_more")]
    group = found.scores["own_group"]["acc"]
    assert group.n == len(group.documents) == 17
    assert group.value == pytest.approx((12 * parts[0].value + 5 * parts[1].value) / 17)
    assert found.settings["tasks"]["own_group"]["version"] == "3"


@installed
@pytest.mark.usefixtures("few_tasks")
def test_what_is_no_mean_over_documents_has_no_values_of_documents(
    folder: Path, tiny: tuple[Any, Any]
) -> None:
    found = run(suite_of(folder, "own_spread"), tiny)
    score = found.scores["own_spread"]["brier_score"]
    assert (score.documents, score.stderr, score.n, score.higher_is_better) == ({}, None, 5, False)
    assert compare_benchmarks(found, found) == []


@installed
@pytest.mark.usefixtures("few_tasks")
def test_the_same_twice_and_nothing_left_behind(
    folder: Path, tiny: tuple[Any, Any], capfd: pytest.CaptureFixture
) -> None:
    suite = suite_of(folder, "own_sums", "own_choices", num_fewshot=2, limit=7)
    model, tokenizer = tiny
    model.train()
    random.seed(7)
    torch.manual_seed(7)
    logger, padding = logging.getLogger("lm_eval"), tokenizer.padding_side
    former = (logger.handlers, logger.level, logger.propagate)
    first = run(suite, tiny)
    drawn = random.random(), float(torch.rand(()))
    random.seed(7)
    torch.manual_seed(7)
    assert drawn == (random.random(), float(torch.rand(())))
    assert model.training
    assert tokenizer.padding_side == padding
    assert (logger.handlers, logger.level, logger.propagate) == former
    second = run(suite, tiny)
    third = run(suite_of(folder, "own_sums", "own_choices", num_fewshot=2, limit=7), tiny)
    texts = [
        json.dumps([benchmark_results({"base": one}), one.samples], allow_nan=False)
        for one in (first, second, third)
    ]
    assert texts[0] == texts[1] == texts[2]
    assert str(folder) not in texts[0]
    assert capfd.readouterr() == ("", "")


@installed
@pytest.mark.usefixtures("few_tasks")
def test_settings_are_heeded_and_recorded(folder: Path, tiny: tuple[Any, Any]) -> None:
    found = run(suite_of(folder, "own_tag", "own_choices", num_fewshot=2, limit=7), tiny)
    prompt = found.samples[0]["requests"][0][0]
    assert prompt.endswith("\n\n3+1=")
    assert prompt.count("=") == 3  # two examples, and the question
    assert found.settings["tasks"] == {
        "own_sums": {"version": 1.5, "num_fewshot": 2, "documents": 7, "of": 12, "own": True},
        "own_choices": {"version": 2, "num_fewshot": 0, "documents": 7, "of": 12, "own": True},
    }
    assert found.settings["seeds"] == {"random": 0, "numpy": 1234, "torch": 1234, "fewshot": 1234}
    assert (found.settings["limit"], found.settings["chat_template"]) == (7, False)
    from importlib.metadata import version

    assert found.settings["lm_eval_version"] == version("lm_eval")


@installed
@pytest.mark.usefixtures("few_tasks")
def test_the_chat_template(folder: Path, tiny_chat_model_folder: Path, tiny: tuple[Any, Any]) -> None:
    section = Model(path=str(tiny_chat_model_folder))
    chat = load_model(section, gradient_checkpointing=False).model, load_tokenizer(section)
    suite = suite_of(folder, "own_choices", limit=2)
    found = run(suite, chat)
    assert found.samples[0]["requests"][0][0] == ("<|im_start|>user\n3+1=<|im_end|>\n<|im_start|>assistant\n")
    assert found.settings["chat_template"] is True
    plain = run(suite, chat, chat_template="never")
    assert plain.samples[0]["requests"][0][0] == "3+1="
    assert plain.settings["chat_template"] is False
    with pytest.raises(DataError, match="no chat template"):
        run(suite, tiny, chat_template="always")


@installed
@pytest.mark.usefixtures("few_tasks")
def test_a_model_against_a_changed_one(folder: Path, tiny: tuple[Any, Any]) -> None:
    suite = suite_of(folder, "own_group")
    base = run(suite, tiny)
    section = Model(path="builtin:tiny-math")
    changed = load_model(section, gradient_checkpointing=False).model
    with torch.no_grad():
        for weight in changed.parameters():
            weight.zero_()
    other = run_benchmarks(suite, "zero", changed, tiny[1])
    found = {(one["task"], one["metric"]): one for one in compare_benchmarks(base, other)}
    for task, documents in (("own_choices", 12), ("own_more", 5), ("own_group", 17)):
        difference = base.scores[task]["acc"].value - other.scores[task]["acc"].value
        assert found[task, "acc"]["difference"] == pytest.approx(difference)
        assert found[task, "acc"]["prompts"] == documents


@installed
@pytest.mark.usefixtures("few_tasks")
def test_progress_and_a_stop(folder: Path, tiny: tuple[Any, Any]) -> None:
    suite = suite_of(folder, "own_choices")
    told: list[tuple[str, int, int]] = []
    run(suite, tiny, audience=Audience(progress=lambda *what: told.append(what)))
    assert told[-1] == ("base: benchmarks", 36, 36)

    def poll() -> None:
        raise Stopped("stopped")

    with pytest.raises(Stopped):
        run(suite, tiny, audience=Audience(poll=poll))


@installed
@pytest.mark.usefixtures("few_tasks")
def test_prompts_that_are_cut_are_told(folder: Path, tiny: tuple[Any, Any]) -> None:
    long = "1+1=2 " * 100
    rows = [{"question": long, "choices": ["1", "2"], "label": 1} for _ in range(2)]
    (folder / "cut.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    text = (folder / "choices.yaml").read_text().replace("own_choices", "own_cut")
    (folder / "cut.yaml").write_text(text.replace("sums.jsonl", "cut.jsonl"))
    told: list[str] = []
    found = run(suite_of(folder, "own_cut"), tiny, audience=Audience(tell=told.append))
    (line,) = found.settings["warnings"]
    assert "exceeds model's maximum length (512)" in line
    assert told == [f"base: lm-eval: {line}"]


@installed
@pytest.mark.usefixtures("few_tasks")
def test_unknown_tasks_are_all_told_with_the_file_that_was_left_out(folder: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        suite_of(folder, "own_sumz", "own_sums", "own_broken", "zzz_*")
    text = caught.value.render()
    assert "eval.lm_eval.tasks[0]: no task, group or tag 'own_sumz'; did you mean 'own_sums'?" in text
    assert "eval.lm_eval.tasks[2]: no task, group or tag 'own_broken'" in text
    assert "eval.lm_eval.tasks[3]" in text
    assert f"eval.lm_eval.include_path: left out: {folder}/broken.yaml (" in text
    assert caught.value.exit_code == 2


@installed
@pytest.mark.usefixtures("few_tasks")
def test_programs_of_the_model_run_only_where_that_is_allowed(
    folder: Path, tiny: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_ALLOW_CODE_EVAL", raising=False)
    with pytest.raises(ConfigError, match="own_code: runs programs that the model writes") as caught:
        suite_of(folder, "own_c*")
    assert "HF_ALLOW_CODE_EVAL=1" in caught.value.render()
    monkeypatch.setenv("HF_ALLOW_CODE_EVAL", "1")
    assert run(suite_of(folder, "own_code", limit=1), tiny).scores["own_code"]["exact_match"].n == 1


@installed
@pytest.mark.usefixtures("few_tasks")
def test_data_out_of_reach_and_a_package_that_lacks(folder: Path) -> None:
    text = (folder / "choices.yaml").read_text().replace("own_choices", "own_far")
    away = text.replace("dataset_path: json", "dataset_path: nobody/nothing")
    (folder / "far.yaml").write_text(
        "\n".join(line for line in away.splitlines() if "data_files" not in line)
    )
    with pytest.raises(DataError) as caught:
        suite_of(folder, "own_far")
    assert "nobody/nothing" in caught.value.render()
    assert "is not in the cache of this machine" in caught.value.render()
    (folder / "functions.py").write_text("import no_such_package\n\ndef one(rows):\n    return rows\n")
    needs = text.replace("own_far", "own_needs") + "process_docs: !function functions.one\n"
    (folder / "needs.yaml").write_text(needs)
    with pytest.raises(MissingError, match="no_such_package") as missing:
        suite_of(folder, "own_needs")
    assert "pip install no_such_package" in missing.value.render()


@installed
@pytest.mark.usefixtures("few_tasks")
def test_what_a_model_cannot_do(folder: Path, tiny: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r"max tokens to generate \(600\) must be less than model's"):
        run(suite_of(folder, "own_long"), tiny)

    def no_memory(*args: Any, **options: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    suite = suite_of(folder, "own_sums")
    monkeypatch.setattr(tiny[0], "generate", no_memory)
    with pytest.raises(TrainingError, match="out of memory") as caught:
        run(suite, tiny)
    assert "lower `eval.lm_eval.batch_size` (now 8)" in caught.value.render()


@installed
@pytest.mark.full
def test_the_names_of_the_harness_are_known() -> None:
    with pytest.raises(ConfigError) as caught:
        load_suite(LmEval(tasks=["gsm8k", "mmlu", "arc_esy", "humaneval_*"]))
    assert "no task, group or tag 'arc_esy'; did you mean 'arc_easy'?" in caught.value.render()
    assert len(caught.value.problems) == 1
    with pytest.raises(ConfigError, match="humaneval: runs programs that the model writes"):
        load_suite(LmEval(tasks=["humaneval"]))
    with pytest.raises(DataError, match="openai/gsm8k"):
        load_suite(LmEval(tasks=["gsm8k"]))


def test_without_the_harness(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rlctl.evaluation.lm_eval.find_spec", lambda name: None)
    with pytest.raises(MissingError) as caught:
        load_suite(LmEval(tasks=["gsm8k"]))
    assert "pip install 'rlctl[lm-eval]'" in caught.value.render()
    assert caught.value.exit_code == 4


@pytest.fixture(autouse=True)
def _own_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What `datasets` makes of the files goes to a folder of the test's own."""
    if find_spec("lm_eval") is not None:
        monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "datasets")
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith(("lm_eval.tasks.own", "functions")):
            del sys.modules[name]
