"""The words that tell good completions from bad ones."""

import numpy as np

from rlctl.calibration.keywords import keywords


def test_the_word_that_pays_is_found_in_sentences():
    texts = [
        f"We have {i} apples, {'therefore' if i % 3 == 0 else 'so'} it is {i} in all." for i in range(60)
    ]
    totals = np.array([float("therefore" in text) for text in texts])
    # Of all that tell as much, the longest: the word, its comma and what always stands around it.
    assert "therefore" in keywords(texts, totals)[0]
    assert len(keywords(texts, totals)) <= 3


def test_where_several_words_pay_all_are_found():
    words = ["amazing", "brilliant", "plain", "dull"]
    texts = [f"What {words[i % 4]} colours there are {i}" for i in range(80)]
    totals = np.array([float(i % 4 < 2) for i in range(80)])
    found = " ".join(keywords(texts, totals))
    assert "amazing" in found
    assert "brilliant" in found
    assert "dull" not in found


def test_a_piece_of_a_completion_without_words():
    texts = [("CC" if i % 2 else "N") + "c1ccccc1" * (i % 4 == 0) + "O" * (i % 5) for i in range(80)]
    totals = np.array([float("c1ccccc1" in text) for text in texts])
    assert "c1ccccc1" in keywords(texts, totals)[0]


def test_nothing_tells_where_all_are_alike_or_nothing_is_scored():
    assert keywords(["a b c", "d e f"], np.array([1.0, 1.0])) == []
    assert keywords(["a b c"], np.array([np.nan])) == []
    assert keywords([], np.zeros(0)) == []
    texts = [f"the answer to it is {i}" for i in range(100)]
    assert keywords(texts, np.array([i % 2 for i in range(100)], dtype=float)) == []


def test_what_was_not_scored_is_low():
    texts = ["yes it is so"] * 4 + ["no it is not"] * 4
    assert "yes" in keywords(texts, np.array([1.0] * 4 + [np.nan] * 4))[0]
