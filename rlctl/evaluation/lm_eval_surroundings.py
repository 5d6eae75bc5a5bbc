"""What the lm-evaluation-harness runs in: its seeds, silence, and errors in words to act on."""

import io
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

from rlctl.errors import DataError, MissingError, RlctlError, TrainingError

SEEDS = {"random": 0, "numpy": 1234, "torch": 1234, "fewshot": 1234}
"""The harness's own, of which published figures are."""
BOOTSTRAP = 1000
"""Resamples for standard errors without a formula (F1, perplexity): within 2 %, in seconds and one process.
The harness's own 100,000 take minutes of all cores."""
ONE_PROCESS = "DISABLE_MULTIPROC"
"""Environment variable that the harness heeds."""
PLACE = ("eval", "lm_eval", "tasks")
NOISY = ("datasets", "evaluate", "huggingface_hub", "transformers", "absl")
"""Loggers that chat while the harness works."""


class Said(logging.Handler):
    """Keeps what the harness logs."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self.records.append(record)

    def warnings(self) -> tuple[str, ...]:
        """Each kind of warning once, with how often it came."""
        kinds: dict[tuple[str, int], list[str]] = {}
        for one in self.records:
            if one.levelno >= logging.WARNING:
                kinds.setdefault((one.pathname, one.lineno), []).append(" ".join(one.getMessage().split()))
        return tuple(
            first if not more else f"{first} (and {len(more)} more like it)"
            for first, *more in kinds.values()
        )

    def skipped(self, folder: str | None) -> list[str]:
        """Files of a folder of tasks that the harness could not read, and why."""
        lines = [one.getMessage() for one in self.records if one.getMessage().startswith("Skip ")]
        return [line.removeprefix("Skip ") for line in lines if folder and line.startswith(f"Skip {folder}")]


@contextmanager
def quiet(level: int) -> Iterator[Said]:
    """No chatter of the harness and its libraries, and nothing on stdout; what it logs is kept.

    Args:
        level: From which level on.
    """
    import warnings

    from tqdm import tqdm

    said, logger, start = Said(level), logging.getLogger("lm_eval"), tqdm.__init__
    former = logger.handlers, logger.propagate, logger.level
    others = {name: logging.getLogger(name).level for name in NOISY}

    def without_bar(self: Any, *args: Any, **options: Any) -> None:
        start(self, *args, **{**options, "disable": True})

    logger.handlers, logger.propagate, tqdm.__init__ = [said], False, without_bar
    logger.setLevel(level)
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        with redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield said
    finally:
        logger.handlers, logger.propagate, tqdm.__init__ = former[0], former[1], start
        logger.setLevel(former[2])
        for name, before in others.items():
            logging.getLogger(name).setLevel(before)


@contextmanager
def seeded() -> Iterator[None]:
    """The harness's seeds inside, the states as they were afterwards."""
    import random

    import numpy
    import torch

    states = random.getstate(), numpy.random.get_state()
    with torch.random.fork_rng():
        random.seed(SEEDS["random"])
        numpy.random.seed(SEEDS["numpy"])
        torch.manual_seed(SEEDS["torch"])
        try:
            yield
        finally:
            random.setstate(states[0])
            numpy.random.set_state(states[1])


@contextmanager
def one_process() -> Iterator[None]:
    """No worker processes for standard errors: a fork of a process that holds a GPU or threads can hang."""
    before = os.environ.get(ONE_PROCESS)
    os.environ[ONE_PROCESS] = "1"
    try:
        yield
    finally:
        del os.environ[ONE_PROCESS]
        if before is not None:
            os.environ[ONE_PROCESS] = before


@contextmanager
def explained(doing: str, batch_size: int | None = None) -> Iterator[None]:
    """Turn what goes wrong inside the harness into an error to act on.

    Args:
        doing: What it does: `loading the tasks`.
        batch_size: Requests that a model answers together, where one does.
    """
    where = ".".join(PLACE)
    try:
        yield
    except RlctlError:
        raise
    except ImportError as error:
        hint = f"pip install {error.name}" if error.name else "pip install --force-reinstall 'rlctl[lm-eval]'"
        raise MissingError(_first_line(error), where=where, hint=hint) from error
    except (ConnectionError, TimeoutError) as error:
        message = f"{_first_line(error)}, and it is not in the cache of this machine"
        hint = "run it once with a network, or name tasks with local data (`eval.lm_eval.include_path`)"
        raise DataError(message, where=where, hint=hint) from error
    except Exception as error:
        if type(error).__name__ == "OutOfMemoryError" or "out of memory" in str(error):
            lower = f"lower `eval.lm_eval.batch_size` (now {batch_size})" if batch_size else None
            raise TrainingError(f"out of memory ({_first_line(error)})", where=where, hint=lower) from error
        raise DataError(f"lm-eval failed while {doing}: {_first_line(error)}", where=where) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
