"""What a person should know of a reward, in words: every finding has a code, a figure, and what to change."""

from collections.abc import Callable, Iterator

from rlctl.calibration import finding_rewards, finding_scoring
from rlctl.calibration.finding import Document, Finding, Severity
from rlctl.config.config import Config

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")
RULES: tuple[Callable[[Document, Config], Iterator[Finding]], ...] = (
    finding_rewards.outcomes,
    finding_rewards.spread,
    finding_rewards.penalty,
    finding_scoring.tricks,
    finding_rewards.components,
    finding_scoring.noise,
    finding_rewards.links,
    finding_scoring.cost,
)
"""What is looked at, in the order in which findings of one severity are told."""


def find(document: Document, config: Config) -> list[Finding]:
    """All findings, the gravest first.

    Args:
        document: The figures, under the names of `analyze-rewards --json`.
        config: The config that they are of.
    """
    found = [one for rule in RULES for one in rule(document, config)]
    return sorted(found, key=lambda one: SEVERITIES.index(one.severity))
