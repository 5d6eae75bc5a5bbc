"""Names of checkpoints that look like `base`, and checkpoints that are fetched from the Hub."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rlctl.config.config import Config
from rlctl.config.load import config_from_dict
from rlctl.errors import CheckpointError
from rlctl.evaluation.checkpoints import fetch, find_checkpoint
from rlctl.models.resolve import resolve
from tests.models.hub_stand_in import Hub


def config_in(folder: Path) -> Config:
    data: dict[str, Any] = {
        "run": {"name": "run", "output_dir": str(folder / "out")},
        "model": {"path": "builtin:tiny-math", "device": "cpu"},
        "data": {
            "train": {"path": "builtin:arithmetic"},
            "eval": {"path": "builtin:arithmetic", "split": "test", "limit": 4},
            "max_length": 32,
        },
        "rewards": {"components": [{"name": "correct", "type": "math_answer"}]},
        "generation": {"max_completion_length": 4},
        "algorithm": {"type": "grpo"},
        "eval": {"num_samples": 1, "kl": False},
    }
    return config_from_dict(data)


@pytest.mark.parametrize("name", ["t5-base", "bart-base", "org/base", "case", "seba/bass"])
def test_a_name_that_resembles_base_may_be_a_model_of_the_hub(name, tmp_path):
    found = find_checkpoint(name, config_in(tmp_path))
    assert (found.name, found.model.path) == (name, name)


def test_a_run_whose_name_resembles_base(tmp_path, monkeypatch):
    """Named with a step, there is no folder of exactly that name."""
    monkeypatch.chdir(tmp_path)
    step = tmp_path / "base1/checkpoints/checkpoint-1"
    step.mkdir(parents=True)
    (step / "config.json").write_text("{}")
    assert Path(find_checkpoint("base1@1", config_in(tmp_path)).model.path).resolve() == step


def test_what_is_nowhere_and_resembles_base_is_answered_with_it(tmp_path):
    config = config_in(tmp_path)
    with pytest.raises(CheckpointError, match=r"not in the cache[\s\S]*did you mean 'base'\?"):
        fetch(find_checkpoint("bse", config))
    with pytest.raises(CheckpointError) as caught:
        fetch(find_checkpoint("team/other", config))
    assert "did you mean" not in str(caught.value)
    with pytest.raises(CheckpointError, match="did you mean 'base'"):
        find_checkpoint("", config)


TWICE = """
import json, sys
from rlctl.config.load import config_from_dict
from rlctl.evaluation.evaluate import evaluate

config = config_from_dict(json.loads(sys.argv[1]))
found = [evaluate(config, ["team/tiny"]) for _ in range(2)]
print(json.dumps([[one.folder.name, one.request["models"]["team/tiny"]["files"]] for one in found]))
"""


def test_a_model_of_the_hub_is_the_same_evaluation_before_and_after_it_is_in_the_cache(tmp_path):
    """In a process of its own: libraries read the address of the Hub when they are imported."""
    hub = Hub()
    hub.repositories["team/tiny"] = False
    hub.files = {file.name: file.read_bytes() for file in Path(resolve("builtin:tiny-math")).iterdir()}
    places = {"HF_ENDPOINT": hub.address, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "0"}
    command = [sys.executable, "-c", TWICE, config_in(tmp_path).model_dump_json()]
    try:
        done = subprocess.run(
            command, env={**os.environ, **places}, capture_output=True, text=True, timeout=240
        )
    finally:
        hub.shutdown()
        hub.server_close()
    assert done.returncode == 0, done.stderr
    first, second = json.loads(done.stdout)
    assert first == second
    assert first[1] == {"team/tiny": "1" * 40}
