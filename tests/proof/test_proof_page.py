"""The page of a proof from data made by hand: complete, self-contained, and safe whatever the data hold."""

from copy import deepcopy

import pytest

from rlctl.proof.charts import MOST_POINTS, thinned
from rlctl.proof.page import as_text, forest_rows, render
from rlctl.proof.wording import (
    about_control,
    also_trained_on,
    basis,
    detectable,
    headline,
    interval,
    number,
    p_value,
    signed,
)
from tests.reports.html_page import Page, self_contained

NASTY = "<script>alert('x')</script><img src=https://evil.example/x.png> & \"quoted\" {{ 7*7 }}"


def found(difference, low, high, p=0.0004, **more):
    return {
        "difference": difference,
        "ci95": None if low is None else [low, high],
        "p_value": p,
        "prompts": 20,
        "wins": 12,
        "ties": 7,
        "losses": 1,
        "detectable_effect": 0.071,
        **more,
    }


@pytest.fixture
def document():
    plan = {
        "made": "2030-01-01T00:00:00+00:00",
        "rlctl": "0.1.0",
        "metric": "reward",
        "metric_from": "rewards",
        "seeds": [42, 43],
        "control": {"seed": 42},
        "prompts": {"count": 20, "sha256": "ab" * 32, "trained_on": 0},
        "num_samples": 4,
        "rule": ["worse: below 0", "improved: above 0"],
        "hashes": {
            "config": "cd" * 32,
            "data": {"/home/me/eval.jsonl": "ef" * 32},
            "rewards": {},
            "model": {},
        },
        "config": {"run": {"name": NASTY}},
    }
    run = {"folder": "seed-42", "steps": 100, "seconds": 31.4, "start": "2030-01-01", "resumed": [{}]}
    run["changed_on_the_way"] = ["threads 1 → 2"]
    points = [
        {"run": name, "kind": kind, "step": step, "value": 0.1 * step}
        for name, kind in (("seed-42", "trained"), ("seed-43", "trained"), ("control", "control"))
        for step in (0, 1, 2)
    ]
    sides = {"base": [{"completion": NASTY, "score": 0.0, "outcome": "scored"}]}
    sides["trained"] = [{"completion": "8", "score": None, "outcome": "not_applicable"}]
    example = {"kind": "win", "prompt_index": 3, "difference": 0.25, "prompt": NASTY, **sides}
    return {
        "name": NASTY,
        "verdict": "improved",
        "because": "the trained models are better than the base model, and than the control",
        "metric": "reward",
        "prompts": 20,
        "prompts_without_value": 0,
        "left_out": 0.0,
        "detectable_effect": 0.071,
        "also_trained_on": None,
        "samples_per_prompt": 4,
        "seeds": [42, 43],
        "base": 0.4,
        "trained": 0.9,
        "gain": found(0.5, 0.45, 0.55),
        "over_control": found(0.48, 0.4, 0.56),
        "control": found(0.02, -0.01, 0.05, p=0.2, improved=False),
        "by_seed": [found(0.5, 0.4, 0.6, seed=42), found(0.5, 0.41, 0.59, seed=43)],
        "metrics": [
            {
                "name": "reward",
                "prompts": 20,
                "base": 0.4,
                "trained": 0.9,
                "control": 0.42,
                "change": found(0.5, 0.45, 0.55),
            },
            {"name": NASTY, "prompts": 0, "base": None, "trained": None, "control": None, "change": None},
        ],
        "headline": "Improved: better.",
        "basis": "2 seeds",
        "about_control": "The control did nothing.",
        "detectable": None,
        "limits": ["It speaks of reward."],
        "reward": {
            **{"completions": 256, "valid": 250, "mean": 0.5, "std": 0.4, "folder": "rewards"},
            "findings": [{"severity": "error", "code": "exploit", "message": NASTY}],
        },
        "alarms": [{"run": "seed 42", "step": 50, "kind": "symptoms", "severity": "warning", "text": NASTY}],
        "examples": [example],
        "rule_of_examples": "Chosen by rule.",
        "curves": {"train/reward": points, "val/reward": []},
        "runs": {"seed-42": run},
        "models": {
            "seed-42": {
                "run": "x",
                "weights": {"model.safetensors": "12" * 32, "vocab.json": "34" * 32},
                "samples_sha256": "56" * 32,
            }
        },
        "plan": plan,
        "provenance": {
            "command": ["rlctl", "prove", NASTY],
            "python": "3.11",
            "packages": {"torch": "2.13"},
            "git": None,
            "hardware": {"machine": "x86", "system": "Linux", "cpus": 2, "threads": 1, "gpus": ["H200"]},
        },
    }


def test_nothing_is_run_or_fetched_whatever_the_data_hold(document):
    page = self_contained(render(document))
    assert page.text.count(NASTY) >= 6  # name, title, metric, alarm, prompt, completion, command
    assert "{{ 7*7 }}" in page.text


