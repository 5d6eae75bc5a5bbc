"""What each reward should score at its top, and the form that it asks for."""

from typing import Any

import pytest

from rlctl.rewards.math import MathAnswer
from rlctl.rewards.shape import Length
from rlctl.rewards.text import ExactMatch, Format, Regex

SOLUTION = "60 + 12 = <<60+12=72>>72 apples.\n#### 72"


def regex(pattern: str, **keys: Any) -> Regex:
    return Regex(type="regex", pattern=pattern, **keys)


def shaped(**keys: Any) -> Format:
    return Format(type="format", **keys)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [("72", "72"), (SOLUTION, "72"), ("#### 72", "72"), (72, "72"), ("", None), (" \n", None), (None, None)],
)
def test_exact_match_wants_the_column_or_its_final_answer(answer: Any, expected: str | None):
    assert ExactMatch(type="exact_match").reference({"answer": answer}) == expected


def test_a_heading_before_the_last_line_is_no_final_answer():
    text = "#### Paris\nis a town"
    assert ExactMatch(type="exact_match").reference({"answer": text}) == text
    assert ExactMatch(type="exact_match", column="town").reference({"answer": "72"}) is None


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (SOLUTION, "72"),
        ("1/2", "1/2"),
        ("x", "\\boxed{x}"),
        ("\\boxed{\\frac{1}{2}}", "\\boxed{\\frac{1}{2}}"),
        (7, "7"),
        ("#### ", None),
        (None, None),
    ],
)
def test_math_answer_wants_the_right_answer_where_it_sees_it(answer: Any, expected: str | None):
    reward = MathAnswer(type="math_answer")
    assert reward.reference({"answer": answer}) == expected
    if expected is not None:
        assert reward.build()([expected], answer=[answer]) == [1.0]


def test_an_expression_that_is_not_worked_out_is_no_answer_where_a_number_is_asked_for():
    reward = MathAnswer(type="math_answer").build()
    undone = ["47+38=", "47 + 38", "\\boxed{47+38}", "5 x 17", "5\\cdot17", "$100 - 15$"]
    assert reward(undone, answer=["85"] * 6) == [0.0] * 6
    done = ["47+38=85", "170/2", "\\frac{170}{2}", "8.5 \\times 10^1"]
    assert reward(done, answer=["85"] * 4) == [1.0] * 4
    assert reward(["1+2x"], answer=["2x+1"]) == [1.0]


@pytest.mark.parametrize(
    ("pattern", "empty", "full"),
    [
        ("####", "####", "way\n#### 72"),
        (r"####\s*-?[$\d.,]+\s*\Z", "", "way\n#### 72"),
        ("<answer>.*</answer>", "<answer></answer>", "way\n<answer> 72 </answer>"),
        (r"\\boxed\{(.*)\}", "\\boxed{}", "way\n\\boxed{ 72 }"),
        (r"(?i)so:? it is", "so it is", "way\nso it is 72"),
        (r"(?:Answer\: )\d+$", "", "way\nAnswer: 72"),
        (r"[Aa]nswer", "", "way\n72"),
    ],
)
def test_a_pattern_has_its_fixed_pieces_written_around_the_answer(pattern: str, empty: str, full: str):
    assert regex(pattern).wrap("") == empty
    assert regex(pattern).wrap("way\n72") == full


def test_a_text_that_matches_is_left_as_it_is():
    assert regex(r"\d+", mode="full").wrap("72") == "72"
    assert regex("####", mode="count").wrap("#### 72") == "#### 72"
    assert regex("(a|aa)+$", match_timeout=0.05).wrap("a" * 60 + "b") == "a" * 60 + "b"


def test_a_group_that_is_compared_has_the_column_as_reference_where_the_pattern_can_hold_it():
    reward = regex(r"answer: (?P<n>\d+)", group="n", column="answer")
    assert reward.reference({"answer": SOLUTION}) == "72"
    assert reward.build()([reward.wrap("72")], answer=["72"]) == [1.0]
    assert reward.reference({"answer": "seven"}) is None
    assert reward.reference({"answer": None}) is None
    assert regex(r"\d").reference({"answer": "72"}) is None


def test_format_holds_the_answer_in_its_last_part():
    both = shaped(tags=["think", "answer"])
    assert both.wrap("60 + 12\n72") == "<think>60 + 12</think>\n<answer>72</answer>"
    assert both.wrap(both.wrap("60 + 12\n72")) == both.wrap("60 + 12\n72")
    assert both.wrap("") == "<think></think>\n<answer></answer>"
    assert shaped(tags=["think", "answer"], opened=True).wrap("a\nb") == "a</think>\n<answer>b</answer>"
    assert shaped(tags=["all"]).wrap("a\nb") == "<all>a\nb</all>"
    assert shaped(sections=["Way:", "Answer:"]).wrap("a\nb") == "Way: a\nAnswer: b"


@pytest.mark.parametrize(
    "keys",
    [
        {"tags": ["think", "answer"]},
        {"tags": ["think", "answer"], "only": True},
        {"tags": ["think", "answer"], "opened": True, "only": True},
        {"sections": ["Way:", "Answer:"], "only": True},
    ],
)
def test_what_format_wraps_is_right_unless_it_is_empty(keys: dict[str, Any]):
    reward = shaped(**keys)
    texts = [reward.wrap(text) for text in ("72", "60 + 12\n72", "")]
    assert reward.build()(texts) == [1.0, 1.0, 0.0]


def test_a_part_that_says_nothing_of_it_has_no_reference_and_no_form():
    assert Length(type="length").reference({"answer": "72"}) is None
    assert Length(type="length").wrap("a\nb") == "a\nb"
