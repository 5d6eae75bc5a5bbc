"""A penalty relative to its group, with figures worked out by hand."""

import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlctl.config.rewards import Rewards
from rlctl.rewards.aggregate import aggregate
from rlctl.rewards.batch import Batch
from rlctl.rewards.compose import Scorer
from rlctl.rewards.normalize import normalize
from rlctl.rewards.outcome import Failed, Invalid, Score
from rlctl.rewards.penalty import group_penalties

BAD = Invalid("bad")


def rewards(**keys: Any) -> Rewards:
    part = {"type": "python", "function": "m:f", "name": "a"}
    return Rewards.model_validate({"components": [part], "invalid_penalty": {"per_group": 2.0}, **keys})


def totals(scores: list[Score], sizes: Any, **keys: Any) -> list[float | None]:
    normalized = keys.pop("normalized", True)
    found = aggregate(rewards(**keys), {"a": scores}, group_size=sizes, normalized=normalized)
    return [row.total for row in found]


def test_below_the_mean_of_its_group_by_its_own_spread():
    # 1, 2, 3: mean 2, std 1 → 2 − 2·1. 10, 14: mean 12, std √8 → 12 − 2·√8.
    scores: list[Score] = [1.0, BAD, 2.0, 3.0, 10.0, 14.0, BAD, None]
    assert totals(scores, 4) == pytest.approx([1, 0, 2, 3, 10, 14, 12 - 2 * math.sqrt(8), None])


def test_where_a_group_has_no_spread_that_of_all_groups_serves():
    # Within groups: (1² + 0 + 1²) of 1, 2, 3 with 2 degrees of freedom, 0 of 5, 5 with one: s = √(2/3).
    scores: list[Score] = [1.0, 2.0, 3.0, 5.0, 5.0, BAD, 7.0, BAD, BAD, BAD]
    s = math.sqrt(2 / 3)
    mean = (1 + 2 + 3 + 5 + 5 + 7) / 6
    assert totals(scores, [3, 3, 2, 2]) == pytest.approx(
        [1, 2, 3, 5, 5, 5 - 2 * s, 7, 7 - 2 * s, mean - 2 * s, mean - 2 * s]
    )


def test_without_any_group_that_has_spread_that_of_the_batch_serves():
    # 1, 3: each alone in its group; mean 2, std √2.
    scores: list[Score] = [1.0, BAD, 3.0, BAD, BAD, BAD]
    s = math.sqrt(2)
    assert totals(scores, 2) == pytest.approx([1, 1 - 2 * s, 3, 3 - 2 * s, 2 - 2 * s, 2 - 2 * s])


def test_without_any_spread_it_is_one():
    assert totals([4.0, BAD, 4.0, 4.0], 2) == [4.0, 4.0 - 2, 4.0, 4.0]
    assert totals([BAD, BAD], 2) == [-2.0, -2.0]
    assert totals([0.1, 0.1, 0.1, BAD], 4) == [
        0.1,
        0.1,
        0.1,
        pytest.approx(0.1 - 2),
    ]  # 0.1 rounds, three times
    assert totals([], 4) == []


def test_rows_outside_of_groups():
    # Alone in its group, each: mean and std of the batch, 2 and √2.
    assert totals([1.0, BAD, 3.0], 1) == pytest.approx([1, 2 - 2 * math.sqrt(2), 3])


def test_scale_multiplies_it():
    scores: list[Score] = [1.0, BAD, 2.0, 3.0, 5.0, BAD, BAD, 5.0]
    plain = totals(scores, 4)
    for scale in (1e-3, 10.0):
        assert totals(scores, 4, scale=scale) == pytest.approx([scale * total for total in plain])  # type: ignore[operator]
    assert totals([BAD, BAD], 2, scale=10.0) == [-20.0, -20.0]


def test_what_counts_as_no_spread_is_scaled_too():
    # 0 and 5e-4 differ by less than 1e-4 units of 10: the group takes the pooled spread of both groups.
    small, s = 5e-4 / math.sqrt(2), math.sqrt((5e-4**2 / 2 + 200) / 2)
    found = group_penalties([[0.0, 5e-4], [0.0, 20.0]], 2.0, unit=10.0)
    assert found == pytest.approx([2.5e-4 - 2 * s, 10 - 2 * math.sqrt(200)], rel=1e-12)
    # Alone, it has no other spread than the unit; in units of 1 its own is enough.
    assert group_penalties([[0.0, 5e-4]], 2.0, unit=10.0) == pytest.approx([2.5e-4 - 20], rel=1e-12)
    assert group_penalties([[0.0, 5e-4]], 2.0) == pytest.approx([2.5e-4 - 2 * small], rel=1e-12)
    # 0 and 5e-5 are 0.05 units of 1e-3 apart.
    own = 5e-5 / math.sqrt(2)
    assert group_penalties([[0.0, 5e-5]], 2.0, unit=1e-3) == pytest.approx([2.5e-5 - 2 * own], rel=1e-12)