def test_the_page_says_what_was_found(document):
    text = " ".join(Page(render(document)).text.split())
    for words in (
        "Improved: better.",
        "The control did nothing.",
        "+0.500 [+0.450, +0.550]",
        "+0.020 [−0.010, +0.050]",
        "p < 0.001",
        "p = 0.200",
        "Gain +0.250, prompt 4",
        "– not applicable",
        "It speaks of reward.",
        "worse: below 0",
        "SHA-256 cdcd",
        "eval.jsonl efef",
        "2 cores, 1 thread, H200",
        "100 steps, 31 s, begun 2030-01-01, taken up again 1 time; not the same since then: threads 1 → 2",
        "seed 42, step 50",
        f"samples.jsonl {'56' * 32}, final/model.safetensors {'12' * 32}",
    ):
        assert words in text
    assert "/home/me" not in text


def test_light_dark_and_print(document):
    html = render(document)
    assert "@media (prefers-color-scheme: dark)" in html
    assert "@media print" in html
    colours = {
        value for _, attributes in Page(html).elements for value in [attributes.get("stroke")] if value
    }
    assert colours <= {"var(--ink)", "var(--muted)", "var(--grid)", "var(--trained)", "var(--control)"}


def test_a_chart_is_described_for_those_who_cannot_see_it(document):
    pictures = [attributes for tag, attributes in Page(render(document)).elements if tag == "svg"]
    assert len(pictures) == 2
    assert pictures[0]["aria-label"].endswith("control +0.020 [−0.010, +0.050]")
    assert {picture["role"] for picture in pictures} == {"img"}


def test_rows_of_the_forest(document):
    names = [row["name"] for row in forest_rows(document)]
    assert names == ["seed 42", "seed 43", "mean of 2 seeds", "control"]
    one = {**document, "by_seed": document["by_seed"][:1]}
    one["control"] = found(0.0, None, None, improved=False)
    rows = forest_rows(one)
    assert [row["name"] for row in rows] == ["seed 42", "control"]
    assert (rows[1]["low"], rows[1]["text"]) == (None, "+0.000")
    assert "<svg" in render(one)


def test_a_proof_without_intervals_or_curves_is_shown(document):
    bare = deepcopy(document) | {
        "curves": {"train/reward": [], "val/reward": []},
        "reward": {
            **{"completions": 8, "valid": 0, "mean": None, "std": None, "folder": "rewards"},
            "findings": [],
        },
        "alarms": [],
        "examples": [],
    }
    bare["gain"] = found(None, None, None, p=None)
    bare["by_seed"] = [found(None, None, None, p=None, seed=42)]
    bare["control"] = found(None, None, None, p=None, improved=False)
    bare["detectable"] = "nothing to detect"
    assert "nothing to detect" in Page(render(bare)).text


def test_text_of_prompts():
    messages = [{"role": "user", "content": "<b>"}, {"role": "assistant", "content": "x"}]
    assert as_text(messages) == "user: <b>\nassistant: x"
    assert as_text("a" * 1200) == "a" * 1200
    assert as_text("a" * 2201) == "a" * 1200 + "… (1,001 more characters)"


def test_figures_in_words(document):
    assert (number(None), number(0.5), number(-0.25), number(1234.56)) == ("–", "0.500", "−0.250", "1,234.6")
    assert (signed(0.5), signed(-0.5), signed(0.0), signed(None)) == ("+0.500", "−0.500", "+0.000", "–")
    assert (p_value(0.0009), p_value(0.0123)) == ("p < 0.001", "p = 0.012")
    assert interval(document["gain"]) == "+0.500 [+0.450, +0.550]"
    assert headline(document) == (
        "Improved: the trained models are better than the base model, and than the control "
        "(reward 0.400 → 0.900, +0.500 [+0.450, +0.550], p < 0.001)."
    )
    seen = also_trained_on({"count": 20, "trained_on": 3})
    assert seen == "3 of the 20 held-out prompts (15.0 %) are also trained on."
    assert headline({**document, "also_trained_on": seen}).endswith(f"p < 0.001). Beware: {seen}")
    assert also_trained_on({"count": 20, "trained_on": 0}) is None
    assert basis(document) == "2 seeds, 20 held-out prompts, 4 samples of each"
    assert basis({**document, "prompts": 19, "prompts_without_value": 1}) == (
        "2 seeds, 19 held-out prompts with a value in every model (1 of 20 lack one somewhere), "
        "4 samples of each"
    )
    assert "did not improve as they did: +0.020 [−0.010, +0.050] from the base model" in about_control(
        document
    )
    unknown = {**document, "verdict": "no evidence", "control": found(0.1, 0.05, 0.15, improved=None)}
    assert "drifts as any run does, and whether it improved cannot be told from that: +0.100" in (
        about_control(unknown)
    )
    assert detectable(document) is None
    assert "of about 0.071 or more" in detectable({**document, "verdict": "no evidence"})


def test_long_curves_are_thinned_to_means():
    points = [(step, float(step % 2)) for step in range(1, 2 * MOST_POINTS + 1)]
    thin = thinned(points)
    assert len(thin) == MOST_POINTS
    assert thin[0] == (2, 0.5)  # the mean of steps 1 and 2
    assert thin[-1] == (2 * MOST_POINTS, 0.5)
    assert thinned(points[:10]) == points[:10]
