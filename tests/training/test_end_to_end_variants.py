"""The same command in its other forms: adapters, KL, dropped groups, gates, chats, mixtures, objects."""

from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from small_runs import PROMPTS, read_rows, small_config, write_rows
from transformers import AutoModelForCausalLM, AutoTokenizer

import rlctl
from rlctl.config.load import config_from_dict
from rlctl.errors import ConfigError, DataError, UsageError
from rlctl.training.train import TrainedRun

PLACES = """
from collections import Counter


def points(completions, prompts, table=(0, 1, 2, 3), **columns):
    seen = Counter()
    values = []
    for prompt in map(str, prompts):
        values.append(table[seen[prompt] % len(table)])
        seen[prompt] += 1
    return values


def only_the_first_two(completions, prompts, **columns):
    last = prompts[-1]
    return [5.0 if prompts[i] == last else float(i % 4 > 1) for i in range(len(prompts))]


def flat_but_for_the_first(completions, prompts, **columns):
    return [float(i % 4) if prompts[i] == prompts[0] else 1.0 for i in range(len(prompts))]
"""


def places(folder: Path, name: str = "points", **more: Any) -> dict[str, Any]:
    (folder / "places.py").write_text(PLACES)
    return {
        "type": "python",
        "name": "points",
        "function": f"{folder}/places.py:{name}",
        "isolate": False,
        **more,
    }


def trained(config: dict[str, Any], **objects: Any) -> TrainedRun:
    return rlctl.train(config_from_dict(config), quiet=True, **objects)


def rows_of(run: Path, split: str = "train") -> list[dict[str, Any]]:
    return [row for row in read_rows(run / "logs/completions.jsonl") if row["split"] == split]


def metrics_of(run: Path) -> list[dict[str, Any]]:
    return [line for line in read_rows(run / "logs/metrics.jsonl") if "train/reward" in line]


@pytest.fixture(scope="module")
def adapter_run(tmp_path_factory: pytest.TempPathFactory, tiny_model_folder: Path) -> Path:
    folder = tmp_path_factory.mktemp("adapter")
    config = small_config(
        folder,
        tiny_model_folder,
        run={"name": "adapter"},
        model={"lora": {"r": 4, "alpha": 8}},
        rewards={"components": [places(folder)]},
        algorithm={"beta": 0.1},
        training={"learning_rate": 0.01, "gradient_checkpointing": True, "save_steps": 1},
    )
    return trained(config).path


def test_an_adapter_loads_with_peft(adapter_run: Path, tiny_model_folder: Path) -> None:
    base = AutoModelForCausalLM.from_pretrained(tiny_model_folder, dtype=torch.float32)
    ids = torch.tensor([[5, 9, 33, 70]])
    with torch.no_grad():
        before = base(ids).logits
        after = PeftModel.from_pretrained(base, adapter_run / "final")(ids).logits
    assert not torch.equal(before, after), "the adapter must have learnt something"
    tokenizer = AutoTokenizer.from_pretrained(adapter_run / "final")
    assert tokenizer("one").input_ids
    assert {path.name for path in (adapter_run / "checkpoints").iterdir()} == {"checkpoint-1", "checkpoint-2"}


def test_the_kl_divergence_starts_at_zero_and_grows(adapter_run: Path) -> None:
    first, second = (line["train/kl_div"] for line in metrics_of(adapter_run))
    assert first == pytest.approx(0.0, abs=1e-6)
    assert second > 1e-6


def test_a_run_goes_on_from_its_adapter(adapter_run: Path, tmp_path: Path) -> None:
    """With beta the reference is the adapter at its start; it is not saved beside the trained one."""
    config = small_config(
        tmp_path,
        adapter_run,
        rewards={"components": [places(tmp_path)]},
        algorithm={"beta": 0.1},
        training={"learning_rate": 0.01, "save_steps": 1},
    )
    run = trained(config).path
    assert metrics_of(run)[0]["train/kl_div"] == pytest.approx(0.0, abs=1e-6)
    assert not list(run.rglob("ref"))
    old = load_file(adapter_run / "final/adapter_model.safetensors")
    new = load_file(run / "final/adapter_model.safetensors")
    assert old.keys() == new.keys()
    assert any(not old[name].equal(new[name]) for name in old)


