"""Whole analyses of completions whose rewards are known: against NumPy and numbers worked out by hand."""

import json
import math

import numpy as np
import pytest
from made_rewards import analyse, codes, config, rows

import rlctl
from rlctl.calibration.analyze import analyze_rewards
from rlctl.config.load import config_from_dict
from rlctl.errors import ConfigError, DataError, RewardError, UsageError


def finite(value):
    """Whether JSON can hold a document: no NaN and no infinity in it."""
    if isinstance(value, dict):
        return all(finite(one) for one in value.values())
    if isinstance(value, list):
        return all(finite(one) for one in value)
    return not isinstance(value, float) or math.isfinite(value)


def test_figures_are_those_of_numpy(tmp_path):
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(40, 4)), rng.exponential(size=(40, 4))
    weights = {"rewards": {"scale": 2.0, "invalid_penalty": -3.0}}
    parts = {"name": "first", "weight": 1.0}, {"name": "second", "weight": 0.5}
    found = analyse(tmp_path, rows(first.tolist(), second.tolist()), *parts, **weights)
    totals = 2.0 * (first + 0.5 * second)
    near = {"rel": 1e-9, "abs": 1e-12}
    assert found["num_samples"] == found["valid"] == 160
    assert found["reward"]["mean"] == pytest.approx(totals.mean(), **near)
    assert found["reward"]["std"] == pytest.approx(totals.std(ddof=1), **near)
    assert found["reward"]["quantiles"]["p25"] == pytest.approx(np.quantile(totals, 0.25), **near)
    # The penalty is in units of `invalid_penalty`, before `scale`.
    unscaled = totals / 2.0
    within = math.sqrt(unscaled.var(axis=1, ddof=1).mean())
    assert found["groups"]["within_std"] == pytest.approx(within, **near)
    mean, std = unscaled.mean(), unscaled.std(ddof=1)
    assert found["penalty"]["rule"]["value"] == pytest.approx(mean - 2.5 * std, **near)
    tail = min(unscaled.min(), mean - 2.576 * std)
    assert found["penalty"]["recommended"] == pytest.approx(
        min(mean - 2.5 * within, tail - 0.1 * within), **near
    )
    # A = (r − mean) / (std + 1e-4); the share of a part is Cov(its term, A) / Var(A).
    centre, spread = totals.mean(axis=1, keepdims=True), totals.std(axis=1, ddof=1, keepdims=True) + 2e-4
    advantage = (totals - centre) / spread
    for name, part in (("first", 2.0 * first), ("second", 1.0 * second)):
        term = (part - part.mean(axis=1, keepdims=True)) / spread
        share = (term * advantage).sum() / (advantage**2).sum()
        assert found["components"][name]["share_of_advantage_variance"] == pytest.approx(share, **near)
    pair = found["correlations"][0]
    assert pair["pearson"] == pytest.approx(np.corrcoef(first.ravel(), second.ravel())[0, 1], **near)
    assert finite(found)


def test_the_contract_has_its_keys(tmp_path):
    found = analyse(tmp_path, rows([[0.0, 1.0, "invalid", "nan"], [1.0, None, 0.0, 0.5]]))
    keys = "num_samples valid invalid not_applicable failed reward components groups penalty findings"
    assert set(keys.split()) <= set(found)
    assert [found[name] for name in keys.split()[:5]] == [8, 5, 1, 1, 1]
    assert {"mean", "std", "min", "max", "quantiles", "mean_ci95", "std_ci95"} <= set(found["reward"])
    assert list(found["reward"]["quantiles"]) == ["p01", "p05", "p25", "p50", "p75", "p95", "p99"]
    assert {"mean", "std", "weight", "failed", "share_of_advantage_variance"} <= set(
        found["components"]["first"]
    )
    assert {"count", "size", "within_std", "zero_std_fraction"} <= set(found["groups"])
    wanted = "current rule recommended ci95 verdict inversion_rate provisional reason"
    assert set(wanted.split()) <= set(found["penalty"])
    assert all({"severity", "code", "message"} <= set(one) for one in found["findings"])


