"""The report of `analyze-rewards`: all of it, nothing of it, and what fits on a screen."""

from io import StringIO
from typing import Any

import pytest
from made_analysis import document, without_figures
from rich.console import Console

from rlctl.cli import drawing
from rlctl.cli.analysis_view import show
from rlctl.reports import figures


def plain(capsys, shown: dict[str, Any], folder: str | None = None) -> str:
    """What goes into a file or a pipe."""
    show(shown, Console(file=StringIO()), folder=folder)
    return capsys.readouterr().out


def on_screen(shown: dict[str, Any], width: int, **more: Any) -> list[str]:
    """What a terminal shows, without its colours."""
    screen = Console(file=StringIO(), force_terminal=True, width=width, color_system=None, **more)
    show(shown, screen)
    return screen.file.getvalue().splitlines()


def test_every_section_is_there_in_order(capsys) -> None:
    out = plain(capsys, document(), "outputs/x/results/analyze-1")
    starts = [
        "104 completions sampled from builtin:tiny-math: 13 prompts × 8\n",
        "  valid 93 (89%) · invalid 8 (7.7%) · not applicable 1 (1.0%) · failed 2 (1.9%)",
        "  invalid  7  correct: no number in the completion",
        "Reward of the valid completions\n",
        "  mean       0.429 [0.38, 0.479]\n",
        "  quantiles  min -0.1  p05 0  p25 0  p50 0.4  p75 1  p95 1  max 1\n",
        "    -0.1                                   1\n",
        "Components (",
        "Groups (13 of 8 completions)\n",
        "  no spread  44%  23%  12%  5.0%  <0.1%\n",
        "Penalty of invalid completions\n",
        "  now            -1  too mild: 3.39 std below the mean; in a group of 8 with one invalid, 66% of "
        "the spread among the valid is left\n",
        "  recommended    -1.87 [-2.1, -1.63]  (provisional: below 400 valid completions)\n",
        "  inversions     2.1% of the valid score below the present one, 25% in the worst prompt\n",
        "  plain rule     -0.809, from -1.06 to -0.561",
        "  rule of thumb  -1 to -0.5 for rewards in [-1, 1] is milder",
        "simulated on these rewards: groups of 8, 12% of all completions invalid, scale group; means",
        "Checks\n",
        "  tests       3 of rewards.tests pass\n",
        "  noise       scored again: the same\n",
        "11% of the variance within prompts changes, 3 of 104 outcomes change, a group tied",
        "  probes      1 of 2 get through: one token, repeated to the limit scores 0.98\n",
        "  references  correct: right answers score 1, 7.7% of them below the top; answers to other prompts",
        "  length      correlation with the reward within prompts -0.41 (3.41 tokens)\n",
        "  alike       correct and brevity: rank correlation -0.71 (n = 93)\n",
        "  cost        0.34 ms per completion, about 43.5 ms for the 128 of a step; most of it correct\n",
        "Reward by difficulty\n",
        "  easy  52     50  0.71 [0.6, 0.8]  0.4\n",
        "Findings\n",
        "  error    exploit: one token",
        "           → close the way",
        "results  outputs/x/results/analyze-1\n",
    ]
    places = [out.find(start) for start in starts]
    assert -1 not in places, starts[places.index(-1)]
    assert places == sorted(places)


def test_components_carry_a_bar_and_notes(capsys) -> None:
    lines = {line.split()[0]: line.split() for line in plain(capsys, document()).splitlines() if line.strip()}
    assert lines["correct"] == ["correct", "1", "0.429", "0.495", "███████▊", "97%", "[94%,", "99%]"]
    assert lines["brevity"][-4:] == ["93%", "at", "its", "max"]
    assert lines["format"][1:] == ["0.5", "1", "0", "0%", "constant"]
    assert lines["mine"][1:] == ["-0.25", "12,346", "1e-07", "-1.2%", "[-3.0%,", "0.1%]", "2", "failed"]
    assert lines["being"] == ["being", "valid", "█", "12%"]


def test_the_simulation_is_of_these_groups_and_marks_both_penalties(capsys) -> None:
    """Seven of nine: the present one, the advised one, five of the others from end to end."""
    lines = plain(capsys, document()).splitlines()
    first = next(i for i, line in enumerate(lines) if "std deep" in line) + 1
    rows = [line.split() for line in lines[first : first + 7]]
    assert lines[first + 7] == ""
    assert [row[0] for row in rows] == ["0.429", "-0.41", "-0.62", "-0.83", "-1", "-1.87", "-3.8"]
    assert [row[5:] for row in rows] == [[], [], [], [], ["now"], ["advised"], []]


