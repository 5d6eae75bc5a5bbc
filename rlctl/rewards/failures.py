"""When to stop because completions could not be scored, and what to say then."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from rlctl.config.rewards import Rewards
from rlctl.errors import RewardError
from rlctl.rewards.aggregate import Row
from rlctl.rewards.outcome import Failed, Score

Example = tuple[str, str, str]
"""Component, reason, and the completion."""

MOST_REASONS = 3
LONGEST_EXAMPLE = 80


def examples(scores: Mapping[str, Sequence[Score]], completions: Sequence[str]) -> list[Example]:
    """One completion for each reason of each component."""
    found: dict[tuple[str, str], str] = {}
    for name, column in scores.items():
        for score, completion in zip(column, completions, strict=True):
            if isinstance(score, Failed) and len(found) < 100:
                found.setdefault((name, score.reason), completion[:LONGEST_EXAMPLE])
    return [(name, reason, completion) for (name, reason), completion in found.items()]


def check(rewards: Rewards, rows: Sequence[Row], found: Iterable[Example]) -> None:
    """Stop where a component failed on every completion, or more rows failed than the config allows.

    Args:
        rewards: `on_error` and `max_failure_rate`.
        rows: The rows of all processes.
        found: Examples for the message.

    Raises:
        RewardError: With the commonest reasons, how often each came, and an example.
    """
    broken = [row for row in rows if any(isinstance(score, Failed) for score in row.scores.values())]
    failed = sum(row.outcome == "failed" for row in rows)
    if not broken and not failed:
        return
    for part in rewards.components:
        if all(isinstance(row.scores[part.name], Failed) for row in rows):
            raise RewardError(f"the reward {part.name!r} failed on every completion\n{reasons(rows, found)}")
    count = f"{failed} of {len(rows)} completions could not be scored"
    if rewards.on_error == "fail" and failed:
        raise RewardError(f"{count}, and rewards.on_error is `fail`\n{reasons(rows, found)}")
    if failed > rewards.max_failure_rate * len(rows):
        limit = f"more than rewards.max_failure_rate allows ({rewards.max_failure_rate:.0%})"
        raise RewardError(f"{count}, {limit}\n{reasons(rows, found)}")


def reasons(rows: Sequence[Row], found: Iterable[Example]) -> str:
    """The commonest reasons, a line each: `mine: 30 × TypeError: … (my.py:12); e.g. 'the completion'`."""
    counts = Counter(
        (name, score.reason)
        for row in rows
        for name, score in row.scores.items()
        if isinstance(score, Failed)
    )
    texts: dict[tuple[str, str], str] = {}
    for name, reason, completion in found:
        texts.setdefault((name, reason), completion)
    lines = []
    for (name, reason), count in counts.most_common(MOST_REASONS):
        example = f"; e.g. {texts[name, reason]!r}" if (name, reason) in texts else ""
        lines.append(f"  {name}: {count} × {reason}{example}")
    left = len(counts) - MOST_REASONS
    return "\n".join([*lines, f"  and {left} further reasons"] if left > 0 else lines)
