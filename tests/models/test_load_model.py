"""Loading: what is complete is loaded as it was saved, what is broken is said in a line."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    BertConfig,
    BertForMaskedLM,
    Qwen2Config,
    Qwen2ForSequenceClassification,
    T5Config,
    T5ForConditionalGeneration,
)

from rlctl.config.model import Model
from rlctl.errors import CheckpointError, ConfigError, MissingError
from rlctl.models.load import context_length, load_model, loaded_from_object, pick_device, pick_dtype
from rlctl.models.tokenizer import load_tokenizer


def load(path: Path | str, **keys: object):
    return load_model(Model.model_validate({"path": str(path), **keys}), gradient_checkpointing=True)


@pytest.fixture
def folder(tmp_path: Path, tiny_model_folder: Path) -> Path:
    return Path(shutil.copytree(tiny_model_folder, tmp_path / "model"))


def test_weights_type_device_and_counts(tiny_model_folder: Path) -> None:
    loaded = load(tiny_model_folder, device="cpu")
    reference = AutoModelForCausalLM.from_pretrained(tiny_model_folder)
    for name, weight in reference.state_dict().items():
        assert torch.equal(loaded.model.state_dict()[name], weight)
    total = sum(weight.numel() for weight in reference.parameters())
    assert (loaded.trainable, loaded.total, loaded.peft_config) == (total, total, None)
    assert loaded.model.dtype == torch.float32
    assert loaded.model.device.type == "cpu"
    assert loaded.source == str(tiny_model_folder)
    assert load(tiny_model_folder, dtype="bfloat16").model.dtype == torch.bfloat16


def test_builtin_model_answers() -> None:
    model = load("builtin:tiny-math", device="cpu").model
    tokenizer = load_tokenizer(Model(path="builtin:tiny-math"))
    ids = tokenizer("1+1=", return_tensors="pt")["input_ids"]
    out = model.generate(input_ids=ids, max_new_tokens=4, do_sample=False)
    assert tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True).strip() == "2"


def test_loading_is_quiet_and_leaves_the_settings_alone(
    tiny_model_folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from transformers.utils import logging

    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    load(tiny_model_folder, lora={"r": 2})
    load_tokenizer(Model(path=str(tiny_model_folder)))
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before
    assert capfd.readouterr() == ("", "")


def test_context_length(tiny_model_folder: Path) -> None:
    assert context_length(AutoConfig.from_pretrained(tiny_model_folder)) == 1024
    assert context_length(AutoConfig.for_model("gpt2", n_positions=99)) == 99
    assert context_length(AutoConfig.for_model("bloom")) is None


def test_dtype_auto_is_half_only_for_frozen_weights_on_a_gpu() -> None:
    cpu = torch.device("cpu")
    assert pick_dtype("auto", cpu, adapters_only=True) == torch.float32
    assert pick_dtype("float16", cpu, adapters_only=False) == torch.float16


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_what_is_not_here_is_named(tiny_model_folder: Path) -> None:
    assert pick_device("auto").type in ("cpu", "mps")
    with pytest.raises(MissingError, match=r"no cuda device here.*\n.*model.device: auto") as caught:
        load(tiny_model_folder, device="cuda")
    assert caught.value.exit_code == 4
    with pytest.raises(MissingError, match="quantisation needs a CUDA GPU"):
        load(tiny_model_folder, device="cpu", quantization="4bit", lora={})


def test_quantised_weights_need_adapters(tiny_model_folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"set `model\.lora` beside it"):
        load(tiny_model_folder, quantization="8bit")


def test_a_missing_attention_kernel_is_named(tiny_model_folder: Path) -> None:
    with pytest.raises(MissingError, match=r"attn_implementation: auto"):
        load(tiny_model_folder, attn_implementation="flash_attention_2", device="cpu")


def config(change: Callable[[dict], object]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        content = json.loads((folder / "config.json").read_text())
        change(content)
        (folder / "config.json").write_text(json.dumps(content))

    return apply


def cut(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:100_000])


BROKEN: list[tuple[str, Callable[[Path], object], str]] = [
    ("truncated weights", cut, "a weights file is broken or cut off"),
    ("no weights", lambda f: (f / "model.safetensors").unlink(), "no file named model.safetensors"),
    ("no config", lambda f: (f / "config.json").unlink(), "no model in this folder"),
    ("broken config", lambda f: (f / "config.json").write_text('{"a":'), "broken JSON file"),
    ("empty config", lambda f: (f / "config.json").write_text("{}"), "cannot be loaded"),
    ("other shapes", config(lambda c: c.update(intermediate_size=64)), "6 weights are of another shape"),
    (
        "missing layer",
        config(lambda c: c.update(num_hidden_layers=3, layer_types=["full_attention"] * 3)),
        "12 weights are missing, such as model.layers.2.",
    ),
    ("unknown type", config(lambda c: c.update(model_type="nosuch")), "does not recognize this architecture"),
    ("wrong task", config(lambda c: c.update(architectures=["Qwen2Model"])), "Qwen2Model is not a causal"),
]


@pytest.mark.parametrize(
    ("change", "message"), [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN]
)
def test_a_broken_folder_is_explained(folder: Path, change: Callable[[Path], object], message: str) -> None:
    change(folder)
    with pytest.raises(CheckpointError) as caught:
        load(folder)
    text = str(caught.value)
    assert message in text
    assert str(folder) in text
    assert text.count("\n") <= 1
    assert caught.value.exit_code == 3


def test_models_that_do_not_continue_text_are_refused(tmp_path: Path) -> None:
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    models = [
        BertForMaskedLM(BertConfig(vocab_size=50, **small)),
        T5ForConditionalGeneration(
            T5Config(vocab_size=50, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
        ),
        Qwen2ForSequenceClassification(Qwen2Config(vocab_size=50, num_key_value_heads=1, **small)),
    ]
    for model in models:
        model.save_pretrained(tmp_path / "model")
        with pytest.raises(CheckpointError, match=f"{type(model).__name__} is not a causal language model"):
            load(tmp_path / "model")


def test_a_hub_model_out_of_reach_says_what_to_do() -> None:
    for use in (load, lambda path: load_tokenizer(Model(path=path))):
        with pytest.raises(
            CheckpointError, match=r"cannot be reached, and it is not in the cache.*\n  load it once"
        ):
            use("rlctl-tests/not-in-the-cache")


def test_a_model_object_is_described(tiny_model_folder: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_model_folder)
    model.model.embed_tokens.weight.requires_grad_(False)
    loaded = loaded_from_object(model, Model(path="unused"))
    assert loaded.model is model
    embedding = len(load_tokenizer(Model(path=str(tiny_model_folder)))) * 48  # tied to the output layer
    assert loaded.total - loaded.trainable == embedding
