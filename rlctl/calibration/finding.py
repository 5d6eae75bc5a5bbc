"""One thing that a person should know of a reward: a code, its figure in words, and what to change."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Severity = Literal["error", "warning", "info"]
Document = Mapping[str, Any]
"""The figures of an analysis, under the names of `analyze-rewards --json`."""


@dataclass(frozen=True)
class Finding:
    """One finding.

    Args:
        severity: `error` where training would be wasted or misled, `warning` where it may be, else `info`.
        code: A short name that does not change.
        message: What was found, with its figure.
        figure: The figure alone.
        fix: What to change in the YAML, or elsewhere.
    """

    severity: Severity
    code: str
    message: str
    figure: float | None
    fix: str

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return dict(vars(self))
