r"""The one number that an answer states, for gold answers that are numbers. Text work in linear time.

Math-Verify takes the first or the last thing that it can read, so "not 72", "72 million" and "70 71 72" would
count as 72. Here an answer is one number, or an expression for Math-Verify, or wrong because it is several
numbers, a denial or a bound.
"""

import re
from dataclasses import dataclass
from fractions import Fraction

from rlctl.rewards.answers import Answer

PLACES = 6
"""Math-Verify compares decimal numbers after rounding to as many places."""

_MOST_DIGITS = 40
_DIGITS = r"(?:[1-9]\d{0,2}(?:,\d{3})+(?!\d)|\d{1,3}(?: \d{3})+(?!\d)|\d+)"
_NUMBER = re.compile(r"(?:\*\*|\\?\$)*\s*(-?(?:[1-9]\d{0,2}(?:,\d{3})+|\d+)(?:\.\d+)?)\s*\$?\.?(?:\*\*)?\.?")
_POWERS = {"k": 3, "hundred": 2, "thousand": 3, "million": 6, "M": 6, "mn": 6, "billion": 9, "B": 9, "bn": 9}
_POWERS |= {"K": 3, "trillion": 12}
_NUMERAL = re.compile(
    r"(?P<sign>(?:(?<![\w)])-|\b(?:minus|negative)\s)?)[€£¥]?"
    rf"(?:(?P<whole>\d+) (?P<top>\d+)/(?P<bottom>\d+)|(?P<number>{_DIGITS}(?:\.\d+)?|\.\d+)"
    r"(?:/(?P<over>\d+))?)"
    r"(?:(?P<suffix>[kKMB]|mn|bn)\b|\s?(?P<word>hundred|thousand|million|billion|trillion)\b)?"
    r"(?:\s?(?P<percent>\\?%|percent\b))?"
)
_UNIT = re.compile(r"[\s-]*([A-Za-z]{2,})")
_MORE = re.compile(r"\s+and\s+(?:a|an|one|two|three)\s|\s+(?:squared|cubed|factorial)\b")
_NEGATION = re.compile(
    r"(?i)\b(?:not|no|never|cannot|neither|nor|except|excluding|but|besides|wrong|incorrect|false)\b|n['’]t\b"
)
_BOUND = re.compile(
    r"(?i)\bat (?:most|least)\b|\bor (?:more|less|fewer|higher|lower|greater|over|under)\b"
    r"|\bthan\b[^\d]{0,40}\d"
    r"|\b(?:under|over|below|above|beyond|up to|exceeds|exceeding|maximum of|minimum of)\s[$€£¥\s]{0,4}\d"
)
_COMPARED = re.compile(
    r"!=|[<>≤≥≠]|\\(?:n?[gl](?:eq(?:q|slant)?|e|t)|n?eq?|not|lneq|gneq|n?less|n?gtr)(?![A-Za-z])"
)
_EQUALS = re.compile(r"=|≈|\\approx(?![A-Za-z])")
_OPERATOR = re.compile(r"[+\-*/×÷·^]|\\(?:times|div|cdot|[dt]?frac|sqrt)")
_VARIABLE = re.compile(r"(?<![A-Za-z\\'’])[b-zB-HJ-Z](?![A-Za-z])")
_FUNCTION = re.compile(r"(?i)\b(?:sqrt|cbrt|root|pi|sin|cos|tan|log|ln|exp)\b")
_DIGIT = re.compile(r"\d")
_FRACTION = re.compile(r"\\[dt]?frac\{(\d+)\}\{(\d+)\}|\\[dt]?frac(\d)(\d)")
_COMMAND = re.compile(r"\\[A-Za-z]+")
_WORD = re.compile(r"[A-Za-z]{2,}")
_SPAN = re.compile(r"\$([^$]*)\$|\\\(((?:[^\\]|\\(?![()]))*)\\\)")
_SEVERAL = re.compile(r"[,;]|\d\s+\d")
_REWRITES = (
    (re.compile(r"<<[^<>]*>>|</?[A-Za-z]{1,6}>|\\(?:left|right|displaystyle)(?![A-Za-z])"), ""),
    (re.compile(r"\\(?:text|mathrm|textbf|mathbf|textit|mbox)\{([^{}]*)\}"), r" \1"),
    (re.compile(r"\{,\}"), ","),
    (re.compile(r"\\[,!]"), ""),
    (re.compile(r"\\[;: ]|~"), " "),
    (re.compile(r"[-=]>|→|⇒|\\(?:Rightarrow|rightarrow|implies)(?![A-Za-z])"), "="),
    (re.compile("[−–]"), "-"),
    (re.compile("²"), "^2"),
    (re.compile("³"), "^3"),
)
_MARKS = re.compile(r"\*\*|`|__|\\?\$|\\[()\[\]]")
_TIMES = re.compile(r"(?<=\d)\s*x\s*(?=\d)")


