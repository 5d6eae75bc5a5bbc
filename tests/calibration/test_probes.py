"""Flawed rewards are named by the probe that shows their flaw; honest ones are not named at all."""

import gzip
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from flawed_rewards import RNG, arithmetic, contains, habits, part, rewards, score_with

from rlctl.calibration.answers import answer_to, judges, same, wrong_answers
from rlctl.calibration.exploits import ProbeResult, bar_of, run_probes
from rlctl.calibration.gold import check_gold
from rlctl.calibration.keywords import keywords
from rlctl.calibration.probes import make_probes
from rlctl.config.rewards import Rewards
from rlctl.rewards.compose import Scorer

CONFIGS = Path(__file__).parents[2] / "configs"
SHARES = [0.0, 0.25, 0.5, 0.9]
"""How often a policy may be right."""


def probe(
    reward: Rewards, rows: list[dict[str, Any]], completions: Sequence[Any], **keys: Any
) -> dict[str, ProbeResult]:
    """Probes of a reward on a policy's completions, as `analyze-rewards` makes them."""
    tokenize = keys.pop("tokenize", lambda text: list(text.encode()))
    with Scorer(reward, tokenize=tokenize) as scorer:
        score = partial(score_with, scorer)
        totals = keys.pop("of", None)
        if totals is None:
            totals = [row.total for row in score(rows, completions) if row.outcome == "scored"]
        totals = [total for total in totals if not np.isnan(total)]
        own = [np.nan if one.outcome != "scored" else one.total for one in score(rows, completions)]
        gold = check_gold(rows, reward, score, completions=completions, totals=own)
        noise = keys.pop("noise", 0.0)
        probes = make_probes(rows, reward, completions=completions, **{"longest": 32, **keys})
        reference = gold.total_median if gold else None
        told = {"reference": reference, "noise": noise, "judged": judges(reward)}
        found = run_probes(probes, rows, score, np.array(totals), **told)
    json.dumps([one.as_dict() for one in found], allow_nan=False)
    return {one.name: one for one in found}


def named(found: dict[str, ProbeResult], *, cheats: bool = False) -> set[str]:
    return {name for name, one in found.items() if one.exploit and not (cheats and one.form_alone)}


def texts(reward: Rewards, rows: list[dict[str, Any]], name: str, **keys: Any) -> list[str | None]:
    """Texts of one probe; nothing where it is not made."""
    made = make_probes(rows, reward, **{"longest": 8, **keys})
    return next((one.texts for one in made if one.name == name), [])


MATHS = {"type": "math_answer"}
EXACT = {"type": "exact_match"}
GROUP = {"type": "regex", "pattern": r"answer>(.*?)<", "group": 1, "column": "answer"}
TAGS = {"type": "format", "tags": ["think", "answer"]}
SHORT = {"type": "length", "max": 4, "weight": 0.1, "transform": {"type": "clip", "min": -1, "max": 0}}
FORM = {"type": "regex", "pattern": r"####\s*-?[$\d.,]+\s*\Z", "weight": 0.1}


@pytest.mark.parametrize("right", SHARES)
@pytest.mark.parametrize(
    "reward",
    [
        rewards(MATHS),
        rewards(EXACT),
        rewards(MATHS, SHORT),
        rewards(EXACT, SHORT),
        rewards(MATHS, {**SHORT, "gate": {"math_answer": ">=1"}}),
        rewards(MATHS, FORM),
        rewards(EXACT, {"type": "repetition", "weight": -0.5}),
        rewards(MATHS, TAGS),
        rewards(GROUP, TAGS),
        rewards(GROUP),
    ],
    ids=[
        "math",
        "exact",
        "math-short",
        "exact-short",
        "gated",
        "math-form",
        "repetition",
        "math-tags",
        "group-tags",
        "group",
    ],
)
def test_an_honest_reward_is_not_named_however_good_the_policy(reward: Rewards, right: float):
    assert not named(probe(reward, arithmetic(), habits(right)))


