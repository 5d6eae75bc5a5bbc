"""Figures of whole analyses that are the same for parts and classes as for the reward."""

import json

import numpy as np
import pytest
from made_rewards import analyse, rows

from rlctl.calibration.summary import describe
from rlctl.calibration.uncertainty import mean_and_std

SEEN = np.round(np.random.default_rng(0).normal(size=(12, 4)), 2).tolist()
GROUPS = np.repeat(np.arange(12), 4)
CODE = """
KINDS = {0: "easy", 1: "hard", 2: "", 3: None}


def score(completions, first, second, log_extra):
    log_extra("kind", [KINDS[one] for one in second])
    return first
"""


def classes(folder, kinds, groups=SEEN, **sections):
    """The classes of an analysis whose rewards name one of `KINDS` for each completion."""
    (folder / "classes.py").write_text(CODE, encoding="utf-8")
    made = [{**row, "second": kind} for row, kind in zip(rows(groups), kinds, strict=True)]
    part = {"name": "first", "function": f"{folder / 'classes.py'}:score"}
    return analyse(folder, made, part, **sections)["classes"]


def test_the_penalty_is_judged_before_the_scale(tmp_path):
    # -1 lies three of the rewards' standard deviations below their mean: good. As -8 or -1/8 it were not.
    made = rows([["invalid", 0.0, 1.0, 0.0], *[[0.0, 1.0, 0.0, 1.0]] * 5])
    plain = analyse(tmp_path, made)["penalty"]
    assert (plain["current"], plain["verdict"]) == (-1.0, "good")
    for scale in (0.125, 8.0):
        assert analyse(tmp_path, made, rewards={"scale": scale})["penalty"] == plain


def test_a_component_has_the_figures_of_a_reward(tmp_path):
    found = analyse(tmp_path, rows(SEEN), {"name": "first", "weight": 3.0})["components"]["first"]
    scores = np.ravel(SEEN)
    spread = mean_and_std(scores, GROUPS).as_dict()
    assert found["std_ci95"] == spread["std_ci95"]
    assert found["std_ci95"][0] < found["std"] < found["std_ci95"][1]
    assert found["ci95"] == spread["mean_ci95"]
    assert found["histogram"] == describe(scores)["histogram"]
    assert sum(found["histogram"]["counts"]) == found["count"] == 48


def test_a_class_has_the_figures_of_a_reward(tmp_path):
    kinds = [place % 3 != 0 for place in range(48)]
    found = classes(tmp_path, [int(kind) for kind in kinds], rewards={"scale": 2.0})["kind"]
    assert list(found) == ["easy", "hard"]
    hard = np.array(kinds)
    rewards = 2.0 * np.ravel(SEEN)[hard]
    spread = mean_and_std(rewards, GROUPS[hard]).as_dict()
    assert found["hard"] == {
        **describe(rewards),
        **{"n": 32, "valid": 32, "mean": spread["mean"], "ci95": spread["mean_ci95"]},
        **{"std": spread["std"], "std_ci95": spread["std_ci95"]},
    }
    assert found["easy"]["min"] == 2 * min(np.ravel(SEEN)[~hard])
    json.dumps(found, allow_nan=False)


def test_a_completion_without_a_class_is_in_none(tmp_path):
    groups = [[1.0, 2.0, 4.0, 100.0], ["invalid", 4.0, 8.0, 100.0]]
    found = classes(tmp_path, [0, 1, 2, 3] * 2, groups)["kind"]
    assert list(found) == ["easy", "hard", ""]
    assert [(one["n"], one["valid"], one["mean"]) for one in found.values()] == [
        (2, 1, 1.0),
        (2, 2, 3.0),
        (2, 2, 6.0),  # not (1 · 2 + 8 + 200) / 4
    ]
    assert found["hard"]["histogram"] == {
        "edges": [1.0, 3.0, 5.0],
        "counts": [1, 1],
        "values": [2.0, 4.0],
    }


@pytest.mark.parametrize("kinds", [[0, 3], [3, 3]])
def test_one_class_is_no_class(tmp_path, kinds):
    assert classes(tmp_path, kinds * 2, [[0.0, 1.0, 2.0, 3.0]]) == {}
