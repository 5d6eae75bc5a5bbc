"""Hangs, crashes and odd values cost the row at fault and nothing else; no process is left behind."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rlctl.config.rewards import Rewards
from rlctl.errors import RewardError
from rlctl.rewards.compose import Batch, Scored, Scorer

FUNCTIONS = Path(__file__).with_name("reward_functions.py")
ROOT = Path(__file__).parents[2]


def rewards(function: str, *, timeout: float = 1.0, workers: int = 1, **keys: Any) -> Rewards:
    part = {"type": "python", "name": "mine", "function": f"{FUNCTIONS}:{function}", **keys}
    section = {"components": [part], "timeout": timeout, "workers": workers, "max_failure_rate": 1.0}
    return Rewards.model_validate(section)


def score(function: str, completions: list[str], **keys: Any) -> Scored:
    with Scorer(rewards(function, **keys)) as scorer:
        return scorer.score(Batch([""] * len(completions), completions))


def pids(scorer: Scorer) -> list[int]:
    return [worker.process.pid for worker in scorer._runners["mine"]._workers]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def gone(pids: list[int]) -> bool:
    for _ in range(100):
        if not any(map(alive, pids)):
            return True
        time.sleep(0.05)
    return False


ODD = {
    "fine": ("scored", 1.0, None),
    "true": ("scored", 1.0, None),
    "none": ("not_applicable", None, None),
    "invalid": ("invalid", -1.0, "mine: not a molecule"),
    "nan": ("failed", None, "mine: returned nan"),
    "inf": ("failed", None, "mine: returned inf"),
    "-inf": ("failed", None, "mine: returned -inf"),
    "string": ("failed", None, "mine: returned a str, not a number"),
    "list": ("failed", None, "mine: returned a list, not a number"),
    "raise": ("failed", None, "mine: ValueError: no good"),
    "sys.exit": ("failed", None, "mine: SystemExit: 1"),
}
DEADLY = {
    "hang": ("failed", None, "mine: took longer than 1 s"),
    "exit": ("failed", None, "mine: its process died (exit code 3)"),
    "segfault": ("failed", None, "mine: its process died (signal SIGSEGV)"),
}


def check(scored: Scored, expected: dict[str, tuple[str, float | None, str | None]]) -> None:
    for row, (outcome, total, reason) in zip(scored.rows, expected.values(), strict=True):
        assert (row.outcome, row.total) == (outcome, total)
        assert (row.reason or "").startswith(reason or "")


@pytest.mark.parametrize("function", ["odd", "odd_single"])
@pytest.mark.parametrize("isolate", [True, False])
def test_odd_values(function: str, isolate: bool):
    check(score(function, list(ODD), isolate=isolate), ODD)


@pytest.mark.parametrize("function", ["odd", "odd_single"])
def test_a_hang_or_a_crash_costs_its_own_row(function: str):
    expected = {**ODD, **DEADLY, "more": ("scored", 1.0, None)}
    check(score(function, list(expected)), expected)


def test_async_functions_too():
    expected = {**ODD, **DEADLY}
    start = time.monotonic()
    check(score("odd_async", list(ODD)), ODD)
    check(
        score("odd_async", ["fine", "hang", "nan"]),
        {name: expected[name] for name in ("fine", "hang", "nan")},
    )
    assert time.monotonic() - start < 20


def test_two_of_the_wrong_length_fail_together():
    scored_reason = "mine: returned 3 scores for 4 completions"
    with pytest.raises(
        RewardError, match=r"'mine' failed on every completion\n.*4 × returned 3 scores for 4"
    ):
        score("short", list("abcd"))
    with Scorer(rewards("short")) as scorer:
        rows = scorer.score(Batch([""] * 4, list("abcd")), tolerant=True).rows
    assert [row.reason for row in rows] == [scored_reason] * 4


def test_a_component_that_always_fails_stops_at_once_whatever_the_limits():
    section = rewards("broken").model_dump() | {"on_error": "penalty"}
    with Scorer(Rewards.model_validate(section)) as scorer, pytest.raises(RewardError) as caught:
        scorer.score(Batch([""] * 2, ["a", "b"]))
    assert "the reward 'mine' failed on every completion" in str(caught.value)
    assert "mine: 2 × ValueError: nothing works (reward_functions.py:" in str(caught.value)
    assert "e.g. 'a'" in str(caught.value)


def test_an_honest_reward_that_is_slow_in_sum_is_scored_row_by_row_from_then_on(
    caplog: pytest.LogCaptureFixture,
):
    with Scorer(rewards("slow", timeout=0.5)) as scorer:
        batch = Batch([""] * 5, list("abcde"))
        assert scorer.score(batch).totals == [1.0] * 5
        assert "5 completions together took longer than rewards.timeout (0.5 s)" in caplog.text
        before = pids(scorer)
        assert scorer.score(batch).totals == [1.0] * 5
        # No first attempt any more, so no process had to be killed.
        assert pids(scorer) == before


def test_several_workers_share_a_batch_at_the_borders_of_groups():
    with Scorer(rewards("batch_size", workers=2, timeout=5)) as scorer:
        processes: set[str] = set()
        deadline = time.monotonic() + 10
        while len(processes) < 2 and time.monotonic() < deadline:
            scored = scorer.score(Batch([""] * 6, list("abcdef"), group_size=2))
            # Three groups of two in two portions: one group and two.
            assert scored.totals == [2.0] * 2 + [4.0] * 4
            assert scored.metrics == {"size": 3.0}
            processes |= set(scored.extras["process"])
        assert len(processes) == 2


def test_the_trainers_state_reaches_the_worker():
    class State:
        def __init__(self) -> None:
            self.global_step = 7
            self.cannot_be_pickled = lambda: None

    with Scorer(rewards("state")) as scorer:
        assert scorer.score(Batch([""], ["a"], trainer_state=State())).totals == [7.0]
        assert scorer.score(Batch([""], ["a"], trainer_state=SimpleNamespace(global_step=8))).totals == [8.0]


@pytest.mark.parametrize("isolate", [True, False])
def test_what_a_reward_prints_never_reaches_stdout(isolate: bool, capfd: pytest.CaptureFixture[str]):
    score("score", ["a"], isolate=isolate)
    out, err = capfd.readouterr()
    assert out == ""
    assert "a reward prints this" in err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import no_such_module\ndef score(completions): ...\n", r"ModuleNotFoundError: .*\(bad\.py:1\)"),
        ("import os\nos._exit(4)\ndef score(completions): ...\n", r"ended while loading it \(exit code 4\)"),
        ("other = 1\n", "has no 'score'"),
        ("score = 1\n", "'score' is a int, not a function|is a int, not a function"),
    ],
)
def test_a_reward_that_cannot_be_loaded_stops_before_anything_is_scored(
    tmp_path: Path, text: str, message: str
):
    (tmp_path / "bad.py").write_text(text)
    part = {"type": "python", "name": "mine", "function": f"{tmp_path}/bad.py:score"}
    expected = pytest.raises(RewardError, match="the reward 'mine' cannot be loaded: .*" + message)
    with Scorer(Rewards.model_validate({"components": [part]})) as scorer, expected:
        scorer.load()


@pytest.fixture
def scorer() -> Iterator[Scorer]:
    with Scorer(rewards("batch_size", timeout=5)) as scorer:
        yield scorer


def test_closing_leaves_no_process(scorer: Scorer):
    scorer.load()
    before = pids(scorer)
    assert all(map(alive, before))
    scorer.close()
    assert gone(before)
    # Closed is not broken: the next batch starts a new process.
    assert scorer.score(Batch([""], ["a"])).totals == [1.0]


def test_an_exception_in_the_block_leaves_no_process():
    before: list[int] = []

    def fail() -> None:
        with Scorer(rewards("odd")) as scorer:
            scorer.load()
            before.extend(pids(scorer))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert before
    assert gone(before)


def test_processes_that_a_reward_started_die_with_it(tmp_path: Path):
    note = tmp_path / "pid"
    with Scorer(rewards("grandchild", timeout=1.0)) as scorer:
        scorer.score(Batch([""], [str(note)]), tolerant=True)
    assert gone([int(note.read_text())])


SCRIPT = """
import sys
from rlctl.config.rewards import Rewards
from rlctl.rewards.compose import Batch, Scorer
part = {{"type": "python", "name": "mine", "function": "{functions}:odd"}}
scorer = Scorer(Rewards.model_validate({{"components": [part], "timeout": 30.0}}))
print(scorer.score(Batch([""], ["a"])).totals, scorer._runners["mine"]._workers[0].process.pid, flush=True)
{then}
"""


def script(folder: Path, then: str) -> subprocess.Popen[str]:
    """A program without `if __name__ == "__main__"`."""
    path = folder / "program.py"
    path.write_text(SCRIPT.format(functions=FUNCTIONS, then=then))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, str(path)],
        env=environment,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_script_without_a_main_guard_works_and_leaves_nothing(tmp_path: Path):
    program = script(tmp_path, then="")
    out, err = program.communicate(timeout=60)
    totals, pid = out.rsplit(maxsplit=1)
    assert (program.returncode, totals, err) == (0, "[1.0]", "")
    assert gone([int(pid)])


@pytest.mark.parametrize("watched", [True, False])
def test_a_reward_that_dies_is_told_from_a_hang_though_its_child_holds_the_socket(
    watched: bool, monkeypatch: pytest.MonkeyPatch
):
    if not watched:
        monkeypatch.delattr(os, "pidfd_open", raising=False)
    expected = {
        "fork and exit": ("failed", None, "mine: its process died (exit code 3)"),
        "a": ("scored", 1, None),
    }
    check(score("odd", list(expected), timeout=30.0), expected)


@pytest.mark.parametrize("how", ["hang", "hang in C"])
@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_trainer_takes_even_a_hanging_reward_with_it(tmp_path: Path, kill: signal.Signals, how: str):
    if how == "hang in C" and sys.platform != "linux":
        pytest.skip("only Linux ends a process whose threads cannot run")
    program = script(tmp_path, then=f'print("next", flush=True); scorer.score(Batch([""], ["{how}"]))')
    assert program.stdout is not None
    pid = int(program.stdout.readline().split()[-1])
    assert program.stdout.readline() == "next\n"
    time.sleep(0.2)
    program.send_signal(kill)
    program.communicate(timeout=20)
    assert gone([pid])


@pytest.mark.parametrize("error", [None, RuntimeError, KeyboardInterrupt])
def test_its_end_is_the_end_of_its_processes(error: type[BaseException] | None) -> None:
    """At once, and not when the scorer itself is forgotten."""
    with contextlib.suppress(RuntimeError, KeyboardInterrupt), Scorer(rewards("score", workers=2)) as scorer:
        scorer.score(Batch([""] * 4, ["a", "b", "c", "d"], group_size=2))
        running = pids(scorer)
        assert len(running) == 2
        assert all(map(alive, running))
        if error is not None:
            raise error
    assert not any(map(alive, running))
