"""Exports: loaded by transformers alone, they say what the run's model says; if not, nothing is written."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from run_folders import PROMPTS, write_lines, write_run
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from rlctl.errors import CheckpointError, MissingError, UsageError
from rlctl.generation.local import Completion
from rlctl.models import export as export_module
from rlctl.models.export import Exported, export
from rlctl.models.export_check import verify
from rlctl.models.export_request import request
from rlctl.models.public_files import name_paths_in_public
from rlctl.models.trained import find_run

LORA = {"r": 4, "alpha": 8}


def exported(run: Path | str, **options: Any) -> tuple[Path, Exported]:
    asked = request(str(run), **options)
    return asked.folder, export(asked)


def continuations(model: Any, tokenizer: Any) -> list[list[int]]:
    """Twelve greedy tokens after each prompt, one prompt at a time, by transformers alone."""
    found = []
    for prompt in PROMPTS:
        inputs = tokenizer(prompt, return_tensors="pt")
        found.append(model.generate(**inputs, max_new_tokens=12, do_sample=False)[0].tolist())
    return found


def unmerged(run: Path, base: Path | str) -> Any:
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    return peft.PeftModel.from_pretrained(model, run / "final").eval()


def loaded(folder: Path) -> tuple[Any, Any]:
    return AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)


def texts(folder: Path) -> str:
    return "\n".join(file.read_text() for file in folder.iterdir() if file.suffix in (".json", ".md"))


def test_a_model_trained_in_full_is_copied_bit_by_bit(tmp_path: Path, tiny_model_folder: Path) -> None:
    run = write_run(tmp_path, {"path": str(tiny_model_folder)})
    folder, done = exported(run)
    assert folder == run / "export"
    before, after = (load_file(place / "model.safetensors") for place in (run / "final", folder))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert (done.dtype, done.verified.prompts, done.verified.same, done.verified.ties) == ("float32", 6, 6, 0)
    assert {"README.md", "config.json", "generation_config.json", "model.safetensors"} < set(done.files)
    assert sorted(path.name for path in folder.iterdir()) == done.files
    assert done.bytes == sum(path.stat().st_size for path in folder.iterdir())
    assert str(tmp_path) not in texts(folder)
    model, tokenizer = loaded(folder)
    run_model = AutoModelForCausalLM.from_pretrained(run / "final")
    assert continuations(model, tokenizer) == continuations(run_model, tokenizer)


@pytest.mark.parametrize(
    ("lora", "tied"),
    [
        ({}, True),
        ({"modules_to_save": ["embed_tokens"]}, True),
        ({"modules_to_save": ["lm_head", "norm"], "use_rslora": True}, True),
        ({"target_modules": ["lm_head", "q_proj"]}, False),
        ({"target_modules": ["embed_tokens"]}, False),
    ],
    ids=str,
)
def test_an_adapter_is_merged(tmp_path: Path, tiny_model_folder: Path, lora: Any, tied: bool) -> None:
    """The base ties input and output embeddings; an adapter on one of them alone parts the two."""
    run = write_run(tmp_path, {"path": str(tiny_model_folder), "lora": {**LORA, **lora}})
    folder, done = exported(run)
    assert (done.verified.same, done.verified.prompts) == (6, 6)
    model, tokenizer = loaded(folder)
    assert model.config.tie_word_embeddings is tied
    reference = unmerged(run, tiny_model_folder)
    ids = torch.arange(40).reshape(2, 20)
    with torch.no_grad():
        torch.testing.assert_close(
            model(input_ids=ids).logits, reference(input_ids=ids).logits, atol=1e-4, rtol=1e-4
        )
    assert continuations(model, tokenizer) == continuations(reference, tokenizer)
    assert str(tiny_model_folder) not in texts(folder)


@pytest.fixture
def half_base(tmp_path: Path, tiny_model_folder: Path) -> Path:
    AutoModelForCausalLM.from_pretrained(tiny_model_folder, dtype=torch.bfloat16).save_pretrained(
        tmp_path / "half"
    )
    AutoTokenizer.from_pretrained(tiny_model_folder).save_pretrained(tmp_path / "half")
    return tmp_path / "half"


def test_merged_weights_have_the_type_of_the_base(tmp_path: Path, half_base: Path) -> None:
    run = write_run(tmp_path, {"path": str(half_base), "lora": LORA})
    folder, done = exported(run)
    assert done.dtype == "bfloat16"
    name = "model.layers.0.self_attn.q_proj"
    base = load_file(half_base / "model.safetensors")[f"{name}.weight"].float()
    adapter = load_file(run / "final/adapter_model.safetensors")
    a, b = (adapter[f"base_model.model.{name}.lora_{letter}.weight"].float() for letter in "AB")
    # W + alpha / r · B · A in float32, then rounded once
    assert torch.equal(
        load_file(folder / "model.safetensors")[f"{name}.weight"], (base + 8 / 4 * b @ a).bfloat16()
    )
    assert json.loads((folder / "config.json").read_text())["dtype"] == "bfloat16"

    whole, done = exported(run, output=str(tmp_path / "whole"), dtype="float32")
    assert (done.dtype, done.verified.same) == ("float32", 6)
    assert load_file(whole / "model.safetensors")[f"{name}.weight"].dtype == torch.float32


def test_an_adapter_that_went_on_learning(tmp_path: Path, tiny_model_folder: Path) -> None:
    first = write_run(tmp_path, {"path": str(tiny_model_folder), "lora": LORA})
    run = write_run(
        tmp_path, {"path": str(first)}, run={"name": "more", "output_dir": str(tmp_path / "runs")}
    )
    assert json.loads((run / "final/adapter_config.json").read_text())["r"] == 4
    folder, done = exported(run)
    assert done.verified.same == 6
    model, tokenizer = loaded(folder)
    assert continuations(model, tokenizer) == continuations(unmerged(run, tiny_model_folder), tokenizer)
    assert "an adapter that a former run had trained" in (folder / "README.md").read_text()


def test_a_checkpoint_over_a_built_in_model(tmp_path: Path) -> None:
    run = write_run(tmp_path, {"path": "builtin:tiny-math", "lora": LORA})
    write_lines(run / "logs/completions.jsonl", [{"split": "train", "prompt": "47+38="}])
    folder, done = exported(f"{run}@2")
    assert (folder, done.verified.prompts, done.verified.same) == (run / "export-2", 1, 1)
    assert "`builtin:tiny-math`, trained by GRPO for 2 steps" in (folder / "README.md").read_text()
    final = exported(run)[0]
    weights = [
        load_file(one / "model.safetensors")["model.layers.0.mlp.up_proj.weight"] for one in (folder, final)
    ]
    assert not torch.equal(*weights)


def test_chat_template_and_dtype_on_demand(tmp_path: Path, tiny_chat_model_folder: Path) -> None:
    run = write_run(tmp_path, {"path": str(tiny_chat_model_folder)})
    chat = [[{"role": "user", "content": text}] for text in PROMPTS]
    write_lines(run / "logs/completions.jsonl", [{"split": "eval", "prompt": prompt} for prompt in chat])
    folder, done = exported(run, dtype="float16")
    assert (done.dtype, done.verified.prompts) == ("float16", 6)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    original = AutoTokenizer.from_pretrained(tiny_chat_model_folder)
    assert tokenizer.chat_template == original.chat_template
    assert AutoModelForCausalLM.from_pretrained(folder).dtype == torch.float16
    assert "apply_chat_template" in (folder / "README.md").read_text()


def test_the_adapter_alone(tmp_path: Path, tiny_model_folder: Path) -> None:
    run = write_run(tmp_path, {"path": str(tiny_model_folder), "lora": LORA})
    folder, done = exported(run, adapter=True)
    assert (done.dtype, done.verified.same) == ("float32", 6)
    name = "adapter_model.safetensors"
    assert (folder / name).read_bytes() == (run / "final" / name).read_bytes()
    written = json.loads((folder / "adapter_config.json").read_text())
    assert written["base_model_name_or_path"] == tiny_model_folder.name
    assert str(tmp_path) not in texts(folder)
    assert str(tiny_model_folder) not in texts(folder)
    base = AutoModelForCausalLM.from_pretrained(tiny_model_folder)
    model = peft.PeftModel.from_pretrained(base, folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert continuations(model, tokenizer) == continuations(unmerged(run, tiny_model_folder), tokenizer)


def test_data_of_another_machine_are_not_needed(tmp_path: Path, tiny_model_folder: Path) -> None:
    (tmp_path / "chat.jinja").write_text("{{ messages[0]['content'] }}")
    template = str(tmp_path / "chat.jinja")
    run = write_run(tmp_path, {"path": str(tiny_model_folder), "chat_template": template, "device": "cpu"})
    shutil.rmtree(tmp_path / "data")
    (tmp_path / "chat.jinja").unlink()
    moved = Path(shutil.move(run, tmp_path / "moved"))
    assert exported(moved)[1].verified.same == 6


def test_an_export_that_says_something_else_is_not_written(
    tmp_path: Path, tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = write_run(tmp_path, {"path": str(tiny_model_folder), "lora": LORA})
    monkeypatch.setattr(export_module, "merge", lambda model, source: model.unload())
    before = sorted(run.iterdir())
    with pytest.raises(CheckpointError, match=r"the export answers \d of 6 prompts otherwise than the run"):
        exported(run)
    assert sorted(run.iterdir()) == before


def test_only_a_tie_may_differ(tmp_path: Path, tiny_model_folder: Path) -> None:
    run = write_run(tmp_path, {"path": str(tiny_model_folder)})
    config = find_run(str(run)).config
    model, tokenizer = (
        AutoModelForCausalLM.from_pretrained(run / "final"),
        AutoTokenizer.from_pretrained(run / "final"),
    )
    ids = tokenizer(PROMPTS[0], return_tensors="pt")["input_ids"]
    (best, other) = model(input_ids=ids).logits[0, -1].topk(2).indices.tolist()
    expected = [Completion(text="", ids=[other])]
    with pytest.raises(CheckpointError, match="answers 1 of 1 prompts otherwise"):
        verify(model, tokenizer, PROMPTS[:1], expected, config, {}, exact=True)
    rounded = verify(model, tokenizer, PROMPTS[:1], expected, config, {}, exact=False)
    assert (rounded.prompts, rounded.same, rounded.ties) == (1, 0, 0)
    with torch.no_grad():  # input and output embeddings are one: equal rows give equal logits
        model.get_input_embeddings().weight[other] = model.get_input_embeddings().weight[best]
    found = verify(
        model, tokenizer, PROMPTS[:1], [Completion("", [max(best, other)])], config, {}, exact=True
    )
    assert (found.same, found.ties) == (0, 1)


def test_what_training_and_old_models_leave_in_the_settings(tmp_path: Path, tiny_model_folder: Path) -> None:
    base = Path(shutil.copytree(tiny_model_folder, tmp_path / "old"))
    settings = {"do_sample": False, "temperature": 0.5, "eos_token_id": 1}
    (base / "generation_config.json").write_text(json.dumps(settings))
    model = {"path": str(base), "lora": LORA}
    run = write_run(tmp_path, model)
    folder, _ = exported(run)
    written = json.loads((folder / "generation_config.json").read_text())
    assert (written["temperature"], written["do_sample"]) == (0.5, True)

    whole = write_run(
        tmp_path, {"path": str(tiny_model_folder)}, run={"name": "whole", "output_dir": str(run.parent)}
    )
    config = json.loads((whole / "final/config.json").read_text())
    (whole / "final/config.json").write_text(json.dumps({**config, "use_cache": False}))
    folder, _ = exported(whole)
    assert json.loads((folder / "config.json").read_text())["use_cache"] is True


CODE = """
from transformers import Qwen2Config, Qwen2ForCausalLM

