"""`rewards.tests`: examples whose reward the user knows, scored before anything is spent on training."""

from collections.abc import Sequence
from dataclasses import dataclass

from rlctl.config.rewards import Rewards, RewardTest
from rlctl.errors import RewardError
from rlctl.rewards.aggregate import Row
from rlctl.rewards.batch import Batch
from rlctl.rewards.compose import Scorer
from rlctl.rewards.conditions import parse


@dataclass(frozen=True)
class TestResult:
    """How one test went.

    Args:
        index: Its place in `rewards.tests`.
        passed: Whether the reward is the expected one.
        expected: As in the YAML.
        got: The total before normalisation and scale, or the outcome with its reason.
        parts: Each component's raw score, in words.
        completion: The text that was scored.
    """

    __test__ = False

    index: int
    passed: bool
    expected: str
    got: str
    parts: str
    completion: str

    def describe(self) -> str:
        """`rewards.tests[0]: expected >0.8, got 0 for 'seven' (correct 0, brevity 12)`."""
        place = f"rewards.tests[{self.index}]"
        return (
            f"{place}: expected {self.expected}, got {self.got} for {self.completion[:80]!r} ({self.parts})"
        )


def run_tests(rewards: Rewards, scorer: Scorer) -> list[TestResult]:
    """Score every test by itself; rewards that remember forget it again.

    Raises:
        RewardError: A reward cannot be loaded, or a test lacks a column.
    """
    if not rewards.tests:
        return []
    with scorer.unchanged():
        return [_run(i, test, rewards, scorer) for i, test in enumerate(rewards.tests)]


def require(results: Sequence[TestResult]) -> None:
    """Do nothing where all tests passed.

    Raises:
        RewardError: Naming each test that did not, what was expected, what came, and the parts.
    """
    failed = [result.describe() for result in results if not result.passed]
    if failed:
        count = f"{len(failed)} of {len(results)} reward tests failed"
        raise RewardError("\n".join([count, *failed]), hint="correct the reward, or `expect` in the test")


def _run(index: int, test: RewardTest, rewards: Rewards, scorer: Scorer) -> TestResult:
    columns = {name: [value] for name, value in test.row.items()}
    batch = Batch(prompts=[test.prompt], completions=[test.completion], columns=columns)
    try:
        row = scorer.score(batch, normalize=False, tolerant=True).rows[0]
    except RewardError as error:
        raise RewardError(error.message, where=f"rewards.tests[{index}]", hint=error.hint) from None
    total = row.total / rewards.scale if row.outcome == "scored" and row.total is not None else None
    return TestResult(
        index=index,
        passed=_passes(test, row, total),
        expected=str(test.expect),
        got=f"{total:g}" if total is not None else _in_words(row),
        parts=", ".join(
            f"{name} {'none' if raw is None else format(raw, 'g')}" for name, raw in row.raw.items()
        ),
        completion=test.completion,
    )


def _passes(test: RewardTest, row: Row, total: float | None) -> bool:
    if test.expect == "invalid":
        return row.outcome == "invalid"
    if test.expect == "none":
        return row.outcome == "not_applicable"
    if total is None:
        return False
    if isinstance(test.expect, str):
        return parse(test.expect).holds(total)
    return abs(total - test.expect) <= test.tolerance


def _in_words(row: Row) -> str:
    outcome = row.outcome.replace("_", " ")
    return f"{outcome} ({row.reason})" if row.reason else outcome
