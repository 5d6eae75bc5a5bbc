"""The built-in task: right answers, levels as documented, and no problem on both sides of the split."""

import re

import pytest
from pydantic import ValidationError

from rlctl.data.arithmetic import Arithmetic, Problem
from rlctl.errors import DataError

EVERYTHING = 10**6


def _calculated(prompt: str) -> int:
    a, sign, b = re.fullmatch(r"(\d{1,2})([+-])(\d{1,2})=", prompt).groups()
    return int(a) + int(b) if sign == "+" else int(a) - int(b)


def test_worked_examples():
    forgotten = Problem("addition", 47, 38)
    assert (forgotten.prompt, forgotten.answer) == ("47+38=", 85)
    # 7 + 8 = 15: write 5, forget the 1; 4 + 3 = 7.
    assert (forgotten.without_carry, forgotten.carry, forgotten.level) == (75, True, 3)
    # 2 - 7: write 5 (12 - 7), forget what was borrowed; 5 - 1 = 4.
    assert Problem("subtraction", 52, 17).without_carry == 45
    assert Problem("subtraction", 52, 17).answer == 35
    # 8 + 1 = 9; 7 + 5 = 12: the carry out of the tens is forgotten too.
    assert Problem("addition", 78, 51).without_carry == 29
    assert (Problem("addition", 42, 17).carry, Problem("addition", 42, 17).level) == (False, 2)
    assert (Problem("addition", 7, 8).carry, Problem("addition", 7, 8).level) == (True, 1)


@pytest.mark.parametrize("split", Arithmetic.splits)
def test_every_answer_is_right_and_every_row_complete(split: str):
    rows = Arithmetic(size=EVERYTHING).rows(split)
    assert {tuple(row) for row in rows} == {("prompt", "answer", "difficulty", "operation", "carry")}
    for row in rows:
        assert row["answer"] == str(_calculated(row["prompt"]))
        assert int(row["answer"]) >= 0
        assert row["operation"] == ("addition" if "+" in row["prompt"] else "subtraction")


def test_levels_mean_what_they_say():
    for row in Arithmetic(size=EVERYTHING).rows("train"):
        a, b = (int(number) for number in re.findall(r"\d+", row["prompt"]))
        if row["operation"] == "addition":
            column_carries = a % 10 + b % 10 > 9 or a // 10 + b // 10 > 9
        else:
            column_carries = a % 10 < b % 10
        assert row["carry"] == column_carries
        assert row["difficulty"] == (1 if a < 10 else 3 if column_carries else 2)
        assert (a < 10) == (b < 10)


def test_train_and_test_share_no_prompt_whatever_the_seed_and_the_size():
    everything = {
        split: {row["prompt"] for row in Arithmetic(size=EVERYTHING).rows(split)}
        for split in Arithmetic.splits
    }
    # One digit: 10·10 sums and 55 differences; two digits: 90·90 sums and 90·91/2 differences.
    assert len(everything["train"] | everything["test"]) == 100 + 55 + 8100 + 4095
    assert not everything["train"] & everything["test"]
    for seed, size, levels in [(0, 50, [1, 2, 3]), (1, 700, [3]), (7, 5000, [2, 1]), (123456, 3, [1])]:
        for split in Arithmetic.splits:
            prompts = [row["prompt"] for row in Arithmetic(seed=seed, size=size, levels=levels).rows(split)]
            assert len(prompts) == len(set(prompts)) <= size
            assert set(prompts) <= everything[split]


def test_a_sum_is_on_the_same_side_either_way_round():
    test = {row["prompt"] for row in Arithmetic(size=EVERYTHING, operations=["addition"]).rows("test")}
    assert {"{1}+{0}=".format(*re.findall(r"\d+", prompt)) for prompt in test} == test
    assert 0.17 < len(test) / 8200 < 0.23


def test_the_seed_decides():
    assert Arithmetic(seed=3).rows("train") == Arithmetic(seed=3).rows("train")
    assert Arithmetic(seed=3).rows("train") != Arithmetic(seed=4).rows("train")
    assert Arithmetic(seed=3, size=10).rows("train") == Arithmetic(seed=3, size=500).rows("train")[:10]
    # Fixed for good: runs of different days and machines see the same problems.
    assert [row["prompt"] for row in Arithmetic(size=3).rows("train")] == ["48+24=", "33+29=", "44-14="]


def test_levels_operations_weights_and_size_are_kept():
    rows = Arithmetic(levels=[1, 3], weights=[1, 4], operations=["subtraction"], size=200, seed=5).rows(
        "train"
    )
    assert {row["operation"] for row in rows} == {"subtraction"}
    ones = sum(row["difficulty"] == 1 for row in rows)
    assert {row["difficulty"] for row in rows} == {1, 3}
    assert 25 <= ones <= 55  # 200 · 1/5 = 40, and at least two standard deviations (5.7) on either side
    by_default = [row["difficulty"] for row in Arithmetic().rows("train")]
    assert len(by_default) == 2000
    assert 0.70 < by_default.count(3) / 2000 < 0.85  # 6/8


def test_a_level_that_is_used_up_gives_no_more():
    rows = Arithmetic(levels=[1], size=EVERYTHING).rows("train") + Arithmetic(
        levels=[1], size=EVERYTHING
    ).rows("test")
    assert len(rows) == 155


def test_an_unknown_split_is_answered_with_the_known_ones():
    with pytest.raises(DataError, match="no split 'validation'") as error:
        Arithmetic().rows("validation")
    assert error.value.exit_code == 3
    assert error.value.hint == "it has train and test"
    with pytest.raises(DataError, match="did you mean 'train'"):
        Arithmetic().rows("trian")


@pytest.mark.parametrize(
    "args",
    [
        {"levels": []},
        {"levels": [4]},
        {"levels": [1, 1]},
        {"levels": [1, 2], "weights": [1.0]},
        {"weights": [1.0, 0.0, 1.0]},
        {"operations": ["multiplication"]},
        {"operations": ["addition", "addition"]},
        {"size": 0},
        {"size": "many"},
        {"sead": 1},
    ],
)
def test_wrong_arguments_are_refused(args: dict):
    with pytest.raises(ValidationError):
        Arithmetic(**args)
