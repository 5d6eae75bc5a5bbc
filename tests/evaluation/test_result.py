"""Comparisons by name: what decides, what is adjusted, and what is not judged."""

import pytest
from made_samples import config_with, sample

from rlctl.cli.eval import describe
from rlctl.evaluation.figures import Figures
from rlctl.evaluation.result import compared
from rlctl.rewards.outcome import Failed

CONFIG = config_with()
PROMPTS = [{"prompt": str(i)} for i in range(40)]


def figures(right, failed=0):
    """40 prompts with a completion each, of which the first so many are right."""
    scores = [Failed("oops") if i >= len(PROMPTS) - failed else float(i < right) for i in range(len(PROMPTS))]
    return Figures([sample(CONFIG, i, "7", score) for i, score in enumerate(scores)], PROMPTS, CONFIG)


def test_several_comparisons_are_adjusted():
    found = compared(
        {"a": figures(16), "b": figures(15), "base": figures(10)}, [("a", "base"), ("b", "base")], "right"
    )
    plain = [one.found.p_value for one in found]
    assert plain[0] < plain[1] < 0.05
    # Holm: the smaller twice, the larger at least as much
    assert found[0].p_adjusted == pytest.approx(2 * plain[0])
    assert found[1].p_adjusted == pytest.approx(max(2 * plain[0], plain[1]))
    assert [
        one.p_adjusted for one in compared({"a": figures(16), "base": figures(10)}, [("a", "base")], "right")
    ] == [pytest.approx(plain[0])]


def test_a_share_that_is_the_same_for_all_prompts_has_an_interval():
    """All right against all wrong: the difference is 1 on each prompt, and shares know their range."""
    [one] = compared({"a": figures(40), "b": figures(0)}, [("a", "b")], "pass_at_1")
    assert one.found.difference == 1.0
    assert one.found.low is not None
    assert one.found.low < 1.0 == one.found.high
    assert one.verdict == "better"
    [same] = compared({"a": figures(9), "b": figures(9)}, [("a", "b")], "right")
    assert (same.verdict, same.found.p_value) == ("no evidence", 1.0)


def test_what_is_left_of_a_selection_is_not_judged():
    [one] = compared({"a": figures(30), "b": figures(5, failed=3)}, [("a", "b")], "right")
    assert one.found.p_value < 0.001
    assert one.left_out == pytest.approx(3 / 40)
    assert one.verdict == "not judged"
    [two] = compared({"a": figures(30), "b": figures(5, failed=2)}, [("a", "b")], "right")
    assert two.verdict == "better"


def some(*places):
    """A right completion of each of these prompts, and none of the others."""
    return Figures([sample(CONFIG, i, "7", 1.0) for i in places], PROMPTS, CONFIG)


def test_prompts_that_neither_of_the_two_has_say_nothing_of_them():
    found = {"a": some(*range(30)), "b": some(*range(30)), "c": some(*range(30, 40))}
    [one] = compared(found, [("a", "b")], "right")
    assert (one.left_out, one.one_sided, one.verdict) == (0.0, 0, "no evidence")


def test_prompts_that_one_of_the_two_lacks_are_counted_apart():
    [one] = compared({"a": some(*range(30)), "b": some(*range(27))}, [("a", "b")], "right")
    assert (one.left_out, one.one_sided, one.verdict) == (pytest.approx(3 / 30), 3, "not judged")
    assert one.as_dict()["one_sided"] == 3
    assert describe(one)[1].endswith(
        "not judged, 3 prompts have completions of only one of the two; with these, 10.0% of the completions "
        "have no right"
    )
    [two] = compared({"a": figures(30), "b": figures(5, failed=3)}, [("a", "b")], "pass_at_1")
    assert "not judged, 7.5% of the completions, or of the prompts, have no pass_at_1" in describe(two)[1]