def test_lines_are_broken_for_a_screen_alone(capsys) -> None:
    out = plain(capsys, document())
    reason = document()["penalty"]["reason"]
    assert f"                 {reason}\n" in out
    assert not [line for line in out.splitlines() if line != line.rstrip()]
    assert "\x1b" not in out


@pytest.mark.parametrize("width", [80, 120])
def test_a_screen_is_wide_enough(width: int) -> None:
    lines = on_screen(document(), width)
    assert max(len(line.rstrip()) for line in lines) <= width
    assert not [line for line in lines if "…" in line]
    words = " ".join(" ".join(lines).split())
    assert "hardly any valid completion scores below an invalid one" in words
    assert "→ drop rewards.components 'format', or mend it" in words


def test_a_screen_has_colours_for_severities_and_the_verdict() -> None:
    screen = Console(file=StringIO(), force_terminal=True, width=80, color_system="standard")
    show(document(), screen)
    out = screen.file.getvalue()
    assert "\x1b[1;31m  error" in out
    assert "\x1b[1;33m  warning" in out
    assert "\x1b[1;31mtoo mild" in out


@pytest.mark.parametrize("width", [20, 80])
def test_figures_that_are_not_there_leave_a_report(width: int) -> None:
    out = "\n".join(on_screen(without_figures(), width))
    assert "None" not in out
    assert "Reward of the valid" not in out
    assert "simulated" not in out


def test_nothing_to_find_is_said(capsys) -> None:
    out = plain(capsys, without_figures())
    assert "now          unknown\n" in out
    assert "  recommended  –\n" in out
    assert out.endswith(
        "Findings  none: no probe of 2 got through and no check found a problem: that is no proof\n"
    )


def test_right_answers_without_a_score_are_told_in_words(capsys) -> None:
    shown = document()
    shown["gold"]["components"] = {
        "good": {"n": 32, "reference": None, "other": None, "below_top": 1.0},
        "idle": {"n": 0, "reference": None, "other": None, "below_top": 0.0},
    }
    out = plain(capsys, shown)
    assert "  references  good: no right answer gets a score\n" in out
    assert "idle: " not in out


def test_advice_outside_of_its_interval_says_that_it_is_meant(capsys) -> None:
    """-1.87 is below -1.7, the lower end."""
    shown = document()
    shown["penalty"]["ci95"] = [-1.7, -1.6]
    out = plain(capsys, shown)
    assert "  recommended    -1.87 [-1.7, -1.6]  (deeper than its interval on purpose: below 400 valid" in out


@pytest.mark.parametrize(
    ("configured", "says"),
    [
        ({"per_group": 2.5}, "per_group 2.5: 2.5 standard deviations below each group's own mean\n"),
        ("auto", "auto: chosen at the first step; it would be -1.87 on these\n"),
    ],
)
def test_a_penalty_that_is_no_number_is_told(capsys, configured: Any, says: str) -> None:
    shown = document()
    nothing = dict.fromkeys(("current", "verdict", "depth", "spread_left"))
    shown["penalty"] |= {"configured": configured, **nothing}
    assert f"  now            {says}" in plain(capsys, shown)


@pytest.mark.parametrize(
    ("sizes", "head", "groups"),
    [
        ([8, 8], ": 67 prompts × 8\n", "Groups (13 of 8 completions)\n"),
        (
            [1, 4],
            ": 67 prompts, 1 to 4 completions each\n",
            "Groups (13 with two scored completions or more)\n",
        ),
    ],
)
def test_uneven_groups_are_told(capsys, sizes: list[int], head: str, groups: str) -> None:
    shown = document()
    shown["groups"] |= {"prompts": 67, "sizes": sizes}
    out = plain(capsys, shown)
    assert head in out
    assert groups in out


def test_less_than_the_whole_document_is_shown(capsys) -> None:
    assert plain(capsys, {"num_samples": 1, "valid": 1}).startswith("1 completion scored\n  valid 1 (100%)\n")


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ({"kind": "completions", "path": "rows.jsonl"}, "104 completions of rows.jsonl: 13"),
        ({"kind": "run", "path": "outputs/x", "first_step": 1, "last_step": 9}, "outputs/x, step 1 to 9: 13"),
        ({"kind": "run", "path": "outputs/x", "first_step": 9, "last_step": 9}, "by outputs/x, step 9: 13"),
        ({"kind": "run", "path": "outputs/x"}, "logged by outputs/x: 13"),
    ],
)  # fmt: skip
def test_where_completions_are_from_is_said(capsys, source: dict[str, Any], says: str) -> None:
    assert says in plain(capsys, {**document(), "source": source})


def test_control_characters_of_others_do_nothing(capsys) -> None:
    shown = document()
    shown["reasons"][0]["reason"] = "\x1b[2Jgone\x9b1m"
    shown["components"]["\x07"] = shown["components"].pop("mine")
    out = plain(capsys, shown)
    assert "correct: ␛[2Jgone\\x9b1m" in out
    assert "  ␇ " in out


