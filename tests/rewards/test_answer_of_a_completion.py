"""What a completion answers, for majority votes: equal answers give equal texts, others do not."""

import time

import pytest

from rlctl import registry
from rlctl.rewards.math import MathAnswer
from rlctl.rewards.text import ExactMatch

SAME = [
    (
        "7",
        [
            "7.0",
            "$7$",
            "7.",
            "**7**",
            "#### 7",
            r"so \boxed{7}",
            "The answer is 7 apples.",
            "x = 7",
            "3 + 4 = 7",
        ],
    ),
    ("1234.5", ["1,234.50", "$1,234.5", r"\boxed{1{,}234.5}"]),
    ("1/2", ["0.5", r"\boxed{\frac{1}{2}}", r"$\dfrac12$", "1/2"]),
    ("-0.25", [r"-\frac{1}{4}", "minus 0.25", "-.25"]),
    ("72", ["72 %", "72%", "72 dollars"]),
    (r"\boxed{x + 1}", [r"\boxed{x+1}", "<answer>x+1</answer>"]),
    ("<answer>Paris</answer>", ["<answer> Paris. </answer>"]),
    ("0.333333", ["1/3", "0.33333312"]),
]


def answer(completion: str) -> str | None:
    return MathAnswer(type="math_answer").answer(completion)


@pytest.mark.parametrize(("first", "others"), SAME, ids=[first for first, _ in SAME])
def test_equal_answers_of_math_answer(first: str, others: list[str]) -> None:
    assert {answer(first), *map(answer, others)} == {answer(first)}


def test_other_answers_are_others() -> None:
    """So are a denial, a bound and a list of a number: none of them votes for that number."""
    texts = [*(first for first, _ in SAME), "not 7", "at most 7", "7, 8", "7 or 8", "-7", "70", "x^2", "1/0"]
    found = [answer(text) for text in texts]
    assert None not in found
    assert len(set(found)) == len(texts)


@pytest.mark.parametrize("completion", ["", "I do not know", r"\boxed{}", "<think>7", "<answer></answer>"])
def test_no_answer_has_no_vote(completion: str) -> None:
    assert answer(completion) is None


def test_exact_match_answers_what_it_compares() -> None:
    assert ExactMatch(type="exact_match").answer(" New \n York ") == "New \n York"
    every = {"ignore_case": True, "collapse_space": True}
    assert ExactMatch(type="exact_match", **every).answer(" New \n York ") == "new york"
    assert ExactMatch(type="exact_match", strip=False).answer(" 7") == " 7"
    assert ExactMatch(type="exact_match").answer(" \n") is None


def test_types_that_know_answers() -> None:
    knowing = {kind for kind, at in registry.names("rewards").items() if registry.load(at).knows_answers()}
    assert knowing == {"math_answer", "exact_match"}


def test_degenerate_completions_take_no_time() -> None:
    start = time.monotonic()
    texts = [
        "7" * 100_000,
        r"\boxed{" + "(" * 50_000,
        r"\boxed{" + r"\frac{1}" * 20_000 + "}",
        "$" * 100_000,
        "1," * 50_000,
    ]
    for text in texts:
        answer(text)
    assert time.monotonic() - start < 2.0
