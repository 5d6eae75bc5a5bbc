"""The catalogue of TRL's arguments: as installed, and strict about what `algorithm.trl` holds."""

import importlib.util
import json
import re
import typing
from importlib.resources import files
from pathlib import Path

import pytest

from rlctl.config import catalogue
from rlctl.config.algorithm import Grpo
from rlctl.config.trl_keys import NEEDS, OWNED, REFUSED

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def generator():
    path = ROOT / "scripts" / "make_trl_catalogue.py"
    spec = importlib.util.spec_from_file_location("make_trl_catalogue", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_committed_file_is_what_the_installed_trl_gives(generator):
    committed = files("rlctl.config").joinpath("trl_catalogue.json").read_text(encoding="utf-8")
    installed = generator.catalogue()
    assert json.loads(committed) == installed, "run scripts/make_trl_catalogue.py and look at the diff"
    assert committed == generator.render(installed)


def test_every_argument_of_trl_has_one_place():
    known = catalogue.arguments("grpo").keys()
    assert len(known) == 191
    assert known >= OWNED.keys()
    assert known >= REFUSED.keys()
    assert not OWNED.keys() & REFUSED.keys()
    assert catalogue.defaults("grpo").keys() | OWNED.keys() == known
    assert catalogue.passed_through("grpo").keys() == known - OWNED.keys() - REFUSED.keys()
    assert {name for need in NEEDS for name in need.arguments} <= catalogue.passed_through("grpo").keys()


def test_owners_exist():
    """Every `section.key` that a message names is a key of the YAML."""
    from rlctl.config.config import Config

    for place in set(OWNED.values()):
        section, _, key = place.replace("components[].weight", "components").partition(".")
        assert section in Config.model_fields, place
        fields = Config.model_fields[section].annotation
        model = fields if section != "algorithm" else Grpo
        assert not key or key in model.model_fields, place


def test_defaults_fit_their_own_entries():
    for name, entry in catalogue.arguments("grpo").items():
        if name not in {"max_steps", "local_rank"}:  # -1 stands for "not set"
            assert catalogue.value_problem(entry["default"], entry) is None, name


@pytest.mark.parametrize("name", ["loss_type", "scale_rewards", "importance_sampling_level"])
def test_choices_of_our_section_are_trls(name):
    ours = typing.get_args(Grpo.model_fields[name].annotation)
    assert list(ours) == catalogue.arguments("grpo")[name]["choices"]


def test_choices_by_hand_occur_in_trls_source(generator):
    import trl.trainer.grpo_config
    import trl.trainer.grpo_trainer

    source = "".join(
        Path(module.__file__).read_text() for module in (trl.trainer.grpo_config, trl.trainer.grpo_trainer)
    )
    for name in ("loss_type", "scale_rewards", "vllm_mode", "importance_sampling_level", "vllm_model_impl"):
        for choice in generator.CHOICES[name]:
            assert re.search(rf"[\"'`]{choice}[\"'`]", source), f"{name}: {choice}"


BAD = [
    ({"adam_bata1": 0.9}, "adam_bata1", "no argument of TRL", "did you mean 'adam_beta1'?"),
    ({"learing_rate": 0.1}, "learing_rate", "no argument", "'learning_rate'? write `training.learning_rate`"),
    ({"epsilon": -1}, "epsilon", "set by another key", "write `algorithm.epsilon`"),
    ({"reward_weights": [1.0]}, "reward_weights", "another key", "write `rewards.components[].weight`"),
    ({"use_vllm": True}, "use_vllm", "not taken here", "not on vLLM"),
    ({"push_to_hub": True}, "push_to_hub", "not taken here", "rlctl export RUN --push"),
    ({"save_only_model": True}, "save_only_model", "not taken here", "writes its checkpoints itself"),
    ({"adam_beta1": "high"}, "adam_beta1", "must be a number, not the string 'high'", None),
    ({"adam_beta1": True}, "adam_beta1", "must be a number, not true", None),
    ({"adam_beta1": float("inf")}, "adam_beta1", "must be a number, not Infinity", None),
    ({"ref_model_sync_steps": 2.5}, "ref_model_sync_steps", "must be a whole number, not 2.5", None),
    ({"adam_beta2": 1}, "adam_beta2", "must be at least 0 and below 1, not 1", None),
    ({"top_entropy_quantile": 0}, "top_entropy_quantile", "must be above 0 and at most 1, not 0", None),
    ({"pad_to_multiple_of": 0}, "pad_to_multiple_of", "must be at least 1, not 0", None),
    ({"cache_implementation": "statik"}, "cache_implementation", "must be one of dynamic", "'static'?"),
    ({"disable_dropout": None}, "disable_dropout", "must be true or false, not null", None),
    ({"chat_template_kwargs": "{}"}, "chat_template_kwargs", "must be a mapping or null", None),
    ({"optim_target_modules": [1]}, "optim_target_modules", "not a list", None),
    ({"generation_kwargs": {"top_p": 0.5}}, "generation_kwargs", "holds top_p", "write `generation.top_p`"),
    ({"sync_ref_model": True}, "sync_ref_model", "has no effect", "`algorithm.beta` above 0"),
    ({"dataloader_prefetch_factor": 2}, "dataloader_prefetch_factor", "no effect", "dataloader_num_workers"),
    ({"vespo_k_pos": 1.0}, "vespo_k_pos", "has no effect", "`algorithm.loss_type: vespo`"),
]


@pytest.mark.parametrize(("trl", "key", "message", "suggestion"), BAD, ids=[str(row[0]) for row in BAD])
def test_bad_arguments_are_explained(trl, key, message, suggestion):
    ((found_key, found_message, found_suggestion),) = catalogue.problems(
        "grpo", trl, {"beta": 0.0, "loss_type": "dapo"}
    )
    assert found_key == key
    assert message in found_message
    assert suggestion is found_suggestion is None or suggestion in found_suggestion


def test_all_problems_at_once():
    found = catalogue.problems("grpo", {"epsilon": 1, "adam_beta1": 7, "nonsense_xyz": 0})
    assert [key for key, _, _ in found] == ["epsilon", "adam_beta1", "nonsense_xyz"]


@pytest.mark.parametrize(
    ("trl", "settings"),
    [
        ({}, {}),
        ({"adam_beta1": 0, "lr_scheduler_kwargs": {"num_cycles": 2}}, None),
        ({"sync_ref_model": True, "ref_model_sync_steps": 8}, {"beta": 0.1}),
        ({"sync_ref_model": False}, {"beta": 0.0}),
        ({"vespo_k_pos": 1.0}, {"loss_type": "vespo"}),
        ({"pad_to_multiple_of": "auto", "include_num_input_tokens_seen": True, "debug": ""}, {}),
        ({"dataloader_num_workers": 1, "dataloader_prefetch_factor": 2}, {}),
        ({"generation_kwargs": {"no_repeat_ngram_size": 3}, "optim_target_modules": ["q_proj"]}, {}),
    ],
)
def test_good_arguments_pass(trl, settings):
    assert catalogue.problems("grpo", trl, settings) == []


def test_passing_every_default_is_the_same_as_passing_none():
    from trl import GRPOConfig

    ours = {"output_dir": "x", "bf16": False, "use_cpu": True}
    spelled_out = GRPOConfig(**catalogue.defaults("grpo"), **ours).to_dict()
    assert spelled_out == GRPOConfig(**ours).to_dict()


def test_an_algorithm_without_a_trl_class_has_no_problems_here():
    assert catalogue.problems("something_else", {"anything": 1}) == []
