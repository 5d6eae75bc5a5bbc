"""The JSON Schema: complete, described, and accepting exactly the shape that the loader accepts."""

import json

from rlctl.config import catalogue
from rlctl.config.base import Section
from rlctl.config.config import Config
from rlctl.config.schema import keys, render, schema
from rlctl.config.shape import keys_below


def properties():
    found = schema()
    for name, definition in [("Config", found), *found["$defs"].items()]:
        for key, item in definition.get("properties", {}).items():
            yield f"{name}.{key}", item, found


def test_every_key_has_a_one_line_description():
    for place, item, found in properties():
        reference = item.get("$ref", "").removeprefix("#/$defs/")
        text = item.get("description") or found["$defs"].get(reference, {}).get("description", "")
        assert len(text) > 3, place
        assert "\n" not in item.get("description", ""), place


def test_every_key_of_the_sections_is_described_for_people():
    for path, field in keys_below(Config):
        assert field.description, path


def test_sections_are_closed():
    for name, definition in schema()["$defs"].items():
        assert definition["additionalProperties"] is False, name


def test_trl_arguments_are_offered_and_nothing_else():
    trl = schema()["$defs"]["Grpo"]["properties"]["trl"]
    assert trl["properties"].keys() == catalogue.passed_through("grpo").keys()
    assert trl["additionalProperties"] is False
    beta1 = trl["properties"]["adam_beta1"]
    assert beta1.pop("description").startswith("The exponential decay rate for the first moment")
    assert beta1 == {"type": "number", "minimum": 0, "exclusiveMaximum": 1, "default": 0.9}
    pad = trl["properties"]["pad_to_multiple_of"]["anyOf"]
    assert pad == [{"type": "integer", "minimum": 1}, {"type": "string", "enum": ["auto"]}, {"type": "null"}]


def test_one_source_or_a_list_of_them():
    train = schema()["$defs"]["Data"]["properties"]["train"]
    assert {"$ref": "#/$defs/Source"} in train["anyOf"]
    assert {"type": "array", "items": {"$ref": "#/$defs/Source"}} in train["anyOf"]


def test_a_default_that_comes_from_another_key_is_not_claimed():
    assert "default" not in schema()["$defs"]["Length"]["properties"]["name"]


def test_text_ends_with_a_line_break_and_reads_back():
    assert render().endswith("}\n")
    assert json.loads(render()) == schema()


def test_keys_in_words():
    class Example(Section):
        many: list[int] = []
        """Some numbers."""
        name: str | None = None
        """A word,
        or none."""
        must: bool
        """Needed."""

    many, name, must = keys(Example)
    assert (many.kind, many.default) == ("a list of a whole number", "[]")
    assert (name.kind, name.default, name.description) == ("text", "null", "A word, or none.")
    assert (must.kind, must.default) == ("true or false", None)
