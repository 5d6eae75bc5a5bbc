"""Which final answer counts, when it is right, and that the short cut says what Math-Verify says."""

import gzip
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rlctl.config.rewards import Rewards
from rlctl.rewards.answers import Answer, final_answer, gold_answer
from rlctl.rewards.compose import Batch, Scorer
from rlctl.rewards.math import MathAnswer
from rlctl.rewards.outcome import PENDING, Failed, Invalid

REWARDS = Rewards.model_validate({"components": [{"type": "math_answer"}]})


@pytest.fixture(scope="module")
def score() -> Any:
    reward = MathAnswer(type="math_answer").build()
    return lambda completion, gold: reward([completion], answer=[gold])[0]


@pytest.mark.parametrize(
    ("completion", "region"),
    [
        ("72", "72"),
        ("so 3 + 4 = 7\n72\n", "72"),
        ("\\boxed{7} no, \\boxed{\\frac{1}{2}} it is", "\\frac{1}{2}"),
        ("5\n#### 72\nand 9 more", "72"),
        ("<think>5</think>The answer is 72. Was it 9?", "72."),
        ("**Answer:** 72", "72"),
        ("The final answer is: 72", "72"),
        ("Answer:\n72\n", "72"),
        ("<answer> 72 </answer> 9", "72"),
        ("The answer is 5? No, the answer is 7.5", "7.5"),
    ],
)
def test_the_region_of_the_final_answer(completion: str, region: str):
    answer = final_answer(completion)
    assert answer is not None
    assert answer.text.rstrip(".") == region.rstrip(".")


@pytest.mark.parametrize(
    "completion",
    [
        "",
        "  \n",
        "I do not know",
        "<think>it is 72",
        "The answer is unknown",
        "\\boxed{}",
        "72 </think> ",
        "####",
    ],
)
def test_no_answer_is_invalid(score: Any, completion: str):
    assert final_answer(completion) is None
    result = score(completion, "72")
    assert isinstance(result, Invalid)
    assert result.reason == "no answer"


@pytest.mark.parametrize(
    ("completion", "gold", "expected"),
    [
        ("It is 3 + 4 = 7, the answer is 12", "7", 0.0),
        ("\\boxed{\\frac{1}{2}}", "0.5", 1.0),
        ("1/2", "0.5", 1.0),
        ("0.333333", "1/3", 1.0),
        ("$\\sqrt{8}$", "2\\sqrt{2}", 1.0),
        ("#### 2x+5", "2x+1", 0.0),
        ("#### 1+2x", "2x+1", 1.0),
        ("\\boxed{(1, 2)}", "(1,2)", 1.0),
        ("\\boxed{x = 2}", "2", 1.0),
        ("She pays $18.", "18", 1.0),
        ("72 apples", "She has 60 + 12 = <<60+12=72>>72 apples.\n#### 72", 1.0),
        ("1,234", "#### 1234", 1.0),
        ("\\boxed{72\\%}", "72", 1.0),
        ("-5", "5", 0.0),
        (
            "\\boxed{\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}}",
            "\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}",
            1.0,
        ),
        ("\\boxed{[1, 2)}", "[1,2)", 1.0),
        ("5 km", "5 \\text{ km}", 1.0),
        ("1 234", "1234", 1.0),
        ("7", 7, 1.0),
        ("7", 7.0, 1.0),
        ("\\boxed{\\frac{1}{}", "3", 0.0),
    ],
)
def test_right_and_wrong(score: Any, completion: str, gold: Any, expected: float):
    assert score(completion, gold) == expected


def test_an_answer_that_hedges_is_wrong_though_math_verify_takes_its_first_number(score: Any):
    assert score("The answer is 3 or 4", "3") == 0.0
    assert score("The answer is 3 or 4", "4") == 0.0
    assert score("The answer is 3", "3") == 1.0


