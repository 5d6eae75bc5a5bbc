"""`rewards.tests` of the YAML: what passes, what does not, and what is said then."""

from typing import Any

import pytest

from rlctl.config.rewards import Rewards
from rlctl.errors import RewardError
from rlctl.rewards.compose import Scorer
from rlctl.rewards.selftest import TestResult, require, run_tests


def run(*tests: dict[str, Any], **keys: Any) -> list[TestResult]:
    section = {
        "components": [
            {"name": "correct", "type": "math_answer", "normalize": "group_std"},
            {"name": "short", "type": "length", "unit": "characters", "max": 5.0, "weight": 0.1},
        ],
        "scale": 10.0,
        "tests": list(tests),
        **keys,
    }
    rewards = Rewards.model_validate(section)
    with Scorer(rewards) as scorer:
        return run_tests(rewards, scorer)


@pytest.mark.parametrize(
    ("completion", "answer", "expect", "passed"),
    [
        # 1 + 0.1 · 1, before normalisation and scale.
        ("7", "7", 1.1, True),
        ("7", "7", 1.2, False),
        ("7", "7", ">0.8", True),
        ("7", "7", "<=1", False),
        ("", "7", "invalid", True),
        ("7", "7", "invalid", False),
        ("", "7", ">-5", False),
        ("", "7", -1.0, False),
        ("7", "7", "none", False),
    ],
)
def test_expectations(completion: str, answer: str, expect: Any, passed: bool):
    (result,) = run({"row": {"answer": answer}, "completion": completion, "expect": expect})
    assert result.passed is passed


def test_tolerance():
    test = {"row": {"answer": "7"}, "completion": "7", "expect": 1.0}
    assert [one.passed for one in run(test, {**test, "tolerance": 0.2})] == [False, True]


def test_none_is_a_row_that_no_part_applies_to():
    section = {"components": [{"type": "exact_match"}]}
    (result,) = run({"row": {"answer": None}, "completion": "7", "expect": "none"}, **section)
    assert result.passed


def test_what_failed_is_named_with_its_parts():
    results = run(
        {"row": {"answer": "7"}, "completion": "7", "expect": ">0.8"},
        {"row": {"answer": "7"}, "completion": "12345678", "expect": 1.0},
        {"row": {"answer": "banana"}, "completion": "2 apples", "expect": "invalid"},
    )
    with pytest.raises(RewardError) as caught:
        require(results)
    assert str(caught.value).splitlines()[:3] == [
        "2 of 3 reward tests failed",
        "rewards.tests[1]: expected 1.0, got -0.3 for '12345678' (correct 0, short -3)",
        "rewards.tests[2]: expected invalid, got failed (correct: the gold answer 'banana' is not "
        + "mathematics; use exact_match or regex) for '2 apples' (correct none, short -3)",
    ]
    require(results[:1])
    require([])


def test_a_test_without_its_column_says_which():
    with pytest.raises(
        RewardError, match=r"rewards\.tests\[0\]: the reward 'correct' reads the column 'answer'"
    ):
        run({"completion": "7", "expect": 1.0})
