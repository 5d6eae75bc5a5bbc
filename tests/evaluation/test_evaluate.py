"""Evaluations of real models: checkpoints by name, the same twice, scored again from what was kept."""

import json
from pathlib import Path
from typing import Any

import pytest

import rlctl
from rlctl.config.config import Config
from rlctl.config.load import config_from_dict
from rlctl.errors import CheckpointError, ConfigError, UsageError
from rlctl.evaluation.checkpoints import default_name, find_checkpoint, starts_from
from rlctl.evaluation.evaluate import evaluate
from rlctl.training.provenance import data_hashes
from rlctl.training.train import train

LIMIT = 12


def settings(folder: Path, **changes: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "run": {"name": "run", "output_dir": str(folder)},
        "model": {"path": "builtin:tiny-math", "device": "cpu"},
        "data": {
            "train": {"path": "builtin:arithmetic"},
            "eval": {"path": "builtin:arithmetic", "split": "test", "limit": LIMIT},
            "max_length": 32,
        },
        "rewards": {"components": [{"name": "correct", "type": "math_answer"}], "invalid_penalty": -2.0},
        "generation": {"max_completion_length": 8},
        "algorithm": {"type": "grpo", "num_generations": 4},
        "training": {
            "max_steps": 4,
            "prompts_per_step": 4,
            "learning_rate": 1.0e-2,
            "save_steps": 2,
            "eval_steps": None,
            "gradient_checkpointing": False,
        },
        "eval": {"num_samples": 3},
    }
    return {**base, **changes}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, Path]:
    """A config, and the folder of its run: four steps of LoRA."""
    folder = tmp_path_factory.mktemp("evaluate")
    data = settings(folder)
    data["model"]["lora"] = {"r": 4}
    config = config_from_dict(data)
    train(config, quiet=True)
    return config, folder / "run"


def test_a_run_against_the_base(run, tmp_path):
    config, folder = run
    names = [str(folder), f"{folder}@2"]
    found = evaluate(config, names, against=["base"], output=tmp_path / "out")
    document = found.as_dict()
    assert list(document["checkpoints"]) == [*names, "base"]
    assert (document["prompts"], document["samples_per_prompt"]) == (LIMIT, 3)
    assert [(one["a"], one["b"]) for one in document["comparisons"]] == [(one, "base") for one in names]
    assert document["comparison"] == document["comparisons"][0]
    rewards = {name: one["reward"]["mean"] for name, one in document["checkpoints"].items()}
    difference = document["comparison"]["difference"]
    assert difference == pytest.approx(rewards[names[0]] - rewards["base"])
    assert document["checkpoints"]["base"]["kl"]["mean"] == 0.0
    assert document["checkpoints"][names[0]]["kl"]["mean"] > 0.001
    # what is kept is all of it
    kept = json.loads((tmp_path / "out/results.json").read_text())
    assert {name: kept[name] for name in document} == document
    rows = [json.loads(line) for line in (tmp_path / "out/samples.jsonl").read_text().splitlines()]
    assert len(rows) == 3 * LIMIT * 4
    assert [row["checkpoint"] for row in rows[:: LIMIT * 4]] == [*names, "base"]
    first = [row["total"] for row in rows if row["checkpoint"] == names[0] and not row["greedy"]]
    assert rewards[names[0]] == pytest.approx(sum(first) / len(first))


def test_the_kl_of_an_adapter_is_that_of_its_merged_model(run, tmp_path):
    """Inside an adapter's model, or with the base beside it: the same figure."""
    from rlctl.models.export import export
    from rlctl.models.export_request import request

    config, folder = run
    merged = tmp_path / "merged"
    export(request(str(folder), str(merged), adapter=False, dtype=None, repository=None, private=False))
    found = evaluate(config, [str(folder), str(merged)], output=tmp_path / "out").as_dict()["checkpoints"]
    one, other = found[str(folder)], found[str(merged)]
    assert one["kl"]["mean"] == pytest.approx(other["kl"]["mean"], rel=1e-3)
    assert one["greedy"] == other["greedy"]


