"""Words that pay: those that high-scoring completions have and low-scoring ones lack."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from rlctl.calibration.table import Floats

MOST = 3
"""Keywords at most."""
DIFFERENCE = 0.25
"""How much larger the share of high-scoring completions that hold it must be."""
READ = 200
"""Completions of either kind that are read, and words (or characters) of each."""
WORDS, CHARACTERS = range(1, 4), range(3, 11)
"""Lengths of n-grams: in words; where completions are a word or two, such as a molecule, in characters."""
_WORD = re.compile(r"</?\w+>|\w+|[^\w\s]")


def keywords(texts: Sequence[str], totals: Floats) -> list[str]:
    """N-grams that tell the best tenth of the completions from the worst, the most telling first.

    Args:
        texts: N completions.
        totals: (N,) their totals; NaN, for those that were not scored, is low.
    """
    known = totals[~np.isnan(totals)]
    if not len(known):
        return []
    worst, best = np.quantile(known, [0.1, 0.9])
    if not best > worst:
        best = known.max()
        worst = known[known < best].max() if np.any(known < best) else -np.inf
    high = _spread([text for text, total in zip(texts, totals, strict=True) if total >= best])
    low = _spread([text for text, total in zip(texts, totals, strict=True) if not total > worst])
    if not high or not low:
        return []
    by_words = np.median([len(text.split()) for text in high]) > 2
    in_high, in_low = (Counter(gram for text in of for gram in _grams(text, by_words)) for of in (high, low))
    telling = {gram: count / len(high) - in_low[gram] / len(low) for gram, count in in_high.items()}
    # Of those that tell about as much, the longest: a part of a word may be in it by chance.
    order = sorted(telling, key=lambda gram: (-round(telling[gram] * 50), -len(gram), gram))
    chosen: list[str] = []
    for gram in order:
        if telling[gram] < DIFFERENCE or len(chosen) == MOST:
            break
        if not any(gram in other or other in gram for other in chosen):
            chosen.append(gram)
    return chosen


def _spread(texts: Sequence[str]) -> list[str]:
    places = np.linspace(0, len(texts) - 1, min(READ, len(texts))).astype(int)
    return [texts[i] for i in places]


def _grams(text: str, by_words: bool) -> set[str]:
    return set(_of_words(text) if by_words else _of_characters(text[:READ]))


def _of_words(text: str) -> Iterator[str]:
    spans = [found.span() for found, _ in zip(_WORD.finditer(text), range(READ), strict=False)]
    for n in WORDS:
        for first, last in zip(spans, spans[n - 1 :], strict=False):
            yield text[first[0] : last[1]]


def _of_characters(text: str) -> Iterator[str]:
    for n in CHARACTERS:
        for start in range(len(text) - n + 1):
            yield text[start : start + n]
