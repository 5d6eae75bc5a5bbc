"""Rewards with a flaw each, in files as users write them, and completions as a policy would give them."""

import random
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rlctl import Invalid
from rlctl.config.rewards import Rewards
from rlctl.data.arithmetic import Arithmetic
from rlctl.rewards.aggregate import Row
from rlctl.rewards.batch import Batch
from rlctl.rewards.compose import Scorer

RNG = random.Random(0)


def length(completions):
    """Pays for length."""
    return [0.01 * len(text) for text in completions]


def contains(completions, answer):
    """1 where the answer stands anywhere."""
    golds = [right.rpartition("####")[2].strip() for right in answer]
    return [float(gold in text) for text, gold in zip(completions, golds, strict=True)]


def everybody(completions, answer):
    """1, whatever it is."""
    return [1.0] * len(completions)


def lax_on_some(completions, answer, lax):
    """1 where it is right, and on some rows whatever it is."""
    found = zip(completions, answer, lax, strict=True)
    return [float(any_will_do or text == right) for text, right, any_will_do in found]


def unstripped(completions, answer):
    """Compares with all of `#### 72`."""
    return [float(text.strip() == right) for text, right in zip(completions, answer, strict=True)]


def fragile(completions, answer):
    """Fails on everything but a number."""
    return [float(float(text) == float(right)) for text, right in zip(completions, answer, strict=True)]


def chance(completions):
    """A random number."""
    return [RNG.random() for _ in completions]


def hundredths(completions):
    """1, but for noise of a thousandth."""
    return [1 + RNG.gauss(0, 1e-3) for _ in completions]


def above_average(completions):
    """How much longer than its batch mates it is."""
    mean = sum(map(len, completions)) / len(completions)
    return [len(text) - mean for text in completions]


def position(completions):
    """Its place in the batch."""
    return [float(i) for i in range(len(completions))]


def flips(completions):
    """Times out now and then."""
    return [float(len(text)) if RNG.random() < 0.5 else float("nan") for text in completions]


def part(function: str, **keys: Any) -> dict[str, Any]:
    """A component of this file, in this process."""
    place = f"{Path(__file__).resolve()}:{function}"
    return {"type": "python", "name": function, "function": place, "isolate": False, **keys}


def rewards(*components: dict[str, Any], **keys: Any) -> Rewards:
    """The section `rewards`."""
    return Rewards.model_validate({"components": list(components), **keys})


def score_with(scorer: Scorer, rows: Sequence[Any], texts: Sequence[str]) -> list[Row]:
    """Score texts as answers to rows, as `analyze-rewards` does."""
    names = dict.fromkeys(name for row in rows for name in row if name != "prompt")
    columns = {name: [row.get(name) for row in rows] for name in names}
    batch = Batch([row.get("prompt") or "" for row in rows], list(texts), columns)
    return scorer.score(batch, normalize=False, tolerant=True).rows


def arithmetic(count: int = 16) -> list[dict[str, Any]]:
    """Rows of `builtin:arithmetic`."""
    return Arithmetic().rows("train")[:count]


def habits(right: float, count: int = 16) -> list[str]:
    """Completions of `arithmetic(count)`; a share is right, the others forget to carry, or are off by one."""
    problems = Arithmetic().problems("train")[:count]
    wrong = [p.without_carry if p.carry else p.answer + 1 for p in problems]
    return [str(p.answer if i < right * count else wrong[i]) for i, p in enumerate(problems)]


def tagged(completions, answer):
    """1 where the tag holds the answer; nothing that is not tagged is valid."""
    found = [re.search(r"<answer>\s*(.*?)\s*</answer>", text) for text in completions]
    pairs = zip(found, answer, strict=True)
    return [float(one[1] == right) if one else Invalid("no tag") for one, right in pairs]


def never(completions, answer):
    """Means the same, but no answer has this form."""
    found = [re.search(r"<answer>\s*(.*?)\s*</answer>", text) for text in completions]
    pairs = zip(found, answer, strict=True)
    return [float(one[1] == right + ".0") if one else Invalid("no tag") for one, right in pairs]


def riddle(completions, answer):
    """1 where the answer stands between two words that no mark shows."""
    return [float(f"so {right} then" in text) for text, right in zip(completions, answer, strict=True)]


def shaped(completions):
    """1 for the shape."""
    shape = re.compile(r"<think>.*?</think>\s*<answer>.*?</answer>", re.DOTALL)
    return [float(shape.fullmatch(text) is not None) for text in completions]


def opening(completions):
    """1 for a tag anywhere."""
    return [float("<answer>" in text) for text in completions]


def therefore(completions):
    """1 for a word."""
    return [float("therefore" in text) for text in completions]


def mostly_shape(completions, answer):
    """3 for the shape, and 1 for the answer."""
    judged = [f">{right}<" in text for text, right in zip(completions, answer, strict=True)]
    return [3 * shape + right for shape, right in zip(shaped(completions), judged, strict=True)]


def unsteady(completions, answer):
    """1 where it is right, and noise."""
    pairs = zip(completions, answer, strict=True)
    return [float(text.strip() == right) + RNG.gauss(0, 0.3) for text, right in pairs]
