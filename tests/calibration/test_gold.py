"""Verifiers that do not know a right answer, or take any, are found with an example; sound ones are not."""

import gzip
import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flawed_rewards import RNG, arithmetic, habits, part, rewards, score_with

from rlctl.calibration.gold import Gold, check_gold
from rlctl.config.rewards import Rewards
from rlctl.rewards.compose import Scorer

MATHS = {"type": "math_answer"}
EXACT = {"type": "exact_match"}


def check(reward: Rewards, rows: list[dict[str, Any]], **keys: Any) -> Gold | None:
    with Scorer(reward, tokenize=lambda text: list(text.encode())) as scorer:
        found = check_gold(rows, reward, partial(score_with, scorer), **keys)
    json.dumps(found and found.as_dict(), allow_nan=False)
    return found


def marked(count: int = 8) -> list[dict[str, Any]]:
    """Answers as GSM8K writes them."""
    return [{"prompt": row["prompt"], "answer": f"#### {row['answer']}"} for row in arithmetic(count)]


def test_sound_verifiers_have_no_problem():
    boxed = {"type": "regex", "name": "boxed", "pattern": r"\\boxed\{(.*)\}", "group": 1, "column": "answer"}
    reward = rewards(MATHS, EXACT, boxed, part("contains"))
    gold = check(reward, arithmetic(), valid_totals=np.array([0.0, 1, 2, 5]))
    assert list(gold.components) == ["math_answer", "exact_match", "boxed", "contains"]
    for one in gold.components.values():
        assert (one.n, one.reference, one.below_top, one.problems) == (16, 1, 0, [])
        assert one.other_at_top == 0 or one.guessed
    assert not gold.components["exact_match"].guessed
    assert gold.components["contains"].guessed
    # 85 gets 1 + 1 + 0 + 1, and \boxed{ 85 } gets 1 + 0 + 1 + 1; of 0, 1, 2 and 5 three are not above 3.
    assert gold.total_median == pytest.approx(3)
    assert gold.percentile == 0.75


def test_an_answer_that_is_compared_with_its_mark_is_found_with_an_example():
    one = check(rewards(part("unstripped"), EXACT), marked()).components["unstripped"]
    assert one.problems == ["reference"]
    assert (one.reference, one.other) == (0, 0)
    row = arithmetic()[0]
    assert one.examples[0] == {
        "prompt": row["prompt"],
        "reference": row["answer"],
        "raw": 0.0,
        "outcome": "scored",
        "reason": None,
    }
    exact = check(rewards(EXACT), marked()).components["exact_match"]
    assert exact.problems == ["reference"]
    assert (exact.reference, exact.below_top, len(exact.examples)) == (0, 1, 3)


def test_a_verifier_that_gives_everybody_the_most_is_found_by_the_answers_of_other_rows():
    one = check(rewards(part("everybody")), arithmetic()).components["everybody"]
    assert one.problems == ["other"]
    assert (one.reference, one.other, one.other_at_top) == (1, 1, 1)
    assert one.mistaken[0]["reference"] != arithmetic()[0]["answer"]


@pytest.mark.parametrize(("count", "problems"), [(2, []), (3, ["other"])])
def test_a_tenth_of_the_answers_of_other_rows_may_be_at_the_top(count: int, problems: list[str]):
    rows = [{**row, "lax": place < count} for place, row in enumerate(arithmetic(20))]
    one = check(rewards(part("lax_on_some")), rows).components["lax_on_some"]
    assert (one.other_n, one.below_top, one.other_at_top) == (20, 0, count / 20)
    assert one.problems == problems


def test_the_top_is_what_completions_were_given_where_no_bound_is_known():
    raw = {"unstripped": np.array([0.0, 1, np.nan])}
    one = check(rewards(part("unstripped")), marked(), raw=raw).components["unstripped"]
    assert one.top == pytest.approx(0.95)
    assert one.problems == ["reference"]
    assert one.other_at_top == 0


def test_the_form_that_other_parts_ask_for_is_tried_too():
    tags = {"type": "format", "tags": ["answer"], "only": True, "required": True}
    gold = check(rewards(MATHS, tags), arithmetic())
    assert gold.components["math_answer"].problems == []
    # 85 alone is invalid; <answer>85</answer> gets 1 + 1.
    assert (gold.n, gold.total_median) == (16, 2)


def test_a_form_inside_of_another_is_written_once():
    pattern = {"type": "regex", "pattern": "<answer>(.*?)</answer>", "group": 1, "column": "answer"}
    tags = {"type": "format", "tags": ["think", "answer"]}
    # <think>85</think><answer>85</answer> gets 1 + 1; another <answer> inside of it would get 1.
    assert check(rewards(pattern, tags), arithmetic()).total_median == 2
    assert check(rewards(tags, pattern), arithmetic()).total_median == 2


