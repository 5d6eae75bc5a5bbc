"""A proof that is called again counts what it kept once more, and gets the same figures."""

import json

import pytest
from small_proofs import proof_config

from rlctl.config.load import config_from_dict
from rlctl.errors import CheckpointError
from rlctl.evaluation.figures import Figures
from rlctl.evaluation.samples import kept
from rlctl.proof.document import read
from rlctl.proof.prove import prove
from rlctl.proof.standing import recount
from rlctl.rewards.outcome import Failed, Invalid
from tests.evaluation.made_samples import config_with, sample

PROMPTS = [{"prompt": str(i), "answer": "7"} for i in range(4)]


def test_every_outcome_of_a_component_is_counted_again_as_it_was(tmp_path):
    """`math_answer` gives 0 at least, so an invalid completion is a 0 of it; a failed one is nothing."""
    config = config_with()
    scores = (1.0, Invalid("no answer"), Failed("oops"), None)
    samples = [sample(config, i, "", score) for i, score in enumerate(scores)]
    rows = kept("base", samples, PROMPTS)
    (tmp_path / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    counted, figures = recount(tmp_path / "samples.jsonl", config), Figures(samples, PROMPTS, config)
    assert counted.per_prompt("right") == figures.per_prompt("right") == [1.0, 0.0, None, None]
    assert counted.as_dict() == figures.as_dict()


def test_a_proof_with_invalid_completions_can_be_called_again(tiny_model_folder, tmp_path):
    """What the tiny model says holds no number, so `math_answer` calls it invalid."""
    rewards = {"components": [{"name": "right", "type": "math_answer"}], "invalid_penalty": -2.0}
    config = config_from_dict(proof_config(tmp_path, tiny_model_folder, rewards=rewards))
    done = prove(config, 1, quiet=True).document
    assert done["checkpoints"]["base"]["invalid"] > 0
    assert prove(config, 1, quiet=True).document["gain"] == done["gain"]


@pytest.mark.parametrize("text", ["[]", "7", '"x"', '{"models": []}', '{"models": {"base": null}}', "{"])
def test_a_document_that_is_something_else_is_refused(text, tmp_path):
    assert read(tmp_path / "proof.json") == {}
    (tmp_path / "proof.json").write_text(text)
    with pytest.raises(CheckpointError, match="Remove it, and prove again"):
        read(tmp_path / "proof.json")
