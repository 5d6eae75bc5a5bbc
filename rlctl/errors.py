"""One family of errors. Each knows its exit code, and says what is wrong, where, and what to do.

Every class also inherits the standard exception that a Python caller would expect, so `except ValueError`
around `rlctl.load_config` works without knowing this module.
"""

from dataclasses import dataclass

EXIT_DONE = 0
EXIT_CONFIG = 2
EXIT_DATA = 3
EXIT_MISSING = 4
EXIT_TRAINING = 5
EXIT_STOPPED = 75


class RlctlError(Exception):
    """Base of every error that rlctl raises on purpose.

    Args:
        message: What is wrong, in one sentence.
        where: The place: a file with its line, a key of the YAML, a folder.
        hint: What to do about it.
    """

    exit_code = 1

    def __init__(self, message: str, *, where: str | None = None, hint: str | None = None) -> None:
        self.message = message
        self.where = where
        self.hint = hint
        super().__init__(self.render())

    def render(self) -> str:
        """The error as a person reads it: `where: message`, and the hint on a line of its own."""
        head = f"{self.where}: {self.message}" if self.where else self.message
        return f"{head}\n  {self.hint}" if self.hint else head


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a config.

    Args:
        message: What is wrong, without the place.
        path: Keys and indices from the root of the YAML, e.g. `("rewards", "components", 0, "weight")`.
        file: The file as the user named it, or `--set KEY=VALUE` for an override.
        line: Line in that file, counted from 1; None where the file has no such place.
        suggestion: What to do, e.g. `did you mean 'weight'?`.
        exit_code: 2 for the config itself; 3 where a file that it names is missing or wrong; 4 where this
            machine lacks something.
    """

    message: str
    path: tuple[str | int, ...] = ()
    file: str | None = None
    line: int | None = None
    suggestion: str | None = None
    exit_code: int = EXIT_CONFIG

    def render(self) -> str:
        """`file.yaml:12: rewards.components[0].weigth: unknown key; did you mean 'weight'?`"""
        place = self.file or ""
        if self.line is not None:
            place += f":{self.line}"
        parts = [part for part in (place, dotted(self.path), self.message) if part]
        text = ": ".join(parts)
        return f"{text}; {self.suggestion}" if self.suggestion else text


class ConfigError(RlctlError, ValueError):
    """The YAML, or something that it names, is wrong. Carries every problem, and the lowest exit code."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        self.exit_code = min((problem.exit_code for problem in problems), default=EXIT_CONFIG)
        super().__init__("\n".join(problem.render() for problem in problems))


class UsageError(RlctlError, ValueError):
    """A command was called in a way that cannot work."""

    exit_code = EXIT_CONFIG


class DataError(RlctlError, ValueError):
    """A data file, a dataset or a row is wrong."""

    exit_code = EXIT_DATA


class RewardError(RlctlError, ValueError):
    """A reward cannot be loaded, or fails on too many completions."""

    exit_code = EXIT_DATA


class CheckpointError(RlctlError, ValueError):
    """A model folder or a checkpoint is missing or broken."""

    exit_code = EXIT_DATA


class MissingError(RlctlError, RuntimeError):
    """Something is missing on this machine: an extra, a GPU, an interpreter."""

    exit_code = EXIT_MISSING


class TrainingError(RlctlError, RuntimeError):
    """Training failed: out of memory, a full disk, numbers that are no longer finite."""

    exit_code = EXIT_TRAINING


class Stopped(RlctlError, RuntimeError):
    """A signal ended the run. What was reached is in its newest checkpoint; `--resume` goes on from there.

    Args:
        message: What is wrong, in one sentence.
        hint: What to do about it.
        step: Steps that are done and saved.
        checkpoint: The folder of that checkpoint; None where nothing was to be saved.
    """

    exit_code = EXIT_STOPPED

    def __init__(
        self, message: str, *, hint: str | None = None, step: int = 0, checkpoint: str | None = None
    ) -> None:
        self.step = step
        self.checkpoint = checkpoint
        super().__init__(message, hint=hint)


def dotted(path: tuple[str | int, ...]) -> str:
    """`("rewards", "components", 0, "type")` as `rewards.components[0].type`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text