def test_a_penalty_of_a_million_is_too_harsh(tmp_path):
    made = rows([["invalid", 1.0, 2.0, 3.0]] * 8)
    found = analyse(tmp_path, made, rewards={"invalid_penalty": -1e6})
    assert found["penalty"]["verdict"] == "too harsh"
    # d = (2 + 10⁶) / 1 and f = 1/4: 1 / sqrt(3/4 (1 + d²/4)) = 2.3e-6 of the spread is left.
    assert found["penalty"]["spread_left"] == pytest.approx(2.309e-6, rel=1e-3)
    assert found["groups"]["flattened_fraction"] == 1.0
    assert found["groups"]["validity_share"] == pytest.approx(1.0, abs=1e-9)
    assert {"penalty_too_harsh", "flattened"} <= set(codes(found))


def test_where_nothing_is_divided_a_penalty_of_a_million_is_felt_in_full(tmp_path):
    # Means 2 and 10/3, so 8/3 of both; s² = (2 + 14/3) / 4.
    made = rows([["invalid", 1.0, 2.0, 3.0], ["invalid", 2.0, 3.0, 5.0]] * 4)
    algorithm = {"type": "grpo", "num_generations": 4, "scale_rewards": "none"}
    found = analyse(tmp_path, made, rewards={"invalid_penalty": -1e6}, algorithm=algorithm)
    assert (found["penalty"]["verdict"], found["penalty"]["spread_left"]) == (None, 1.0)
    assert (found["groups"]["scale"], found["groups"]["flattened_fraction"]) == ("none", 0.0)
    [finding] = [one for one in found["findings"] if one["code"] == "penalty_in_full"]
    assert (finding["severity"], finding["figure"]) == (
        "warning",
        pytest.approx((1e6 + 8 / 3) / (5 / 3) ** 0.5),
    )
    assert not {"penalty_too_harsh", "flattened"} & set(codes(found))
    found = analyse(tmp_path, made, rewards={"invalid_penalty": -5.0}, algorithm=algorithm)
    assert found["penalty"]["verdict"] == "good"
    assert "penalty_in_full" not in codes(found)


def test_the_same_as_a_reward_is_named_too(tmp_path):
    found = analyse(tmp_path, rows([[-1e6, 1.0, 2.0, 3.0]] * 8))
    assert "flattened" in codes(found)
    assert found["penalty"]["verdict"] == "too mild"  # a quarter of the valid rewards is below -1
    assert found["penalty"]["inversion_rate"] == 0.25


def test_a_component_with_a_hundredth_of_the_spread_is_idle(tmp_path):
    rng = np.random.default_rng(1)
    small, large = rng.normal(size=(50, 4)), rng.normal(size=(50, 4))
    parts = {"name": "first", "weight": 1.0}, {"name": "second", "weight": 100.0}
    found = analyse(tmp_path, rows((5.0 + small).tolist(), large.tolist()), *parts)
    shares = [found["components"][name]["share_of_advantage_variance"] for name in ("first", "second")]
    assert sum(shares) == pytest.approx(1.0, abs=1e-9)
    assert abs(shares[0]) < 0.02  # 1e-4, and a chance correlation of about 1e-3
    [idle] = [one for one in found["findings"] if one["code"] == "idle_component"]
    assert idle["severity"] == "warning"
    assert idle["message"].startswith("first makes")


