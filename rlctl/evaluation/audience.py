"""Who is told how an evaluation goes, and may end it."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Audience:
    """Who is told how an evaluation goes.

    Args:
        tell: Gets a line of text.
        progress: Gets what is done, how much of it, and how much there is.
        poll: Called often; may raise to end the evaluation.
    """

    tell: Callable[[str], None] = lambda text: None
    progress: Callable[[str, int, int], None] = lambda what, done, total: None
    poll: Callable[[], None] = lambda: None

    def counter(self, what: str, total: int) -> Callable[[int], None]:
        """Something to call with each number of completions that are done."""
        done = 0

        def advance(count: int) -> None:
            nonlocal done
            done += count
            self.progress(what, done, total)
            self.poll()

        self.progress(what, 0, total)
        return advance