class MineConfig(Qwen2Config):
    model_type = "mine"

class MineForCausalLM(Qwen2ForCausalLM):
    config_class = MineConfig
"""


def test_a_model_with_code_of_its_own(tmp_path: Path, tiny_model_folder: Path) -> None:
    base = Path(shutil.copytree(tiny_model_folder, tmp_path / "own"))
    (base / "mine.py").write_text(CODE)
    config = json.loads((base / "config.json").read_text())
    names = {"AutoConfig": "mine.MineConfig", "AutoModelForCausalLM": "mine.MineForCausalLM"}
    own = {"model_type": "mine", "architectures": ["MineForCausalLM"], "auto_map": names}
    (base / "config.json").write_text(json.dumps({**config, **own}))
    run = write_run(tmp_path, {"path": str(base), "lora": LORA, "trust_remote_code": True})
    folder, done = exported(run)
    assert (done.verified.same, (folder / "mine.py").read_text()) == (6, CODE)
    assert json.loads((folder / "config.json").read_text())["auto_map"] == names
    shutil.rmtree(base)
    model = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True)
    assert type(model).__name__ == "MineForCausalLM"
    assert "from_pretrained(source, trust_remote_code=True)" in (folder / "README.md").read_text()


def settings_with_paths(base: Path) -> None:
    """What models and tokenizers of the wild have in their settings."""
    of_tokenizer = {"name_or_path": str(base), "tokenizer_file": str(base / "tokenizer.json")}
    mine = {"mine": {"files": [str(base), "kept/as it is"]}}
    for name, more in {
        "config.json": {"_name_or_path": str(base)},
        "generation_config.json": {"_name_or_path": str(base)},
        "tokenizer_config.json": of_tokenizer,
    }.items():
        content = json.loads((base / name).read_text())
        (base / name).write_text(json.dumps({**content, **more, **mine}))


@pytest.mark.parametrize(
    ("options", "adapter"), [({}, False), ({"lora": LORA}, False), ({"lora": LORA}, True)]
)
def test_no_file_names_a_folder_of_this_machine(
    tmp_path: Path, tiny_model_folder: Path, options: dict[str, Any], adapter: bool
) -> None:
    place = tmp_path / "Meine Läufe & Größen"
    base = Path(shutil.copytree(tiny_model_folder, place / "base model"))
    settings_with_paths(base)
    run = write_run(place, {"path": str(base), **options})
    folder, done = exported(run, adapter=adapter)
    assert done.verified.same == 6
    for file in sorted(folder.rglob("*")):
        content = file.read_bytes()  # weights have text in their header
        for text in (str(place), place.name, str(tmp_path)):
            assert text.encode() not in content, file.name
            assert json.dumps(text)[1:-1].encode() not in content, file.name
    if not adapter:
        found = json.loads((folder / "config.json").read_text())["mine"]
        assert found == {"files": ["base model", "kept/as it is"]}


def test_code_of_its_own_is_beside_the_weights(tmp_path: Path) -> None:
    names = {"AutoConfig": f"{tmp_path}/my model--mine.MineConfig", "AutoModel": "me/own--mine.Model"}
    (tmp_path / "config.json").write_text(json.dumps({"auto_map": names}))
    name_paths_in_public(tmp_path)
    found = json.loads((tmp_path / "config.json").read_text())["auto_map"]
    assert found == {"AutoConfig": "mine.MineConfig", "AutoModel": "me/own--mine.Model"}


KILLED = """
import os, signal, sys
from rlctl.models import export as module
from rlctl.models.export_request import request
module.verify = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)
module.export(request(sys.argv[1]))
"""


def test_a_killed_export_leaves_nothing_under_its_name(tmp_path: Path, tiny_model_folder: Path) -> None:
    run = write_run(tmp_path, {"path": str(tiny_model_folder)})
    before = sorted(run.iterdir())
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    ran = subprocess.run([sys.executable, "-c", KILLED, str(run)], env=environment, capture_output=True)
    assert ran.returncode == -signal.SIGKILL
    (left,) = set(run.iterdir()) - set(before)
    assert left.name.startswith(".export.")
    assert (left / "model.safetensors").is_file()
    (left / "of-the-killed-one").write_text("")
    folder, done = exported(run)
    assert (done.verified.same, folder) == (6, run / "export")
    assert "of-the-killed-one" not in done.files
    assert sorted(run.iterdir()) == sorted([*before, folder])


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, former[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)


def test_a_disk_that_takes_no_more(tmp_path: Path, tiny_model_folder: Path) -> None:
    run = write_run(tmp_path, {"path": str(tiny_model_folder)})
    before = sorted(run.iterdir())
    with files_no_larger_than(100_000), pytest.raises(MissingError, match=r"cannot be written \(.*too large"):
        exported(run)
    assert sorted(run.iterdir()) == before


def test_weights_that_are_not_finite(tmp_path: Path, tiny_model_folder: Path) -> None:
    from safetensors.torch import save_file

    run = write_run(tmp_path, {"path": str(tiny_model_folder), "lora": LORA})
    file = run / "final/adapter_model.safetensors"
    weights = load_file(file)
    weights[next(name for name in weights if "lora_B" in name)][0, 0] = torch.nan
    save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match="the adapter cannot be merged: NaNs detected"):
        exported(run)
    assert not (run / "export").exists()


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path, tiny_model_folder: Path) -> None:
    run = write_run(tmp_path, {"path": str(tiny_model_folder)})
    (run / "export").mkdir()
    assert exported(run)[0] == run / "export"
    with pytest.raises(UsageError, match="not empty") as caught:
        exported(run)
    assert caught.value.hint == "Choose another folder (--output DIR), or remove it."
