"""Figures of a checkpoint, worked out by hand."""

import math

import pytest
from made_samples import config_with, sample

from rlctl.evaluation.figures import Figures
from rlctl.rewards.outcome import Failed, Invalid

CONFIG = config_with(num_samples=3)
PROMPTS = [{"prompt": f"{i}", "level": level} for i, level in enumerate("aab")]


def made(*samples, config=CONFIG, prompts=PROMPTS):
    return Figures(list(samples), prompts, config)


def three(prompt, *scores, config=CONFIG):
    return [sample(config, prompt, f"{prompt}{i}", score) for i, score in enumerate(scores)]


RAGGED = [*three(0, 1.0, 0.0, 1.0), *three(1, Invalid("no"), 0.0, Failed("oops")), *three(2, 0.0, 0.0, 0.0)]


def test_a_figure_is_a_mean_over_prompts_of_means_over_their_samples():
    found = made(*RAGGED)
    # prompt 0: 2/3; prompt 1: penalty -2 and 0, the failed one left out: -1; prompt 2: 0
    assert found.per_prompt("reward") == pytest.approx([2 / 3, -1.0, 0.0])
    estimate = found.estimate("reward")
    assert estimate.mean == pytest.approx((2 / 3 - 1) / 3)
    assert estimate.n == 3
    # eight totals: 1, 0, 1, -2, 0, 0, 0, 0, with mean 0; n - 1
    assert estimate.std == pytest.approx(math.sqrt((1 + 1 + 4) / 7))
    # raw scores: an invalid completion has none
    assert found.per_prompt("right") == pytest.approx([2 / 3, 0.0, 0.0])


def test_what_could_not_be_judged_is_left_out_of_pass_at_k_and_never_0():
    found = made(*RAGGED)
    assert found.metrics() == [
        *("reward", "right", "pass_at_1", "pass_at_2", "pass_at_3", "majority", "valid_fraction")
    ]
    assert found.per_prompt("pass_at_1") == pytest.approx([2 / 3, 0, 0])
    # 1 - C(1, 2)/C(3, 2) = 1: two of three are right, so any two hold a right one
    assert found.per_prompt("pass_at_2") == pytest.approx([1, 0, 0])
    # of prompt 1, two were judged; there is no pass@3
    assert found.per_prompt("pass_at_3") == [1.0, None, 0.0]
    assert found.as_dict()["pass_at"] == pytest.approx({"1": 2 / 9, "2": 1 / 3, "3": 1 / 2})


def test_outcomes_are_counted_apart():
    found = made(*RAGGED).as_dict()
    assert {name: found[name] for name in ("scored", "invalid", "not_applicable", "failed")} == {
        "scored": 7,
        "invalid": 1,
        "not_applicable": 0,
        "failed": 1,
    }
    # prompt 1: one of the two that could be judged is valid
    assert found["valid_fraction"] == pytest.approx((1 + 1 / 2 + 1) / 3)
    assert found["reasons"] == {"invalid: right: no": 1, "failed: right: oops": 1}
    assert made(*RAGGED).mean("failed_fraction") == pytest.approx(1 / 9)


def vote(*pairs):
    """Majority of one prompt: answers and whether they are right."""
    group = [sample(CONFIG, 0, text, float(right)) for text, right in pairs]
    return made(*group, prompts=PROMPTS[:1]).per_prompt("majority")[0]


def test_the_commonest_answer_is_the_vote():
    assert vote(("7", 1), ("7.0", 1), ("8", 0)) == 1.0
    assert vote(("7", 1), ("8", 0), ("8", 0)) == 0.0
    # of two answers that are equally common, one is right
    assert vote(("7", 1), ("8", 0)) == 0.5
    # four answers once each, one right
    assert vote(("7", 1), ("8", 0), ("9", 0), ("10", 0)) == 0.25
    # right in two ways of writing is one answer
    assert vote(("1/2", 1), ("0.5", 1), ("8", 0), ("8", 0), ("9", 0)) == 0.5


def test_a_completion_without_an_answer_has_no_vote():
    group = [
        sample(CONFIG, 0, "7", 1.0),
        *(sample(CONFIG, 0, "well then", Invalid("no answer")) for _ in range(2)),
    ]
    assert made(*group, prompts=PROMPTS[:1]).per_prompt("majority") == [1.0]
    nothing = [sample(CONFIG, 0, "well then", Invalid("no answer"))]
    assert made(*nothing, prompts=PROMPTS[:1]).per_prompt("majority") == [0.0]
    failed = [sample(CONFIG, 0, "7", Failed("oops"))]
    assert made(*failed, prompts=PROMPTS[:1]).per_prompt("majority") == [None]


def test_greedy_completions_have_figures_of_their_own():
    greedy = [sample(CONFIG, i, "x", score, greedy=True) for i, score in enumerate((1.0, 0.0, Invalid("no")))]
    found = made(*RAGGED, *greedy)
    assert found.per_prompt("greedy_reward") == [1.0, 0.0, -2.0]
    assert found.per_prompt("greedy_pass") == [1.0, 0.0, 0.0]
    assert found.per_prompt("reward") == made(*RAGGED).per_prompt("reward")
    assert found.as_dict()["greedy"]["pass"]["mean"] == pytest.approx(1 / 3)
    assert made(*RAGGED).as_dict()["greedy"] is None