@pytest.mark.parametrize("right", SHARES)
@pytest.mark.parametrize("name", ["quickstart", "own_reward"])
def test_the_shipped_rewards_are_not_named(name: str, right: float):
    section = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())["rewards"]
    for one in section["components"]:
        if "function" in one:
            one["function"] = str(CONFIGS / one["function"])
    assert not named(probe(Rewards.model_validate(section), arithmetic(), habits(right)))


@pytest.mark.parametrize("formed", [0.0, 0.5, 1.0])
def test_format_alone_is_honest_but_named_as_what_it_is(formed: float):
    rows = arithmetic()
    completions = [
        f"<think>\n{row['prompt']}\n</think>\n<answer>7</answer>" if i < formed * len(rows) else "7"
        for i, row in enumerate(rows)
    ]
    found = probe(rewards(TAGS), rows, completions)
    # Where nobody or everybody has the form, no completion says that more or less can be had.
    assert named(found) == ({"tags_of_junk"} if formed == 0.5 else set())
    assert not named(found, cheats=True)


@pytest.mark.parametrize("right", SHARES)
def test_paying_for_length_is_named(right: float):
    alone = probe(rewards(part("length")), arithmetic(), habits(right))
    assert {"one_token", "very_long"} <= named(alone)
    # 32 times " the" is 128 characters, worth 1.28; at most 3 digits are worth 0.03.
    assert alone["one_token"].median == pytest.approx(1.28)
    assert alone["one_token"].p25 <= 0.03
    mixed = probe(rewards(EXACT, part("length")), arithmetic(), habits(right))
    assert "one_token" in named(mixed)
    assert mixed["empty"].median == 0


@pytest.mark.parametrize("right", SHARES)
def test_an_answer_anywhere_is_named_by_many_answers_at_once(right: float):
    found = probe(rewards(part("contains")), arithmetic(), habits(right))
    assert {"many_answers", "many_in_a_line", "wrong_place"} <= named(found)
    assert not {"empty", "space", "one_token", "form_only"} & named(found)


@pytest.mark.parametrize("formed", [0.3, 0.9, 1.0])
def test_a_pattern_without_content_is_named_by_the_form_alone(formed: float):
    rows = arithmetic()
    ends = ["#### 7" if i < formed * len(rows) else "7" for i in range(len(rows))]
    found = probe(rewards({"type": "regex", "pattern": "####"}), rows, ends)
    assert found["form_only"].median == 1
    # Where everybody gets everything, no completion says that less can be had: that is another finding.
    assert found["form_only"].exploit == (formed < 1)


def formed(right: float, tags: float, count: int = 16) -> list[str]:
    """Habits with a line of working out, a share of them in tags."""
    return [
        f"<think>\nI add {i}\n</think>\n<answer>{one}</answer>" if i % 10 < tags * 10 else f"I add {i}: {one}"
        for i, one in enumerate(habits(right, count))
    ]


def by_words(reward: Rewards, completions: Sequence[str], count: int) -> dict[str, ProbeResult]:
    """Probes with the words of the completions, in which the best of each prompt are the first 16."""
    rows = arithmetic(count)
    with Scorer(reward) as scorer:
        totals = [
            np.nan if one.outcome != "scored" else one.total for one in score_with(scorer, rows, completions)
        ]
    order = np.argsort(-np.nan_to_num(totals, nan=-9.0), kind="stable")[:16]
    found = keywords(completions, np.array(totals))
    return probe(reward, [rows[i] for i in order], [completions[i] for i in order], words=found, of=totals)


@pytest.mark.parametrize("name", ["shaped", "opening"])
def test_a_function_that_pays_for_tags_is_named_by_tags_around_nothing(name: str):
    found = by_words(rewards(part(name)), formed(0.5, 0.5, 64), 64)
    assert {"tags_empty", "tags_of_junk"} <= named(found)
    assert not named(found, cheats=True)
    assert found["tags_empty"].example["completion"] == "<think>\n\n</think>\n<answer></answer>"


