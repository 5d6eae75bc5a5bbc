"""What rlctl's overrides rely on in TRL and transformers. If this fails, read the change, then mend it."""

import hashlib
import inspect
from pathlib import Path
from typing import get_args

import pytest
import trl
from transformers import Trainer
from trl import GRPOConfig, GRPOTrainer

from rlctl.config import catalogue
from rlctl.config.algorithm import Grpo
from rlctl.training.trl.seams import (
    MEAN_OVER_ROWS,
    MEAN_OVER_TOKENS_OF_A_MICRO_BATCH,
    PolicyTrainer,
    one_gpu,
)

SOURCES = {
    (GRPOTrainer, "_prepare_inputs"): "f824e7fb0714",
    (GRPOTrainer, "_generate_and_score_completions"): "1fa48922792d",
    (GRPOTrainer, "_compute_loss"): "80295546bbdb",
    (GRPOTrainer, "_calculate_rewards"): "736ae29b0838",
    (GRPOTrainer, "create_model_card"): "4f8a407fd9fd",
    (GRPOTrainer, "_save_checkpoint"): "ec91bde12364",
    (Trainer, "_save_checkpoint"): "a9111e30faa9",
    (Trainer, "_save"): "b136889e8792",
    (Trainer, "_get_output_dir"): "97172085342a",
    (Trainer, "_get_grad_norm"): "913ba6f52f07",
}
"""Method → first 12 characters of the SHA-256 of its source, as read when the override was written."""


@pytest.mark.parametrize(("owner", "name"), SOURCES)
def test_overridden_methods_are_those_that_were_read(owner: type, name: str) -> None:
    source = inspect.getsource(getattr(owner, name))
    assert hashlib.sha256(source.encode()).hexdigest()[:12] == SOURCES[owner, name], (
        f"{owner.__name__}.{name} changed; compare it with rlctl/training/trl/seams.py"
    )


def test_every_override_overrides_something() -> None:
    own = {name for name in vars(PolicyTrainer) if inspect.isfunction(getattr(PolicyTrainer, name))}
    added = {"_drop_rows"}
    for name in own - added - {"__init__"}:
        assert hasattr(GRPOTrainer, name), f"TRL no longer has {name}"


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
