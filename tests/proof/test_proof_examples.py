"""Which prompts a proof shows."""

from rlctl.proof.examples import choose, rule


def test_chosen_by_difference_then_by_place():
    base = [0.0, 0.0, 0.5, 1.0, 0.5, 0.0, 0.0, None, 0.2, 0.2, 0.2, 0.2, 1.0]
    first = [1.0, 0.5, 0.5, 0.0, 0.0, 1.0, 0.5, 1.0, 0.2, 0.2, 0.2, 0.2, None]
    second = [1.0, 1.0, 0.5, 0.0, 0.5, 1.0, 0.0, 1.0, 0.2, 0.2, 0.2, 0.2, 1.0]
    # means − base: 1, 0.75, 0, −1, −0.25, 1, 0.25, –, 0, 0, 0, 0, –
    found = [(one.kind, one.prompt, one.difference) for one in choose(base, [first, second])]
    assert found == [
        ("win", 0, 1.0),
        ("win", 5, 1.0),
        ("win", 1, 0.75),
        ("loss", 3, -1.0),
        ("loss", 4, -0.25),
        ("tie", 2, 0.0),
        ("tie", 8, 0.0),
        ("tie", 9, 0.0),
    ]


def test_the_rule_says_what_is_shown():
    assert "the first 4 samples are shown" in rule("reward", 42)
    assert "the greedy completion is shown" in rule("greedy_pass", 42)
