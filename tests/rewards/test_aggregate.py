"""Totals worked out by hand: every mix of outcomes, gate, normalisation and way of adding up."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlctl.config.rewards import Rewards
from rlctl.rewards.aggregate import Row, aggregate
from rlctl.rewards.normalize import normalize
from rlctl.rewards.outcome import Failed, Invalid, Score

F = Failed("boom")
I = Invalid("bad")  # noqa: E741


def rewards(*parts: dict[str, Any], **keys: Any) -> Rewards:
    """Parts named a, b, c, ... of a type that takes any column."""
    named = [
        {"type": "python", "function": "m:f", "name": name, **part}
        for name, part in zip("abcd", parts, strict=False)
    ]
    return Rewards.model_validate({"components": named, **keys})


def rows(config: Rewards, *scores: list[Score], **keys: Any) -> list[Row]:
    return aggregate(config, dict(zip("abcd", scores, strict=False)), **keys)


def totals(config: Rewards, *scores: list[Score], **keys: Any) -> list[float | None]:
    return [row.total for row in rows(config, *scores, **keys)]


def test_weighted_sum_of_every_mix_of_outcomes():
    config = rewards({"weight": 1.0}, {"weight": 3.0}, invalid_penalty=-2.0, scale=10.0)
    a: list[Score] = [0.5, 0.5, None, None, I, 0.5, F, I, F, None]
    b: list[Score] = [1.0, None, 1.0, None, 1.0, I, 1.0, F, I, F]
    found = rows(config, a, b)
    assert [row.total for row in found] == [
        35.0,  # 10 · (0.5 + 3)
        20.0,  # only a applies: 10 · 0.5 · 4/1
        40.0,  # only b applies: 10 · 3 · 4/3
        None,
        -20.0,
        -20.0,
        None,
        -20.0,  # invalid comes before failed
        -20.0,
        None,
    ]
    outcomes = "scored scored scored not_applicable invalid invalid failed invalid invalid failed"
    assert [row.outcome for row in found] == outcomes.split()
    assert [found[i].reason for i in (0, 3, 4, 6, 8, 9)] == [
        None,
        None,
        "a: bad",
        "a: boom",
        "b: bad",
        "b: boom",
    ]
    assert found[0].weighted == {"a": 5.0, "b": 30.0}
    assert found[1].weighted == {"a": 20.0, "b": None}
    assert found[4].weighted == {"a": None, "b": None}


def test_weighted_mean():
    config = rewards({"weight": 1.0}, {"weight": 3.0}, {"weight": -1.0}, aggregate="weighted_mean")
    # (0.5 + 3 − 2) / 5; without the third (0.5 + 3) / 4; only the third: −2 / 1.
    assert totals(config, [0.5, 0.5, None], [1.0, 1.0, None], [2.0, None, 2.0]) == pytest.approx(
        [0.3, 0.875, -2.0]
    )


def test_weighted_geometric_mean():
    config = rewards({"weight": 1.0}, {"weight": 3.0}, aggregate="weighted_geometric_mean")
    got = totals(config, [0.9, 0.5, 0.0, None, None, 1.5], [0.4, 0.5, 1.0, 0.8, None, 1.0])
    # (0.9 · 0.4³)^¼ = 0.4899; nothing at all is missing, not 1; 1.5 is outside of 0 to 1.
    assert got == [pytest.approx(0.4899, abs=1e-4), pytest.approx(0.5), 0.0, pytest.approx(0.8), None, None]
    failed = rows(config, [1.5], [1.0])[0]
    assert failed.outcome == "failed"
    assert failed.reason == "a: 1.5 is outside of 0 to 1, which the geometric mean needs"


def test_a_part_without_weight_can_judge_but_not_score():
    config = rewards({"weight": 1.0}, {"weight": 0.0}, invalid_penalty=-3.0)
    assert totals(config, [0.5, 0.5, None, 0.5], [9.0, I, 9.0, F]) == [0.5, -3.0, None, None]


@pytest.mark.parametrize(("on_error", "total"), [("mask", None), ("fail", None), ("penalty", -4.0)])
def test_on_error(on_error: str, total: float | None):
    config = rewards({}, on_error=on_error, invalid_penalty=-2.0, scale=2.0)
    row = rows(config, [F])[0]
    assert (row.outcome, row.total) == ("failed", total)


def test_transforms_come_first_and_raw_scores_are_kept():
    config = rewards({"transform": {"type": "clip", "min": -1.0, "max": 0.0}, "weight": 0.5}, {})
    row = rows(config, [-7.0], [2.0])[0]
    assert (row.total, row.raw, row.values) == (1.5, {"a": -7.0, "b": 2.0}, {"a": -1.0, "b": 2.0})


def test_a_transform_that_leaves_the_numbers_fails():
    config = rewards({"transform": {"type": "linear", "slope": 1e308}})
    row = rows(config, [1e10])[0]
    assert (row.outcome, row.total, row.reason) == ("failed", None, "a: the transform made inf of 1e+10")


def test_a_closed_gate_counts_as_nothing_but_still_applies():
    gated = {"gate": {"a": ">=1"}, "weight": 2.0}
    a: list[Score] = [1.0, 0.5, None]
    b: list[Score] = [3.0, 3.0, 3.0]
    # open: 1 + 2·3; closed: 0.5 + 0; a does not apply, so its gate cannot say: b does not apply either.
    assert totals(rewards({}, gated), a, b) == [7.0, 0.5, None]
    # The weights of a closed part stay in the divisor: 0.5 / 3.
    assert totals(rewards({}, gated, aggregate="weighted_mean"), a, b) == [
        7 / 3,
        pytest.approx(0.5 / 3),
        None,
    ]
    # A product with nothing is nothing.
    geometric = rewards({}, gated, aggregate="weighted_geometric_mean")
    assert totals(geometric, [1.0, 0.5], [1.0, 1.0]) == [pytest.approx(1.0), 0.0]


def test_gates_ask_about_raw_scores_and_all_must_hold():
    config = rewards(
        {"transform": {"type": "linear", "slope": 0.0}, "weight": 1.0},
        {"gate": {"a": "<0.5", "c": "!=0"}},
        {"weight": 0.0},
    )
    assert totals(config, [0.4, 0.5, 0.4], [1.0, 1.0, 1.0], [1.0, 1.0, 0.0]) == pytest.approx(
        # Σ|w| = 2, all apply.
        [1.0, 0.0, 0.0]
    )


def test_normalize_over_groups_and_batches():
    values = [1.0, 3.0, 5.0, 5.0]
    spread = math.sqrt(2) + 1e-4
    assert normalize("group_std", values, 2) == pytest.approx([-1 / spread, 1 / spread, 0, 0])
    # mean 3.5, squares 6.25 + 0.25 + 2.25 + 2.25 = 11, n−1 = 3.
    spread = math.sqrt(11 / 3) + 1e-4
    assert normalize("batch_std", values, 2) == pytest.approx([x / spread for x in (-2.5, -0.5, 1.5, 1.5)])
    assert normalize("batch_mean", values, 2) == [-2.5, -0.5, 1.5, 1.5]
    assert normalize("batch_min_max", values, 2) == pytest.approx([x / 4.0001 for x in (0, 2, 4, 4)])
    assert normalize("none", values, 2) == values


def test_normalize_leaves_out_what_is_missing_and_does_not_blow_up_noise():
    assert normalize("batch_mean", [1.0, None, 3.0, None], 2) == [-1.0, None, 1.0, None]
    assert normalize("group_std", [1.0, None, None, None], 2) == [0.0, None, None, None]
    assert normalize("batch_std", [1.0, 1.00001, 1.0], 1) == [0.0, 0.0, 0.0]
    assert normalize("batch_min_max", [1.0, 1.00001], 1) == [0.0, 0.0]
    assert normalize("group_std", [1.0, 2.0], 1) == [0.0, 0.0]
    assert normalize("batch_std", [], 4) == []


def test_rows_without_a_total_are_in_no_normaliser():
    config = rewards({"normalize": "batch_mean"}, {"weight": 0.0})
    # The means are over the first two rows alone: invalid and failed ones do not count.
    assert totals(config, [1.0, 3.0, 99.0, 99.0], [0.0, None, I, F]) == [-1.0, 1.0, -1.0, None]
    assert totals(config, [1.0, 3.0], [0.0, 0.0], normalized=False) == [1.0, 3.0]


def test_normalisation_comes_after_the_transform_and_before_the_gate():
    part = {"normalize": "batch_mean", "transform": {"type": "linear", "slope": 2.0}, "gate": {"b": ">=1"}}
    config = rewards(part, {"weight": 0.0})
    # 2·(1, 3, 5) has mean 6, the closed row included; behind its gate it then counts as 0.
    assert totals(config, [1.0, 3.0, 5.0], [1.0, 1.0, 0.0]) == [-4.0, 0.0, 0.0]


def test_normalize_then_sum_is_gdpo():
    config = rewards({"weight": 1.0}, {"weight": 0.5}, aggregate="normalize_then_sum")
    a, b = [0.0, 1.0, 0.0, 1.0], [100.0, 0.0, 0.0, 100.0]
    # In TRL's words: (x − mean) / (std + 1e-4) inside each group, then the weighted sum.
    unit_a = 0.5 / (math.sqrt(0.5) + 1e-4)
    unit_b = 50 / (math.sqrt(5000) + 1e-4)
    expected = [-unit_a + 0.5 * unit_b, unit_a - 0.5 * unit_b, -unit_a - 0.5 * unit_b, unit_a + 0.5 * unit_b]
    assert totals(config, a, b, group_size=2) == pytest.approx(expected)
    # Without normalisation it is the plain weighted sum.
    assert totals(config, a, b, group_size=2, normalized=False) == [50.0, 1.0, 0.0, 51.0]


def test_rows_become_plain_json():
    config = rewards({}, {})
    assert [row.as_dict() for row in rows(config, [0.5, I], [None, F])] == [
        {
            "total": 1.0,
            "outcome": "scored",
            "reason": None,
            "components": {
                "a": {"raw": 0.5, "value": 0.5, "weighted": 1.0, "outcome": "scored", "reason": None},
                "b": {
                    "raw": None,
                    "value": None,
                    "weighted": None,
                    "outcome": "not_applicable",
                    "reason": None,
                },
            },
        },
        {
            "total": -1.0,
            "outcome": "invalid",
            "reason": "a: bad",
            "components": {
                "a": {"raw": None, "value": None, "weighted": None, "outcome": "invalid", "reason": "bad"},
                "b": {"raw": None, "value": None, "weighted": None, "outcome": "failed", "reason": "boom"},
            },
        },
    ]


score = st.one_of(st.floats(-1e15, 1e15), st.just(None), st.builds(Invalid), st.builds(Failed, st.just("x")))
part = st.fixed_dictionaries(
    {"weight": st.floats(-1e6, 1e6)},
    optional={
        "normalize": st.sampled_from(["none", "group_std", "batch_std", "batch_min_max", "batch_mean"]),
        "transform": st.sampled_from(
            [
                {"type": "sigmoid", "low": -1.0, "high": 1.0},
                {"type": "linear", "slope": -1e300},
                {"type": "exponential_decay", "k": 1e6},
                {"type": "double_sigmoid", "low": 0.0, "high": 1e15},
            ]
        ),
    },
)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_totals_are_finite_or_missing_and_outcomes_are_never_mixed_up(data: st.DataObject):
    how = data.draw(st.sampled_from(["weighted_sum", "weighted_mean", "normalize_then_sum"]))
    parts = [dict(one) for one in data.draw(st.lists(part, min_size=1, max_size=3))]
    for one in parts:
        if how == "normalize_then_sum":
            one.pop("normalize", None)
    parts[0]["weight"] = parts[0]["weight"] or 1.0
    if len(parts) > 1 and data.draw(st.booleans()):
        parts[1]["gate"] = {"a": ">=0"}
    config = rewards(*parts, aggregate=how, scale=data.draw(st.floats(1e-6, 1e6)))
    columns = [data.draw(st.lists(score, min_size=4, max_size=4)) for _ in parts]
    for row in rows(config, *columns, group_size=2):
        assert row.total is None or abs(row.total) <= 1e15
        said = list(row.scores.values())
        if any(isinstance(one, Invalid) for one in said):
            assert (row.outcome, row.total) == ("invalid", -config.scale)
        elif any(isinstance(one, Failed) for one in said):
            assert (row.outcome, row.total) == ("failed", None)
        elif row.outcome == "scored":
            assert row.total is not None
            shares = [share for share in row.weighted.values() if share is not None]
            assert row.total == pytest.approx(math.fsum(shares))
        else:
            assert row.total is None


@given(st.lists(st.one_of(st.floats(0, 1), st.just(None)), min_size=2, max_size=2))
def test_the_geometric_mean_stays_between_its_parts(values: list[float | None]):
    config = rewards({"weight": 1.0}, {"weight": 2.0}, aggregate="weighted_geometric_mean")
    total = totals(config, *[[value] for value in values])[0]
    present = [value for value in values if value is not None]
    if not present:
        assert total is None
    else:
        assert total is not None
        assert min(present) - 1e-9 <= total <= max(present) + 1e-9
