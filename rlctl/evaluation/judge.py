"""When a completion passes, and what it answers: the two questions behind pass@k and majority vote."""

from rlctl.config.config import Config
from rlctl.config.evaluation import TOTAL
from rlctl.rewards.aggregate import Row
from rlctl.rewards.conditions import parse


class Judge:
    """Judges completions by `eval.pass`, else by the first component's raw score: 1 or more passes.

    Args:
        config: Its section `eval`, and the rewards that evaluation uses.
    """

    def __init__(self, config: Config) -> None:
        self.conditions = {name: parse(text) for name, text in config.pass_conditions.items()}
        self._judged = config.judged

    @property
    def knows_answers(self) -> bool:
        """Whether completions have answers that can be counted: of a type that compares answers."""
        return self._judged.knows_answers()

    def passed(self, row: Row) -> bool | None:
        """Whether a completion passes; None where scoring failed, or a condition does not apply.

        An invalid completion does not pass.
        """
        if row.outcome == "invalid":
            return False
        if row.outcome == "failed":
            return None
        values = {**row.raw, TOTAL: row.total}
        held = [
            None if (value := values[name]) is None else condition.holds(value)
            for name, condition in self.conditions.items()
        ]
        return False if False in held else None if None in held else True

    def answer(self, completion: str) -> str | None:
        """What a completion answers, in a form in which equal answers are equal; None where nothing."""
        return self._judged.answer(completion) if self.knows_answers else None
