"""A whole proof with a tiny model: what it leaves, called again, and stopped in the middle."""

import io
import json
import os
import re
import shutil
from pathlib import Path

import pytest
from rich.console import Console
from small_proofs import HELD_OUT, TRAIN, proof_config, write_rows

from rlctl.config.load import config_from_dict
from rlctl.errors import DataError, RewardError, Stopped, UsageError
from rlctl.proof.measured import sha256_of
from rlctl.proof.prove import prove
from rlctl.proof.standing import recount
from rlctl.training.place import lock

REWARD = """
import os, pathlib, signal

CALLS, LAST = pathlib.Path({folder!r}) / "calls", {last}

def score(completions, **columns):
    training = pathlib.Path({folder!r}, "stopped", "seed-42").exists()
    done = (int(CALLS.read_text()) if CALLS.exists() else 0) + training
    CALLS.write_text(str(done))
    if done == LAST:
        os.kill(os.getpid(), signal.SIGTERM)
    return [text.count("e") - len(text) / 10 for text in completions]
"""


def made_of(folder: Path) -> dict[str, str]:
    """Every file of a proof that must not change, and its content."""
    names = ["*/final/*", "*/logs/*", "evaluation/*/*", "rewards/*", "plan.json", "proof.html"]
    files = [file for name in names for file in folder.glob(name) if file.is_file()]
    return {str(file.relative_to(folder)): file.read_bytes().hex() for file in files}


@pytest.fixture(scope="module")
def proof(tiny_model_folder, tmp_path_factory):
    """A proof that has been made, and what was printed."""
    folder = tmp_path_factory.mktemp("proof")
    config = config_from_dict(proof_config(folder, tiny_model_folder))
    with (folder / "printed.txt").open("w") as printed:
        done = prove(config, 2, console=Console(file=printed, width=200))
    return config, done, (folder / "printed.txt").read_text()


def test_what_a_proof_leaves(proof):
    config, done, _ = proof
    assert done.folder == Path(config.run.output_dir) / "small-prove"
    assert {one.name for one in done.folder.iterdir()} == {
        *("seed-42", "seed-43", "control", "evaluation", "rewards"),
        *("plan.json", "proof.json", "proof.html", ".lock"),
    }
    for name in ("base", "seed-42", "seed-43", "control"):
        rows = (done.folder / "evaluation" / name / "samples.jsonl").read_text().splitlines()
        assert len(rows) == len(HELD_OUT) * 3  # two samples and a greedy completion
    control = json.loads((done.folder / "control" / "run.json").read_text())
    assert (control["status"], control["seed"]) == ("done", 42)
    assert "shuffle: true" in (done.folder / "control" / "config.yaml").read_text()
    assert "shuffle: false" in (done.folder / "seed-42" / "config.yaml").read_text()


def test_what_it_says(proof):
    _, done, printed = proof
    document = json.loads((done.folder / "proof.json").read_text())
    assert done.document == {**document, "paths": {"folder": str(done.folder), "page": str(done.page)}}
    assert document["verdict"] in ("improved", "no evidence", "worse")
    assert (document["seeds"], document["prompts"], document["samples_per_prompt"]) == ([42, 43], 4, 2)
    assert [one["run"] for one in document["by_seed"]] == ["seed-42", "seed-43"]
    # the mean over prompts of a seed's differences is the difference of its figures
    figures = document["checkpoints"]
    for one in document["by_seed"]:
        change = figures[one["run"]]["reward"]["mean"] - figures["base"]["reward"]["mean"]
        assert one["difference"] == pytest.approx(change)
    assert document["gain"]["difference"] == pytest.approx(
        sum(one["difference"] for one in document["by_seed"]) / 2
    )
    assert {point["step"] for point in document["curves"]["train/reward"]} == {1, 2}
    assert {point["step"] for point in document["curves"]["val/reward"]} == {0, 1, 2}
    assert document["headline"] in printed
    assert re.search(
        r"plan: reward on 4 held-out prompts × 2, seeds 42, 43 and a control; fixed now", printed
    )
    assert re.search(r"seed 43 \(2 of 2\): reward -?\d\.\d{3} on held-out prompts", printed)
    assert re.search(r"reward before training: mean -?\d\.\d+ of \d+ valid completions of \d+", printed)
    assert "--resume" not in printed
    assert document["headline"].split(":")[0] in done.page.read_text()


