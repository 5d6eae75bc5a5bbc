"""LoRA: new adapters, adapters that go on learning, and what does not fit."""

import json
import shutil
from pathlib import Path
from typing import Any

import peft
import pytest
import torch

from rlctl.config.model import Model
from rlctl.errors import CheckpointError, ConfigError
from rlctl.models.adapters import base_of
from rlctl.models.load import load_model, loaded_from_object


def load(path: Path | str, **keys: object) -> Any:
    section = Model.model_validate({"path": str(path), "device": "cpu", **keys})
    return load_model(section, gradient_checkpointing=True)


IDS = torch.arange(40).reshape(2, 20)


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(input_ids=IDS).logits


@pytest.fixture(scope="module")
def trained(tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, torch.Tensor]:
    """A saved adapter whose weights are not those that it started from, and what the model says with it."""
    loaded = load(tiny_model_folder, lora={"r": 4, "alpha": 8, "target_modules": ["q_proj", "v_proj"]})
    model = peft.get_peft_model(loaded.model, loaded.peft_config)
    generator = torch.Generator().manual_seed(0)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            weight.data = torch.randn(weight.shape, generator=generator)
    folder = tmp_path_factory.mktemp("adapter") / "final"
    model.save_pretrained(folder)
    return folder, logits(model)


def test_a_new_adapter_is_counted_and_the_model_left_alone(tiny_model_folder: Path) -> None:
    before = logits(load(tiny_model_folder).model)
    loaded = load(tiny_model_folder, lora={"r": 4, "alpha": 8, "target_modules": ["q_proj", "v_proj"]})
    # two layers; A is 4 x 48, B is 48 x 4 for q_proj and 24 x 4 for v_proj (two of four heads)
    assert loaded.trainable == 2 * (4 * 48 + 48 * 4 + 4 * 48 + 24 * 4)
    assert torch.equal(logits(loaded.model), before)
    assert not isinstance(loaded.model, peft.PeftModel)
    wrapped = peft.get_peft_model(loaded.model, loaded.peft_config)
    assert wrapped.get_nb_trainable_parameters() == (loaded.trainable, loaded.total + loaded.trainable)
    assert torch.equal(logits(wrapped), before)


def test_all_linear_leaves_the_output_layer_out(tiny_model_folder: Path) -> None:
    loaded = load(tiny_model_folder, lora={"r": 1})
    model = peft.get_peft_model(loaded.model, loaded.peft_config)
    adapted = {name.split(".")[-1] for name in model.targeted_module_names}
    assert adapted == {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}


def test_every_key_of_lora_arrives(tiny_model_folder: Path) -> None:
    keys = {"r": 3, "alpha": 5.0, "dropout": 0.25, "target_modules": ".*q_proj", "use_rslora": True}
    found = load(tiny_model_folder, lora={**keys, "modules_to_save": ["norm"]}).peft_config
    assert (found.r, found.lora_alpha, found.lora_dropout, found.target_modules) == (3, 5.0, 0.25, ".*q_proj")
    assert (found.use_rslora, found.modules_to_save, found.task_type) == (True, ["norm"], "CAUSAL_LM")


def test_the_embedding_can_be_trained_in_full_and_stays_tied(tiny_model_folder: Path, tmp_path: Path) -> None:
    loaded = load(tiny_model_folder, lora={"r": 1, "modules_to_save": ["embed_tokens"]})
    model = peft.get_peft_model(loaded.model, loaded.peft_config)
    for name, weight in model.named_parameters():
        if "modules_to_save" in name:
            weight.data += 0.5
    model.save_pretrained(tmp_path / "adapter")
    assert torch.equal(logits(load(tmp_path / "adapter").model), logits(model))


def test_a_saved_adapter_is_loaded_again_and_goes_on_learning(trained: tuple[Path, torch.Tensor]) -> None:
    folder, expected = trained
    loaded = load(folder)
    assert torch.equal(logits(loaded.model), expected)
    assert loaded.peft_config is None
    names = [name for name, weight in loaded.model.named_parameters() if weight.requires_grad]
    assert names
    assert all("lora_" in name for name in names)
    assert loaded.trainable == sum(loaded.model.get_parameter(name).numel() for name in names)
    same = load(folder, lora={"r": 4, "alpha": 8})
    assert torch.equal(logits(same.model), expected)
    again = loaded_from_object(loaded.model, Model(path="unused"))
    assert (again.trainable, again.total) == (loaded.trainable, loaded.total)


@pytest.mark.parametrize(
    ("lora", "message"),
    [
        (
            {"target_modules": ["q_proj", "v_prj"]},
            "target_modules: the model has no module 'v_prj'; did you mean 'v_proj'",
        ),
        (
            {"target_modules": ["Wqkv"]},
            "there is down_proj, gate_proj, k_proj, o_proj, q_proj, up_proj, v_proj",
        ),
        ({"target_modules": ".*qkv"}, "no module matches '.*qkv'"),
        ({"target_modules": "*qkv"}, "is no regular expression"),
        ({"target_modules": ["norm"]}, "is not supported"),
        (
            {"modules_to_save": ["lm_hed"]},
            "modules_to_save: the model has no module 'lm_hed'; did you mean 'lm_head'",
        ),
    ],
)
def test_modules_that_do_not_fit(tiny_model_folder: Path, lora: dict, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tiny_model_folder, lora=lora)
    assert message in str(caught.value)
    assert caught.value.exit_code == 2


def edit(folder: Path, **values: object) -> None:
    file = folder / "adapter_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def test_adapters_that_are_broken_or_do_not_fit(
    trained: tuple[Path, torch.Tensor], tmp_path: Path, tiny_chat_model_folder: Path
) -> None:
    with pytest.raises(ConfigError, match="has r 4 and alpha 8, not r 8 and alpha 8"):
        load(trained[0], lora={"r": 8, "alpha": 8})
    folder = Path(shutil.copytree(trained[0], tmp_path / "adapter"))
    weights = folder / "adapter_model.safetensors"
    whole = weights.read_bytes()

    def message() -> str:
        with pytest.raises(CheckpointError) as caught:
            load(folder)
        return str(caught.value)

    edit(folder, target_modules=["q_proj", "v_proj", "o_proj"])
    assert "the adapter lacks 4 weights" in message()
    edit(folder, target_modules=["q_proj", "v_proj"], task_type="SEQ_CLS")
    assert "an adapter for SEQ_CLS" in message()
    edit(folder, task_type="CAUSAL_LM", r=5)
    assert "the adapter cannot be loaded" in message()
    edit(folder, r=4)
    weights.write_bytes(whole[:500])
    assert "a weights file is broken or cut off" in message()
    weights.unlink()
    assert str(folder) in message()
    edit(folder, base_model_name_or_path=str(tmp_path / "gone"))
    assert "gone" in message()
    edit(folder, base_model_name_or_path=None)
    assert "does not name its base model" in message()
    (folder / "adapter_config.json").write_text("{")
    assert "cannot be read" in message()


def test_a_builtin_base_is_found_in_another_installation(tmp_path: Path) -> None:
    elsewhere = "/opt/elsewhere/site-packages/rlctl/models/builtin/tiny_math"
    (tmp_path / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": elsewhere}))
    assert (Path(base_of(str(tmp_path))) / "config.json").is_file()
