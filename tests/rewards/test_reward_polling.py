"""A signal is heeded while rewards load and score: workers end, no process of the run waits for another."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from test_compose import Ranks
from test_workers import gone

from rlctl.config.rewards import Rewards
from rlctl.errors import Stopped
from rlctl.rewards.compose import Batch, Scorer

FUNCTIONS = Path(__file__).with_name("reward_functions.py")
FAR = 30.0
"""Seconds; far below the 60 s that the reward sleeps, far above what stopping takes."""


def rewards(*functions: str, isolate: bool = True) -> Rewards:
    parts = [
        {"type": "python", "name": name, "function": f"{FUNCTIONS}:{name}", "isolate": isolate}
        for name in functions
    ]
    return Rewards.model_validate({"components": parts, "timeout": 100.0, "max_failure_rate": 1.0})


class Signal:
    """Raises from the moment that `arrives` says; counts how often it was asked."""

    def __init__(self, arrives: Callable[[], bool] = lambda: False) -> None:
        self.arrives = arrives
        self.polls = 0

    def __call__(self) -> None:
        self.polls += 1
        if self.arrives():
            raise Stopped("stopped by SIGTERM", hint="go on with --resume")


def after(seconds: float) -> Callable[[], bool]:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end


def pids(scorer: Scorer) -> list[int]:
    return [
        worker.process.pid
        for runner in scorer._runners.values()
        for worker in getattr(runner, "_workers", [])
    ]


def test_a_reward_that_takes_long_is_put_down():
    signal = Signal()
    with Scorer(rewards("Novelty", "sleeps"), poll=signal) as scorer:
        scorer.score(Batch([], []))
        scorer.state_dict()
        before = pids(scorer)
        signal.arrives = after(0.5)
        start = time.monotonic()
        with pytest.raises(Stopped, match="stopped by SIGTERM") as caught:
            scorer.score(Batch([""], ["a"]))
        assert time.monotonic() - start < FAR
        assert caught.value.hint == "go on with --resume"
        # Asked every 0.2 s, not in a spin: before each part, and two or three times while waiting.
        assert signal.polls < 20
        assert gone(before[1:])


@pytest.mark.parametrize("load", ["load", "state_dict"])
def test_a_reward_that_takes_long_to_load(load: str):
    with Scorer(rewards("slow_to_load"), poll=Signal(after(0.5))) as scorer:
        start = time.monotonic()
        with pytest.raises(Stopped):
            getattr(scorer, load)()
        assert time.monotonic() - start < FAR
        assert pids(scorer) == []


def test_the_state_can_be_had_after_a_stop():
    signal = Signal()
    with Scorer(rewards("Novelty"), poll=signal) as scorer:
        scorer.score(Batch([""] * 2, ["a", "b"]))
        scorer.state_dict()
        before = pids(scorer)
        signal.arrives = after(0.5)
        with pytest.raises(Stopped):
            scorer.score(Batch([""] * 2, ["a", "hang"]))
        assert gone(before)
        start = time.monotonic()
        assert scorer.state_dict() == {"Novelty": {"seen": {"a": 1, "b": 1}}}
        with pytest.raises(Stopped):
            scorer.score(Batch([""], ["a"]))
        assert scorer.state_dict() == {"Novelty": {"seen": {"a": 1, "b": 1}}}
        assert time.monotonic() - start < FAR


def test_the_state_can_be_had_though_a_signal_waits():
    """A step that is complete is saved; only waiting is cut short."""
    signal = Signal()
    with Scorer(rewards("Novelty"), poll=signal) as scorer:
        scorer.score(Batch([""], ["a"]))
        signal.arrives = lambda: True
        assert scorer.state_dict() == {"Novelty": {"seen": {"a": 1}}}


def test_between_components():
    signal = Signal()
    with Scorer(rewards("Novelty", "batch_size", isolate=False), poll=signal) as scorer:
        signal.arrives = lambda: signal.polls == 2
        with pytest.raises(Stopped):
            scorer.score(Batch([""], ["a"]))
        # The first has scored, the second has not begun.
        assert signal.polls == 2
        assert scorer.state_dict() == {"Novelty": {"seen": {"a": 1}}}


def test_unchanged_holds_when_stopped():
    signal = Signal()

    def evaluate(scorer: Scorer) -> None:
        with scorer.unchanged():
            signal.arrives = after(0.5)
            scorer.score(Batch([""] * 2, ["a", "hang"]))

    with Scorer(rewards("Novelty"), poll=signal) as scorer:
        scorer.score(Batch([""], ["a"]))
        with pytest.raises(Stopped):
            evaluate(scorer)
        assert scorer.state_dict() == {"Novelty": {"seen": {"a": 1}}}


def test_a_signal_to_one_process_stops_all():
    ranks = Ranks(2)
    found: list[Any] = [None, None]
    signals = [Signal(), Signal()]

    def run(rank: int) -> None:
        with Scorer(rewards("Novelty"), poll=signals[rank]) as scorer:
            scorer.load()
            if rank == 1:
                signals[1].arrives = after(0.5)
            text = ["a", "hang"][rank]
            try:
                scorer.score(Batch([""], [text]), exchange=ranks.exchange(rank))
            except Stopped as stopped:
                found[rank] = stopped

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(FAR)
    assert [str(one) for one in found] == ["stopped by SIGTERM\n  go on with --resume"] * 2
    assert [type(one) for one in found] == [Stopped, Stopped]


def test_a_process_that_the_reward_starts_can_still_be_ended_with_sigterm():
    """Workers let SIGTERM pass, but neither their children by `exec` nor those by `fork` do."""
    with Scorer(rewards("terminates_children")) as scorer:
        assert scorer.score(Batch([""], ["a"])).totals == [-15 * 2]
