"""Fixtures that several folders of tests share: small real models. Tests run offline and on one thread."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from models_for_tests import GSM8K, build_model_folder


@pytest.fixture(scope="session")
def tiny_model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A causal LM of about 90,000 weights, a real tokenizer, no chat template. Do not write into it."""
    return build_model_folder(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def tiny_chat_model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a ChatML template. Do not write into it."""
    return build_model_folder(tmp_path_factory.mktemp("models") / "tiny-chat", chat=True)


@pytest.fixture(scope="session")
def gsm8k_folder() -> Path:
    """The real GSM8K files; the test is skipped where they are not there."""
    if not (GSM8K / "train.jsonl.gz").exists():
        pytest.skip(f"GSM8K is not at {GSM8K}")
    return GSM8K