def test_a_part_of_a_geometric_mean_that_decides_everything_is_not_idle(tmp_path):
    rng = np.random.default_rng(1)
    right = (rng.random((50, 4)) < 0.5).astype(float)
    style = 1 - 0.01 * rng.random((50, 4))
    parts = {"name": "first", "weight": 0.01}, {"name": "second", "weight": 1.0}
    made = rows(right.tolist(), style.tolist())
    found = analyse(tmp_path, made, *parts, rewards={"aggregate": "weighted_geometric_mean"})
    # 0 where wrong, whatever the weight: that makes nearly all of the variance, but for the one in 16 groups
    # that are all right.
    assert found["groups"]["interaction_share"] > 0.8
    assert abs(found["components"]["first"]["share_of_advantage_variance"]) < 0.02
    assert "idle_component" not in codes(found)
    # Where it is never 0 the two do add up, nearly.
    mild = rows((0.5 + 0.5 * right).tolist(), (0.1 + 0.9 * rng.random((50, 4))).tolist())
    found = analyse(tmp_path, mild, *parts, rewards={"aggregate": "weighted_geometric_mean"})
    assert abs(found["groups"]["interaction_share"]) < 0.1
    assert "idle_component" in codes(found)


def test_a_constant_component(tmp_path):
    made = rows([[0.0, 1.0, 2.0, 3.0]] * 4, [[0.7] * 4] * 4)
    found = analyse(tmp_path, made, {"name": "first"}, {"name": "second"})
    assert found["components"]["second"]["constant"]
    assert found["components"]["second"]["share_of_advantage_variance"] == pytest.approx(0.0, abs=1e-12)
    assert "second is 0.7 for all 16 completions" in json.dumps(found["findings"])


def test_all_invalid(tmp_path):
    found = analyse(tmp_path, rows([["invalid"] * 4] * 3))
    assert (found["valid"], found["invalid"], found["reward"]["mean"]) == (0, 12, None)
    assert found["findings"][0]["code"] == "all_invalid"
    assert found["penalty"]["recommended"] is None
    assert found["reasons"][0] == {
        **{"outcome": "invalid", "component": "first", "reason": "made so", "count": 12},
        "examples": ["completion 0.0", "completion 0.1"],
    }
    assert finite(found)


def test_a_single_sample(tmp_path):
    found = analyse(tmp_path, rows([[1.0]]))
    assert (found["num_samples"], found["reward"]["mean"], found["reward"]["std"]) == (1, 1.0, None)
    assert {"one_sample", "no_groups"} <= set(codes(found))
    assert finite(found)


def test_zero_variance(tmp_path):
    found = analyse(tmp_path, rows([[0.5] * 4] * 4))
    assert found["reward"]["std"] == 0.0
    assert found["groups"]["zero_std_fraction"] == 1.0
    assert found["findings"][0]["code"] == "no_spread"
    assert found["penalty"]["recommended"] is None
    assert finite(found)


@pytest.mark.parametrize("value", ["nan", "raise"])
def test_failures_do_not_end_it(tmp_path, value):
    found = analyse(tmp_path, rows([[value, 0.0, 1.0, 2.0]] * 4), rewards={"max_failure_rate": 0.1})
    assert (found["valid"], found["failed"]) == (12, 4)
    assert found["reward"]["mean"] == 1.0
    assert found["findings"][0]["code"] == "failed"
    assert found["findings"][0]["severity"] == "error"  # more than training would stand
    assert found["reasons"][0]["outcome"] == "failed"


def test_failures_that_get_the_penalty_count_as_invalid_ones_do(tmp_path):
    made = rows([["nan", 1.0, 2.0, "invalid"], ["nan", 2.0, 3.0, 5.0]] * 4)
    algorithm = {"type": "grpo", "num_generations": 8}
    found = analyse(
        tmp_path, made, rewards={"invalid_penalty": -9.0, "on_error": "penalty"}, algorithm=algorithm
    )
    # 12 of 32 get it: more than one of eight.
    assert found["penalty"]["invalid_share"] == 12 / 32
    assert 12 / 32 in {cell["invalid_fraction"] for cell in found["simulation"]}
    assert (found["invalid"], found["failed"]) == (4, 8)
    masked = analyse(tmp_path, made, rewards={"invalid_penalty": -9.0}, algorithm=algorithm)
    assert masked["penalty"]["invalid_share"] == 4 / 24
    # Yet to be chosen, it is the advised one for the failed too, which without it would be left out.
    auto = analyse(
        tmp_path, made, rewards={"invalid_penalty": "auto", "on_error": "penalty"}, algorithm=algorithm
    )
    assert auto["groups"]["validity_share"] > 0.5
    assert auto["penalty"]["invalid_share"] == 12 / 32


