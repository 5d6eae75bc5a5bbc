"""Prompt templates."""

import pytest

from rlctl.data.template import check_columns, fill, template_columns
from rlctl.errors import DataError


def test_columns_braces_and_numbers() -> None:
    template = "{{q}}: {question} ({the unit}, {question})"
    assert template_columns(template) == ["question", "the unit"]
    filled = fill(template, {"question": ["a", 2, 0.5], "the unit": ["m", "s", "{x}"]}, "here")
    assert filled == ["{q}: a (m, a)", "{q}: 2 (s, 2)", "{q}: 0.5 ({x}, 0.5)"]


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{qestion}", "no column 'qestion'\n  did you mean 'question'"),
        ("{question", "braces do not match"),
        ("question}", "braces do not match"),
        ("{}", "{} is no placeholder"),
        ("{question!r}", "{question!r} is no placeholder"),
        ("{question:>9}", "{question:>9} is no placeholder"),
        ('{"a": 1} {question}', "is no placeholder"),
        ("Say something.", "every prompt would be the same"),
    ],
)
def test_mistakes(template: str, message: str) -> None:
    with pytest.raises(DataError) as caught:
        check_columns(template, ["question", "answer"])
    assert message in str(caught.value)


def test_a_row_without_the_value_is_named() -> None:
    with pytest.raises(DataError, match="row 2: column 'q', which the prompt needs, holds nothing"):
        fill("{q}", {"q": ["a", None]}, "here")
    with pytest.raises(DataError, match="row 1: column 'q', which the prompt needs, holds a list"):
        fill("{q}", {"q": [["a"]]}, "here")
