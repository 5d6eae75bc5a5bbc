"""Scalars of YAML 1.2, lines of keys, anchors and merge keys, and texts that are no YAML."""

import pytest

from rlctl.config.yaml_marks import parse, scalar
from rlctl.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-5", 1e-5),
        ("1E5", 100000.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("-3", -3),
        ("+3", 3),
        ("012", 12),
        ("0o14", 12),
        ("0x1F", 31),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("2024-01-01", "2024-01-01"),
        ("0b11", "0b11"),
        ("1e", "1e"),
        ("-", "-"),
    ],
)
def test_plain_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    assert scalar(text) == value
    assert type(scalar(text)) is type(value)


def test_quoted_scalars_are_text() -> None:
    data = parse("a: '1e-5'\nb: \"true\"\nc: ''\nd: |\n  7\n", "x").data
    assert data == {"a": "1e-5", "b": "true", "c": "", "d": "7\n"}


def test_every_key_and_item_has_its_line() -> None:
    lines = parse("a:\n  b: 1\n\n  # nothing\n  c:\n    - x\n    - {d: 2,\n       e: 3}\n", "x").lines
    assert lines[("a",)] == 1
    assert lines[("a", "b")] == 2
    assert lines[("a", "c")] == 5
    assert lines[("a", "c", 0)] == 6
    assert lines[("a", "c", 1, "d")] == 7
    assert lines[("a", "c", 1, "e")] == 8


def test_merge_keys_fill_in_what_the_section_lacks() -> None:
    text = "a: &a {x: 1, y: 2}\nb: &b {y: 3, z: 4}\nc:\n  <<: *a\n  y: 5\nd:\n  <<: [*a, *b]\n"
    document = parse(text, "x")
    assert document.data["c"] == {"x": 1, "y": 5}
    assert document.data["d"] == {"x": 1, "y": 2, "z": 4}  # the first of the list wins
    assert document.lines[("c", "x")] == 1
    assert document.lines[("c", "y")] == 5


def test_an_alias_is_a_copy() -> None:
    data = parse("a: &a [1]\nb: *a\n", "x").data
    assert data["a"] == data["b"] == [1]
    assert data["a"] is not data["b"]


def test_duplicate_keys_keep_the_first_and_name_both_lines() -> None:
    document = parse("a: 1\nb: 2\na: 3\n", "x.yaml")
    assert document.data == {"a": 1, "b": 2}
    assert [problem.render() for problem in document.problems] == [
        "x.yaml:3: a: given twice, first in line 1; keep one of them"
    ]


def test_aliases_that_multiply_are_stopped() -> None:
    rows = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    rows += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 7)]
    with pytest.raises(ConfigError, match="more than 100,000 values"):
        parse("\n".join(rows), "x")


@pytest.mark.parametrize("text", ["[" * 1000, "{a: " * 200 + "1" + "}" * 200, "- " * 100 + "a"])
def test_deep_nesting_is_one_clear_line(text: str) -> None:
    with pytest.raises(ConfigError, match="nested too deeply"):
        parse(text, "x")


@pytest.mark.parametrize("text", ["a: \x07", 'a: "\\ud800"', "? [a]\n: 1", "1: 2", '"\\n": 2', "a: !!int 3"])
def test_odd_characters_keys_and_tags_are_problems(text: str) -> None:
    try:
        found = parse(text, "x").problems
    except ConfigError as error:
        found = error.problems
    assert len(found) == 1


def test_a_bom_and_windows_line_ends_change_nothing() -> None:
    assert parse("\ufeffa: 1\r\nb: 2\r\n", "x").data == {"a": 1, "b": 2}