def test_called_again_it_changes_nothing(proof):
    config, done, _ = proof
    before = made_of(done.folder)
    assert "rewards/analysis.json" in before
    again = prove(config, 2, quiet=True)
    assert made_of(done.folder) == before
    assert {**again.document, "provenance": None} == {**done.document, "provenance": None}


def test_other_weights_are_evaluated_anew(proof, tmp_path):
    """A run that was removed is trained again, and is no longer the one that was evaluated."""
    config, done, _ = proof
    copy = tmp_path / "copy"
    shutil.copytree(done.folder, copy)
    shutil.rmtree(copy / "seed-43")
    before = json.loads((copy / "evaluation" / "seed-43" / "per_prompt.json").read_text())
    again = prove(config, 2, output=copy, quiet=True)
    after = json.loads((copy / "evaluation" / "seed-43" / "per_prompt.json").read_text())
    assert after["run"] != before["run"]
    assert after["per_prompt"] == before["per_prompt"]
    assert again.document["gain"] == done.document["gain"]


@pytest.mark.parametrize(
    "last", [pytest.param(4, id="early", marks=pytest.mark.full), pytest.param(9, id="late")]
)
def test_stopped_and_taken_up_it_says_the_same(last, tiny_model_folder, tmp_path):
    """SIGTERM in the middle of training: the proof goes on, and ends as one that was never stopped."""
    (tmp_path / "mine.py").write_text(REWARD.format(folder=str(tmp_path), last=last))
    own = {"type": "python", "function": str(tmp_path / "mine.py:score"), "isolate": False}
    config = config_from_dict(proof_config(tmp_path, tiny_model_folder, rewards={"components": [own]}))
    with pytest.raises(Stopped) as caught:
        prove(config, 1, output=tmp_path / "stopped", quiet=True)
    assert re.match(r"(seed 42 \(1 of 1\)|control .*): stopped by SIGTERM", caught.value.message)
    assert caught.value.hint == "The same command goes on from there."
    assert not (tmp_path / "stopped" / "proof.json").exists()
    stopped = prove(config, 1, output=tmp_path / "stopped", quiet=True).document
    straight = prove(config, 1, output=tmp_path / "straight", quiet=True).document
    for name in ("gain", "over_control", "control", "by_seed", "metrics", "examples", "curves", "headline"):
        assert stopped[name] == straight[name]


def test_another_process_is_proving_here(proof):
    config, done, _ = proof
    held = lock(done.folder)
    try:
        with pytest.raises(UsageError, match="another process"):
            prove(config, 2, quiet=True)
    finally:
        held.release()


def test_a_reward_test_that_fails_ends_it_before_anything_is_written(tiny_model_folder, tmp_path):
    tests = [{"completion": "x", "expect": 5.0}]
    rewards = {"components": [{"type": "length", "max": 4}], "tests": tests}
    config = config_from_dict(proof_config(tmp_path, tiny_model_folder, rewards=rewards))
    with pytest.raises(RewardError, match="1 of 1 reward tests failed"):
        prove(config, 1, quiet=True)
    assert not (tmp_path / "runs").exists()


def test_several_processes_are_refused(proof, monkeypatch):
    monkeypatch.setitem(os.environ, "WORLD_SIZE", "2")
    with pytest.raises(UsageError, match="led by one process"):
        prove(proof[0], 2, quiet=True)