def test_length_repetition_truncation_and_variety():
    group = [
        sample(CONFIG, 0, "a", 1.0, ids=[1, 2, 3], truncated=False, kl=0.5, entropy=0.25),
        sample(CONFIG, 0, "a", 1.0, ids=[5] * 9, truncated=True, kl=1.5, entropy=0.75),
    ]
    found = made(*group, prompts=PROMPTS[:1]).as_dict()
    assert found["mean_tokens"] == 6.0
    assert found["truncated_fraction"] == 0.5
    assert found["distinct_fraction"] == 0.5
    # nine times 5 has six 4-grams and one that is distinct: 5/6 of them repeat; the other has none
    assert found["repetition_fraction"] == pytest.approx((5 / 6) / 2)
    assert (found["kl"]["mean"], found["entropy"]) == (1.0, 0.5)


def test_figures_by_the_values_of_a_column():
    config = config_with(num_samples=3, group_by="difficulty")
    prompts = [{"prompt": str(i), "difficulty": level} for i, level in enumerate((1, 1, 3))]
    found = made(*RAGGED, config=config, prompts=prompts).as_dict()["groups"]["difficulty"]
    assert list(found) == ["1", "3"]
    assert found["1"]["reward"]["mean"] == pytest.approx((2 / 3 - 1) / 2)
    assert (found["1"]["prompts"], found["1"]["samples"], found["3"]["samples"]) == (2, 6, 3)
    assert found["3"]["reward"]["mean"] == 0.0


def test_names_for_the_logs():
    greedy = [sample(CONFIG, i, "x", 1.0, greedy=True) for i in range(3)]
    found = made(*RAGGED, *greedy).for_logs()
    assert {
        *("val/reward", "val/reward_std", "val/reward_low", "val/reward_high", "val/right", "val/pass_at_3"),
        *("val/majority", "val/greedy_reward", "val/greedy_pass", "val/valid_fraction"),
        *("val/failed_fraction", "val/distinct_fraction"),
    } <= set(found)
    assert "val/completion_length" not in found, "no tokens are known, and a missing figure is left out"
    assert set(CONFIG.metric_names) <= {name.removeprefix("val/") for name in found}


def test_an_invalid_completion_is_the_least_that_a_component_can_give():
    """Else one that answers only what it is sure of would look best."""
    abstains = made(*(sample(CONFIG, i, "?", Invalid("no")) for i in range(2)), sample(CONFIG, 2, "7", 1.0))
    assert abstains.per_prompt("right") == [0.0, 0.0, 1.0]
    assert abstains.left_out("right") == 0.0


def test_where_no_least_is_known_what_is_left_out_is_counted():
    config = config_with([{"name": "long", "type": "length", "max": 9}])
    samples = [*three(0, 1.0, Invalid("no"), 1.0, config=config), *three(1, 3.0, 3.0, 3.0, config=config)]
    found = made(*samples, config=config)
    assert found.per_prompt("long") == [1.0, 3.0, None]
    # of six completions one has no value, and the third prompt has no completion at all
    assert found.left_out("long") == pytest.approx(2 / 7)
    assert found.left_out("reward") == pytest.approx(1 / 7)


def test_pass_at_k_says_over_how_many_prompts_it_is():
    assert made(*RAGGED).as_dict()["pass_at_n"] == {"1": 3, "2": 3, "3": 2}
    assert made(*RAGGED).left_out("pass_at_3") == pytest.approx(1 / 3)


def test_a_completion_that_could_not_be_judged_is_left_out_of_pass_at_k_and_of_votes():
    """One of eight fails on every prompt: every prompt has a pass@1 all the same, of a selection."""
    found = made(*(one for i in range(3) for one in three(i, Failed("oops"), *[1.0] * 7)))
    assert found.per_prompt("pass_at_1") == [1.0, 1.0, 1.0]
    assert found.left_out("pass_at_1") == pytest.approx(1 / 8)
    assert found.left_out("majority") == pytest.approx(1 / 8)
    assert found.left_out("pass_at_8") == 1.0  # seven are no eight


def test_what_is_left_out_of_some_prompts():
    found = made(*RAGGED)  # one of three completions of the second prompt has failed
    assert found.left_out("reward", [1]) == found.left_out("pass_at_1", {1}) == pytest.approx(1 / 3)
    assert found.left_out("reward", [0, 2]) == 0.0
    assert found.completed("reward") == {0, 1, 2}
    assert found.completed("greedy_reward") == set()


def test_missing_and_empty_values_of_a_column_are_told_apart():
    config = config_with(num_samples=3, group_by="difficulty")
    prompts = [{"prompt": str(i), "difficulty": level} for i, level in enumerate((None, "", "None"))]
    assert list(made(*RAGGED, config=config, prompts=prompts).by("difficulty")) == [
        "(empty)",
        "(missing)",
        "None",
    ]
