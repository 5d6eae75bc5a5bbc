"""An analysis scores completions several times: what that may take, and what rewards remember of it."""

import json

from made_rewards import analyse, rows

from rlctl.calibration import analyze

COUNTING = """
import json
import pathlib

SAID = pathlib.Path(__file__).with_suffix(".jsonl")


class Counting:
    \"\"\"Notes the calls that it remembers, and how many completions each one has.\"\"\"

    def __init__(self):
        self.calls = 0

    def __call__(self, completions, first):
        self.calls += 1
        with SAID.open("a") as file:
            file.write(json.dumps([self.calls, len(completions)]) + "\\n")
        return first

    def state_dict(self):
        return {"calls": self.calls}

    def load_state_dict(self, state):
        self.calls = state["calls"]
"""
SLOW = """
import time


def slow(completion, first):
    time.sleep(0.005)
    return first
"""


def test_what_rewards_remember_of_the_first_scoring_is_forgotten(tmp_path):
    (tmp_path / "counting.py").write_text(COUNTING, encoding="utf-8")
    part = {"name": "first", "function": f"{tmp_path / 'counting.py'}:Counting"}
    made = rows([[0.0, 1.0, 2.0, 3.0]] * 3)
    analyse(tmp_path, made, part, training={"prompts_per_step": 1})
    lines = (tmp_path / "counting.jsonl").read_text(encoding="utf-8").splitlines()
    said = [tuple(json.loads(line)) for line in lines]
    # Three steps of four; the same twice more; and in other company, six at a time.
    assert said[:11] == [(1, 4), (2, 4), (3, 4)] * 3 + [(1, 6), (2, 6)]
    assert {calls for calls, _ in said[11:]} == {1}  # probes, each by itself


def test_slow_rewards_are_scored_again_for_a_minute_at_most(tmp_path, monkeypatch):
    (tmp_path / "slow.py").write_text(SLOW, encoding="utf-8")
    part = {"name": "first", "function": f"{tmp_path / 'slow.py'}:slow"}
    assert analyze.MOST_SECONDS == 60
    # Three scorings of a completion take 15 ms or more: in 0.12 s, eight of them at most.
    monkeypatch.setattr(analyze, "MOST_SECONDS", 0.12)
    made = rows([[0.0, 1.0, 2.0, 3.0]] * 5)
    assert 4 <= analyse(tmp_path, made, part)["noise"]["n"] <= 8
    # One group of training, whatever it takes.
    monkeypatch.setattr(analyze, "MOST_SECONDS", 0.0)
    assert analyse(tmp_path, made, part)["noise"]["n"] == 4


def test_fast_rewards_are_all_scored_again_up_to_256(tmp_path):
    assert analyse(tmp_path, rows([[0.0, 1.0, 2.0, 3.0]] * 5))["noise"]["n"] == 20
    assert analyse(tmp_path, rows([[0.0, 1.0, 2.0, 3.0]] * 70))["noise"]["n"] == 256