@dataclass(frozen=True)
class Number:
    """A number as somebody wrote it.

    Args:
        value: Its value, "million" and the like included, a percent sign not.
        percent: Whether it has a percent sign.
        unit: The word after it, in small letters and without a plural s; "" without one.
    """

    value: Fraction
    percent: bool = False
    unit: str = ""


def plain_number(text: str) -> Number | None:
    """A text that is one plain number (`72`, `$1,234.50`, `**-3**`), else None."""
    match = _NUMBER.fullmatch(text.strip())
    if match is None or len(match[1]) > _MOST_DIGITS:
        return None
    return Number(Fraction(match[1].replace(",", "")))


def equal(gold: Number, answer: Number) -> bool:
    """Whether two numbers are the same to six places, and their units where both have one.

    A percent sign on one side only is left out, as GSM8K leaves it out, unless the other side is between −1
    and 1: `72 %` is 72, and it is 0.72, but `7200 %` is not 72.
    """
    if gold.unit and answer.unit and gold.unit != answer.unit:
        return False
    a, b = gold.value, answer.value
    if gold.percent and not answer.percent and abs(b) < 1:
        a /= 100
    if answer.percent and not gold.percent and abs(a) < 1:
        b /= 100
    return a == b or (abs(a - b) < 1 and round(a, PLACES) == round(b, PLACES))


def gold_number(gold: Answer) -> Number | None:
    """The number that a gold answer is, with the unit beside it; None where it is anything else."""
    plain = plain_number(gold.text)
    if plain is not None:
        return plain
    text = _bare(gold.text)
    match = _NUMERAL.match(text)
    if match is None:
        return None
    number, rest = _number(match), text[match.end() :].strip()
    if rest and (not _WORD.match(rest) or re.search(r"[^A-Za-z\s-]", rest) or _FUNCTION.match(rest)):
        return None
    return number


def read(answer: Answer) -> Number | Answer | None:
    """What an answer says where a number is asked for.

    Returns:
        The number, or an expression for Math-Verify; None where it is no one value: several numbers, a
        denial, a bound, or an equation that is not solved. Of `40 + 32 = 72` the last side counts.
    """
    plain = plain_number(answer.text)
    if plain is not None:
        return plain
    text = _rewritten(answer.text)
    if _denied(text):
        return None
    side = _last_side(_TIMES.sub("*", _MARKS.sub("", text)).strip()) if _EQUALS.search(text) else text
    if side is None:
        return None
    bare = _bare(side)
    clean = _NUMERAL.fullmatch(bare)
    if clean:
        return _number(clean) or Answer(bare, boxed=True)
    if not _WORD.search(_COMMAND.sub(" ", bare)):
        return None if _SEVERAL.search(_joined(bare)) else Answer(bare, boxed=True)
    return _from_prose(side, bare)