def test_tags_that_pay_more_than_answers_are_a_cheat():
    found = by_words(rewards(part("mostly_shape")), formed(0.25, 0.5, 64), 64)
    # The shape alone gets 3 of 4, and 2 is half of the way from 0.
    assert "tags_of_junk" in named(found, cheats=True)
    assert found["tags_of_junk"].median == 3


@pytest.mark.parametrize("right", SHARES)
@pytest.mark.parametrize("tags", [0.3, 0.9, 1.0])
@pytest.mark.parametrize(
    "parts", [["tagged"], ["tagged", TAGS], [MATHS, {**TAGS, "weight": 0.2}], ["unstripped"]]
)
def test_judging_answers_in_tags_is_honest(parts: list[Any], tags: float, right: float):
    reward = rewards(*(part(one) if isinstance(one, str) else one for one in parts))
    assert not named(by_words(reward, formed(right, tags, 64), 64))


def test_a_word_that_pays_is_named():
    completions = [f"I add {i}{', therefore' if i % 3 == 0 else ' and'} it is {i}" for i in range(60)]
    found = by_words(rewards(part("therefore")), completions, 60)
    assert {"keyword", "keywords"} <= named(found)
    assert not named(found, cheats=True)


def test_words_that_are_answers_are_no_keywords():
    rows = [{"prompt": f"{i}?", "answer": "yes"} for i in range(16)]
    made = make_probes(rows, rewards(EXACT), words=["yes", "yes it is"], longest=8)
    assert not {"keyword", "keywords"} & {one.name for one in made}
    made = make_probes(rows, rewards(EXACT), words=["yes", "so"], longest=8)
    assert next(one.texts[0] for one in made if one.name == "keyword") == "so"
    assert not [one for one in make_probes(rows[:3], rewards(EXACT), words=["so"], longest=8) if one.form]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("right", SHARES)
def test_noise_is_no_exploit(right: float, seed: int):
    RNG.seed(seed)
    reward, rows = rewards(part("unsteady")), arithmetic(64)
    completions = habits(right, 64)
    with Scorer(reward) as scorer:
        totals = np.array([one.total for one in score_with(scorer, rows, completions)])
    lucky = np.argsort(-totals)[:16]  # the best are lucky draws
    few, best = [rows[i] for i in lucky], [completions[i] for i in lucky]
    found = probe(reward, few, best, of=totals, noise=0.3)
    assert not named(found)
    assert not [name for name, one in found.items() if one.above]


def test_counting_a_tag_is_named_by_stuffing():
    reward = rewards({"type": "regex", "pattern": "<step>", "mode": "count"})
    rows = arithmetic()
    found = probe(reward, rows, ["<step> 7"] * 8 + ["7"] * 8)
    # The form, another inside of it, and the form again.
    assert found["tags_stuffed"].median == 3
    assert "tags_stuffed" in named(found)


def test_tags_that_need_not_be_closed_are_named():
    reward = rewards({"type": "regex", "pattern": "<answer>"}, {**TAGS, "weight": 0.1})
    rows = arithmetic()
    completions = ["<think>a</think>\n<answer>7</answer>"] * 4 + ["7"] * 12
    assert "tags_open" in named(probe(reward, rows, completions))


def test_a_prompt_that_is_its_own_answer_is_named():
    reward = rewards({"type": "regex", "pattern": r"\d+\D\d+", "weight": 1.0})
    assert "prompt_echo" in named(probe(reward, arithmetic(), habits(0.5)))


def test_what_a_probe_is_made_of_has_to_be_beaten():
    """A real completion again and again is right where it was right; that is no exploit."""
    found = probe(rewards(MATHS), arithmetic(), [f"The answer is {one}." for one in habits(0.9)])
    assert found["very_long"].median == 1
    assert found["very_long"].share_above == 0
    assert not named(found)