def test_a_group_depends_on_the_others_only_where_it_must():
    own: list[Score] = [1.0, BAD, 2.0, 3.0]
    alone = totals(own, 4)
    assert totals([*own, 50.0, -50.0, BAD, 3.0], 4)[:4] == alone


def test_failed_completions_get_it_where_they_are_penalised():
    scores: list[Score] = [1.0, Failed("boom"), 3.0]
    assert totals(scores, 3) == [1.0, None, 3.0]
    assert totals(scores, 3, on_error="penalty") == pytest.approx([1, 2 - 2 * math.sqrt(2), 3])


def test_one_by_one_an_invalid_completion_has_no_total():
    assert totals([1.0, BAD, 2.0, 3.0], 4, normalized=False) == [1.0, None, 2.0, 3.0]


def test_before_it_is_chosen_auto_gives_no_total():
    auto = rewards(invalid_penalty="auto", on_error="penalty")
    found = aggregate(auto, {"a": [1.0, BAD, Failed("boom")]}, group_size=3)
    assert [(row.total, row.outcome) for row in found] == [
        (1.0, "scored"),
        (None, "invalid"),
        (None, "failed"),
    ]
    with Scorer(auto) as scorer:
        scorer.settle(-3.0)
        assert scorer.rewards.invalid_penalty == -3.0
        assert auto.invalid_penalty == "auto"


@given(st.lists(st.lists(st.floats(-100, 100), max_size=6), max_size=6), st.floats(0.1, 10))
def test_it_is_below_the_mean_whatever_the_order(groups: list[list[float]], depth: float):
    found = group_penalties(groups, depth)
    assert all(
        math.isfinite(one) and (not group or one < math.fsum(group) / len(group))
        for group, one in zip(groups, found, strict=True)
    )
    mixed = [random.Random(0).sample(group, len(group)) for group in groups]
    assert group_penalties(mixed[::-1], depth)[::-1] == found


# Groups of different sizes.


def test_groups_of_different_sizes_are_normalized_each():
    assert normalize("group_std", [1.0, 3.0, 5.0, 5.0, 5.0, None], [2, 3, 1]) == pytest.approx(
        [-1 / (math.sqrt(2) + 1e-4) * 1, 1 / (math.sqrt(2) + 1e-4), 0, 0, 0, None]
    )
    assert normalize("batch_mean", [1.0, 3.0, 5.0], [1, 2]) == [-2.0, 0.0, 2.0]


@pytest.mark.parametrize("sizes", [2, 0, [2, 2], [3, 0], [-1, 4]])
def test_groups_must_be_whole(sizes: Any):
    with pytest.raises(ValueError, match="3 completions do not make"):
        normalize("group_std", [1.0, 2.0, 3.0], sizes)
    with pytest.raises(ValueError, match="3 completions do not make"):
        Batch(["p"] * 3, ["c"] * 3, group_size=sizes)


def test_scoring_of_ragged_groups_over_two_processes():
    section = {
        "components": [{"type": "length", "unit": "characters", "normalize": "group_std"}],
        "invalid_penalty": {"per_group": 2.0},
    }
    texts = ["a", "aaa", "aaaaa", "a", "aa", "aaaa"]
    with Scorer(Rewards.model_validate(section)) as scorer:
        whole = scorer.score(Batch(["p"] * 6, texts, group_size=[3, 1, 2])).totals
        first = Batch(["p"] * 4, texts[:4], group_size=[3, 1])
        other: list[Any] = []
        scorer.score(Batch(["p"] * 2, texts[4:], group_size=[2]), exchange=lambda x: other.extend(x) or x)
        scored = scorer.score(first, exchange=lambda mine: [*mine, *other])
    assert [row.total for row in scored.everywhere] == whole
    assert whole[3] == 0.0
    assert whole[1] == pytest.approx(0.0)
    assert len({round(total or 0, 6) for total in whole}) == 5