def test_text_of_others_is_no_markup(capsys) -> None:
    shown = document()
    shown["reasons"][0]["reason"] = "[bold]no[/bold] [/] \\["
    shown["components"]["[red]"] = shown["components"].pop("mine")
    out = plain(capsys, shown)
    assert "correct: [bold]no[/bold] [/] \\[" in out
    assert "  [red] " in out


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        (
            {"prompt": "47+38=", "answer": 85},
            "scored as an answer to the prompt '47+38=' (answer: 85), the first of the data; --row takes "
            "other columns",
        ),
        (
            {"prompt": [{"role": "user", "content": "hi"}]},
            "scored as an answer to the prompt 'hi', the first",
        ),
        ({"prompt": None, "answer": "x" * 100}, f"scored with answer: '{'x' * 78}…"),
    ],
)
def test_single_strings_say_what_they_were_scored_against(capsys, columns: Any, says: str) -> None:
    text = {"completion": "7", "outcome": "scored", "total": 1.0, "components": {}}
    shown = {"num_samples": 1, "source": {"kind": "text", "columns": columns}, "texts": [text]}
    first, second, *_ = plain(capsys, shown).splitlines()
    assert first.startswith(says)
    assert second == ""


def test_single_strings_have_a_table_each(capsys) -> None:
    part = {"raw": 1.0, "value": 1.0, "weighted": 0.5, "outcome": "scored", "reason": None}
    none = {"raw": None, "value": None, "weighted": None, "outcome": "invalid", "reason": "no answer"}
    idle = {**none, "outcome": "not_applicable", "reason": None}
    texts = [
        {"completion": "7\n", "outcome": "scored", "total": 0.5, "reason": None, "components": {"a": part}},
        {
            "completion": "",
            "outcome": "invalid",
            "total": None,
            "reason": "a: no answer",
            "components": {"a": none, "bb": idle},
        },
    ]
    assert plain(capsys, {"num_samples": 2, "texts": texts}).splitlines() == [
        "'7\\n'",
        "  scored, total 0.5",
        "     raw  value  in the total",
        "  a    1      1           0.5",
        "",
        "''",
        "  invalid, total –  a: no answer",
        "      raw  value  in the total",
        "  a     –      –             –  no answer",
        "  bb    –      –             –  not applicable",
    ]


@pytest.mark.parametrize(
    ("share", "drawn"),
    [(None, ""), (-0.5, ""), (0.0, ""), (1e-9, "▏"), (0.5, "████"), (0.515, "████▏"), (7.0, "█" * 8)],
)  # fmt: skip
def test_bars_show_eighths(share: float | None, drawn: str) -> None:
    assert drawing.bar(share, 8) == drawn


@pytest.mark.parametrize(
    ("value", "written"),
    [(None, "–"), (0.42881, "0.429"), (-2.0, "-2"), (-0.0, "0"), (1234.5, "1,234"), (1e9, "1e+09")],
)  # fmt: skip
def test_numbers_have_three_digits(value: float | None, written: str) -> None:
    assert figures.number(value) == written


@pytest.mark.parametrize(
    ("share", "written"),
    [(None, "–"), (0.0, "0%"), (1.0, "100%"), (0.0213, "2.1%"), (0.0996, "10%"), (1e-5, "<0.1%")],
)  # fmt: skip
def test_percentages(share: float | None, written: str) -> None:
    assert figures.percent(share) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [(None, "–"), (2.5, "2.5 s"), (0.25, "0.25 s"), (0.0435, "43.5 ms"), (2e-5, "20 µs"), (0.0, "0 µs")],
)
def test_times(value: float | None, written: str) -> None:
    assert figures.seconds(value) == written


def test_few_values_lie() -> None:
    assert drawing.histogram([-0.5, 0.5, 1.5], [1, 3], [0, 1], 8) == [
        "0  ██▋       1 (25%)",
        "1  ████████  3 (75%)",
    ]
    assert drawing.histogram([0, 1, 3], [0, 2], None, 4) == ["0 to 1        0 (0%)", "1 to 3  ████  2 (100%)"]


def test_many_stand() -> None:
    """The highest is 16: two lines of eight eighths. 9 is one line and one eighth; 1 of 1600 still shows."""
    assert drawing.skyline([0, 10], [16, 9, 8, 0, 1], 5, height=2) == ["█▁", "███ ▁", "0  10"]
    assert drawing.skyline([0, 1], [1600, 1], 2, height=1) == ["█▁", "0 1"]
    assert drawing.skyline([0, 1], [1, 1, 2, 2, 4], 3, height=1) == ["▄██", "0 1"]
