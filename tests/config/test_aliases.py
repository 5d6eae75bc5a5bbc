"""Other tools' spellings lead to places and values that exist here."""

import pytest

from rlctl.config import aliases
from rlctl.config.config import Config
from rlctl.config.load import config_from_dict
from rlctl.config.shape import Place, keys_below, place_of_field, root, section_name
from rlctl.errors import ConfigError, dotted

PLACES = {section_name(path) for path, _ in keys_below(Config)}
FIELDS = {section_name(path): field for path, field in keys_below(Config)}


def test_every_place_exists() -> None:
    places = {answer.partition("; ")[0] for answer in aliases.SPELLINGS} - {""}
    assert places - PLACES == set()


def test_every_place_of_a_section_exists() -> None:
    for (section, _), answer in aliases.KEYS_IN.items():
        place = answer.partition("; ")[0]
        assert section in PLACES
        assert place in PLACES or f"{section}.{place}" in PLACES


def test_no_spelling_is_ours_already_at_the_same_place() -> None:
    for word, answer in aliases.KEYS.items():
        assert answer.partition("; ")[0] != word


def test_every_value_is_a_choice() -> None:
    for place, answers in aliases.VALUES.items():
        listed = place_of_field(FIELDS[place]).only("list")
        field = Place((listed,)).child(0) if listed else place_of_field(FIELDS[place])
        choices = {str(one) for part in choice_places(place, field) for one in part}
        for ours in answers:
            assert ours.partition("`")[0] in choices | {"grpo"}, (place, ours)


def choice_places(place: str, field: Place) -> list[tuple[object, ...]]:
    """Choices at a place; those of every type where there are several."""
    named = [
        place_of_field(one).only("choice") for path, one in keys_below(Config) if section_name(path) == place
    ]
    return [one.choices for one in (*named, field.only("choice")) if one]


@pytest.mark.parametrize(
    ("key", "ours"),
    [
        ("base_model", "`model.path`"),
        ("wandb_project", "`tracking.project`"),
        ("max_new_tokens", "`generation.max_completion_length`"),
        ("lr", "`training.learning_rate`"),
        ("Learning-Rate", "learning_rate"),
        ("n_samples_per_prompt", "`algorithm.num_generations`"),
        ("rollout_batch_size", "`training.prompts_per_step`"),
        ("num_train_epochs", "`training.num_epochs`"),
        ("use_vllm", "generation runs on transformers"),
        ("output_dir", "belongs under `run`"),
        ("components", "belongs under `rewards`"),
        ("delta", "put it under `algorithm.trl`"),
    ],
)
def test_answers_at_the_top_level(key: str, ours: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config_from_dict({key: 1})
    said = {dotted(one.path): one.suggestion or "" for one in caught.value.problems}
    assert ours in said[key]


def test_root_is_a_section() -> None:
    assert root(Config).classes() == (Config,)
