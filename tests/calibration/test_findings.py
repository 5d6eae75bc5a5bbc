"""Each finding comes where it should, with its figure, and not where it should not."""

import ast
import random
import re
from pathlib import Path

import numpy as np
import pytest
from made_rewards import analyse, codes, config, rows

from rlctl.calibration import finding_rewards, finding_scoring
from rlctl.calibration.analyze import analyze_rewards

ARITHMETIC = {"path": "builtin:arithmetic"}
HONEST = np.random.default_rng(7).normal(size=(60, 4)).round(3).tolist()


def one(found, code):
    [finding] = [finding for finding in found["findings"] if finding["code"] == code]
    return finding


def test_an_honest_reward_has_no_warning(tmp_path):
    found = analyse(tmp_path, rows(HONEST), rewards={"invalid_penalty": -4.0})
    assert [each for each in found["findings"] if each["severity"] != "info"] == []


def test_a_reward_that_does_not_look_at_the_text_is_not_probed(tmp_path):
    found = analyse(tmp_path, rows(HONEST))
    assert found["probes"] == []
    assert one(found, "text_ignored")["severity"] == "info"


def test_completions_that_are_all_wrong_do_not_hide_a_hole(tmp_path):
    """All totals are 0, as those of an empty text: that does not mean that the text is not looked at."""
    made = [
        {"prompt": f"{i // 4}+1=", "completion": "no", "answer": f"a{i // 4}b", "first": 0} for i in range(64)
    ]
    code = (
        "def score(completions, answer):\n    return [float(a in c) for c, a in zip(completions, answer)]\n"
    )
    (tmp_path / "anywhere.py").write_text(code, encoding="utf-8")
    part = {"name": "anywhere", "function": f"{tmp_path / 'anywhere.py'}:score"}
    found = analyse(tmp_path, made, part, data=_data(tmp_path))
    assert "text_ignored" not in codes(found)
    assert "exploit" in codes(found)


