"""Rewards that remember: their state can be saved and set, outlives their process; tests leave it alone."""

import logging
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from rlctl.config.rewards import Rewards
from rlctl.errors import RewardError
from rlctl.rewards.calls import RewardCall, reward_call
from rlctl.rewards.compose import Batch, Scorer
from rlctl.rewards.selftest import run_tests

FUNCTIONS = Path(__file__).with_name("reward_functions.py")


def rewards(
    function: str = "Novelty", *, workers: int = 1, tests: list[dict[str, Any]] | None = None, **keys: Any
) -> Rewards:
    part = {"type": "python", "name": "novel", "function": f"{FUNCTIONS}:{function}", **keys}
    section = {"components": [{"type": "length", "unit": "characters", "weight": 0.0}, part]}
    limits = {"timeout": 1.0, "workers": workers, "max_failure_rate": 1.0}
    return Rewards.model_validate({**section, **limits, "tests": tests or []})


def totals(scorer: Scorer, *texts: str) -> list[float | None]:
    return scorer.score(Batch([""] * len(texts), list(texts)), tolerant=True).totals


def workers(scorer: Scorer) -> list[Any]:
    return scorer._runners["novel"]._workers


@pytest.mark.parametrize("function", ["Novelty", "SingleNovelty", "AsyncNovelty", "bound_novelty"])
@pytest.mark.parametrize("isolate", [True, False])
def test_a_state_goes_on_elsewhere_as_if_nothing_had_happened(function: str, isolate: bool):
    with Scorer(rewards(function, isolate=isolate)) as straight:
        assert totals(straight, "a", "b", "a") == [1, 1, 1 / 2]
        state = straight.state_dict()
        assert state == {"novel": {"seen": {"a": 2, "b": 1}}}
        assert totals(straight, "a", "b", "c") == [1 / 3, 1 / 2, 1]
        # What was handed out is a copy, though the reward itself makes none.
        assert state == {"novel": {"seen": {"a": 2, "b": 1}}}
    with Scorer(rewards(function, isolate=isolate)) as resumed:
        resumed.load_state_dict(state)
        assert totals(resumed, "a", "b", "c") == [1 / 3, 1 / 2, 1]
        assert state == {"novel": {"seen": {"a": 2, "b": 1}}}
        # And back, in a process that has gone on.
        resumed.load_state_dict(state)
        assert totals(resumed, "a", "b", "c") == [1 / 3, 1 / 2, 1]


def test_an_object_of_a_file_behind_its_arguments():
    with Scorer(rewards("NOVELTY", args={"power": 2})) as scorer:
        assert totals(scorer, "a", "a") == [1, 1 / 4]
        assert scorer.state_dict() == {"novel": {"seen": {"a": 2}}}


@pytest.mark.parametrize("function", ["score", "odd_async", "OnlyHalf", "module", "proxy"])
def test_what_is_not_stateful(function: str):
    pytest.importorskip("torch")
    with Scorer(rewards(function, isolate=False)) as scorer:
        assert scorer.state_dict() == {}
        with scorer.unchanged():
            totals(scorer, "a")
        scorer.load_state_dict({})


def test_a_module_is_not_stateful_in_a_worker_either():
    with Scorer(rewards("module")) as scorer:
        scorer.load()
        assert scorer.state_dict() == {}


def test_the_state_of_a_single_reward():
    call = reward_call(rewards().components[1])
    assert call.stateful
    assert call.facts.stateful
    assert call(["a", "a"]) == [1, 1 / 2]
    state = call.state_dict()
    call(["a"])
    call.load_state_dict(state)
    assert call(["a"]) == [1 / 3]
    assert not RewardCall(totals).stateful


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({}, "the saved state has nothing for the reward 'novel'"),
        ({"novell": {}}, r"(?s)state of the reward 'novell', but no such .*did you mean 'novel'\?"),
        ({"novel": {}, "length": {}}, r"(?s)state of the reward 'length', .*rewards that have one: novel"),
        ({"novel": lambda: None}, r"(?s)novel: its state cannot be saved: .*state_dict\(\) may hold None"),
        (
            {"novel": {"other": 1}},
            r"novel: load_state_dict\(\) raised KeyError: 'seen' \(reward_functions.py",
        ),
    ],
)
@pytest.mark.parametrize("isolate", [True, False])
def test_states_that_do_not_fit(state: dict[str, Any], message: str, isolate: bool):
    with Scorer(rewards(isolate=isolate)) as scorer:
        totals(scorer, "a")
        with pytest.raises(RewardError, match=message):
            scorer.load_state_dict(state)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("raises", r"novel: state_dict\(\) raised ValueError: no state today \(reward_functions.py:\d+\)"),
        ("a lambda", r"(?s)novel: its state cannot be saved: .*\n.*state_dict\(\) may hold None, bools"),
        ("an object", r"(?s)novel: its state cannot be read: .*\n.*state_dict\(\) may hold None, bools"),
        ("exits", r"novel: state_dict\(\): its process died \(exit code 3\)"),
    ],
)
def test_states_that_cannot_be_told(how: str, message: str, monkeypatch: pytest.MonkeyPatch):
    for name in [name for name in sys.modules if name.startswith("rlctl_reward_")]:
        monkeypatch.delitem(sys.modules, name)  # other tests have loaded the file in this process
    with Scorer(rewards("Refuses", args={"how": how})) as scorer:
        totals(scorer, "a")
        with pytest.raises(RewardError, match=message):
            scorer.state_dict()


