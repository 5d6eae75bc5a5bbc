"""Length and repetition."""

import pytest

from rlctl.config.rewards import Rewards
from rlctl.errors import RewardError
from rlctl.rewards.compose import Batch, Scorer
from rlctl.rewards.shape import Length, Repetition


def test_length_is_the_count_up_to_max_and_minus_the_excess_above():
    length = Length(type="length", max=3.0).build()
    assert length(["", "", "", ""], completion_ids=[[], [5], [5, 5, 5], [5] * 5]) == [0, 1, 3, -2]
    assert Length(type="length").build()([""], completion_ids=[[5] * 5]) == [5]


def test_length_in_words_and_characters():
    assert Length(type="length", unit="words").build()(["two  words"]) == [2]
    assert Length(type="length", unit="characters").build()(["two  words"]) == [10]


def test_repetition_is_the_share_of_ngrams_seen_before():
    repetition = Repetition(type="repetition", ngram=2).build()
    # a b a b a: 4 bigrams, of which ab and ba are different.
    assert repetition(["a b a b a", "a b c", "a", ""]) == [0.5, 0, 0, 0]
    tokens = Repetition(type="repetition", ngram=2, unit="tokens").build()
    assert tokens([""], completion_ids=[[5, 5, 5, 5, 5]]) == [0.75]
    assert Repetition(type="repetition", ngram=1, unit="characters").build()(["aab"]) == [
        pytest.approx(1 / 3)
    ]


@pytest.fixture
def brevity() -> Rewards:
    return Rewards.model_validate({"components": [{"type": "length", "name": "brevity"}]})


def test_tokens_come_from_the_batch_else_from_the_tokenizer(brevity: Rewards):
    with Scorer(brevity, tokenize=lambda text: list(text.encode())) as scorer:
        assert scorer.score(Batch([""], ["abc"])).totals == [3]
        assert scorer.score(Batch([""], ["abc"], {"completion_ids": [[1, 2]]})).totals == [2]


def test_without_either_the_error_names_the_column(brevity: Rewards):
    with (
        Scorer(brevity) as scorer,
        pytest.raises(RewardError, match="'brevity' reads the column 'completion_ids'"),
    ):
        scorer.score(Batch([""], ["abc"]))