def test_a_checkpoint_can_be_named(
    adapter_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(adapter_run.parents[1])
    config = small_config(tmp_path, "runs/adapter@1", training={"max_steps": 1})
    assert trained(config).path.joinpath("final/adapter_model.safetensors").is_file()
    with pytest.raises(ConfigError, match="checkpoint-7: no such file or folder; did you mean 'checkpoint-"):
        config_from_dict(small_config(tmp_path, f"{adapter_run}@7"))


def test_gradient_checkpointing_changes_nothing_but_memory(tmp_path: Path, tiny_model_folder: Path) -> None:
    weights = []
    for name, on in (("on", True), ("off", False)):
        config = small_config(
            tmp_path,
            tiny_model_folder,
            run={"name": name},
            rewards={"components": [places(tmp_path)]},
            training={"gradient_checkpointing": on, "optim": "sgd", "learning_rate": 0.1},
        )
        weights.append(load_file(trained(config).path / "final/model.safetensors"))
    assert not all(
        a.equal(b)
        for a, b in zip(
            weights[0].values(), load_file(tiny_model_folder / "model.safetensors").values(), strict=True
        )
    )
    for name in weights[0]:
        torch.testing.assert_close(weights[0][name], weights[1][name], atol=1e-6, rtol=1e-5)


def test_dead_groups_are_dropped(tmp_path: Path, tiny_model_folder: Path) -> None:
    config = small_config(
        tmp_path,
        tiny_model_folder,
        rewards={"components": [places(tmp_path, "flat_but_for_the_first")]},
        algorithm={"dead_groups": "drop"},
        training={"max_steps": 1},
    )
    run = trained(config).path
    rows = rows_of(run)
    assert [row["advantage"] is None for row in rows] == [False] * 4 + [True] * 8
    expected = [(value - 1.5) / (stdev([0, 1, 2, 3]) + 1e-4) for value in (0, 1, 2, 3)]
    assert [row["advantage"] for row in rows[:4]] == pytest.approx(expected, abs=1e-5)
    assert metrics_of(run)[0]["train/dead_group_fraction"] == pytest.approx(2 / 3)


def test_every_group_dead_leaves_the_weights(tmp_path: Path, tiny_model_folder: Path) -> None:
    config = small_config(
        tmp_path,
        tiny_model_folder,
        rewards={"components": [places(tmp_path, args={"table": [1.0]})]},
        algorithm={"dead_groups": "drop"},
    )
    run = trained(config).path
    assert metrics_of(run)[0]["train/dead_group_fraction"] == 1.0
    assert_same_weights(run / "final", tiny_model_folder)


def assert_same_weights(one: Path, other: Path) -> None:
    weights = load_file(one / "model.safetensors"), load_file(other / "model.safetensors")
    assert all(weights[0][name].equal(weights[1][name]) for name in weights[0])


def test_normalize_then_sum_and_a_gate(tmp_path: Path, tiny_model_folder: Path) -> None:
    """Each part is standardised inside its group; 'extra' counts only where 'points' is at least 2."""
    points = places(tmp_path, args={"table": [0, 1, 2, 3]})
    extra = {
        **places(tmp_path, args={"table": [100, 300, 200, 600]}),
        "name": "extra",
        "gate": {"points": ">=2"},
    }
    config = small_config(
        tmp_path,
        tiny_model_folder,
        rewards={"aggregate": "normalize_then_sum", "components": [points, extra]},
        algorithm={"scale_rewards": "batch"},
        training={"max_steps": 1},
    )
    rows = rows_of(trained(config).path)
    first, second = [0.0, 1.0, 2.0, 3.0], [100.0, 300.0, 200.0, 600.0]
    a = [(x - fmean(first)) / (stdev(first) + 1e-4) for x in first]
    b = [(x - fmean(second)) / (stdev(second) + 1e-4) for x in second]
    expected = [a[0], a[1], a[2] + b[2], a[3] + b[3]]
    assert [row["total"] for row in rows] == pytest.approx(expected * 3, rel=1e-3)
    assert rows[1]["components"]["extra"]["raw"] == 300.0
    # GDPO (arXiv 2601.05242): the sums are standardised once more, over the batch
    everything = expected * 3
    advantages = [(x - fmean(everything)) / (stdev(everything) + 1e-4) for x in everything]
    assert [row["advantage"] for row in rows] == pytest.approx(advantages, abs=1e-3)


def test_gdpo_keeps_what_a_group_scale_would_erase(tmp_path: Path, tiny_model_folder: Path) -> None:
    """A group in which both parts vary counts for more than one in which a single part does."""
    both = {**places(tmp_path, args={"table": [0, 0, 1, 1]}), "name": "both"}
    one = {**places(tmp_path, "only_the_first_two"), "name": "one"}
    config = small_config(
        tmp_path,
        tiny_model_folder,
        rewards={"aggregate": "normalize_then_sum", "components": [both, one]},
        algorithm={"scale_rewards": "batch"},
        training={"max_steps": 1},
    )
    rows = rows_of(trained(config).path)
    part = 0.5 / (stdev([0.0, 0.0, 1.0, 1.0]) + 1e-4)
    sums = [-2 * part, -2 * part, 2 * part, 2 * part] * 2 + [-part, -part, part, part]
    expected = [x / (stdev(sums) + 1e-4) for x in sums]
    assert [row["advantage"] for row in rows] == pytest.approx(expected, abs=1e-3)
    assert abs(rows[0]["advantage"]) == pytest.approx(2 * abs(rows[8]["advantage"]), rel=1e-3)


def test_chats_with_a_system_prompt(tmp_path: Path, tiny_chat_model_folder: Path) -> None:
    rows = [
        {"messages": [{"role": "user", "content": f"Add {i} and {i}."}], "answer": str(2 * i)}
        for i in range(4)
    ]
    data = write_rows(tmp_path / "chats.jsonl", rows)
    config = small_config(
        tmp_path,
        tiny_chat_model_folder,
        data={"train": {"path": str(data)}, "columns": {"prompt": "messages"}, "system_prompt": "Be brief."},
        rewards={"components": [places(tmp_path), {"type": "math_answer"}], "max_failure_rate": 0},
    )
    logged = rows_of(trained(config).path)
    assert logged[0]["prompt"][0] == {"role": "system", "content": "Be brief."}
    assert logged[0]["prompt"][1]["role"] == "user"
    assert all(isinstance(row["completion"], str) for row in logged)
    assert {row["outcome"] for row in logged} <= {"scored", "invalid"}


def test_a_mixture_draws_by_weight(tmp_path: Path, tiny_model_folder: Path) -> None:
    sources = [
        {
            "path": str(
                write_rows(tmp_path / f"{name}.jsonl", [{"prompt": f"{name} {i}"} for i in range(40)])
            ),
            "weight": weight,
        }
        for name, weight in (("heavy", 3.0), ("light", 1.0))
    ]
    config = small_config(tmp_path, tiny_model_folder, training={"prompts_per_step": 8, "max_steps": 2})
    config["data"]["train"] = sources
    run = trained(config)
    used = {row["prompt"].split()[0] for row in rows_of(run.path)}
    assert used == {"heavy", "light"}
    log = (run.path / "logs/training_log.txt").read_text()
    assert "heavy.jsonl" in log


@pytest.mark.parametrize("beta", [0.0, 0.1])
def test_objects_in_place_of_sections(tmp_path: Path, tiny_model_folder: Path, beta: float) -> None:
    """The reference is the object as it was handed over, not the file that it once came from."""
    model = AutoModelForCausalLM.from_pretrained(tiny_model_folder, dtype=torch.float32)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.1)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    tokenizer = AutoTokenizer.from_pretrained(tiny_model_folder)
    config = small_config(
        tmp_path,
        "no/such-model",
        rewards={"components": [places(tmp_path)]},
        algorithm={"beta": beta},
        training={"learning_rate": 0.01, "gradient_checkpointing": beta > 0},
    )
    train = [{"prompt": text, "answer": "1"} for text in PROMPTS]
    run = trained(config, model=model, tokenizer=tokenizer, train_dataset=train, eval_dataset=train[:2])
    assert run.model is model
    assert any(not value.equal(before[name]) for name, value in model.state_dict().items())
    first, second = (line["train/kl_div"] for line in metrics_of(run.path))
    if beta:
        assert first == pytest.approx(0.0, abs=1e-6)
        assert second > 1e-6
    else:
        assert first is None
    assert run.summary["after"]["val/points"] == 0.0
    assert_same_weights(run.path / "final", saved(model, tmp_path))


