"""A plan is fixed once: what has changed since is refused, key by key."""

import json

import pytest
from small_proofs import proof_config, write_rows

from rlctl.config.load import config_from_dict
from rlctl.errors import CheckpointError, ConfigError, DataError, UsageError, dotted
from rlctl.proof import plan as plans
from rlctl.proof.wording import TITLES

ROWS = [{"prompt": "one", "answer": "1"}, {"prompt": "two", "answer": "2"}]


@pytest.fixture
def config(tmp_path):
    """A config with held-out prompts and a reward of the user's own; called with what is to be changed."""
    (tmp_path / "mine.py").write_text("def score(completions, **columns): return [0.0] * len(completions)\n")

    def make(**changes):
        own = {"type": "python", "function": str(tmp_path / "mine.py:score")}
        data = proof_config(tmp_path, "builtin:tiny-math", rewards={"components": [own]})
        write_rows(tmp_path / "eval.jsonl", ROWS)
        for section, keys in changes.items():
            data[section] = {**data.get(section, {}), **keys}
        return config_from_dict(data)

    return make


def planned(config, seeds=(42, 43), rows=ROWS, trained_on=0):
    return plans.make_plan(config, list(seeds), plans.fingerprint(rows), trained_on)


@pytest.fixture
def folder(config, tmp_path):
    path = tmp_path / "proof"
    path.mkdir()
    plans.fix(path, planned(config()))
    return path


def test_what_a_plan_holds(config, folder):
    plan = json.loads((folder / "plan.json").read_text())
    assert (plan["metric"], plan["seeds"], plan["num_samples"]) == ("reward", [42, 43], 2)
    assert plan["control"] == {"seed": 42, "rewards.shuffle": True}
    assert plan["prompts"]["count"] == 2
    assert len(plan["prompts"]["sha256"]) == 64
    words = [line.partition(":")[0] for line in plan["rule"]]
    assert [word for word in words if word in TITLES] == ["worse", "improved", "no evidence"]
    assert len(plan["hashes"]["config"]) == 64
    assert [name.endswith("mine.py") for name in plan["hashes"]["rewards"]] == [True]
    assert plan["config"]["rewards"]["components"][0]["type"] == "python"


def test_the_same_plan_is_the_first_one(config, folder):
    now = {**planned(config()), "made": "later"}
    before = plans.read(folder)
    assert plans.fix(folder, now) == before
    assert plans.read(folder) == before
    plans.refuse_changes(folder, config(), [42, 43])


def test_what_changes_no_result_may_change(config, folder):
    free = config(
        training={"save_steps": 7, "logging_steps": 1}, tracking={"project": "x"}, run={"name": "y"}
    )
    plans.fix(folder, planned(free))


@pytest.mark.parametrize("check", ["with prompts", "before they are read"])
def test_every_changed_key_is_named(config, folder, check):
    changed = config(eval={"metric": "valid_fraction"}, training={"max_steps": 3})
    with pytest.raises(ConfigError) as caught:
        if check == "with prompts":
            plans.fix(folder, planned(changed))
        else:
            plans.refuse_changes(folder, changed, [42, 43])
    found = {dotted(one.path): one.message for one in caught.value.problems}
    assert found == {
        "training.max_steps": "2 when this proof was planned, and now 3",
        "eval.metric": '"reward" when this proof was planned, and now "valid_fraction"',
    }
    assert "--output DIR" in caught.value.problems[0].suggestion


def test_more_seeds_are_refused(config, folder):
    """Whoever adds seeds until the verdict suits has chosen it."""
    with pytest.raises(UsageError, match=r"seeds: \[42, 43\] in the plan, and now \[42, 43, 44\]"):
        plans.refuse_changes(folder, config(), [42, 43, 44])


def test_other_prompts_are_refused(config, folder):
    rows = [ROWS[0], {"prompt": "two", "answer": "3"}]
    with pytest.raises(UsageError, match=r"the held-out prompts have changed \(2 then, 2 now\)"):
        plans.fix(folder, planned(config(), rows=rows))


def test_prompts_that_are_trained_on_since_then_are_refused(config, folder):
    words = "data.train: held-out prompts that are also trained on: 0 in the plan, and now 1"
    with pytest.raises(UsageError, match=words):
        plans.fix(folder, planned(config(), trained_on=1))


