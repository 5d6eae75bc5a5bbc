"""When a completion passes."""

import pytest
from made_samples import config_with, sample

from rlctl.evaluation.judge import Judge
from rlctl.rewards.outcome import Failed, Invalid

TWO = [
    {"name": "right", "type": "math_answer"},
    {"name": "brief", "type": "length", "max": 9, "weight": 0.5},
]


@pytest.mark.parametrize(
    ("score", "passed"),
    [(1.0, True), (2.0, True), (0.999, False), (Invalid("no"), False), (Failed("oops"), None), (None, None)],
)
def test_a_raw_score_of_1_or_more_passes(score, passed):
    # what failed or does not apply is not known, which is neither a pass nor none
    assert sample(config_with(), 0, "7", score).passed is passed


@pytest.mark.parametrize(
    ("conditions", "scores", "passed"),
    [
        ({"right": ">=1", "brief": "<=3"}, (1.0, 3.0), True),
        ({"right": ">=1", "brief": "<=3"}, (1.0, 4.0), False),
        ({"right": ">=1", "brief": "<=3"}, (None, 3.0), None),
        ({"right": ">=1", "brief": "<=3"}, (None, 4.0), False),  # one that does not hold decides
        ({"reward": ">2"}, (1.0, 3.0), True),  # 1 + 0.5 × 3 = 2.5
        ({"reward": ">2"}, (1.0, 2.0), False),  # exactly 2
        ({"brief": "<0"}, (1.0, Invalid("no")), False),
    ],
)
def test_all_conditions_have_to_hold(conditions, scores, passed):
    assert sample(config_with(TWO, **{"pass": conditions}), 0, "7", *scores).passed is passed


def test_answers_are_those_of_the_component_that_is_judged():
    assert Judge(config_with(TWO)).answer("so the answer is 7.0") == Judge(config_with(TWO)).answer("7")
    length = Judge(config_with(TWO[1:]))
    assert not length.knows_answers
    assert length.answer("7") is None