def saved(model: Any, folder: Path) -> Path:
    model.save_pretrained(folder / "saved")
    return folder / "saved"


def test_a_new_model_that_was_never_saved(tmp_path: Path, tiny_model_folder: Path) -> None:
    config = AutoModelForCausalLM.from_pretrained(tiny_model_folder).config
    config._name_or_path = ""
    model = AutoModelForCausalLM.from_config(config)
    run = trained(
        small_config(tmp_path, tiny_model_folder, algorithm={"beta": 0.1}),
        model=model,
        tokenizer=AutoTokenizer.from_pretrained(tiny_model_folder),
    )
    assert metrics_of(run.path)[0]["train/kl_div"] == pytest.approx(0.0, abs=1e-6)


def test_objects_that_do_not_fit(tmp_path: Path, tiny_model_folder: Path) -> None:
    config = small_config(tmp_path, tiny_model_folder)
    model = AutoModelForCausalLM.from_pretrained(tiny_model_folder)
    with pytest.raises(UsageError, match="tokenizer"):
        trained(config, model=model)
    for rows, words in (([], "no rows"), (3, "list of rows"), ([{"question": "?"}], "prompt")):
        with pytest.raises(DataError, match=words):
            trained(config, train_dataset=rows)
    with pytest.raises(ConfigError, match="needs 3 different prompts"):
        trained(config, train_dataset=[{"prompt": "one"}])
    assert not (tmp_path / "runs").exists()
