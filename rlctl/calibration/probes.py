"""Texts that deserve no reward. What scores high with one of them will be found by the policy too."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rlctl.calibration.answers import Columns, answer_to, in_form, same, wrong_answers
from rlctl.calibration.skeleton import JUNK, Skeleton, holds, skeleton
from rlctl.config.rewards import Rewards
from rlctl.rewards.batch import text_of

HEDGES = 7
"""Wrong answers that are given beside the right one."""
MOST_COPIES = 64
"""How often a completion is repeated at most."""
STUFFED = 8
"""How often words that pay are repeated."""
LEAST_PROMPTS = 4
"""Prompts below which words are not tried."""
MOST_OF_WORDS = 0.9
"""Share of the prompts for which words must pay: the answer to most of them must not be named."""

_LETTERS = dict(zip("ABCEHKMOPTXaceopxy", "АВСЕНКМОРТХасеорху", strict=True))
_DIGITS = {str(digit): chr(ord("\uff10") + digit) for digit in range(10)}
_LOOK_ALIKES = str.maketrans({**_LETTERS, **_DIGITS})
_CLOSING_TAG = re.compile(r"</[^<>\n]+>")


@dataclass(frozen=True)
class Probe:
    """A way to cheat, tried on some prompts.

    Args:
        name: Short name, e.g. `many_answers`.
        says: What the texts are, in a few words.
        texts: One per row; None where it makes no sense.
        originals: The text that each was made of and has to beat; None where there is none.
        form: Whether the texts have nothing but the form, or the words, of real completions.
        most: Share of the prompts above which it counts.
    """

    name: str
    says: str
    texts: list[str | None]
    originals: list[str | None]
    form: bool = False
    most: float = 0.5


@dataclass(frozen=True)
class _Ground:
    """What texts for one row are made of.

    Args:
        prompt: Its last message, as text.
        answer: The right answer, where it is known and the reward judges answers.
        wrong: Answers that are not; empty where the right one is not known.
        completion: A real completion of it.
        other: A real completion of a prompt that has another answer.
        form: Puts a text into the form that the reward asks for.
        filler: A token, `longest` times.
        longest: Tokens that a completion may have.
    """

    prompt: str
    answer: str | None
    wrong: list[str]
    completion: str | None
    other: str | None
    form: Callable[[str], str]
    filler: str
    longest: int

    @property
    def content(self) -> str:
        """A wrong answer, where one is known."""
        return self.wrong[0] if self.wrong else "x"

    @property
    def formed(self) -> str | None:
        """That in the right form; None where no form is asked for."""
        formed = self.form(self.content)
        return formed if formed != self.content else None

    def marked(self, answer: str) -> str | None:
        """An answer in the form, or else between the marks of the real completion; None without either."""
        formed = self.form(answer)
        if formed != answer:
            return formed
        return next(self.skeleton.answers(answer, self.answer), None) if self.skeleton else None

    @property
    def skeleton(self) -> Skeleton | None:
        """The form of the real completion; None where it has none."""
        found = skeleton(self.completion or "")
        return found if found.marks else None


def make_probes(
    rows: Sequence[Columns],
    rewards: Rewards,
    *,
    completions: Sequence[Any] = (),
    words: Sequence[str] = (),
    longest: int,
    token: str = " the",
) -> list[Probe]:
    """Texts that deserve nothing, for each row; only those that make sense for it.

    Args:
        rows: `prompt` and the columns that the rewards read, of different prompts.
        rewards: The section `rewards`.
        completions: A real completion of each row: text, chat messages or None; or none at all.
        words: `keywords` of the completions, the most telling first; those that hold an answer are left out.
        longest: Tokens that a completion may have.
        token: The text of a token that is repeated.
    """
    answers = [answer_to(row, rewards) for row in rows]
    real = [
        None if one is None else text_of(one).strip() or None for one in completions or [None] * len(rows)
    ]
    grounds = [
        _Ground(
            prompt=_last_message(row.get("prompt")),
            answer=answers[i],
            wrong=wrong_answers(answers, i, HEDGES) if answers[i] is not None else [],
            completion=real[i],
            other=_of_another(real, answers, i),
            form=lambda text: in_form(text, rewards),
            filler=token * longest,
            longest=longest,
        )
        for i, row in enumerate(rows)
    ]
    probes = [
        Probe(name, says, [text(one) for one in grounds], [original(one) for one in grounds])
        for name, says, text, original in _TRICKS
    ]
    for name, says, form in _FORMS:
        made = [form(one.skeleton) if one.skeleton else None for one in grounds]
        probes.append(
            Probe(name, says, list(made), [None if text is None else "" for text in made], form=True)
        )
    probes += _of_words(words, answers)
    return [probe for probe in probes if any(text is not None for text in probe.texts)]


def _last_message(prompt: Any) -> str:
    return text_of(prompt if isinstance(prompt, str) else (prompt or [])[-1:])


def _of_another(real: Sequence[str | None], answers: Sequence[str | None], place: int) -> str | None:
    """The real completion of the next row whose answer is known to be another one."""
    right = answers[place]
    for i in (*range(place + 1, len(real)), *range(place)):
        answer = answers[i]
        if real[i] and right is not None and answer is not None and not same(answer, right):
            return real[i]
    return None


def _of_words(words: Sequence[str], answers: Sequence[str | None]) -> list[Probe]:
    """Words that tell good completions from bad ones, without the completions."""
    right = [answer for answer in answers if answer is not None]
    # Of few prompts, words may be the answer to most.
    words = [word for word in words if not any(holds(word, answer) for answer in right)]
    if not words or len(answers) < LEAST_PROMPTS:
        return []
    texts = {
        "keyword": (repr(words[0]), words[0]),
        "keywords": (f"{', '.join(map(repr, words))}, again and again", " ".join([*words] * STUFFED)),
    }
    count = len(answers)
    return [
        Probe(name, says, [text] * count, [""] * count, form=True, most=MOST_OF_WORDS)
        for name, (says, text) in texts.items()
    ]


def _echo(ground: _Ground) -> str | None:
    return ground.prompt if ground.prompt.strip() else None


def _wrong_place(ground: _Ground) -> str | None:
    return None if ground.answer is None else ground.form(f"{ground.answer}\n{ground.wrong[0]}")


def _many(ground: _Ground) -> list[str]:
    """Wrong answers with the right one among them, neither first nor last: either may count as the answer."""
    wrong = ground.wrong if len(ground.wrong) > 1 else ground.wrong * 2
    middle = len(wrong) // 2
    return [*wrong[:middle], ground.answer or "", *wrong[middle:]]


def _many_lines(ground: _Ground) -> str | None:
    lines = [f"The answer is {one}." for one in _many(ground)]
    return None if ground.answer is None else ground.form("\n".join(lines))


def _many_in_a_line(ground: _Ground) -> str | None:
    return None if ground.answer is None else ground.form(", ".join(_many(ground)))


def _many_in_marks(ground: _Ground) -> str | None:
    """Each answer in the tags of the form, or else of the real completion, one after the other."""
    if ground.answer is None:
        return None
    made = [ground.marked(one) for one in _many(ground)]
    return None if None in made else "\n".join(one or "" for one in made)


def _other_answer(ground: _Ground) -> str | None:
    return ground.form(ground.wrong[0]) if ground.wrong else None


def _form_only(ground: _Ground) -> str | None:
    empty = ground.form("")
    return empty if empty.strip() else None


def _stuffed(ground: _Ground) -> str | None:
    formed = ground.formed
    return None if formed is None else f"{formed.replace(ground.content, formed)}\n{formed}"


def _left_open(ground: _Ground) -> str | None:
    formed = ground.formed or ""
    opened = _CLOSING_TAG.sub("", formed)
    return opened if opened != formed else None


def _look_alike(ground: _Ground) -> str | None:
    changed = (ground.completion or "").translate(_LOOK_ALIKES)
    return changed if changed != (ground.completion or "") else None


def _very_long(ground: _Ground) -> str | None:
    if ground.completion is None:
        return None
    copies = min(MOST_COPIES, max(2, ground.longest // (len(ground.completion) + 1)))
    return "\n".join([ground.completion] * copies)


def _no_original(ground: _Ground) -> None:
    return None


_Trick = tuple[str, str, Callable[[_Ground], str | None], Callable[[_Ground], str | None]]
_TRICKS: tuple[_Trick, ...] = (
    ("empty", "an empty completion", lambda ground: "", _no_original),
    ("space", "nothing but space", lambda ground: " \n ", _no_original),
    ("prompt_echo", "the prompt, repeated as the answer", _echo, _no_original),
    ("one_token", "one token, up to the limit", lambda ground: ground.filler, _no_original),
    ("wrong_place", "the right answer first, a wrong one at the end", _wrong_place, _no_original),
    ("many_answers", "many answers, the right one among them", _many_lines, _no_original),
    ("many_in_a_line", "many answers in one line, the right one among them", _many_in_a_line, _no_original),
    (
        "many_in_tags",
        "many answers, each in the form, the right one among them",
        _many_in_marks,
        _no_original,
    ),
    ("other_answer", "the right answer to another prompt", _other_answer, _no_original),
    ("other_prompt", "a real completion of another prompt", lambda g: g.other, _no_original),
    ("form_only", "the form without content", _form_only, _no_original),
    (
        "tags_stuffed",
        "the form several times, nested too, around a wrong answer",
        _stuffed,
        lambda g: g.formed,
    ),
    ("tags_open", "tags that are never closed, around a wrong answer", _left_open, _no_original),
    (
        "look_alike",
        "a real completion with letters and digits that only look alike",
        _look_alike,
        lambda g: g.completion,
    ),
    ("very_long", "a real completion, again and again", _very_long, lambda g: g.completion),
)
"""Name, words, the text, and what it was made of where it must be worth more than that."""


def _tags_alone(form: Skeleton) -> str:
    return " ".join(dict.fromkeys(form.marks))


def _tags_again(form: Skeleton) -> str:
    return "\n".join([form.filled(JUNK)] * 3)


_FORMS: tuple[tuple[str, str, Callable[[Skeleton], str]], ...] = (
    ("tags_empty", "the tags of a real completion with nothing between them", lambda form: form.filled([])),
    (
        "tags_of_junk",
        "the tags of a real completion around words of another topic",
        lambda form: form.filled(JUNK),
    ),
    ("tags_alone", "each tag of a real completion once, and nothing else", _tags_alone),
    ("tags_of_junk_again", "tags around words of another topic, three times", _tags_again),
)
"""Name, words, and the text that is made of a real completion's form. It must be worth more than no text."""