def test_references_that_are_invalid_or_fail_are_counted_with_reasons():
    rows = [{"answer": "x"}, {"answer": "banana"}, {"answer": "7"}, {"answer": None}]
    one = check(rewards(MATHS, part("fragile", name="close")), rows).components["math_answer"]
    assert (one.n, one.failed) == (3, 1)
    assert "'banana' is not mathematics" in one.reasons[0]["reason"]
    assert one.examples[0]["outcome"] == "failed"
    assert one.below_top == pytest.approx(1 / 3)
    fragile = check(rewards(part("fragile")), [{"answer": "x"}, {"answer": "7"}]).components["fragile"]
    assert (fragile.n, fragile.failed, fragile.reference) == (2, 1, 1)
    assert fragile.problems == ["reference"]
    nothing = check(rewards(part("fragile")), [{"answer": "x"}]).components["fragile"]
    assert (nothing.failed, nothing.reference, nothing.top, nothing.other) == (1, None, None, None)


def test_without_references_there_is_nothing_to_check():
    assert check(rewards({"type": "format", "tags": ["a"]}, part("length")), arithmetic()) is None
    assert check(rewards(MATHS), [{"prompt": "1+1=", "answer": ""}, {"prompt": "", "answer": None}]) is None
    assert check(rewards(MATHS), []) is None
    punished = {**EXACT, "weight": -1.0}
    assert list(check(rewards(MATHS, punished), arithmetic()).components) == ["math_answer"]


def test_equal_answers_have_none_of_another_row():
    one = check(rewards(EXACT), [{"answer": "yes"}, {"answer": "yes"}]).components["exact_match"]
    assert (one.other_n, one.other, one.problems) == (0, None, [])


def test_chat_prompts_and_answers_of_several_lines():
    rows = [
        {"prompt": [{"role": "user", "content": f"Say {i}"}], "answer": f"one\ntwo {i}"} for i in range(3)
    ]
    gold = check(rewards({**EXACT, "strip": False}), rows)
    assert gold.components["exact_match"].problems == []
    assert gold.total_mean == 1


def test_no_more_than_32_rows_are_tried():
    assert check(rewards(EXACT), arithmetic(100)).components["exact_match"].n == 32


def test_gsm8k(gsm8k_folder: Path):
    with gzip.open(gsm8k_folder / "train.jsonl.gz", "rt", encoding="utf-8") as lines:
        found = [json.loads(line) for line, _ in zip(lines, range(32), strict=False)]
    rows = [{"prompt": row["question"], "answer": row["answer"]} for row in found]
    form = {"type": "regex", "pattern": r"####\s*-?[$\d.,]+\s*\Z", "weight": 0.1}
    gold = check(rewards(MATHS, form, EXACT), rows)
    assert gold.components["math_answer"].problems == []
    assert gold.components["exact_match"].problems == ["reference"], "the column holds the working out too"


def in_tags(texts: list[str]) -> list[str]:
    return [f"<think>It is easy.</think>\n<answer>{text}</answer>" for text in texts]


def of_real(name: str, completions: list[str], rows: list[dict[str, Any]], **keys: Any) -> Gold:
    """The check as an analysis makes it, with real completions and their scores."""
    reward = rewards(part(name))
    with Scorer(reward) as scorer:
        found = [one.total for one in score_with(scorer, rows, completions) if one.outcome == "scored"]
        totals = [
            np.nan if one.outcome != "scored" else one.total for one in score_with(scorer, rows, completions)
        ]
    return check(
        reward, rows, completions=completions, totals=totals, raw={name: np.array(found)}, **keys
    ).components[name]


@pytest.mark.parametrize("right", [0.0, 0.25, 1.0])
def test_a_function_that_wants_tags_is_given_the_answers_in_those_of_real_completions(right: float):
    one = of_real("tagged", [*in_tags(habits(right, 15)), "I do not know."], arithmetic())
    assert (one.problems, one.testable) == ([], True)
    assert (one.n, one.invalid, one.reference, one.other) == (16, 0, 1, 0)


def test_a_comparison_that_is_never_true_is_found_in_tags_too():
    one = of_real("never", in_tags(habits(0.5)), arithmetic())
    assert (one.problems, one.testable, one.reference) == (["reference"], True, 0)
    assert one.examples[0]["raw"] == 0
    assert one.examples[0]["reason"] is None


def test_a_form_that_nobody_can_tell_is_no_problem_of_the_reward():
    texts = [f"Well, so {text} then, I am sure of {i}" for i, text in enumerate(habits(0.5))]
    one = of_real("riddle", texts, arithmetic())
    # Real right completions show where the answer stands.
    assert (one.problems, one.testable) == ([], True)
    shown = [f"{text}. {row['answer']}" for text, row in zip(texts, arithmetic(), strict=True)]
    one = of_real("riddle", shown, arithmetic())
    # Half of the right answers are real completions; of the others no form is known.
    assert (one.problems, one.testable, one.reference) == ([], False, 0.5)
    # Where real ones get nothing either, it is the reward that is doubted.
    one = of_real("riddle", [str(i) for i in range(16)], arithmetic())
    assert (one.problems, one.testable) == (["reference"], True)


def test_noise_of_right_answers_is_no_problem():
    for seed in range(5):
        RNG.seed(seed)
        one = of_real("unsteady", habits(0.5), arithmetic(), noise={"unsteady": 0.3})
        assert one.problems == []