def test_the_same_twice_is_the_same_to_the_last_digit(run, tmp_path):
    config, folder = run
    first, second = (evaluate(config, [f"{folder}@2"], output=tmp_path / name) for name in "ab")
    assert {**first.as_dict(), "folder": ""} == {**second.as_dict(), "folder": ""}
    files = [tmp_path / name / "samples.jsonl" for name in "ab"]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_scoring_can_be_repeated_without_a_model(run, tmp_path, monkeypatch):
    config, folder = run
    done = evaluate(config, [str(folder)], against=["base"], output=tmp_path / "out")
    monkeypatch.setattr("rlctl.models.load.load_model", None)
    monkeypatch.setattr("rlctl.models.tokenizer.load_tokenizer", None)
    file = str(tmp_path / "out/samples.jsonl")
    again = evaluate(config, [str(folder)], against=["base"], completions=file, output=tmp_path / "again")
    before, after = done.as_dict(), again.as_dict()
    assert {**after, "folder": ""} == {**before, "folder": ""}
    assert (tmp_path / "again/samples.jsonl").read_bytes() == (tmp_path / "out/samples.jsonl").read_bytes()
    # with another reward: every completion gets its length in tokens, from the tokens that were kept
    data = settings(tmp_path, rewards={"components": [{"type": "length", "max": 99}]})
    lengths = evaluate(config_from_dict(data), [str(folder)], completions=file, output=tmp_path / "lengths")
    found = lengths.as_dict()["checkpoints"][str(folder)]
    assert (
        found["reward"]["mean"] == found["mean_tokens"] == before["checkpoints"][str(folder)]["mean_tokens"]
    )


def test_an_independent_measure_decides(run, tmp_path):
    folder = run[1]
    data = settings(tmp_path)
    data["eval"] |= {
        "rewards": {"components": [{"name": "tokens", "type": "length", "max": 99}]},
        "metric": "tokens",
    }
    found = evaluate(
        config_from_dict(data), [str(folder)], against=["base"], output=tmp_path / "out"
    ).as_dict()
    assert found["independent_rewards"]
    assert list(found["checkpoints"]["base"]["components"]) == ["tokens"]
    assert found["comparison"]["metric"] == "tokens"
    assert found["checkpoints"]["base"]["majority"] is None, "lengths are no answers"


def test_more_samples_and_no_kl(tmp_path):
    data = settings(tmp_path)
    data["eval"] |= {"kl": False}
    found = evaluate(config_from_dict(data), ["base"], num_samples=5, output=tmp_path / "out").as_dict()
    assert found["samples_per_prompt"] == 5
    assert list(found["checkpoints"]["base"]["pass_at"]) == ["1", "2", "3", "4", "5"]
    assert found["checkpoints"]["base"]["kl"] is None
    assert found["checkpoints"]["base"]["entropy"] is None


def test_greedy_is_greedy(run, tmp_path):
    """The greedy completions are those that the model itself finds most likely, one prompt at a time."""
    import torch

    from rlctl.models.load import load_model
    from rlctl.models.tokenizer import load_tokenizer

    config = run[0]
    evaluate(config, ["base"], output=tmp_path / "out")
    rows = [json.loads(line) for line in (tmp_path / "out/samples.jsonl").read_text().splitlines()]
    section = find_checkpoint("base", config).model
    model, tokenizer = load_model(section, gradient_checkpointing=False).model.eval(), load_tokenizer(section)
    for row in [row for row in rows if row["greedy"]][:5]:
        ids = tokenizer(row["prompt"], return_tensors="pt")["input_ids"]
        for expected in row["completion_ids"]:
            with torch.no_grad():
                token = model(ids).logits[0, -1].argmax()
            assert token.item() == expected
            ids = torch.cat([ids, token.reshape(1, 1)], dim=1)


def test_results_go_to_the_run_and_nothing_is_overwritten(run):
    config, folder = run
    first = evaluate(config, [str(folder)], num_samples=1)
    assert first.folder.parent == folder / "results"
    assert evaluate(config, [str(folder)], num_samples=1).folder == first.folder
    other = evaluate(config, [str(folder)], num_samples=2)
    assert other.folder != first.folder
    assert first.folder.is_dir()
    with pytest.raises(UsageError, match="nothing is overwritten"):
        evaluate(config, [str(folder)], num_samples=2, output=first.folder)
    with pytest.raises(UsageError, match="nothing is overwritten"):
        evaluate(config, [str(folder)], num_samples=2, output=folder)


def test_a_base_leaves_the_name_of_the_run_free(tmp_path):
    config = config_from_dict(settings(tmp_path))
    assert default_name(config) == "base"
    found = evaluate(config, num_samples=1)
    assert list(found.figures) == ["base"]
    assert not (tmp_path / "run").exists()


