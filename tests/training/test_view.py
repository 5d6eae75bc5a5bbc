"""What a person reads while a run goes on."""

import io

from rich.console import Console

from rlctl.training.view import View, sparkline


def test_plain_lines_outside_a_terminal() -> None:
    out = io.StringIO()
    view = View(Console(file=out, width=80))
    view.begin(10, ["correct"])
    view.step(
        1, {"train/reward": 0.25, "train/correct": 0.5, "train/kl_div": None, "train/failed_fraction": 0.0}
    )
    view.end()
    assert out.getvalue() == "step 1/10  reward 0.250  correct 0.500\n"


def test_live_view_in_a_terminal_shows_the_parts() -> None:
    out = io.StringIO()
    view = View(Console(file=out, width=100, force_terminal=True))
    view.begin(4, ["correct"])
    view.advance(1)
    view.step(
        1, {"train/reward": 0.25, "train/correct": 0.5, "train/entropy": 1.25, "train/invalid_fraction": 0.1}
    )
    view.end()
    for text in ("step 1/4", "0.250", "correct", "1.250", "10.0%"):
        assert text in out.getvalue()


def test_quiet_prints_nothing() -> None:
    out = io.StringIO()
    view = View(Console(file=out), quiet=True)
    view.begin(1, [])
    view.step(1, {"train/reward": 1.0})
    view.notice("x")
    view.table("t", ["a"], [["b"]])
    view.end()
    assert out.getvalue() == ""


def test_sparkline_is_scaled_and_averaged() -> None:
    assert sparkline([0.0, 1.0]) == "▁█"
    assert sparkline([2.0, 2.0]) == "▁▁"
    assert sparkline([]) == ""
    assert sparkline([0.0, 0.0, 1.0, 1.0], width=2) == "▁█"


class GoneTerminal(io.StringIO):
    """A terminal that was closed while the run went on."""

    def write(self, text: str) -> int:
        raise OSError(5, "Input/output error")


def test_a_terminal_that_is_gone_does_not_end_the_run() -> None:
    view = View(Console(file=GoneTerminal()))
    view.notice("x")
    view.step(1, {"train/reward": 1.0})
    view.table("t", ["a"], [["b"]])


def test_a_run_that_goes_on_starts_where_it_was() -> None:
    out = io.StringIO()
    view = View(Console(file=out, width=100, force_terminal=True))
    view.begin(4, ["correct"], done=3, rewards=[(1, 0.0), (2, 1.0)])
    view.step(3, {"train/reward": 0.5})
    view.end()
    assert "step 3/4" in out.getvalue()
    assert "▁█▅" in out.getvalue()


def test_a_live_view_whose_terminal_is_gone_does_not_end_the_run() -> None:
    view = View(Console(file=GoneTerminal(), force_terminal=True))
    view.begin(4, ["correct"])
    view.step(1, {"train/reward": 0.25})
    view.end()