@pytest.mark.parametrize(
    "completion",
    [
        # denied
        "The answer is not 72",
        "It isn't 72",
        "anything but 72",
        # a bound
        "#### at most 72",
        "less than 72",
        "72 or more",
        "\\boxed{\\neq 72}",
        "\\boxed{\\ge 72}",
        "\\boxed{x > 72}",
        # another size
        "The answer is 72 million",
        "72 thousand",
        "$72k",
        "#### 7200%",
        "negative 72",
        "72 1/2",
        "72 and a half",
        "72 squared",
        "It is 72² now",
        # several numbers
        "#### 5 apples 72 oranges",
        "#### apples 70 apples 71 apples 72",
        "#### $70$ $71$ $72$",
        "3 dozen = 36; 72",
        "\\boxed{70=71=72}",
        "71 = 72",
        "70 71 72",
        "\\boxed{72, 73}",
        # an equation that is not solved
        "6x = 72",
        "x + 5 = 72",
    ],
)
def test_what_merely_mentions_the_number_is_wrong(score: Any, completion: str):
    assert score(completion, "72") == 0.0


@pytest.mark.parametrize(
    ("completion", "gold"),
    [
        ("3 1/2", "3.5"),
        ("3.5", "3 1/2"),
        ("1 1/2", "1.5"),
        ("1 million", "1000000"),
        ("5)", "5"),
        ("The answer is 72?", "72"),
        ("The answer is −5.", "-5"),
        ("x = 72", "72"),
        ("=> 72", "72"),
        ("72 dollars", "72"),
        ("$72", "72"),
        ("72.0", "72"),
        ("**72**", "72"),
        ("\\[ x = 72 \\]", "72"),
        ("\\boxed{\\frac{144}{2}}", "72"),
        ("\\boxed{72\\text{ apples}}", "72"),
        ("\\boxed{1{,}234}", "1234"),
        ("The answer is $\\frac{144}{2}$ dollars.", "72"),
        ("72 %", "72 %"),
        ("72%", "0.72"),
        ("72", "72%"),
        ("40 + 32 = 72", "72"),
        ("Total = 6 x 12 = $72", "72"),
        ("60 + 12 = <<60+12=72>>72 apples.", "72"),
        ("She has 72 more apples than Bob", "72"),
    ],
)
def test_ways_to_write_a_right_number(score: Any, completion: str, gold: str):
    assert score(completion, gold) == 1.0


def test_words_beside_the_number_of_a_gold_answer_are_its_unit(score: Any):
    assert score("10 apples", "10 apples") == 1.0
    assert score("10", "10 apples") == 1.0
    assert score("10 oranges", "10 apples") == 0.0
    assert score("10 oranges", "10") == 1.0


def test_a_denied_expression_is_wrong(score: Any):
    assert score("\\sqrt{8}", "2\\sqrt{2}") == 1.0
    assert score("not $\\sqrt{8}$", "2\\sqrt{2}") == 0.0
    assert score("x \\ge 2", "x \\ge 2") == 1.0


PIECES = [
    "<answer>",
    "</answer>",
    "answer is ",
    "answer",
    "answer ",
    "\\boxed{",
    "#",
    "9",
    "9 ",
    "1,234",
    "123 ",
    ",234",
    "1/",
    "than ",
    "under ",
    "under",
    "$",
    "\\(",
    "\\text{",
    "<<",
    "=",
    "1=",
    "a = ",
    " ",
    "\t",
    "*",
    ". ",
    "x ",
    "-",
    "and ",
]
DEGENERATE = """
import sys
from rlctl.rewards.math import MathAnswer
reward = MathAnswer(type="math_answer")
for piece in {pieces!r}:
    for text in (piece * 30000, "7" + piece * 30000 + "x", "#### 7 " + piece * 30000 + " y",
                 "the answer is 7 under " + piece * 30000 + "z 7"):
        reward.quick([text], {{"answer": ["72"]}})
"""


def test_degenerate_completions_take_linear_time():
    """Over 100 texts of up to 270 000 characters; one quadratic pattern alone takes most of a minute."""
    subprocess.run([sys.executable, "-c", DEGENERATE.format(pieces=PIECES)], check=True, timeout=40)