def test_held_out_prompts_that_are_trained_on(tiny_model_folder, tmp_path):
    """Equal but for white space: one of four is said loudly, all four are refused."""
    content = proof_config(tmp_path, tiny_model_folder)
    rows = [{"prompt": text, "answer": "1"} for text in [*TRAIN, "thirteen "]]
    write_rows(tmp_path / "train.jsonl", rows)
    with (tmp_path / "printed.txt").open("w") as printed:
        done = prove(config_from_dict(content), 1, console=Console(file=printed, width=200))
    words = "1 of the 4 held-out prompts (25.0 %) is also trained on."
    assert f"warning: {words}" in (tmp_path / "printed.txt").read_text()
    assert json.loads((done.folder / "plan.json").read_text())["prompts"]["trained_on"] == 1
    assert done.document["headline"].endswith(f"Beware: {words}")
    assert done.document["limits"][0].startswith(words)
    assert done.page.read_text().count(words) == 2
    write_rows(tmp_path / "train.jsonl", [{"prompt": text, "answer": "1"} for text in HELD_OUT * 2])
    with pytest.raises(DataError, match="every one of the 4 held-out prompts is also trained on"):
        prove(config_from_dict(content), 1, output=tmp_path / "other", quiet=True)
    assert not (tmp_path / "other").exists()


SILENT = """
import pathlib

TRAINED = pathlib.Path({folder!r})

def score(completions, answer, **columns):
    return [None if one == "0" and TRAINED.exists() else float(one) for one in answer]
"""


def test_prompts_without_a_value_once_trained(tiny_model_folder, tmp_path):
    """The first of four prompts is worth 0 to the base model, and no number to the others: 1, 2, 3 stay."""
    (tmp_path / "mine.py").write_text(SILENT.format(folder=str(tmp_path / "runs/small-prove/seed-42")))
    own = {"type": "python", "function": str(tmp_path / "mine.py:score"), "isolate": False}
    judging = {"rewards": {"components": [own]}, "num_samples": 2}
    config = config_from_dict(proof_config(tmp_path, tiny_model_folder, eval=judging))
    with (tmp_path / "printed.txt").open("w") as printed:
        document = prove(config, 2, console=Console(file=printed, width=200)).document
    assert (document["base"], document["trained"]) == (2.0, 2.0)
    assert (document["prompts"], document["prompts_without_value"]) == (3, 1)
    assert document["gain"]["prompts"] == document["over_control"]["prompts"] == 3
    assert document["checkpoints"]["base"]["reward"]["mean"] == 1.5
    assert {row["prompts"] for row in document["metrics"] if row["name"] == "reward"} == {3}
    assert document["verdict"] == "no evidence"
    assert document["because"].startswith("more than 5 % of the prompts lack a value in some model")
    assert "3 held-out prompts with a value in every model (1 of 4 lack one somewhere)" in document["basis"]
    assert "reward 2.000 on 3 of 4 held-out prompts" in (tmp_path / "printed.txt").read_text()


HALF = """
import rlctl

def score(completions, **columns):
    return [rlctl.Invalid("unsure") if i % 2 else 1.0 for i in range(len(completions))]
"""


def test_completions_without_a_value(tiny_model_folder, tmp_path):
    """Each prompt has two samples, of which the second has no value; no prompt lacks one."""
    (tmp_path / "mine.py").write_text(HALF)
    own = {"name": "mine", "type": "python", "function": str(tmp_path / "mine.py:score"), "isolate": False}
    judging = {"rewards": {"components": [own]}, "num_samples": 2, "metric": "mine"}
    document = prove(
        config_from_dict(proof_config(tmp_path, tiny_model_folder, eval=judging)), 1, quiet=True
    ).document
    assert (document["prompts_without_value"], document["left_out"]) == (0, 0.5)
    assert {name: one["left_out"] for name, one in document["checkpoints"].items()} == {
        "base": 0.5,
        "seed-42": 0.5,
        "control": 0.5,
    }
    assert document["because"].startswith("more than 5 % of the completions lack a value in some model")
    assert document["basis"].endswith("2 samples of each, of which a model has no value for up to 50.0%")


def copied(proof, tmp_path) -> Path:
    shutil.copytree(proof[1].folder, tmp_path / "copy")
    return tmp_path / "copy"


def edited(file: Path, change) -> None:
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def raise_values(content) -> None:
    content["per_prompt"]["reward"] = [value + 1 for value in content["per_prompt"]["reward"]]