def test_names_that_are_wrong(run, tmp_path):
    config, folder = run
    with pytest.raises(CheckpointError, match="no checkpoint '3'"):
        find_checkpoint(f"{folder}@3", config)
    with pytest.raises(CheckpointError, match="no such folder"):
        find_checkpoint("./nowhere", config)
    with pytest.raises(UsageError, match="compared with itself"):
        evaluate(config, ["base"], against=["base"])
    with pytest.raises(CheckpointError, match="damaged"):
        broken(folder, config, tmp_path)


def broken(folder: Path, config: Config, place: Path) -> None:
    """Evaluate a checkpoint whose weights have lost their end."""
    import shutil

    copy = place / "broken"
    shutil.copytree(folder, copy)
    weights = copy / "checkpoints/checkpoint-2/adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    evaluate(config, [f"{copy}@2"])


def test_held_out_prompts_are_needed(tmp_path):
    data = settings(tmp_path)
    del data["data"]["eval"], data["eval"]
    with pytest.raises(ConfigError, match=r"data\.eval: missing"):
        evaluate(config_from_dict(data), ["base"])


def test_a_reward_test_is_run_before_a_model_is_loaded(tmp_path, monkeypatch):
    monkeypatch.setattr("rlctl.models.load.load_model", None)
    data = settings(tmp_path)
    data["rewards"]["tests"] = [{"row": {"answer": "7"}, "completion": "7", "expect": 0}]
    with pytest.raises(rlctl.errors.RewardError, match=r"expected 0\.0, got 1"):
        evaluate(config_from_dict(data), ["base"])


def test_weights_that_changed_under_the_same_name_are_another_evaluation(tmp_path):
    import shutil

    from rlctl.models.resolve import resolve

    model = tmp_path / "model"
    shutil.copytree(resolve("builtin:tiny-math"), model)
    config = config_from_dict(settings(tmp_path))
    first = evaluate(config, [str(model)], num_samples=1)
    assert evaluate(config, [str(model)], num_samples=1).folder == first.folder
    (model / "generation_config.json").write_text('{"eos_token_id": 257, "pad_token_id": 256}')
    assert evaluate(config, [str(model)], num_samples=1).folder != first.folder


def test_models_with_other_tokens_have_no_kl(tmp_path, tiny_model_folder):
    told: list[str] = []
    from rlctl.evaluation.audience import Audience

    config = config_from_dict(settings(tmp_path))
    found = evaluate(
        config, [str(tiny_model_folder)], output=tmp_path / "out", audience=Audience(told.append)
    )
    assert found.as_dict()["checkpoints"][str(tiny_model_folder)]["kl"] is None
    assert any("no KL, the base model has another tokenizer" in line for line in told)


def test_a_base_with_more_rows_than_tokens_has_no_kl(tmp_path):
    from rlctl.evaluation.audience import Audience
    from rlctl.models.load import load_model
    from rlctl.models.tokenizer import load_tokenizer

    told: list[str] = []
    config = config_from_dict(settings(tmp_path))
    section = find_checkpoint("base", config).model
    model = load_model(section, gradient_checkpointing=False).model
    model.resize_token_embeddings(320)
    model.save_pretrained(tmp_path / "padded")
    load_tokenizer(section).save_pretrained(tmp_path / "padded")
    found = evaluate(
        config, [str(tmp_path / "padded")], output=tmp_path / "out", audience=Audience(told.append)
    )
    assert found.as_dict()["checkpoints"][str(tmp_path / "padded")]["kl"] is None
    assert any("320 tokens in the vocabulary" in line for line in told)


def test_an_adapters_base_comes_in_its_revision(tmp_path):
    config = config_from_dict(
        settings(tmp_path, model={"path": "team/model", "revision": "abc123", "device": "cpu"})
    )
    for name, base, named in (
        ("same", "team/model", None),
        ("other", "team/other", None),
        ("own", "team/model", "v2"),
    ):
        (tmp_path / name).mkdir()
        described = {"base_model_name_or_path": base, "revision": named}
        (tmp_path / name / "adapter_config.json").write_text(json.dumps(described))
    found = {name: find_checkpoint(str(tmp_path / name), config) for name in ("same", "other", "own")}
    assert {name: one.model.revision for name, one in found.items()} == {
        "same": "abc123",
        "other": None,
        "own": "v2",
    }
    inside = {name: starts_from(one, config.model) for name, one in found.items()}
    assert inside == {"same": True, "other": False, "own": False}