def test_a_gold_answer_that_cannot_be_read_is_a_failure_never_a_reward(score: Any):
    for completion in ("5", "banana 5", "\\boxed{banana}"):
        result = score(completion, "banana")
        assert isinstance(result, Failed)
        assert "'banana' is not mathematics" in result.reason


def test_a_row_without_a_gold_answer_is_not_scored(score: Any):
    assert score("5", None) is None
    assert score("5", "  ") is None


def test_an_expression_that_explodes_fails(score: Any):
    result = score("\\boxed{9^{9^{9^9}}}", "3")
    assert isinstance(result, Failed)
    assert "took longer than 2 s" in result.reason


def _spellings(rng: random.Random) -> tuple[str, str]:
    whole = rng.choice([rng.randrange(-20, 20), rng.randrange(-(10**7), 10**7)])
    value = whole if rng.random() < 0.5 else whole + rng.choice([0.5, 0.25, 0.125, 0.000001, 0.1])
    other = value if rng.random() < 0.5 else rng.choice([-value, value + 1, value + 0.01, value * 10])

    def spell(number: float) -> str:
        text = (
            rng.choice([f"{number}", f"{number:,}", f"{number:.6f}"])
            if isinstance(number, float)
            else f"{number:,}"
        )
        return rng.choice(["{}", "${}$", "**{}**", "{}.", "\\boxed{{{}}}"]).format(text)

    return spell(value), spell(other)


def test_the_short_cut_agrees_with_math_verify_on_random_numbers():
    from math_verify import parse, verify

    rng = random.Random(0)
    reward = MathAnswer(type="math_answer")
    decided = 0
    for _ in range(600):
        gold, completion = _spellings(rng)
        quick = reward.quick([completion], {"answer": [gold]})[0]
        if quick is PENDING:
            continue
        decided += 1
        assert quick == float(verify(parse(gold), parse(completion))), (gold, completion)
        assert quick == float(reward.answer(gold) == reward.answer(completion)), "a vote sees the same"
    assert decided > 500


def test_numbers_are_compared_to_six_places():
    """1/3 is 0.333333 when rounded; 0.333332 is another number."""
    quick = MathAnswer(type="math_answer").quick
    assert quick(["0.3333333", "0.333333", "0.333332"], {"answer": ["0.3333334", "1/3", "1/3"]}) == [1, 1, 0]


def test_plain_numbers_start_no_process_and_others_are_scored_in_one():
    with Scorer(REWARDS) as scorer:
        columns = {"answer": ["7", "#### 1,000", "5"]}
        scored = scorer.score(Batch([""] * 3, ["7", "so \\boxed{1000}", "no"], columns))
        assert scored.totals == [1, 1, -1]
        pool = scorer._runners["math_answer"]
        assert not pool._workers
        assert scorer.score(Batch([""] * 2, ["\\frac{3}{4}", "8"], {"answer": ["0.75", "8"]})).totals == [
            1,
            1,
        ]
        assert len(pool._workers) == 1


def _rows(folder: Path, count: int) -> list[dict[str, str]]:
    with gzip.open(folder / "train.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line, _ in zip(lines, range(count), strict=False)]


def test_real_answers_of_gsm8k(gsm8k_folder: Path):
    golds = [row["answer"] for row in _rows(gsm8k_folder, 150)]
    numbers = [gold.rpartition("####")[2].strip() for gold in golds]
    values = [int(number.replace(",", "")) for number in numbers]
    right = [
        style.format(number)
        for style, number in zip(
            ["{}", "#### {}", "The answer is ${}.", "\\boxed{{{}}}", "So she has {} of them."] * 30,
            numbers,
            strict=True,
        )
    ]
    wrong = [
        f"It is {number}. The answer is {value + 1}" for number, value in zip(numbers, values, strict=True)
    ]
    with Scorer(REWARDS) as scorer:
        for completions, total in ((golds, 1.0), (right, 1.0), (wrong, 0.0)):
            scored = scorer.score(Batch([""] * 150, completions, {"answer": golds}))
            assert scored.totals == [total] * 150
    assert gold_answer(golds[0]) == Answer(numbers[0])