def raise_samples(folder: Path) -> None:
    rows = [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]
    for row in rows:
        row["total"] += 1
    (folder / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_another_model_in_the_place_of_one_that_was_judged(proof, tmp_path):
    copy = copied(proof, tmp_path)
    weights = copy / "seed-43/final/model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(DataError, match=r"not the model that was judged \(model\.safetensors\)") as caught:
        prove(proof[0], 2, output=copy, quiet=True)
    assert caught.value.where == str(copy / "seed-43/final")


def test_values_that_were_edited(proof, tmp_path):
    copy = copied(proof, tmp_path)
    edited(copy / "evaluation/seed-42/per_prompt.json", raise_values)
    with pytest.raises(DataError, match=r"says something else than samples\.jsonl"):
        prove(proof[0], 2, output=copy, quiet=True)


def test_samples_that_were_edited(proof, tmp_path):
    copy = copied(proof, tmp_path)
    raise_samples(copy / "evaluation/seed-42")
    with pytest.raises(DataError, match="has changed since it was written"):
        prove(proof[0], 2, output=copy, quiet=True)


def test_all_of_an_evaluation_edited_after_the_proof_was_concluded(proof, tmp_path):
    copy = copied(proof, tmp_path)
    folder = copy / "evaluation/seed-42"
    raise_samples(folder)
    counted = recount(folder / "samples.jsonl", proof[0])

    def consistent(content) -> None:
        content["per_prompt"] = {name: counted.per_prompt(name) for name in content["per_prompt"]}
        content["figures"] = counted.as_dict()
        content["sha256"] = sha256_of(folder)

    edited(folder / "per_prompt.json", consistent)
    before = (copy / "proof.json").read_text()
    with pytest.raises(DataError, match="concluded from another seed-42 than there is now"):
        prove(proof[0], 2, output=copy, quiet=True)
    assert (copy / "proof.json").read_text() == before


def test_a_run_that_was_trained_otherwise(proof, tmp_path):
    copy = copied(proof, tmp_path)
    edited(
        copy / "seed-43/run.json",
        lambda record: record["hashes"]["data"].update(dict.fromkeys(record["hashes"]["data"], "00")),
    )
    with pytest.raises(DataError, match=r"trained with other files than planned \(data: train\.jsonl"):
        prove(proof[0], 2, output=copy, quiet=True)


class Meddler(io.StringIO):
    """A screen on which something is done once a text has come by."""

    def __init__(self, text, then):
        super().__init__()
        self.text, self.then = text, then

    def write(self, written):
        if self.text in written:
            self.then()
        return super().write(written)


def test_prompts_that_change_once_the_plan_is_fixed(tiny_model_folder, tmp_path):
    config = config_from_dict(proof_config(tmp_path, tiny_model_folder))
    others = [{"prompt": text, "answer": "0"} for text in HELD_OUT[::-1]]
    screen = Meddler("fixed now in", lambda: write_rows(tmp_path / "eval.jsonl", others))
    with pytest.raises(DataError, match="the held-out prompts have changed since the plan"):
        prove(config, 1, console=Console(file=screen, width=200))
    assert not (tmp_path / "runs/small-prove/seed-42").exists()


PICKY = """
import rlctl

def score(completions, **columns):
    return [float(len(text)) if len(text) % 2 else rlctl.Invalid("even") for text in completions]
"""


@pytest.mark.full
def test_a_penalty_that_is_chosen_is_chosen_once_and_part_of_the_plan(tmp_path, tiny_model_folder):
    (tmp_path / "reward.py").write_text(PICKY)
    part = {"type": "python", "name": "picky", "function": str(tmp_path / "reward.py") + ":score"}
    raw = proof_config(tmp_path, tiny_model_folder, rewards={"components": [part], "invalid_penalty": "auto"})
    config = config_from_dict(raw)
    done = prove(config, 2, quiet=True)
    value = json.loads((done.folder / "plan.json").read_text())["penalty"]["value"]
    for name in ("base", "seed-42", "seed-43", "control"):
        lines = (done.folder / "evaluation" / name / "samples.jsonl").read_text().splitlines()
        assert {row["total"] for row in map(json.loads, lines) if row["outcome"] == "invalid"} == {value}
    for name in ("seed-42", "control"):
        assert f"invalid_penalty: {value}" in (done.folder / name / "config.yaml").read_text()
    before = made_of(done.folder)
    prove(config, 2, quiet=True)
    assert made_of(done.folder) == before
