"""Exact match, regular expressions and format: each option changes a score."""

import time
from typing import Any

import pytest
from pydantic import ValidationError

from rlctl.rewards.outcome import Failed, Invalid
from rlctl.rewards.text import ExactMatch, Format, Regex


def exact(text: str, answer: Any, **keys: Any) -> Any:
    return ExactMatch(type="exact_match", **keys).build()([text], answer=[answer])[0]


def regex(text: str, **keys: Any) -> Any:
    gold = keys.pop("gold", "7")
    return Regex(type="regex", **keys).build()([text], answer=[gold])[0]


def shaped(text: str, **keys: Any) -> Any:
    return Format(type="format", **keys).build()([text])[0]


def test_exact_match():
    assert exact(" Paris\n", "Paris") == 1.0
    assert exact(" Paris\n", "Paris", strip=False) == 0.0
    assert exact("paris", "Paris") == 0.0
    assert exact("paris", "Paris", ignore_case=True) == 1.0
    assert exact("New \n York", "New York") == 0.0
    assert exact("New \n York", "New York", collapse_space=True) == 1.0
    assert exact("7", 7) == 1.0
    assert exact("", None) is None
    assert ExactMatch(type="exact_match", column="city").columns() == ("city",)


def test_regex_modes():
    assert regex("a 12 b", pattern=r"\d+") == 1.0
    assert regex("a b", pattern=r"\d+") == 0.0
    assert regex("a 12 b", pattern=r"\d+", mode="match") == 0.0
    assert regex("12 b", pattern=r"\d+", mode="match") == 1.0
    assert regex("12 b", pattern=r"\d+", mode="full") == 0.0
    assert regex("12", pattern=r"\d+", mode="full") == 1.0
    assert regex("1 22 333", pattern=r"\d+", mode="count") == 3.0
    assert regex("none", pattern=r"\d+", mode="count") == 0.0
    assert regex("A", pattern="(?i)a") == 1.0


def test_regex_group_against_a_column():
    keys = {"pattern": r"answer: (?P<n>\d+ ?)", "column": "answer"}
    assert regex("answer: 7 .", group=1, **keys) == 1.0
    assert regex("answer: 7", group="n", **keys) == 1.0
    assert regex("answer: 8", group=1, **keys) == 0.0
    assert regex("no answer", group=1, **keys) == 0.0
    assert regex("answer: 7", group=1, gold=None, **keys) is None
    assert regex("answer: 7", group=1, gold=7, **keys) == 1.0


def test_regex_that_is_required_makes_completions_invalid():
    score = regex("no digits", pattern=r"\d", required=True)
    assert isinstance(score, Invalid)
    assert score.reason == "no match"
    assert regex("1", pattern=r"\d", required=True) == 1.0


def test_regex_that_explodes_fails_in_time_and_never_scores():
    start = time.monotonic()
    score = regex("a" * 40 + "b", pattern=r"(a|aa)+$", match_timeout=0.2)
    assert score == Failed("the pattern took longer than 0.2 s")
    assert time.monotonic() - start < 2


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"pattern": "("}, "not a regular expression: missing"),
        ({"pattern": "a", "group": 1}, "belong together"),
        ({"pattern": "a", "column": "answer"}, "belong together"),
        ({"pattern": "(a)", "group": 2, "column": "answer"}, "no group 2; it has 0, 1"),
        ({"pattern": "(a)", "group": 1, "column": "answer", "mode": "count"}, "cannot be compared"),
    ],
)
def test_regex_mistakes(keys: dict[str, Any], message: str):
    with pytest.raises(ValidationError, match=message):
        Regex(type="regex", **keys)


GOOD = "<think>why</think> <answer>7</answer>"
TAGS = {"tags": ["think", "answer"]}


def test_format_of_tags():
    assert shaped(GOOD, **TAGS) == 1.0
    assert shaped("<answer>7</answer><think>why</think>", **TAGS) == 0.0
    assert shaped("<think>why <answer>7</answer>", **TAGS) == 0.0
    assert shaped("<think>why</think><answer>7", **TAGS) == 0.0
    assert shaped("<think>why</think><answer> </answer>", **TAGS) == 0.0
    assert shaped("<think>why</think><answer> </answer>", nonempty=False, **TAGS) == 1.0
    assert shaped(GOOD + "<answer>8</answer>", **TAGS) == 0.0
    assert shaped(GOOD + "<answer>8</answer>", once=False, **TAGS) == 1.0
    assert shaped(GOOD + " and more", **TAGS) == 1.0
    assert shaped(GOOD + " and more", only=True, **TAGS) == 0.0
    assert shaped(GOOD + "\n", only=True, **TAGS) == 1.0
    assert shaped("why</think><answer>7</answer>", **TAGS) == 0.0
    assert shaped("why</think><answer>7</answer>", opened=True, **TAGS) == 1.0


def test_format_of_sections():
    keys = {"sections": ["Why:", "Answer:"]}
    assert shaped("Why: so\nAnswer: 7", **keys) == 1.0
    assert shaped("Answer: 7\nWhy: so", **keys) == 0.0
    assert shaped("Why:\nAnswer: 7", **keys) == 0.0
    assert shaped("Why:\nAnswer: 7", nonempty=False, **keys) == 1.0
    assert shaped("Well. Why: so\nAnswer: 7", **keys) == 1.0
    assert shaped("Well. Why: so\nAnswer: 7", only=True, **keys) == 0.0
    assert shaped("Why: so\nAnswer: 7\nAnswer: 8", **keys) == 0.0


def test_partial_credit_is_the_share_of_parts_that_are_right():
    assert shaped(GOOD, partial=True, **TAGS) == 1.0
    assert shaped("<think>why</think> 7", partial=True, **TAGS) == 0.5
    assert shaped("7", partial=True, **TAGS) == 0.0
    # Two tags and "nothing else": one tag of the three parts is right.
    assert shaped("<think>why</think> 7", partial=True, only=True, **TAGS) == pytest.approx(1 / 3)


def test_format_that_is_required_makes_completions_invalid():
    assert shaped(GOOD, required=True, **TAGS) == 1.0
    assert isinstance(shaped("7", required=True, **TAGS), Invalid)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({}, "either `tags` or `sections`"),
        ({"tags": ["a"], "sections": ["b"]}, "either `tags` or `sections`"),
        ({"tags": ["a", "a"]}, "named twice"),
        ({"tags": ["<a>"]}, "pattern"),
        ({"sections": ["A"], "opened": True}, "there are none"),
        ({"tags": ["a"], "required": True, "partial": True}, "no effect"),
    ],
)
def test_format_mistakes(keys: dict[str, Any], message: str):
    with pytest.raises(ValidationError, match=message):
        Format(type="format", **keys)