def test_prompts_that_are_all_trained_on_prove_nothing():
    plans.require_held_out(plans.fingerprint(ROWS), 1)
    with pytest.raises(DataError, match="every one of the 2 held-out prompts is also trained on") as caught:
        plans.require_held_out(plans.fingerprint(ROWS), 2)
    assert "another split of data.train" in str(caught.value)


def test_other_files_are_refused(config, folder, tmp_path):
    now = config()
    (tmp_path / "mine.py").write_text("def score(completions, **columns): return [1.0] * len(completions)\n")
    write_rows(tmp_path / "eval.jsonl", ROWS[::-1])
    with pytest.raises(UsageError) as caught:
        plans.refuse_changes(folder, now, [42, 43])
    assert "data: eval.jsonl has changed" in str(caught.value)
    assert "rewards: mine.py has changed" in str(caught.value)


def test_a_run_that_was_trained_with_other_files(config, folder, tmp_path):
    plan = plans.read(folder)
    plans.require_trained_as_planned(plan, tmp_path, plan["hashes"])
    other = {**plan["hashes"], "rewards": dict.fromkeys(plan["hashes"]["rewards"], "00")}
    with pytest.raises(DataError, match=r"other files than planned \(rewards: mine\.py has changed\)"):
        plans.require_trained_as_planned(plan, tmp_path, other)
    plans.require_planned(plan, plans.fingerprint(ROWS))
    with pytest.raises(DataError, match="the held-out prompts have changed since the plan"):
        plans.require_planned(plan, plans.fingerprint(ROWS[::-1]))


def test_another_version_is_refused(config, folder, monkeypatch):
    monkeypatch.setattr(plans, "__version__", "99.0")
    with pytest.raises(UsageError, match=r'rlctl: ".*" in the plan, and now "99.0"'):
        plans.refuse_changes(folder, config(), [42, 43])


def test_a_plan_that_cannot_be_read(config, folder):
    (folder / "plan.json").write_text("{")
    with pytest.raises(CheckpointError, match="cannot be read"):
        plans.refuse_changes(folder, config(), [42, 43])
    (folder / "plan.json").write_text("{}")
    with pytest.raises(CheckpointError, match="cannot be read"):
        plans.refuse_changes(folder, config(), [42, 43])


def test_a_folder_of_something_else(config, tmp_path):
    (tmp_path / "other").mkdir()
    plans.refuse_changes(tmp_path / "other", config(), [42])
    (tmp_path / "other" / "thesis.tex").write_text("x")
    with pytest.raises(UsageError, match=r"holds 'thesis\.tex', but no plan\.json"):
        plans.refuse_changes(tmp_path / "other", config(), [42])
    with pytest.raises(UsageError, match=r"but no plan\.json"):
        plans.refuse_changes(tmp_path / "other" / "thesis.tex", config(), [42])


def test_a_config_must_be_provable(config):
    plans.require_provable(config())
    with pytest.raises(ConfigError, match=r"rewards\.shuffle: every run of the proof would be a control"):
        plans.require_provable(config(rewards={"shuffle": True}))
    with pytest.raises(ConfigError, match=r"data\.eval: a proof is judged on held-out prompts"):
        plans.require_provable(config(data={"eval": None}))
    with pytest.raises(DataError, match="two held-out prompts or more, and there is 1"):
        plans.fingerprint(ROWS[:1])


def test_conditions_of_eval_pass_stay_the_same(config, tmp_path):
    passing = config(eval={"pass": {"python": ">=0.5"}, "metric": "greedy_pass"})
    (tmp_path / "passing").mkdir()
    plans.fix(tmp_path / "passing", planned(passing))
    plans.refuse_changes(tmp_path / "passing", passing, [42, 43])


def test_a_fingerprint_is_of_prompts_columns_and_order():
    first = plans.fingerprint(ROWS)
    assert plans.fingerprint([dict(reversed(row.items())) for row in ROWS]) == first
    assert plans.fingerprint(ROWS[::-1]) != first
    assert plans.fingerprint([ROWS[0], {**ROWS[1], "answer": "x"}]) != first
