"""The runs of a proof: what each is trained with."""

import pytest
from small_proofs import proof_config

from rlctl.config.load import config_from_dict, load_config
from rlctl.proof.runs import runs_of, seeds_of


@pytest.fixture
def config(tmp_path):
    return config_from_dict(proof_config(tmp_path, "builtin:tiny-math", eval={"watch": "stop"}))


def test_seeds_then_the_control(config, tmp_path):
    runs = runs_of(config, seeds_of(config, 3), tmp_path / "proof")
    assert [(one.name, one.config.run.seed, one.config.rewards.shuffle) for one in runs] == [
        ("seed-42", 42, False),
        ("seed-43", 43, False),
        ("seed-44", 44, False),
        ("control", 42, True),
    ]
    assert [one.label for one in runs[1:]] == [
        "seed 43 (2 of 3)",
        "seed 44 (3 of 3)",
        "control (seed 42, rewards shuffled)",
    ]
    assert runs[0].folder == tmp_path / "proof" / "seed-42"
    assert not any(one.finished or one.identity for one in runs)


def test_nothing_else_differs_but_names_and_the_watch(config, tmp_path):
    (first, _) = runs_of(config, [42], tmp_path / "proof")
    same = first.config.model_copy(
        update={"run": config.run, "tracking": config.tracking, "eval": config.eval}
    )
    assert same == config
    assert first.config.tracking.group == "proof"
    assert (config.eval.watch, first.config.eval.watch) == ("stop", "warn")
    assert first.config.eval.model_copy(update={"watch": "stop"}) == config.eval


def test_a_group_of_the_user_stays(config, tmp_path):
    grouped = config.model_copy(update={"tracking": config.tracking.model_copy(update={"group": "mine"})})
    assert runs_of(grouped, [42], tmp_path)[0].config.tracking.group == "mine"


def test_the_config_of_a_run_can_be_loaded_again(config, tmp_path):
    from rlctl.config.dump import to_yaml

    control = runs_of(config, [42], tmp_path)[-1].config
    (tmp_path / "control.yaml").write_text(to_yaml(control))
    assert load_config(tmp_path / "control.yaml") == control


def test_after_the_largest_seed_comes_0(config):
    last = config.model_copy(update={"run": config.run.model_copy(update={"seed": 2**32 - 2})})
    assert seeds_of(last, 3) == [2**32 - 2, 2**32 - 1, 0]