def test_what_cannot_be_written_is_found_before_a_model_is_loaded(tmp_path, monkeypatch):
    monkeypatch.setattr("rlctl.evaluation.policies.load_model", None)
    with pytest.raises(UsageError, match="could not be written"):
        evaluate(config_from_dict(settings(tmp_path)), ["base"], output="/proc/nowhere")


def test_one_model_at_a_time_beside_the_base(run, tmp_path, monkeypatch):
    import weakref

    from rlctl.evaluation import policies

    loaded: list[Any] = []
    alive: list[int] = []

    def load(*arguments: Any, **options: Any) -> Any:
        alive.append(sum(one() is not None for one in loaded))
        found = real(*arguments, **options)
        loaded.append(weakref.ref(found.model))
        return found

    real = policies.load_model
    monkeypatch.setattr(policies, "load_model", load)
    _, folder = run
    merged = config_from_dict(settings(tmp_path))  # without LoRA, so the base is not known to be inside
    evaluate(merged, ["builtin:tiny-math", str(folder), "base"], num_samples=1, output=tmp_path / "out")
    # the model, the base beside it; then the adapter, whose base is the same; the base is there already
    assert alive == [0, 1, 1]


def test_completions_of_others_do_not_keep_two_from_being_compared(tmp_path):
    """Twenty prompts with completions of `a` and `b`, and twenty others that only `c` has."""
    rows = [
        {"prompt": f"{i}+{of}=", "answer": str(i + of), "completion": text, "checkpoint": name}
        for i in range(20)
        for name, of, text in (("a", 1, str(i + 1)), ("b", 1, "no"), ("c", 2, "1"))
    ]
    file = tmp_path / "three.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = config_from_dict(settings(tmp_path))
    found = evaluate(config, ["a"], against=["b"], completions=str(file), output=tmp_path / "out").as_dict()
    assert (found["prompts"], found["comparison"]["verdict"]) == (20, "better")
    assert (found["comparison"]["left_out"], found["comparison"]["one_sided"]) == (0.0, 0)


def test_equal_held_out_prompts_stay_apart_in_the_log_of_a_run(tmp_path):
    """Three rows, two of them equal: the log of the run gives the figures that the run has logged."""
    rows = [{"prompt": f"{a}+{a}=", "answer": str(2 * a)} for a in (1, 2, 1)]
    (tmp_path / "equal.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = settings(tmp_path)
    data["data"]["eval"] = {"path": str(tmp_path / "equal.jsonl")}
    data["training"] |= {"max_steps": 1, "save_steps": None}
    config = config_from_dict(data)
    train(config, quiet=True)
    logs = tmp_path / "run/logs"
    again = evaluate(config, completions=str(logs / "completions.jsonl"), output=tmp_path / "out")
    assert [len(group.prompts) for group in again.figures.values()] == [3, 3]
    logged = json.loads((logs / "eval_results.json").read_text())["after"]
    assert again.figures["step-1"].mean("reward") == pytest.approx(logged["val/reward"])
    assert again.figures["step-1"].mean("pass_at_3") == pytest.approx(logged["val/pass_at_3"])
    assert again.figures["step-1"].samples_per_prompt == 3


def test_a_dataset_folder_that_changed_is_another_evaluation(tmp_path):
    import shutil

    from datasets import Dataset

    def save(name: str, **columns: str) -> Path:
        shutil.rmtree(tmp_path / name, ignore_errors=True)
        rows = [{"prompt": f"{i}+1=", **columns} for i in (1, 2)]
        Dataset.from_list(rows).save_to_disk(str(tmp_path / name))
        return tmp_path / name

    data = settings(tmp_path)
    data["data"]["eval"] = {"path": str(save("held_out", answer="2"))}
    config = config_from_dict(data)

    def scored() -> Path:
        return evaluate(config, completions=str(tmp_path / "completed")).folder

    save("completed", answer="2", completion="2")
    first = scored()
    (tmp_path / "completed/cache-1f.arrow").write_text("what `map` leaves")
    assert scored() == first
    save("completed", answer="2", completion="3")
    second = scored()
    save("held_out", answer="3")
    assert len({first, second, scored()}) == 3
    assert set(data_hashes(config)) >= {str(tmp_path / "held_out/dataset_info.json")}