def canonical(answer: Answer) -> str:
    r"""An answer as a text that equal numbers share: `7.0`, `$7$` and `x = 7` are `7`, `\frac12` is `1/2`.

    Units and percent signs are left out, as they are where only one of two answers has them. Whatever is not
    one number is the text itself, without space, marks of Markdown and LaTeX, and the punctuation after it.
    """
    text = _FRACTION.sub(lambda match: "{}/{}".format(*(one for one in match.groups() if one)), answer.text)
    said = read(Answer(text, answer.boxed))
    if isinstance(said, Number):
        return str(round(said.value, PLACES))
    return re.sub(r"\s", "", _bare(text)) or text


def denied(answer: Answer, gold: Answer) -> bool:
    """Whether an answer denies or bounds a value where the gold answer does not."""
    return _denied(_rewritten(answer.text)) and not _denied(_rewritten(gold.text))


def _denied(text: str) -> bool:
    return any(pattern.search(text) for pattern in (_COMPARED, _NEGATION, _BOUND))


def _from_prose(side: str, bare: str) -> Number | Answer | None:
    spans = list(_SPAN.finditer(side))
    if len(spans) == 1 and _OPERATOR.search(formula := spans[0][1] or spans[0][2] or ""):
        outside = side[: spans[0].start()] + side[spans[0].end() :]
        return None if _DIGIT.search(outside) else Answer(formula, boxed=True)
    if _FUNCTION.search(bare) or not _DIGIT.search(bare):
        return Answer(side)
    found = list(_NUMERAL.finditer(bare))
    numbers = [_number(match) for match in found]
    first = numbers[0]
    if first is None or any(_MORE.match(bare, match.end()) for match in found):
        return None
    same = all(one and (one.value, one.percent) == (first.value, first.percent) for one in numbers)
    return first if same else None


def _last_side(text: str) -> str | None:
    """The result at the end of `… = …`; None where the sides contradict each other or hold an unknown."""
    sides = [side.strip() for side in _EQUALS.split(text) if side.strip()]
    while len(sides) > 1 and not _DIGIT.search(sides[-1]) and _NUMERAL.fullmatch(_bare(sides[-2])):
        if not sides[-1][:1].isalpha():
            return None
        sides.pop()
    if not sides:
        return None
    results = {one.value for one in map(_number, _NUMERAL.finditer(_bare(sides[-1]))) if one}
    for side in sides[:-1]:
        operator = _OPERATOR.search(side)
        numbers = {one.value for one in map(_number, _NUMERAL.finditer(_bare(side))) if one}
        if (operator or numbers) and _VARIABLE.search(_COMMAND.sub(" ", side)):
            return None
        if numbers and not operator and not numbers <= results:
            return None
    return sides[-1]


def _number(match: re.Match[str]) -> Number | None:
    """The number of a numeral; None where it has too many digits, or a zero below its fraction bar."""
    if len(match[0]) > 2 * _MOST_DIGITS:
        return None
    top, bottom = match["top"] or "0", match["bottom"] or match["over"] or "1"
    if int(bottom) == 0:
        return None
    if match["whole"]:
        value = int(match["whole"]) + Fraction(int(top), int(bottom))
    else:
        value = Fraction(re.sub(r"[, ]", "", match["number"])) / int(bottom)
    value *= 10 ** _POWERS.get(match["suffix"] or match["word"] or "", 0)
    unit = _UNIT.match(match.string, match.end())
    word = unit[1].lower().removesuffix("s") if unit else ""
    return Number(-value if match["sign"] else value, bool(match["percent"]), word)


def _rewritten(text: str) -> str:
    for pattern, replacement in _REWRITES:
        text = pattern.sub(replacement, text)
    return text


def _bare(text: str) -> str:
    """Without marks of Markdown and LaTeX around the value, and without the punctuation after it."""
    text = _MARKS.sub("", _rewritten(text)).strip().rstrip(" .?,;:")
    return text.rstrip(") ") if text.count(")") > text.count("(") else text


def _joined(text: str) -> str:
    """Groups of thousands made one run of digits, so that the commas that are left separate values."""
    return re.sub(_DIGITS, lambda match: re.sub(r"[, ]", "", match[0]), text)