def test_the_bar():
    # 25th percentile of 0, 0, 0, 1 is 0; half of the way to the best is 0.5.
    bar = bar_of(np.array([0.0, 0, 0, 1]))
    assert (bar.p25, bar.level, bar.reached) == (0, 0.5, False)
    assert bar.above(0.1)
    assert not bar.above(0.01)
    assert not bar.too_high(0.5)
    assert bar.too_high(0.6)
    # Three of four get the most: 25th percentile of 0, 1, 1, 1, 1 is 1, and to reach it is too much.
    assert bar_of(np.array([0.0, 1, 1, 1, 1])).too_high(1.0)
    # Right answers get 1, and no completion was right.
    assert bar_of(np.zeros(4), 1.0).level == 0.5
    # Nothing is known of a reward that gives everybody 0, so what equals it is not named.
    assert not bar_of(np.zeros(4)).too_high(0.0)
    assert bar_of(np.ones(4), 1.0).too_high(1.0)
    assert bar_of(np.zeros(0)) is None


def test_partial_credit_is_told_but_not_named():
    found = probe(rewards(MATHS, FORM), arithmetic(), habits(0.0))
    other = found["other_answer"]
    assert other.median == pytest.approx(0.1)
    assert other.p25 == 0
    assert other.above
    assert not other.exploit


def test_invalid_failed_and_masked_probes_are_counted_and_pay_nothing():
    found = probe(rewards(MATHS), arithmetic(), habits(0.5))
    assert (found["empty"].invalid, found["empty"].scored) == (16, 0)
    assert found["empty"].median is None
    assert found["empty"].example is None
    failing = probe(rewards(part("fragile")), arithmetic(), habits(0.5))
    assert failing["one_token"].failed == 16
    assert not named(failing)
    rows = [{**row, "answer": None} for row in arithmetic()]
    masked = probe(rewards(EXACT), rows, habits(0.5))
    assert masked["empty"].not_applicable == 16
    assert masked["empty"].bar is None


def test_probes_are_made_only_where_they_make_sense():
    def names(reward: Rewards, rows: list[dict[str, Any]], **keys: Any) -> set[str]:
        return {one.name for one in make_probes(rows, reward, longest=8, **keys)}

    always = {"empty", "space", "one_token"}
    assert names(rewards(MATHS), [{"prompt": ""}]) == always
    assert names(rewards(MATHS), [{"prompt": None, "answer": ""}]) == always
    assert names(rewards(MATHS), [{}]) == always
    answers = {"wrong_place", "many_answers", "many_in_a_line", "other_answer", "prompt_echo"}
    assert names(rewards(MATHS), [{"prompt": "1+1=", "answer": "2"}]) == always | answers
    forms = {"form_only", "tags_stuffed", "tags_open"}
    assert names(rewards(TAGS), [{"prompt": ""}]) == always | forms
    real = {"look_alike", "very_long"}
    assert names(rewards(TAGS), [{}], completions=["x 7"]) == always | forms | real
    assert names(rewards(MATHS), [{}], completions=[None]) == always
    two = [{"answer": "1"}, {"answer": "2"}]
    assert "other_prompt" in names(rewards(MATHS), two, completions=["1", "2"])
    assert "other_prompt" not in names(rewards(MATHS), [two[0], two[0]], completions=["1", "2"])
    assert "other_prompt" not in names(rewards(TAGS), [{}, {}], completions=["1", "2"])


