"""The first signal waits for the next poll, or raises where there is nothing to save."""

import os
import signal

import pytest

from rlctl.errors import Stopped
from rlctl.training import stopping
from rlctl.training.stopping import SIGNALS, StopSignals


@pytest.mark.parametrize("number", SIGNALS)
def test_before_there_is_anything_to_save_it_raises_at_once(number: signal.Signals) -> None:
    with StopSignals(), pytest.raises(Stopped, match=f"stopped by {number.name} before the first step"):
        os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", SIGNALS)
def test_later_it_waits_for_the_poll(number: signal.Signals) -> None:
    with StopSignals() as stop:
        stop.defer()
        stop.poll()
        os.kill(os.getpid(), number)
        assert stop.requested is number
        for heeds in (stop.poll, stop.check, stop.agree):
            with pytest.raises(Stopped, match=f"^stopped by {number.name}$"):
                heeds()


def test_the_former_handlers_come_back() -> None:
    former = [signal.getsignal(number) for number in SIGNALS]
    with StopSignals():
        assert [signal.getsignal(number) for number in SIGNALS] != former
    assert [signal.getsignal(number) for number in SIGNALS] == former


def test_of_several_processes_none_stops_where_others_wait() -> None:
    """The other one got the signal: this one learns of it where all of them meet."""
    with StopSignals() as stop:
        stop.defer(lambda mine: [*mine, "SIGUSR1"])
        stop.poll()
        with pytest.raises(Stopped, match="stopped by SIGUSR1"):
            stop.agree()


def test_alone_is_polled_inside_and_agreed_upon_at_its_end() -> None:
    met: list[list[str | None]] = []

    def exchange(mine: list[str | None]) -> list[str | None]:
        met.append(mine)
        return mine

    with StopSignals() as stop:
        stop.defer(exchange)
        os.kill(os.getpid(), signal.SIGTERM)
        stop.poll()  # others may be waiting
        reached = False
        with pytest.raises(Stopped, match="stopped by SIGTERM"), stop.alone():
            stop.poll()
            reached = True
        assert not reached
        assert met == [["SIGTERM"]]


def test_a_terminal_that_closes_is_one_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """It sends SIGHUP more than once, however far apart; any other second signal ends at once."""
    ended: list[int] = []
    monkeypatch.setattr(stopping, "_end_at_once", ended.append)  # it would be this process's end
    monkeypatch.setattr(stopping, "SAME_REQUEST", 0.0)
    with StopSignals() as stop:
        stop.defer()
        for number in (signal.SIGHUP, signal.SIGHUP, signal.SIGHUP):
            os.kill(os.getpid(), number)
        assert stop.requested is signal.SIGHUP
        assert ended == []
        os.kill(os.getpid(), signal.SIGTERM)
        assert ended == [signal.SIGTERM]
