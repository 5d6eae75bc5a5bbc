"""Texts are cut at their marks, and answers put where the text's own stood."""

import pytest

from rlctl.calibration.skeleton import holds, skeleton

TAGGED = "<think>6 and 6, so 12</think>\n<answer> 12 </answer>"


def test_a_text_is_cut_at_its_marks_and_filled():
    form = skeleton(TAGGED)
    assert form.marks == ("<think>", "</think>", "<answer>", "</answer>")
    assert form.filled([]) == "<think></think>\n<answer>  </answer>"
    assert form.filled(["a", "b"]) == "<think>a b</think>\n<answer> a b </answer>"
    assert skeleton("so\n#### 7").filled(["x"]) == "x\n#### x"
    assert skeleton(r"so $\boxed{7}$ {it} is").filled(["x"]) == r"x\boxed{x}x"
    assert skeleton("7 < 8 and {9}").marks == ()


@pytest.mark.parametrize(
    ("text", "old", "made"),
    [
        (TAGGED, "12", ["<think>6 and 6, so 12</think>\n<answer> 85 </answer>"]),
        (TAGGED, None, ["<think>6 and 6, so 12</think>\n<answer> 85 </answer>"]),
        # Its own answer was wrong: all that stands in the tag goes, not what stands in the working out.
        (TAGGED, "6", ["<think>6 and 6, so 12</think>\n<answer> 85 </answer>"]),
        ("<answer>x = 12 cm</answer>", "12", ["<answer>x = 85 cm</answer>"]),
        ("2 + 10\n#### 12", "12", ["2 + 10\n#### 85"]),
        (r"It is $\boxed{12}$.", "12", [r"It is $\boxed{85}$.", r"It is $\boxed{12}85"]),
        ("<think>so</think> It is 12.", "12", ["<think>85</think> It is 12.", "<think>so</think> It is 85."]),
        ("12 and 12.5 make 12", "12", ["12 and 12.5 make 85"]),
        ("The answer is 13.", "12", []),
        ("The answer is 13.", None, []),
        ("", "12", []),
    ],
)
def test_another_answer(text: str, old: str | None, made: list[str]):
    assert list(skeleton(text).answers("85", old)) == made


def test_an_answer_is_no_part_of_a_number():
    assert holds("it is 12.", "12")
    assert not holds("it is 12.5 or 112", "12")
