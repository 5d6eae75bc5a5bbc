"""What rlctl's overrides rely on in TRL and transformers. If this fails, read the change, then mend it."""

import hashlib
import inspect
from pathlib import Path
from typing import get_args

import pytest
import trl
from transformers import Trainer
from trl import GRPOConfig, GRPOTrainer
from trl.trainer.utils import RepeatSampler

from rlctl.config import catalogue
from rlctl.config.algorithm import Grpo
from rlctl.training.trl.rows import MEAN_OVER_ROWS, MEAN_OVER_TOKENS_OF_A_MICRO_BATCH
from rlctl.training.trl.seams import PolicyTrainer, one_gpu

SOURCES = {
    (GRPOTrainer, "_prepare_inputs"): "f824e7fb0714",
    (GRPOTrainer, "_generate_and_score_completions"): "1fa48922792d",
    (GRPOTrainer, "_compute_loss"): "80295546bbdb",
    (GRPOTrainer, "_calculate_rewards"): "736ae29b0838",
    (GRPOTrainer, "create_model_card"): "4f8a407fd9fd",
    (GRPOTrainer, "_generate_single_turn"): "e0f02e4fc094",
    (GRPOTrainer, "training_step"): "9e18632f7dd8",
    (GRPOTrainer, "_get_train_sampler"): "36497afb4d31",
    (GRPOTrainer, "_load_optimizer_and_scheduler"): "5c1772becdfd",
    (GRPOTrainer, "_save_checkpoint"): "ec91bde12364",  # not called: what it writes, write_checkpoint writes
    (Trainer, "_save_checkpoint"): "a9111e30faa9",
    (Trainer, "_inner_training_loop"): "20ec4276e99f",  # when the random state is loaded, and what is reset
    (Trainer, "_init_training_state"): "8fbd17ebb7d3",
    (Trainer, "_prepare_for_training"): "f55950593d7e",
    (Trainer, "_run_epoch"): "31aff00f34c3",
    (Trainer, "_maybe_log_save_evaluate"): "af101534f0f7",
    (Trainer, "_load_from_checkpoint"): "a2804e8d93a2",
    (Trainer, "_load_optimizer_and_scheduler"): "741032f57d6f",
    (Trainer, "_load_rng_state"): "d5ebdfc0a088",
    (Trainer, "_save_optimizer_and_scheduler"): "c5ef974db69a",
    (Trainer, "_save_scaler"): "fd1ce04cfea4",
    (Trainer, "save_model"): "705727ee10c8",
    (Trainer, "set_initial_training_values"): "81697f5f3100",
    (Trainer, "_save"): "b136889e8792",
    (Trainer, "_get_grad_norm"): "913ba6f52f07",
}
"""Method → first 12 characters of the SHA-256 of its source, as read when the override was written."""

ADDED = {"_buffered", "let_go", "load_state_dict", "measured", "state_dict", "steps_in_all"}
ADDED |= {"write_checkpoint"}
"""Methods of PolicyTrainer that TRL's trainer does not have."""


@pytest.mark.parametrize(("owner", "name"), SOURCES)
def test_overridden_methods_are_those_that_were_read(owner: type, name: str) -> None:
    source = inspect.getsource(getattr(owner, name))
    assert hashlib.sha256(source.encode()).hexdigest()[:12] == SOURCES[owner, name], (
        f"{owner.__name__}.{name} changed; compare it with rlctl/training/trl/seams.py"
    )


def test_every_override_overrides_something() -> None:
    own = {name for name in vars(PolicyTrainer) if inspect.isfunction(getattr(PolicyTrainer, name))}
    for name in own - ADDED - {"__init__"}:
        assert hasattr(GRPOTrainer, name), f"TRL no longer has {name}"


def test_the_order_of_prompts_is_the_one_that_was_read() -> None:
    source = inspect.getsource(RepeatSampler)
    assert hashlib.sha256(source.encode()).hexdigest()[:12] == "ba139f4a43ee"


def test_what_is_added_is_not_of_the_trainer() -> None:
    """A method that TRL or transformers gets later must not be replaced by ours unseen."""
    assert not [name for name in ADDED if hasattr(GRPOTrainer, name)]


def test_the_reference_is_made_by_the_function_that_is_replaced() -> None:
    source = inspect.getsource(GRPOTrainer.__init__)
    assert source.count("create_model_from_path(") == 2  # a model that is a path, and the reference
    assert "self.ref_model = create_model_from_path(" in source


def test_the_catalogue_is_of_the_installed_trl() -> None:
    assert catalogue.versions()["trl"] == trl.__version__


def test_every_loss_type_has_a_known_normaliser() -> None:
    types = set(get_args(Grpo.model_fields["loss_type"].annotation))
    per_step = {"dapo", "cispo", "vespo"}
    assert types == MEAN_OVER_ROWS | MEAN_OVER_TOKENS_OF_A_MICRO_BATCH | per_step
    source = inspect.getsource(GRPOTrainer._compute_loss)
    for name in types:
        assert f'"{name}"' in source


def test_one_process_keeps_to_one_gpu(tmp_path: Path) -> None:
    arguments = GRPOConfig(output_dir=str(tmp_path), use_cpu=True, bf16=False)
    assert arguments.n_gpu in (0, 1)
    arguments._n_gpu = 8  # what transformers finds where one process sees eight GPUs
    assert arguments.n_gpu == 8, "transformers keeps the number elsewhere now"
    assert one_gpu(arguments).n_gpu == 1