def test_a_penalty_that_failures_alone_get_is_a_warning(tmp_path):
    made = rows([["nan", 1.0, 2.0, 3.0], ["nan", 2.0, 3.0, 5.0]] * 4)
    sections = {"invalid_penalty": -1e6, "on_error": "penalty"}
    [finding] = [
        one
        for one in analyse(tmp_path, made, rewards=sections)["findings"]
        if one["code"] == "penalty_too_harsh"
    ]
    assert finding["severity"] == "warning"
    assert "no completion was invalid" not in finding["message"]


def test_everything_failed(tmp_path):
    found = analyse(tmp_path, rows([["nan"] * 4] * 2))
    assert (found["valid"], found["failed"]) == (0, 8)
    assert codes(found)[0] == "failed"
    assert finite(found)


def test_what_does_not_apply_is_counted_apart(tmp_path):
    found = analyse(tmp_path, rows([[None, None, None, 1.0]] * 4))
    assert (found["valid"], found["not_applicable"]) == (4, 12)
    [one] = [one for one in found["findings"] if one["code"] == "not_applicable"]
    assert (one["severity"], one["figure"]) == ("warning", 0.75)


def test_normalised_components_are_so_within_their_own_group(tmp_path):
    made = rows([[0.0, 2.0], [0.0, 20.0, 40.0], [5.0]])  # ragged groups
    found = analyse(tmp_path, made, {"name": "first", "normalize": "group_std"})
    # (x − mean) / (std + 1e-4): ±0.7071 of the first, −1, 0 and 1 of the second, 0 alone.
    expected = np.array([-0.70705678, 0.70705678, -1.0, 0.0, 1.0, 0.0])
    assert found["reward"]["max"] == pytest.approx(20 / 20.0001)
    assert found["reward"]["std"] == pytest.approx(expected.std(ddof=1), rel=1e-4)


def test_rewards_tests_come_first(tmp_path):
    tests = {"tests": [{"completion": "x", "row": {"first": 1.0}, "expect": 2.0}]}
    with pytest.raises(RewardError, match="1 of 1 reward tests failed"):
        analyse(tmp_path, rows([[1.0]]), rewards=tests)


def test_a_reward_that_lacks_its_column(tmp_path):
    with pytest.raises(RewardError, match="reads the column 'first'"):
        analyse(tmp_path, [{"prompt": "a", "completion": "b"}])


def test_single_texts(tmp_path):
    made = config(tmp_path, {"name": "first"})
    found = analyze_rewards(made, texts=["a", "b"], row={"first": "invalid"}).as_dict()
    assert (found["num_samples"], found["valid"], found["invalid"]) == (2, 0, 2)
    assert found["texts"][1]["completion"] == "b"
    assert found["texts"][1]["total"] == -1.0
    assert found["texts"][1]["reason"] == "first: made so"
    assert not (tmp_path / "outputs").exists()


def test_a_text_is_scored_as_an_answer_to_the_first_prompt():
    made = config_from_dict(
        {
            "model": {"path": "builtin:tiny-math"},
            "data": {"train": {"path": "builtin:arithmetic"}},
            "rewards": {"components": [{"type": "exact_match"}]},
            "algorithm": {"type": "grpo"},
        }
    )
    found = analyze_rewards(made, texts=["nothing"]).as_dict()
    assert found["source"]["columns"]["prompt"].endswith("=")
    answer = found["source"]["columns"]["answer"]
    again = analyze_rewards(made, texts=[answer]).as_dict()
    assert (found["texts"][0]["total"], again["texts"][0]["total"]) == (0.0, 1.0)