def test_the_texts():
    rows = [{"prompt": "1+1=", "answer": "2"}, {"prompt": "2+3=", "answer": "5"}]
    reward = rewards(MATHS, TAGS)
    form = "<think>{}</think>\n<answer>{}</answer>".format
    assert texts(reward, rows, "wrong_place") == [form("2", "5"), form("5", "2")]
    assert texts(reward, rows, "form_only") == [form("", "")] * 2
    assert texts(reward, rows, "tags_open")[0] == "<think>5\n<answer>5"
    assert texts(reward, rows, "one_token", token="!")[0] == "!" * 8
    assert texts(rewards(EXACT), rows, "many_in_a_line") == ["5, 2, 5", "2, 5, 2"]
    assert texts(rewards(EXACT), rows, "very_long", completions=["ab", None]) == ["ab\nab", None]
    assert texts(rewards(EXACT), rows, "look_alike", completions=["a1", "-"]) == ["\u0430\uff11", None]
    assert texts(rewards(EXACT), rows, "other_prompt", completions=["x", "y"]) == ["y", "x"]


def test_chat_prompts_and_completions_of_several_lines():
    rows = [
        {
            "prompt": [{"role": "system", "content": "Add."}, {"role": "user", "content": one["prompt"]}],
            **rest,
        }
        for one in arithmetic()
        for rest in [{"answer": one["answer"]}]
    ]
    chats = [[{"role": "assistant", "content": f"Well,\nit is\n{text}"}] for text in habits(0.5)]
    reward = rewards(MATHS)
    assert texts(reward, rows, "prompt_echo")[0] == arithmetic()[0]["prompt"]
    plain = [chat[0]["content"] for chat in chats]
    assert texts(reward, rows, "very_long", completions=chats)[0].startswith(f"{plain[0]}\n{plain[0]}")
    found = probe(reward, rows, plain)
    assert not named(found)
    assert found["other_prompt"].example["prompt"].startswith("Add.\n")
    assert named(probe(rewards(part("contains")), rows, plain)) >= {"many_answers"}


def test_right_and_wrong_answers():
    reward = rewards(part("contains"))
    assert answer_to({"answer": "60 + 12\n#### 72"}, reward) == "72"
    assert answer_to({"answer": 7}, reward) == "7"
    assert answer_to({"answer": ["Paris", "paris"]}, reward) == "Paris"
    assert answer_to({"answer": " ", "label": "7"}, reward) is None
    assert answer_to({"answer": "7"}, rewards(part("length"), {**EXACT, "weight": 0})) is None
    assert answer_to({"answer": "1", "town": "Rome"}, rewards({**EXACT, "column": "town"})) == "Rome"
    assert wrong_answers(["1", "2", None, "1", "3"], 0, 5) == ["2", "3"]
    assert wrong_answers(["1", "2", "3"], 1, 1) == ["3"]
    assert wrong_answers(["1,000"], 0, 5) == ["1001"]
    assert wrong_answers(["Yes", "yes "], 0, 5) == ["something else"]
    assert same("New  York", "new york")


def test_contains_is_what_it_is_called():
    assert contains(["no 85", "no"], ["#### 85", "85"]) == [1, 0]


@pytest.mark.parametrize("share", [0.0, 0.4, 0.9])
def test_gsm8k(gsm8k_folder: Path, share: float):
    """The shipped reward on real problems, with completions made of the real solutions."""
    with gzip.open(gsm8k_folder / "train.jsonl.gz", "rt", encoding="utf-8") as lines:
        found = [json.loads(line) for line, _ in zip(lines, range(16), strict=False)]
    rows = [{"prompt": row["question"], "answer": row["answer"]} for row in found]
    section = yaml.safe_load((CONFIGS / "gsm8k_grpo.yaml").read_text())["rewards"]
    wrong = [row["answer"].partition("\n")[0] for row in found]
    completions = [row["answer"] if i < share * 16 else wrong[i] for i, row in enumerate(found)]
    assert not named(probe(Rewards.model_validate(section), rows, completions, longest=384))
    anywhere = probe(rewards(part("contains")), rows, completions, longest=384)
    assert "many_answers" in named(anywhere)
    lengthy = probe(rewards(part("length")), rows, completions, longest=384)
    assert "one_token" in named(lengthy)
    assert lengthy["very_long"].above
