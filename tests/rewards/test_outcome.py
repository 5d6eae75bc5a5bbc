"""Whatever a reward returns for one completion is one of four outcomes, and nothing turns into 0."""

import copy
import math
import pickle
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

from rlctl.rewards.outcome import Failed, Invalid, as_score


@pytest.mark.parametrize(
    ("value", "score"),
    [
        (1, 1.0),
        (0.25, 0.25),
        (True, 1.0),
        (False, 0.0),
        (Fraction(1, 4), 0.25),
        (Decimal("0.25"), 0.25),
        (np.float32(0.25), 0.25),
        (np.int64(3), 3.0),
        (np.bool_(True), 1.0),
        (np.array([0.25]), 0.25),
        (torch.tensor(0.25), 0.25),
        (torch.tensor([0.25]), 0.25),
    ],
)
def test_numbers(value: Any, score: float):
    assert as_score(value) == score
    assert type(as_score(value)) is float


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (math.nan, "returned nan"),
        (math.inf, "returned inf"),
        (-math.inf, "returned -inf"),
        (np.float32("nan"), "returned nan"),
        (torch.tensor(float("-inf")), "returned -inf"),
        (1e16, "beyond ±1e+15"),
        (10**400, "too large"),
        ("1.0", "returned a str, not a number"),
        ([1.0], "returned a list, not a number"),
        ({"score": 1}, "returned a dict, not a number"),
        (1j, "returned a complex, not a number"),
        (object(), "returned a object, not a number"),
        (np.array([1.0, 2.0]), "more than one element"),
        (torch.tensor([1.0, 2.0]), "more than one element"),
        (np.array(["a"]), "returned a ndarray, not a number"),
    ],
)
def test_what_is_no_finite_number_has_failed(value: Any, reason: str):
    score = as_score(value)
    assert isinstance(score, Failed)
    assert reason in score.reason


def test_none_and_invalid_stay_what_they_are():
    class Mine(Invalid):
        pass

    assert as_score(None) is None
    assert as_score(Failed("why")) == Failed("why")
    score = as_score(Mine("no molecule"))
    assert type(score) is Invalid
    assert score.reason == "no molecule"


def test_invalid_is_nan_for_others_and_survives_copies():
    invalid = Invalid("no answer")
    assert math.isnan(invalid)
    for other in (pickle.loads(pickle.dumps(invalid)), copy.deepcopy(invalid)):
        assert type(other) is Invalid
        assert other.reason == "no answer"