def test_a_reward_that_takes_any_of_many_tags_is_named(tmp_path):
    """A function of the user does not say that it wants tags; its completions do."""
    made = [
        {
            "prompt": f"{i // 4}+1=",
            "completion": f"<answer>{i // 4 + i % 2}</answer>",
            "answer": str(i // 4 + 1),
        }
        for i in range(64)
    ]
    code = (
        "import re\n"
        "def found(completion):\n"
        "    return re.findall('<answer>(.*?)</answer>', completion)\n"
        "def anyof(completion, prompt, answer):\n"
        "    return float(answer in found(completion))\n"
        "def last(completion, prompt, answer):\n"
        "    return float([answer] == found(completion)[-1:])\n"
    )
    (tmp_path / "tagged.py").write_text(code, encoding="utf-8")
    sections = {"data": _data(tmp_path), "rewards": {"invalid_penalty": -1.5}}
    part = {"name": "tagged", "function": f"{tmp_path / 'tagged.py'}:anyof"}
    named = [one["name"] for one in analyse(tmp_path, made, part, **sections)["probes"] if one["exploit"]]
    assert named == ["many_in_tags"]
    part = {"name": "tagged", "function": f"{tmp_path / 'tagged.py'}:last"}
    assert not {"exploit", "right_answers_score_low"} & set(codes(analyse(tmp_path, made, part, **sections)))


def test_what_pays_for_length_is_not_excused_as_right(tmp_path):
    made = [{"prompt": f"p{i // 4}", "completion": "x" * (i % 4), "first": 0.0} for i in range(80)]
    code = "def long(completions):\n    return [float(len(text) > 1) for text in completions]\n"
    (tmp_path / "long.py").write_text(code, encoding="utf-8")
    found = analyse(tmp_path, made, {"name": "long", "function": f"{tmp_path / 'long.py'}:long"})
    assert one(found, "length_driven")["severity"] == "warning"


def test_a_mild_penalty_is_an_error_where_invalid_ones_beat_valid_ones(tmp_path):
    made = rows([[*group[:3], "invalid"] for group in HONEST])
    finding = one(analyse(tmp_path, made, rewards={"invalid_penalty": 0.0}), "penalty_too_mild")
    below = np.mean(np.array(HONEST)[:, :3] < 0)
    assert (finding["severity"], finding["figure"]) == ("error", pytest.approx(below))
    assert "rewards.invalid_penalty: -" in finding["fix"]
    # Without any invalid completion the same penalty does no harm yet.
    assert (
        one(analyse(tmp_path, rows(HONEST), rewards={"invalid_penalty": 0.0}), "penalty_too_mild")["severity"]
        == "info"
    )


def test_groups_without_spread(tmp_path):
    made = [[1.0] * 4, [0.0] * 4, [0.0, 1.0, 1.0, 0.0], [0.0] * 4]
    finding = one(analyse(tmp_path, rows(made * 5)), "dead_groups")
    assert (finding["severity"], finding["figure"]) == ("warning", 0.75)
    assert "75% of 20 groups" in finding["message"]


def test_spread_between_prompts_only(tmp_path):
    made = [[10.0 * place + 0.1 * value for value in group] for place, group in enumerate(HONEST)]
    assert one(analyse(tmp_path, rows(made)), "between_prompts")["figure"] > 0.99


def test_truncated_and_mostly_invalid(tmp_path):
    made = [{**row, "truncated": True} for row in rows([["invalid", "invalid", "invalid", 1.0]] * 6)]
    found = analyse(tmp_path, made)
    assert one(found, "truncated")["figure"] == 1.0
    assert one(found, "mostly_invalid")["figure"] == 0.75


def test_a_saturated_component(tmp_path):
    made = rows([[1.0] * 19 + [0.3], [1.0] * 19 + [0.5]])
    assert one(analyse(tmp_path, made), "saturated_component")["figure"] == pytest.approx(0.95)


def test_components_that_say_the_same_and_that_pull_apart(tmp_path):
    parts = {"name": "first"}, {"name": "second"}
    doubled = [[2 * value + 1 for value in group] for group in HONEST]
    assert one(analyse(tmp_path, rows(HONEST, doubled), *parts), "redundant_components")["figure"] == 1.0
    turned = [[-value for value in group] for group in HONEST]
    found = analyse(tmp_path, rows(HONEST, turned), {"name": "first"}, {"name": "second", "weight": 0.5})
    assert one(found, "opposed_components")["figure"] == -1.0
    # A negative weight turns it round again.
    found = analyse(tmp_path, rows(HONEST, turned), {"name": "first"}, {"name": "second", "weight": -1.0})
    assert "opposed_components" not in codes(found)


def test_a_reward_that_pays_for_length_is_named_by_the_probes_too(tmp_path):
    random.seed(0)
    made = [
        {"prompt": f"p{i // 4}", "completion": "x " * random.randint(1, 20), "first": 0.0} for i in range(160)
    ]
    found = analyse(tmp_path, made, {"name": "long", "type": "regex", "pattern": "x", "mode": "count"})
    finding = one(found, "length_driven")
    assert (finding["severity"], round(finding["figure"], 6)) == ("warning", 1.0)
    exploits = [each for each in found["probes"] if each["exploit"]]
    assert "very_long" in [each["name"] for each in exploits]
    assert one(found, "exploit")["severity"] == "error"


def test_right_answers_that_are_longer_are_no_warning(tmp_path):
    made = [
        {"prompt": f"p{i // 4}", "completion": "10" if i % 2 else "9", "answer": "10", "first": 0}
        for i in range(80)
    ]
    found = analyse(tmp_path, made, {"name": "right", "type": "exact_match"}, data=_data(tmp_path))
    assert found["length"]["reward_within"] == pytest.approx(1.0)
    assert found["length"]["reward_given_right"] == 0.0
    assert one(found, "length_driven")["severity"] == "info"


def test_an_honest_match_is_not_named(tmp_path):
    made = [
        {"prompt": f"{i // 4}+1=", "completion": str(i // 4 + i % 2), "answer": str(i // 4 + 1), "first": 0}
        for i in range(160)
    ]
    found = analyse(tmp_path, made, {"name": "right", "type": "exact_match"}, data=_data(tmp_path))
    assert not {"exploit", "probe_above_p25", "right_answers_score_low"} & set(codes(found))
    assert found["gold"]["components"]["right"]["reference"] == 1.0


def test_right_answers_that_are_scored_wrong(tmp_path):
    made = [
        {"prompt": f"{i // 4}+1=", "completion": f" {i % 3}", "answer": f" {i // 4 + 1}\n", "first": 0}
        for i in range(64)
    ]
    code = (
        "def score(completions, answer):\n"
        "    return [float(c.strip() == a) for c, a in zip(completions, answer)]\n"
    )
    (tmp_path / "strict.py").write_text(code, encoding="utf-8")
    part = {"name": "strict", "function": f"{tmp_path / 'strict.py'}:score"}
    finding = one(analyse(tmp_path, made, part, data=_data(tmp_path)), "right_answers_score_low")
    assert finding["figure"] == 1.0
    everybody = code.replace("float(c.strip() == a)", "1.0")
    (tmp_path / "lax.py").write_text(everybody, encoding="utf-8")
    part = {"name": "lax", "function": f"{tmp_path / 'lax.py'}:score"}
    found = analyse(tmp_path, made, part, data=_data(tmp_path), rewards={"invalid_penalty": -2.0})
    assert one(found, "wrong_answers_score_high")["figure"] == 1.0


def test_form_alone_is_one_finding_and_answers_in_tags_are_tested(tmp_path):
    code = (
        "import re\n"
        "def shape(completions):\n"
        "    return [float(re.fullmatch('<answer>.*</answer>', c) is not None) for c in completions]\n"
        "def right(completions, answer):\n"
        "    return [float(f'<answer>{a}</answer>' == c) for c, a in zip(completions, answer)]\n"
        "def hidden(completions, answer):\n"
        "    return [float(f'so {a} it' in c) for c, a in zip(completions, answer)]\n"
    )
    (tmp_path / "tags.py").write_text(code, encoding="utf-8")
    made = [
        {
            "prompt": f"{i // 4}+1=",
            "completion": f"<answer>{i // 4 + 1 + i % 2}</answer>"
            if i % 4 < 2
            else f"so {i // 4 + 1} it is, 0",
            "answer": str(i // 4 + 1),
            "first": 0,
        }
        for i in range(160)
    ]

    def found(name):
        part = {"name": name, "function": f"{tmp_path / 'tags.py'}:{name}"}
        return analyse(tmp_path, made, part, data=_data(tmp_path))

    form = one(found("shape"), "form_alone")
    assert (form["severity"], form["figure"]) == ("warning", 1.0)
    assert "the reward is for form alone: '<answer></answer>'" in form["message"]
    assert "exploit" not in codes(found("shape"))
    of_right = found("right")
    assert not {"form_alone", "exploit", "right_answers_score_low"} & set(codes(of_right))
    assert of_right["gold"]["components"]["right"]["reference"] == 1.0
    assert "right_answers_score_low" not in codes(found("hidden"))


def test_noise_and_batch_mates(tmp_path):
    code = (
        "import random\n"
        "draw = random.Random(3)\n"
        "def noisy(completions, first):\n"
        "    return [value + draw.gauss(0, 1) for value in first]\n"
        "def tied(completions):\n"
        "    return [1 + draw.gauss(0, 1e-3) for _ in completions]\n"
        "def ranked(completions, first):\n"
        "    return [float(sorted(first).index(value)) for value in first]\n"
    )
    (tmp_path / "noise.py").write_text(code, encoding="utf-8")
    function = {"function": f"{tmp_path / 'noise.py'}:noisy"}
    finding = one(analyse(tmp_path, rows(HONEST), {"name": "a", **function}), "noisy")
    assert finding["figure"] == pytest.approx(0.5, abs=0.12)  # as much noise as there is reward
    found = analyse(tmp_path, rows(HONEST), {"name": "b", "function": f"{tmp_path / 'noise.py'}:tied"})
    assert one(found, "noisy")["severity"] == "error"
    assert found["noise"]["noise"]["amplified"] == pytest.approx(0.78, abs=0.06)  # G = 4
    found = analyse(tmp_path, rows(HONEST), {"name": "c", "function": f"{tmp_path / 'noise.py'}:ranked"})
    assert {"batch_dependent"} == set(codes(found)) & {"batch_dependent", "noisy"}


NOISY = """
import random

draw = random.Random(3)


def noisy(completions, first):
    return [value + draw.gauss(0, 1e-3) for value in first]


def tenfold(completions, first):
    return [10 * value + draw.gauss(0, 1) for value in first]
"""


def test_noise_is_measured_as_training_gets_it(tmp_path):
    (tmp_path / "noisy.py").write_text(NOISY, encoding="utf-8")
    part = {"name": "a", "function": f"{tmp_path / 'noisy.py'}:noisy"}
    # Half of the groups are tied, and half have 0, 0, 1, 1; the noise has a variance of 1e-6.
    made = rows([[0.0] * 4, [0.0, 0.0, 1.0, 1.0]] * 30)
    plain = analyse(tmp_path, made, part)["noise"]["noise"]
    assert plain["std"] == plain["before_std"] == pytest.approx(1e-3, rel=0.15)
    assert plain["share_of_within_variance"] == pytest.approx(1e-6 / (1 / 6), rel=0.4)
    # Standardised within groups, the tied ones have as much variance as the others, and all of it is noise: a
    # half, of which 3/4 is seen, since four numbers that are centred twice differ that much less; less 1e-4.
    found = analyse(tmp_path, made, {**part, "normalize": "group_std"})
    normal = found["noise"]["noise"]
    assert normal["share_of_within_variance"] == pytest.approx(0.35, abs=0.06)
    assert normal["before_std"] == pytest.approx(1e-3, rel=0.15)
    assert normal["std"] > 0.5
    assert one(found, "noisy")["severity"] in ("warning", "error")
    # In other company it is compared before normalisation, which is no dependence of the reward.
    assert found["noise"]["batch"]["std"] == pytest.approx(1e-3, rel=0.15)
    assert not found["noise"]["batch"]["depends"]


@pytest.mark.parametrize("normalize", ["group_std", "batch_std", "batch_mean", "batch_min_max"])
def test_scoring_again_makes_the_groups_and_batches_of_training(tmp_path, normalize):
    """A reward that says the same again has no noise, with uneven groups and the last one cut too."""
    made = rows([group[: 2 + place % 3] for place, group in enumerate(HONEST * 2)])
    found = analyse(tmp_path, made, {"name": "first", "normalize": normalize})
    assert found["noise"]["n"] == 256 < len(made)
    assert (found["noise"]["noise"]["std"], found["noise"]["batch"]["std"]) == (0.0, 0.0)


def test_noise_is_not_amplified_where_it_is_not_divided_by(tmp_path):
    (tmp_path / "noisy.py").write_text(NOISY, encoding="utf-8")
    made = rows([[0.0, 0.0, 1.0, 1.0]] * 64)

    def found(function, scale):
        part = {"name": "a", "function": f"{tmp_path / 'noisy.py'}:{function}"}
        algorithm = {"type": "grpo", "num_generations": 4, "scale_rewards": scale}
        return analyse(tmp_path, made, part, algorithm=algorithm)

    assert "noisy_ties" in codes(found("noisy", "group"))
    # √(3/4) of the noise: 1e-3 as it is, and beside a batch with a standard deviation of about 0.5.
    for scale, felt in (("none", 0.000866), ("batch", 0.00173)):
        quiet = found("noisy", scale)
        assert quiet["noise"]["noise"]["amplified"] == pytest.approx(felt, rel=0.15)
        assert "noisy_ties" not in codes(quiet)
    # Above 1 % of the variance, 25, it is named all the same, with advantages of 0.87.
    loud = one(found("tenfold", "none"), "noisy")
    assert "gets advantages of 0.8" in loud["message"] or "gets advantages of 0.9" in loud["message"]


def test_slow_rewards(tmp_path):
    code = (
        "import time\n"
        "def slow(prompt, completion):\n"
        "    time.sleep(0.02)\n"
        "    return float(len(completion) % 3)\n"
    )
    (tmp_path / "slow.py").write_text(code, encoding="utf-8")
    part = {"name": "slow", "function": f"{tmp_path / 'slow.py'}:slow"}
    made = [{**row, "completion": "x" * place} for place, row in enumerate(rows([[0.0] * 4] * 2))]
    sections = {"training": {"prompts_per_step": 500}, "data": {"train": ARITHMETIC}}
    finding = one(analyse(tmp_path, made, part, **sections), "slow")
    assert finding["figure"] == pytest.approx(0.02 * 2000, rel=0.5)


def test_classes_that_a_reward_names(tmp_path):
    code = (
        "def score(completions, first, log_extra):\n"
        "    log_extra('kind', ['high' if value > 0 else 'low' for value in first])\n"
        "    return first\n"
    )
    (tmp_path / "classes.py").write_text(code, encoding="utf-8")
    found = analyse(tmp_path, rows(HONEST), {"name": "a", "function": f"{tmp_path / 'classes.py'}:score"})
    high = np.array(HONEST)[np.array(HONEST) > 0]
    assert found["classes"]["kind"]["high"]["n"] == len(high)
    assert found["classes"]["kind"]["high"]["mean"] == pytest.approx(high.mean())
    assert found["classes"]["kind"]["low"]["std"] == pytest.approx(
        np.array(HONEST)[np.array(HONEST) <= 0].std(ddof=1)
    )


def test_auto_and_relative_penalties_have_no_present_one(tmp_path):
    made = rows([[*group[:3], "invalid"] for group in HONEST])
    for penalty in ("auto", {"per_group": 2.5}):
        found = analyse(tmp_path, made, rewards={"invalid_penalty": penalty})
        assert found["penalty"]["current"] is None
        assert found["penalty"]["recommended"] < -1.0
        assert found["groups"]["validity_share"] > 0.1


def test_every_finding_is_in_the_docs_and_no_other():
    docs = Path(__file__).parents[2] / "docs" / "how-to" / "analyze-rewards.md"
    told = re.findall(r"^\| `([a-z_0-9]+)`", docs.read_text(encoding="utf-8"), flags=re.M)
    assert set(told) == {
        constant.value
        for module in (finding_rewards, finding_scoring)
        for call in ast.walk(ast.parse(Path(module.__file__).read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "Finding"
        for constant in ast.walk(call.args[1])
        if isinstance(constant, ast.Constant) and isinstance(constant.value, str)
        if re.fullmatch("[a-z_0-9]+", constant.value)
    }
    assert len(told) > 25


def test_the_policy_is_sampled_in_groups(tmp_path):
    made = config(tmp_path, {"name": "right", "type": "exact_match"}, data={"train": ARITHMETIC})
    found = analyze_rewards(made, 10).as_dict()
    assert found["num_samples"] == 10
    assert (found["groups"]["count"], found["groups"]["size"]) == (3, 4)  # 4, 4 and 2
    assert found["source"]["kind"] == "policy"
    assert found["length"]["unit"] == "tokens"


def _data(folder):
    lines = [f'{{"prompt": "{i}+1=", "answer": "{i + 1}", "first": 1}}\n' for i in range(8)]
    (folder / "sums.jsonl").write_text("".join(lines), encoding="utf-8")
    return {"train": {"path": str(folder / "sums.jsonl")}}