def test_everything_is_kept_and_the_same_again(tmp_path):
    made = rows([[0.0, 1.0, "invalid", 3.0]] * 4)
    first = analyse(tmp_path, made, keep=True)
    [folder] = (tmp_path / "outputs").iterdir()
    kept = json.loads((folder / "analysis.json").read_text(encoding="utf-8"))
    kept.pop("request")
    assert kept == json.loads(json.dumps(first))
    lines = (folder / "completions.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 16
    row = json.loads(lines[2])
    assert (row["group"], row["outcome"], row["total"], row["completion"]) == (
        0,
        "invalid",
        -1.0,
        "completion 0.2",
    )
    second = analyse(tmp_path, made, keep=True)
    for found in (first, second):
        found.pop("cost")  # seconds
    assert first == second
    assert len(list((tmp_path / "outputs").iterdir())) == 1


def test_another_request_is_another_folder_and_nothing_is_overwritten(tmp_path):
    made = rows([[0.0, 1.0]] * 4)
    analyse(tmp_path, made, keep=True)
    analyse(tmp_path, made, keep=True, rewards={"invalid_penalty": -2.0})
    assert len(list((tmp_path / "outputs").iterdir())) == 2
    file = str(tmp_path / "completions.jsonl")
    analyze_rewards(config(tmp_path, {"name": "first"}), completions=file, output=tmp_path / "mine")
    with pytest.raises(UsageError, match="nothing is overwritten"):
        analyze_rewards(config(tmp_path, {"name": "first"}), 3, completions=file, output=tmp_path / "mine")


def test_other_completions_in_the_same_file_are_another_request(tmp_path):
    analyse(tmp_path, rows([[0.0, 1.0]] * 4), keep=True)
    analyse(tmp_path, rows([[0.0, 2.0]] * 4), keep=True)
    assert len(list((tmp_path / "outputs").iterdir())) == 2


def test_one_group_of_all_is_scored_again_in_part(tmp_path):
    found = analyse(tmp_path, rows([list(map(float, range(600)))]))
    assert found["noise"]["n"] == 256


def test_what_does_not_go_together(tmp_path):
    made = config(tmp_path, {"name": "first"})
    with pytest.raises(UsageError, match="three things"):
        analyze_rewards(made, completions="a.jsonl", texts=["b"])
    with pytest.raises(UsageError, match="0 samples"):
        analyze_rewards(made, 0)


def test_it_is_a_function_of_the_package():
    assert rlctl.analyze_rewards is analyze_rewards


def test_a_yaml_with_nothing_but_rewards_is_enough_for_completions_of_a_file(tmp_path):
    file = tmp_path / "mine.jsonl"
    file.write_text('{"completion": "a7", "gold": "7"}\n{"completion": "b", "gold": "7"}\n', encoding="utf-8")
    yaml = tmp_path / "rewards.yaml"
    part = "{type: regex, pattern: 'a(.)', group: 1, column: gold}"
    yaml.write_text(f"run: {{output_dir: {tmp_path}}}\nrewards: {{components: [{part}]}}\n", encoding="utf-8")
    found = analyze_rewards(yaml, completions=str(file), keep=False).as_dict()
    assert (found["num_samples"], found["reward"]["mean"]) == (2, 0.5)
    yaml.write_text(yaml.read_text(encoding="utf-8").replace("gold", "glod"), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"reads the column 'glod'.*did you mean 'gold'"):
        analyze_rewards(yaml, completions=str(file), keep=False)
    with pytest.raises(DataError, match="no such file"):
        analyze_rewards(yaml, completions=str(tmp_path / "none.jsonl"))
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(DataError, match=r"empty.jsonl: has no rows"):
        analyze_rewards(yaml, completions=str(tmp_path / "empty.jsonl"))


def test_with_data_that_only_name_columns_the_file_itself_is_the_data(tmp_path):
    file = tmp_path / "mine.jsonl"
    file.write_text('{"completion": "7", "gold": "7"}\n{"completion": "b", "gold": "7"}\n', encoding="utf-8")
    yaml = tmp_path / "rewards.yaml"
    sections = "data: {columns: {answer: gold}}\nrewards: {components: [{type: exact_match}]}\n"
    yaml.write_text(f"run: {{output_dir: {tmp_path}}}\n{sections}", encoding="utf-8")
    assert analyze_rewards(yaml, completions=str(file), keep=False).as_dict()["reward"]["mean"] == 0.5


def test_nothing_but_rewards_is_enough_for_texts(tmp_path):
    yaml = tmp_path / "rewards.yaml"
    yaml.write_text("rewards: {components: [{type: exact_match}]}\n", encoding="utf-8")
    found = analyze_rewards(yaml, texts=["7"], row={"answer": "7"}).as_dict()
    assert found["texts"][0]["total"] == 1.0
    with pytest.raises(RewardError, match="read the column 'answer', which is not there") as error:
        analyze_rewards(yaml, texts=["7"])
    assert "--row" in error.value.hint


def test_a_run_that_has_chosen_its_penalty_is_judged_by_it(tmp_path):
    made = [
        {"step": 1, "split": "train", **row, "components": {}} for row in rows([[0.0, 1.0, "invalid", 2.0]])
    ]
    for one in made:
        one["columns"] = {"first": one.pop("first")}
    (tmp_path / "run" / "logs").mkdir(parents=True)
    text = "".join(json.dumps(row) + "\n" for row in made)
    (tmp_path / "run" / "logs" / "completions.jsonl").write_text(text, encoding="utf-8")
    auto = config(tmp_path, {"name": "first"}, rewards={"invalid_penalty": "auto"})
    assert analyze_rewards(auto, run=tmp_path / "run", keep=False).as_dict()["penalty"]["current"] is None
    (tmp_path / "run" / "run.json").write_text('{"penalty": {"value": -1.5}}', encoding="utf-8")
    found = analyze_rewards(auto, run=tmp_path / "run", keep=False).as_dict()
    assert (found["penalty"]["current"], found["source"]["kind"]) == (-1.5, "run")


def test_the_names_of_other_tools_for_a_completion(tmp_path):
    yaml = tmp_path / "rewards.yaml"
    yaml.write_text(f"run: {{output_dir: {tmp_path}}}\nrewards: {{components: [{{type: exact_match}}]}}\n")
    file = tmp_path / "mine.jsonl"
    file.write_text('{"response": "7", "answer": "7"}\n', encoding="utf-8")
    assert analyze_rewards(yaml, completions=str(file), keep=False).as_dict()["reward"]["mean"] == 1.0
    file.write_text('{"response": "7", "output": "8", "answer": "7"}\n', encoding="utf-8")  # which one?
    with pytest.raises(DataError, match=r"has no column `completion`") as error:
        analyze_rewards(yaml, completions=str(file), keep=False)
    assert error.value.hint == "the columns are response, output, answer"


def test_uneven_groups(tmp_path):
    found = analyse(tmp_path, rows([[0.0], [1.0], [2.0], [0.0, 1.0, 2.0], [0.0, 1.0, 3.0], [1.0, 2.0]]))
    groups = found["groups"]
    assert (groups["prompts"], groups["count"], groups["size"], groups["sizes"]) == (6, 3, 3, [1, 3])


def test_nothing_valid_is_not_taken_for_no_groups(tmp_path):
    for value in ("invalid", "nan"):
        assert "no_groups" not in codes(analyse(tmp_path, rows([[value] * 4] * 3)))


def test_a_constant_component_moves_the_penalty_when_it_goes(tmp_path):
    parts = {"name": "first"}, {"name": "second", "weight": 2.0}
    found = analyse(tmp_path, rows(np.eye(4).tolist() * 4, [[1.0] * 4] * 16), *parts)
    [finding] = [one for one in found["findings"] if one["code"] == "constant_component"]
    assert finding["fix"].endswith("without it all rewards, and the penalty to use, are -2")
    alone = analyse(tmp_path, rows(np.eye(4).tolist() * 4))
    moved = found["penalty"]["recommended"] - alone["penalty"]["recommended"]
    assert moved == pytest.approx(2.0)
