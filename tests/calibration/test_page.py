"""The page of an analysis: complete, self-contained, safe whatever the data hold and whatever is unknown."""

import re
import time
from copy import deepcopy
from itertools import combinations

import pytest
from made_rewards import analyse, rows

from rlctl.calibration import charts
from rlctl.calibration.page import bar_width, matrix, page, strongest
from rlctl.calibration.penalty_wording import left, meaning, present, sureness
from rlctl.calibration.wording import command, grouping, headline, notes, origin, outcomes
from tests.reports.html_page import Page, self_contained

NASTY = "<script>alert('x')</script><img src=https://evil.example/x.png> & \"quoted\" {{ 7*7 }}"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A real analysis: 24 groups of 4 with invalid ones, two components."""
    made = rows(
        [[g % 3 * 0.25, 1.0, 0.5, "invalid" if g % 4 == 0 else 0.0] for g in range(24)],
        [[0.5, 0.0, g % 2 * 1.0, 0.25] for g in range(24)],
    )
    parts = {"name": "first", "weight": 1.0}, {"name": "second", "weight": 0.5}
    folder = tmp_path_factory.mktemp("whole")
    found = analyse(folder, made, *parts)
    request = {
        "rewards": {"scale": 1.0, "invalid_penalty": -1.0},
        "algorithm": {"scale_rewards": "batch", "num_generations": 4},
        "completions": "my file.jsonl",
        "run": None,
        "num_samples": 96,
    }
    return {**found, "request": request}


@pytest.fixture
def document(whole):
    return deepcopy(whole)


def shown(document):
    return self_contained(page(document, title="a title", config_text="rewards: {}\n"))


def test_nothing_is_run_or_fetched_whatever_the_data_hold(document):
    document["reasons"][0] |= {"reason": NASTY, "component": NASTY, "examples": [NASTY]}
    document["source"]["path"] = NASTY
    document["findings"] = [
        {"severity": "error", "code": NASTY, "message": NASTY, "figure": 1.0, "fix": NASTY},
        {"severity": NASTY, "code": "c", "message": "m", "figure": None, "fix": None},
    ]
    document["components"][NASTY] = document["components"].pop("second")
    document["classes"] = {NASTY: {NASTY: {"n": 1, "valid": 1, "mean": 1.0, "std": None, "ci95": None}}}
    example = {"prompt": NASTY, "completion": NASTY, "total": 1.0}
    document["probes"] = [
        {"name": "n", "says": NASTY, "n": 1, "exploit": True, "above": True, "example": example},
        {"name": "o", "says": "o", "n": 1, "exploit": False, "above": False, "example": example},
    ]
    wrong = {"prompt": NASTY, "reference": NASTY, "raw": None, "outcome": "invalid", "reason": NASTY}
    document["gold"] = {"components": {NASTY: {"n": 1, "problems": ["reference"], "examples": [wrong]}}}
    document["noise"]["components"] = {NASTY: {"changes": {NASTY: 1}}}
    document["request"]["completions"] = NASTY
    html = page(document, title=NASTY, config_text=NASTY)
    found = self_contained(html)
    assert "{{ 7*7 }}" in found.text
    assert found.text.count(NASTY) >= 20


def test_the_page_says_what_was_found(document):
    words = shown(document).words
    wanted = (
        "Is this reward fit to train on? a title",
        "96 completions of",
        ": 24 prompts × 4.",
        "in a group of 4 with one invalid, ",
        "means over all groups at that share",
        "valid 90, 94% invalid 6, 6.2%",
        "first: made so",
        "Penalty of invalid ones: -1, good",
        "scale_rewards: batch, as configured",
        "4 (yours)",
        "The same in figures: groups of 4",
        "24 groups have no spread now",
        "within prompts, which GRPO feels:",
        "Rank correlations",
        "being valid",
        "96 completions were scored again",
        "per completion: about",
        "rlctl analyze-rewards CONFIG --completions 'my file.jsonl' --num-samples 96",
        "rewards: {}",
    )
    for one in wanted:
        assert one in words, one
    for finding in document["findings"]:
        assert f"{finding['code']} {finding['message']}." in words
        assert finding["fix"] in words
    sections = (
        "Findings",
        "What was scored",
        "Reward of the valid completions",
        "Penalty of invalid completions",
        "What GRPO will feel",
        "Components",
        "Noise and cost",
        "Ways around the reward",
        "Right answers",
        "How to repeat it",
    )
    html = page(document, title="t", config_text="")
    places = [html.index(f"<h2>{one}</h2>") for one in sections]
    assert places == sorted(places)
    assert html.index("scale_rewards: batch") < html.index("scale_rewards: group")


def test_pictures_are_described_and_marks_say_what_they_are(document):
    html = page(document, title="t", config_text="")
    pictures = [attributes for tag, attributes in Page(html).elements if tag == "svg"]
    # The distribution twice (one for telephones), three measures in three scales and by share of invalid
    # completions, dead groups.
    assert len(pictures) == 2 + 3 * 3 + 3 + 1
    assert {one["role"] for one in pictures} == {"img"}
    assert pictures[0]["aria-label"].startswith("Histogram of 90 rewards; mean ")
    titles = re.findall(r"<title>(.*?)</title></path>", html)
    assert "6 invalid, at the present penalty" in titles
    assert any(one.startswith("groups of 4, 2.5 std deep (") for one in titles)
    counts = dict(re.findall(r"<title>(\S+): (\d+) \(\d", html))
    histogram = document["reward"]["histogram"]
    assert counts["1"] == str(histogram["counts"][histogram["values"].index(1.0)])


def test_light_dark_print_and_small_screens(document):
    html = page(document, title="t", config_text="")
    for rule in ("(prefers-color-scheme: dark)", "@media print", "(max-width: 32rem)", "width=device-width"):
        assert rule in html
    used = set(re.findall(r"var\((--[a-z0-9-]+)\)", html))
    assert used <= set(re.findall(r"(--[a-z0-9-]+):", html))


def test_it_is_small_and_quick(document):
    page(document, title="t", config_text="")
    before = time.process_time()
    html = page(document, title="t", config_text="")
    assert time.process_time() - before < 3
    assert len(html.encode()) < 1_000_000


def test_nothing_known_is_said_in_words():
    words = shown({}).words
    for one in (
        "Nothing can be said of this reward: no completion was valid.",
        "Penalty of invalid ones: unknown.",
        "No completion was valid, so there is no reward to show.",
        "Nothing to simulate without valid rewards that differ.",
        "No prompt has two completions.",
        "Whether the reward goes with length is not known.",
        "Nothing was scored again, so the noise is not known.",
        "No probe was tried.",
        "No component knows the right answer to a prompt",
    ):
        assert one in words, one
    assert "None" not in words.replace("None.", "").replace("None is known.", "")


def emptied(value):
    """A document whose figures are all None, the outer ones too."""
    if isinstance(value, dict):
        return {name: emptied(one) for name, one in value.items()}
    return [] if isinstance(value, list) and value and isinstance(value[0], dict) else None


def test_any_key_may_be_none_or_missing(document):
    shown(emptied(document))
    pictures = {"simulation": [], "reward": {**document["reward"], "histogram": None}}
    pictures["groups"] = {**document["groups"], "predicted": {}}
    for name in document:
        # Pictures take the time; they are drawn of penalty and request.
        bare = document if name in ("penalty", "request") else {**document, **pictures}
        shown({**bare, name: None})
        shown({key: value for key, value in bare.items() if key != name})


@pytest.mark.parametrize(
    ("made", "says"),
    [
        ([["invalid"] * 4] * 2, "Do not train on this reward yet: 1 error"),
        ([["raise"] * 4] * 2, "Do not train on this reward yet: 1 error"),
        ([[0.5]], "1 completion of"),
        ([[0.5], [1.0], [0.0]], "No prompt has two completions."),
        ([[1.0] * 4] * 3, "all 12 valid completions have the same reward, 1."),
    ],
)
def test_little_data(made, says, tmp_path):
    words = shown(analyse(tmp_path, rows(made))).words
    assert says in words
    assert "NaN" not in words
    assert "None" not in words


def test_the_page_lies_beside_the_figures(tmp_path):
    analyse(tmp_path, rows([[0.0, 1.0, 0.5, 0.25]] * 3), keep=True)
    [report] = tmp_path.glob("outputs/analyze-*/report.html")
    words = self_contained(report.read_text(encoding="utf-8")).words
    assert "12 completions of" in words
    assert "invalid_penalty: -1.0" in words
    assert {"analysis.json", "completions.jsonl"} < {one.name for one in report.parent.iterdir()}


def test_thirty_components(document):
    one = document["components"]["first"]
    names = [f"part {i}" for i in range(30)]
    document["components"] = dict.fromkeys(names, one)
    document["correlations"] = [
        {"a": a, "b": b, "pearson": 0.0, "spearman": i / 435 * (-1) ** i, "n": 90}
        for i, (a, b) in enumerate(combinations(names, 2))
    ]
    assert matrix(document) is None
    assert [round(pair["spearman"] * 435) for pair in strongest(document)[:3]] == [434, -433, 432]
    words = shown(document).words
    assert "The 15 strongest rank correlations part 28, part 29" in words
    assert all(name in words for name in names)


def test_control_characters_are_shown_and_not_written(document):
    document["reasons"][0]["examples"] = ["\x1b[31mred\x1b[0m\ttab\nline\r\x00\x7f\x9b"]
    html = page(document, title="\x07", config_text="")
    assert "␛[31mred␛[0m\ttab\nline␍␀␡\\x9b" in html
    assert not [one for one in html if ord(one) < 32 and one not in "\t\n"]


def test_a_penalty_outside_of_its_interval_is_meant_to_be(document):
    document["penalty"] |= {"recommended": -0.5, "ci95": [-0.4, -0.3], "provisional": True}
    words = shown(document).words
    assert "recommended-0.5 [-0.4, -0.3] (deeper than its interval on purpose: below 400 valid" in words
    assert "penalty recommended -0.5 [-0.4, -0.3], deeper than that on purpose" in words


def test_words_about_the_penalty():
    assert present({"penalty": {"configured": {"per_group": 2.5}}}) == "per_group 2.5"
    assert present({"request": {"rewards": {"invalid_penalty": "auto"}}}) == "auto"
    assert (present({"penalty": {"current": -0.25}}), present({})) == ("-0.25", "unknown")
    assert meaning({"penalty": {"configured": "auto", "recommended": None}}) == (
        "chosen at the first step; these give nothing to choose by"
    )
    assert meaning({"penalty": {"configured": -1.0}}) is None
    # 3 of 8 are more than one of a group; 1 of 100 is less, and then it is one.
    found = {"spread_left": 0.454, "group_size": 8}
    assert left({**found, "invalid_share": 0.375}) == (
        "in a group of 8 with 38% invalid, 45% of the spread among the valid is left"
    )
    assert left({**found, "invalid_share": 0.125}).startswith("in a group of 8 with one invalid, 45%")
    assert left({"spread_left": 0.5}).startswith("beside an invalid completion, 50%")
    assert left({}) is None
    sure = {"recommended": -0.5, "ci95": [-0.6, -0.4], "provisional": False}
    assert sureness(sure) is None
    assert sureness({**sure, "provisional": True}) == "provisional: below 400 valid completions"


def test_words_about_groups():
    assert grouping({"groups": {"count": 13, "size": 8}}) == "13 prompts × 8"
    assert grouping({"groups": {"count": 9, "size": 1, "prompts": 67, "sizes": [1, 4]}}) == (
        "67 prompts, 1 to 4 completions each"
    )
    assert grouping({"groups": {"count": 0, "prompts": 5, "sizes": [1, 1]}}) == "no two of one prompt"
    assert grouping({"groups": {"count": 1, "prompts": 1, "sizes": [4, 4]}}) == "1 prompt × 4"
    assert grouping({}) == ""


def test_a_far_penalty_does_not_press_the_chart_together(document):
    document["penalty"] |= {"current": -1e6, "depth": 2e6, "verdict": "too harsh"}
    words = shown(document).words
    assert "penalty now -1,000,000, further out than is shown" in words
    assert "The present penalty is too far out to be shown." in words
    bars = [{"low": 0.0, "high": 2.0}]
    marks = [{"value": value} for value in (-4.0, -4.1, 6.0, 6.1)]
    assert charts.within_reach(marks, bars) == [{"value": -4.0}, {"value": 6.0}]


def test_rewards_are_scaled_and_penalties_with_them(document):
    document["request"]["rewards"]["scale"] = 10.0
    document["penalty"] |= {"current": -0.05, "recommended": -0.1, "ci95": [-0.2, -0.05]}
    words = shown(document).words
    assert "penalty now -0.5 penalty recommended -1 [-2, -0.5]" in words
    assert "multiplied by rewards.scale, 10" in words
    assert "recommended-0.1 [-0.2, -0.05]" in words


def test_bars_of_ranges_and_of_values():
    ranges = {"edges": [-100.0, 0.0, 1.0, 2.0, 50.0], "counts": [1, 2, 3, 4], "values": None}
    found = charts.bars(ranges)
    assert [(one["low"], one["high"], one["count"]) for one in found] == [
        (-1.0, 0.0, 1),
        (0.0, 1.0, 2),
        (1.0, 2.0, 3),
        (2.0, 3.0, 4),
    ]
    assert found[0]["says"] == "-100 to 0: 1 (10%)"
    single = charts.bars({"edges": [-0.5, 0.5, 1.5], "counts": [1, 3], "values": [0.0, 1.0]})
    assert [(one["value"], one["says"]) for one in single] == [(0.0, "0: 1 (25%)"), (1.0, "1: 3 (75%)")]


def test_words():
    assert origin({"kind": "run", "path": "r", "first_step": 1, "last_step": 3}) == "logged by r, step 1 to 3"
    assert origin({"kind": "policy"}) == "sampled from the policy"
    assert headline({"findings": [{"severity": "error"}, {"severity": "warning"}]}) == (
        "Do not train on this reward yet: 1 error and 1 warning.",
        "bad",
    )
    found = {"valid": 1, "findings": [{"severity": "warning"}] * 2 + [{"severity": "info"}]}
    assert headline(found) == ("Look at this before you train: 2 warnings.", "doubtful")
    assert headline({"valid": 1, "findings": [{"severity": "info"}]})[1] == "good"
    assert outcomes({"num_samples": 4, "valid": 3, "not_applicable": 1}) == [
        ("valid", 3, 0.75),
        ("not applicable", 1, 0.25),
    ]
    assert notes({"saturated": {"low": 0.1, "high": 0.93}, "distinct": 3, "failed": 2}) == (
        "2 failed, 93% at its max"
    )
    assert command({"run": "outputs/x", "num_samples": 5}) == (
        "rlctl analyze-rewards CONFIG --run outputs/x --num-samples 5"
    )
    probed = {"valid": 1, "probes": [{}] * 11}
    assert headline(probed)[0] == (
        "No probe of 11 got through and no check found a problem: that is no proof."
    )
    assert "could not be probed: that is no proof" in headline({"valid": 1, "probes": []})[0]
    assert [bar_width(one) for one in (None, -0.25, 2.0)] == ["0.0%", "25.0%", "100.0%"]
