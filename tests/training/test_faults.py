"""What goes wrong is told in words, with the keys that help."""

import errno

import pytest

from rlctl.config.load import config_from_dict
from rlctl.errors import DataError, TrainingError
from rlctl.training.faults import explain

CONFIG = {
    "model": {"path": "builtin:tiny-math"},
    "data": {"train": {"path": "builtin:arithmetic"}},
    "rewards": {"components": [{"type": "exact_match"}]},
    "algorithm": {"type": "grpo", "beta": 0.1},
    "training": {"max_steps": 1, "gradient_checkpointing": False},
}


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory"
        ),
        RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB"),
    ],
)
def test_memory_names_the_keys(error: Exception) -> None:
    explained = explain(error, config_from_dict(CONFIG))
    assert isinstance(explained, TrainingError)
    text = explained.render()
    keys = (
        "training.per_device_train_batch_size",
        "training.gradient_checkpointing: true",
        "generation.max_completion_length",
        "model.lora",
        "model.quantization",
        "algorithm.beta: 0",
    )
    for key in keys:
        assert key in text
    assert explained.exit_code == 5


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError("I/O error: No space left on device (os error 28)"),
        RuntimeError(
            "[enforce fail at inline_container.cc:668] . unexpected pos; PytorchStreamWriter failed"
        ),
    ],
)
def test_full_disk(error: Exception) -> None:
    explained = explain(error, config_from_dict(CONFIG))
    assert isinstance(explained, TrainingError)
    assert "disk is full" in explained.render()
    assert "--output-dir" in explained.render()


def test_own_errors_stay_and_unknown_ones_are_not_guessed() -> None:
    config = config_from_dict(CONFIG)
    mine = DataError("no rows")
    assert explain(mine, config) is mine
    assert explain(RuntimeError("shape mismatch"), config) is None