@pytest.mark.parametrize("how", ["raises", "a lambda"])
def test_states_that_cannot_be_told_in_this_process(how: str):
    with Scorer(rewards("Refuses", args={"how": how}, isolate=False)) as scorer:
        scorer.state_dict()
        with pytest.raises(RewardError, match="novel: "):
            scorer.state_dict()


@pytest.mark.parametrize("end", ["hang", "exit", "from outside"])
def test_a_new_process_goes_on_from_the_last_known_state(end: str, caplog: pytest.LogCaptureFixture):
    with Scorer(rewards()) as scorer:
        totals(scorer, "a", "a")
        scorer.state_dict()
        totals(scorer, "a")
        if end == "from outside":
            os.kill(workers(scorer)[0].process.pid, signal.SIGKILL)
            workers(scorer)[0].process.wait()
        else:
            totals(scorer, end)
        # Known were two; the third went with its process.
        assert scorer.state_dict() == {"novel": {"seen": {"a": 2}}}
        assert totals(scorer, "a") == [1 / 3]
        totals(scorer, "exit")
        assert totals(scorer, "a") == [1 / 3]
    assert caplog.text.count("what it has seen since its state was last saved is forgotten") == 1


def test_the_loaded_state_is_known_too():
    with Scorer(rewards()) as scorer:
        scorer.load_state_dict({"novel": {"seen": {"a": 9}}})
        totals(scorer, "exit")
        assert totals(scorer, "a") == [1 / 10]
        totals(scorer, "exit")
        scorer.load_state_dict({"novel": {"seen": {"a": 19}}})  # there is no process
        assert totals(scorer, "a") == [1 / 20]


def test_a_row_that_hangs_is_not_remembered_but_the_others_are_counted_once():
    with Scorer(rewards()) as scorer:
        # The batch hangs, and is scored row by row from an empty memory; "hang" takes the first "a" with it.
        assert totals(scorer, "a", "hang", "a", "a") == [1, None, 1, 1 / 2]


def test_one_process_whatever_the_number_of_workers(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING), Scorer(rewards(workers=3)) as scorer:
        scorer.load()
        assert len(workers(scorer)) == 1
        texts = [str(i % 4) for i in range(12)]
        assert totals(scorer, *texts) == [1] * 4 + [1 / 2] * 4 + [1 / 3] * 4
        totals(scorer, "exit")
        assert totals(scorer, "0") == [1]
        assert len(workers(scorer)) == 1
    assert caplog.text.count("it runs in one process, not 3") == 1


@pytest.mark.parametrize("isolate", [True, False])
def test_unchanged_leaves_the_memory_as_it_was(isolate: bool):
    with Scorer(rewards(isolate=isolate)) as scorer:
        totals(scorer, "a")
        with scorer.unchanged():
            assert totals(scorer, "a", "b") == [1 / 2, 1]
        assert totals(scorer, "a", "b") == [1 / 2, 1]

        def fail() -> None:
            with scorer.unchanged():
                totals(scorer, "a")
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            fail()
        assert totals(scorer, "a") == [1 / 3]


def test_unchanged_holds_though_the_process_was_lost():
    with Scorer(rewards()) as scorer:
        totals(scorer, "a")
        with scorer.unchanged():
            totals(scorer, "a", "exit")
        assert totals(scorer, "a") == [1 / 2]


def test_reward_tests_feed_no_memory():
    section = rewards(tests=[{"completion": "a", "expect": 1}, {"completion": "a", "expect": 0.5}])
    with Scorer(section) as scorer:
        assert [result.passed for result in run_tests(section, scorer)] == [True, True]
        assert totals(scorer, "a") == [1]


def test_nothing_is_asked_where_nothing_is_stateful():
    with Scorer(rewards("batch_size")) as scorer:
        scorer.load()
        assert scorer.state_dict() == {}
        (worker,) = workers(scorer)
        worker.connection.close()  # a question would fail
        assert scorer.state_dict() == {}
        with scorer.unchanged():
            pass
        scorer.load_state_dict({})


def test_signals_for_all_processes_of_a_run_leave_the_memory_alive():
    with Scorer(rewards()) as scorer:
        totals(scorer, "a")
        (worker,) = workers(scorer)
        for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
            os.killpg(worker.process.pid, number)
        assert totals(scorer, "a") == [1 / 2]
        assert workers(scorer) == [worker]


def test_a_scorer_of_another_thread():
    found: list[Any] = []

    def run() -> None:
        with Scorer(rewards()) as scorer:
            scorer.load_state_dict({"novel": {"seen": {"a": 1}}})
            found.extend(totals(scorer, "a"))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(60)
    assert found == [1 / 2]
