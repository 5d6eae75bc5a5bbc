"""A number put into a YAML, whose every other byte stays."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlctl.config.edit import replace_value, shortest
from rlctl.config.yaml_marks import parse
from rlctl.errors import ConfigError

PENALTY = ("rewards", "invalid_penalty")
CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))


def edited(text: str, value: float = -1.87) -> str:
    return replace_value(text, PENALTY, value)


@pytest.mark.parametrize(
    ("value", "written"),
    [(-1.87, "-1.87"), (-2.0, "-2"), (-1.23456789, "-1.23457"), (0.0, "0"), (-0.0, "0"), (1e-7, "1e-07")],
)
def test_numbers_are_written_shortest(value: float, written: str) -> None:
    assert shortest(value) == written


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_none_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="not a finite number"):
        edited("rewards: {invalid_penalty: 1}", value)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # A scalar of any kind, in a block or in a flow mapping, with what stands around it.
        ("rewards:\n  invalid_penalty: -2.0   # why\n  scale: 1\n", "{0}-1.87   # why\n  scale: 1\n"),
        ("rewards:\n  invalid_penalty:   -2.0", "rewards:\n  invalid_penalty:   -1.87"),
        ("rewards:\n    'invalid_penalty': \"auto\"\n", "rewards:\n    'invalid_penalty': -1.87\n"),
        ("rewards: {scale: 1, invalid_penalty: auto}\n", "rewards: {scale: 1, invalid_penalty: -1.87}\n"),
        ('{"rewards":{"invalid_penalty":-2,"a":1}}', '{"rewards":{"invalid_penalty":-1.87,"a":1}}'),
        ("rewards:\r\n  invalid_penalty: 1\r\n  scale: 2\r\n", "{0}-1.87\r\n  scale: 2\r\n"),
        ("\ufeffrewards:\n  invalid_penalty: 1\n", "{0}-1.87\n"),
        ("%YAML 1.2\n---\nrewards:\n  invalid_penalty: 1\n...\n", "{0}-1.87\n...\n"),
        ("rewards:\n  invalid_penalty: &p -2.0  # named\n", "{0}&p -1.87  # named\n"),
        ("rewards:\n  ? invalid_penalty\n  : 1 # c\n", "rewards:\n  ? invalid_penalty\n  : -1.87 # c\n"),
        ("rewards:\n  invalid_penalty: |  # c\n    1\n  scale: 2\n", "{0}-1.87  # c\n  scale: 2\n"),
        # Nothing written there yet.
        ("rewards:\n  invalid_penalty:  # to do\n  scale: 1\n", "{0}-1.87  # to do\n  scale: 1\n"),
        ("rewards: {invalid_penalty: , scale: 1}", "rewards: {invalid_penalty: -1.87 , scale: 1}"),
        ("rewards: {invalid_penalty, scale: 1}", "rewards: {invalid_penalty: -1.87, scale: 1}"),
        ("rewards: {invalid_penalty: ~}", "rewards: {invalid_penalty: -1.87}"),
        # A section in its place goes, its comments stay.
        ("rewards:\n  invalid_penalty: {per_group: 2.5}  # why\n", "{0}-1.87  # why\n"),
        ("rewards:\n  invalid_penalty:\n    per_group: 2.5\n  scale: 1\n", "{0}-1.87\n  scale: 1\n"),
        ("rewards:\n  invalid_penalty:\n    per_group: 2.5\n", "{0}-1.87\n"),
        ("rewards:\n  invalid_penalty:\n    per_group: 2.5", "rewards:\n  invalid_penalty: -1.87"),
        (
            "rewards:\n  invalid_penalty:  # one\n    # two\n    per_group: 2.5  # three\n\n  # four\n",
            "rewards:\n  invalid_penalty: -1.87  # one\n    # two\n    # three\n\n  # four\n",
        ),
        (
            "rewards:\n  invalid_penalty: {per_group: 2.5, # one\n    }\n  scale: 1 # two\n",
            "rewards:\n  invalid_penalty: -1.87  # one\n  scale: 1 # two\n",
        ),
        ("a: 1\nrewards: {invalid_penalty: {per_group: 2.5}, b: 1}\n", None),
    ],
)
def test_only_the_value_changes(before: str, after: str | None) -> None:
    """`{0}` stands for what comes before the value, and one space."""
    after = after or before.replace("{per_group: 2.5}", "-1.87")
    head = re.split(r"(?<=invalid_penalty:)", before)[0] + " "
    assert edited(before) == after.replace("{0}", head)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "run: {seed: 1}\nrewards:   # mine\n    # all\n    components: []\n",
            "run: {seed: 1}\nrewards:   # mine\n    invalid_penalty: -1.87\n    # all\n    components: []\n",
        ),
        ("rewards:\r\n  a: 1", "rewards:\r\n  invalid_penalty: -1.87\r\n  a: 1"),
        ("rewards: {a: 1}", "rewards: {invalid_penalty: -1.87, a: 1}"),
        ("rewards: {  # mine\n  a: 1}", "rewards: {  # mine\n  invalid_penalty: -1.87, a: 1}"),
        ("rewards: {}", "rewards: {invalid_penalty: -1.87}"),
        ("rewards:  # mine\na: 1\n", "rewards: {invalid_penalty: -1.87}  # mine\na: 1\n"),
        ("\ufeff# head\na: 1\n", "\ufeff# head\nrewards: {invalid_penalty: -1.87}\na: 1\n"),
        ("\ufeffa: 1", "\ufeffrewards: {invalid_penalty: -1.87}\na: 1"),
        ("{a: 1}", "{rewards: {invalid_penalty: -1.87}, a: 1}"),
        ("b: &b {}\nrewards:\n  <<: *b\n", "b: &b {}\nrewards:\n  invalid_penalty: -1.87\n  <<: *b\n"),
    ],
)  # fmt: skip
def test_a_missing_key_is_put_in(before: str, after: str) -> None:
    assert edited(before) == after


def test_a_key_that_comes_from_elsewhere_gets_an_own_one() -> None:
    """Own keys win over those of `<<`, so that the others who share it keep theirs."""
    text = "b: &b {invalid_penalty: -3}\nrewards: {<<: *b}\nother: {<<: *b}\n"
    assert parse(edited(text), "x").data == {
        "b": {"invalid_penalty": -3},
        "rewards": {"invalid_penalty": -1.87},
        "other": {"invalid_penalty": -3},
    }


def test_items_of_a_list_are_places_too() -> None:
    text = "a:\n  - x: 1\n    y: 2 # c\n  - 5\n  -\n"
    assert replace_value(text, ("a", 0, "y"), 3) == "a:\n  - x: 1\n    y: 3 # c\n  - 5\n  -\n"
    assert replace_value(text, ("a", 0, "z"), 3) == "a:\n  - z: 3\n    x: 1\n    y: 2 # c\n  - 5\n  -\n"
    assert replace_value(text, ("a", 0), 3) == "a:\n  - 3 # c\n  - 5\n  -\n"
    assert replace_value(text, ("a", 1), 3) == "a:\n  - x: 1\n    y: 2 # c\n  - 3\n  -\n"
    assert replace_value(text, ("a", 2), 3) == "a:\n  - x: 1\n    y: 2 # c\n  - 5\n  - 3\n"


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("p: &p -2\nrewards:\n  invalid_penalty: *p\n", 1, "an anchor lets one value serve several places"),
        ("rewards:\n  invalid_penalty: &p -2\nq: *p\n", 2, "an anchor lets one value serve several places"),
        ("rewards: &r\n  invalid_penalty: -2\nother:\n  <<: *r\n", 1, "an anchor lets one value serve"),
        ("a: &r {b: 1}\nrewards: *r\n", 1, "an anchor lets one value serve several places"),
        ("k: &k 2.5\nrewards: {invalid_penalty: {per_group: *k}}\n", 1, "an anchor lets one value serve"),
        ("b: &b {rewards: {a: 1}}\n<<: *b\n", None, "it cannot be changed alone"),
        ("rewards: -2\n", 1, "it would be below a value"),
        ("rewards: [1]\n", 1, "it would be below a value"),
        ("a: 1\na: 2\n", 2, "given twice"),
        ("a: [1\n", 1, "is not closed"),
        ("# nothing\n", None, "the YAML is empty"),
        ("", None, "the YAML is empty"),
        ("- 1\n", 1, "it would be below a value"),
    ],
)
def test_what_cannot_be_changed_alone_is_refused(text: str, line: int | None, says: str) -> None:
    with pytest.raises(ConfigError) as error:
        replace_value(text, PENALTY, -1.87, "my.yaml")
    problem = error.value.problems[0]
    assert problem.file == "my.yaml"
    assert says in problem.message
    assert problem.line == (line or problem.line)


def test_a_list_item_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match="there is no such list item"):
        replace_value("a: [1]\n", ("a", 1), 2)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_shipped_configs_change_in_one_line(path: Path) -> None:
    before = path.read_text(encoding="utf-8")
    after = edited(before)
    assert parse(after, "x").data["rewards"]["invalid_penalty"] == -1.87
    assert [one for one in before.splitlines() if one not in after.splitlines()] == [
        one for one in before.splitlines() if "invalid_penalty:" in one
    ]


NUMBERS = st.floats(-1e6, 1e6, allow_nan=False)
COMMENTS = st.sampled_from(["", " # one", "   # two: 'three' {"])
VALUES = st.sampled_from(
    ["-2.0", "auto", '"auto"', "'it''s # none'", "", "~", "{per_group: 2.5}", "{ per_group : 2.5 }", "[1, 2]"]
)
BLOCKS = st.sampled_from(
    ["\n    per_group: 2.5", "  # five\n\n    # six\n    per_group: 2.5", " >-\n    a\n    b"]
)
SIBLINGS = st.lists(
    st.sampled_from(
        [
            "  scale: 1.0",
            "  # a line of its own",
            "",
            "  text: |\n    # no comment\n    invalid_penalty: 5\n",
            "  components:\n  - {name: a, type: b} # first\n  - name: c # 2\n    text: 'invalid_penalty: 3'",
            '  "quoted # key": >-\n    folded\n\n    text',
            "  plain: over\n    two lines # seven",
            "  nothing:",
        ]
    ),
    unique=True,
    max_size=5,
)


@st.composite
def block_styles(draw: st.DrawFn) -> str:
    """A section in block style, with the key or without it."""
    before, after = draw(SIBLINGS), []
    if len(before) > 1:
        cut = draw(st.integers(0, len(before)))
        before, after = before[:cut], before[cut:]
    value = draw(st.one_of(VALUES.map(lambda one: f" {one}"), BLOCKS, st.none()))
    entry = (
        [] if value is None else [f"  invalid_penalty:{value}{draw(COMMENTS) if '>' not in value else ''}"]
    )
    return "\n".join([f"rewards:{draw(COMMENTS)}", *before, *entry, *after])


@st.composite
def flow_styles(draw: st.DrawFn) -> str:
    """The same in flow style."""
    parts = draw(
        st.lists(st.sampled_from(["scale: 1", "'quoted # key': [1, {b: 2}]", "nothing"]), unique=True)
    )
    value = draw(st.one_of(VALUES, st.sampled_from(["{per_group: 2.5, # eight\n    }"]), st.none()))
    if value is not None:
        parts.insert(draw(st.integers(0, len(parts))), f"invalid_penalty: {value}")
    gap = draw(st.sampled_from([", ", ",\n    ", ", # nine\n    "]))
    return f"rewards: {{{gap.join(parts)}}}{draw(COMMENTS)}"


@settings(max_examples=250, deadline=None)
@given(
    section=st.one_of(block_styles(), flow_styles()),
    around=st.tuples(
        st.sampled_from(["", "\ufeff"]),
        st.sampled_from(["", "# head\n", "%YAML 1.2\n---\n", "--- # head\n", "run: {seed: 1}  # before\n\n"]),
        st.sampled_from(["", "\n", "\n\n# tail\n", "\ndata:\n  # inside\n  limit: 3\n", "\n...\n"]),
    ),
    line_break=st.sampled_from(["\n", "\r\n"]),
    value=NUMBERS,
)
def test_the_rest_stays_whatever_the_layout(section, around, line_break, value) -> None:
    mark, head, tail = around
    text = f"{mark}{head}{section}{tail}".replace("\n", line_break)
    before = parse(text, "x")
    assert not before.problems
    after = edited(text, value)
    expected = before.data
    if expected["rewards"] is None:
        expected["rewards"] = {}
    expected["rewards"]["invalid_penalty"] = float(f"{value:.6g}")
    found = parse(after, "x")
    assert not found.problems
    assert found.data == expected
    assert comments(after) == comments(text)
    assert {*re.findall(r"\r?\n", after)} <= {line_break}
    assert after.startswith(f"{mark}{head}".replace("\n", line_break))
    assert after.endswith(tail.replace("\n", line_break))


def comments(text: str) -> list[str]:
    """All that looks like a comment, in quotes or not."""
    return sorted(re.findall(r"(?<!it''s )#[^\r\n}]*", text))
