"""From the data's column names to those that rlctl and the rewards use."""

from collections.abc import Iterable, Mapping, Sequence

from rlctl.errors import DataError
from rlctl.registry import did_you_mean

REWARD_ARGUMENTS = frozenset(
    {
        "prompts",
        "completion",
        "completions",
        "completion_ids",
        "trainer_state",
        "log_extra",
        "log_metric",
        "environments",
        "image",
        "images",
    }
)
"""Names that TRL gives to a reward itself, or takes for pictures; such a column never reaches a reward."""

PROMPT_NAMES = ("question", "problem", "instruction", "query", "input", "text", "messages", "conversation")
"""What other data sets call their prompts."""


def merge_mappings(
    common: Mapping[str, str], own: Sequence[Mapping[str, str] | None], columns: Sequence[Sequence[str]]
) -> list[dict[str, str]]:
    """The mapping of each source: `data.columns`, and its own over it.

    A name of `data.columns` that a source does not have is left out there, as long as another source has it.

    Args:
        common: `data.columns`: name in rlctl → column of the data.
        own: `columns` of each source.
        columns: The columns that each source has.

    Raises:
        DataError: A name is reserved, or a column does not exist.
    """
    for name in [*common, *(name for mapping in own for name in mapping or {})]:
        if name in REWARD_ARGUMENTS:
            hint = "choose another name; a reward gets it as an argument of that name"
            raise DataError(f"{name!r} means something else to a reward", where="data.columns", hint=hint)
    for column in common.values():
        if not any(column in present for present in columns):
            raise missing_column(column, [name for present in columns for name in present], "data.columns")
    merged = []
    for mapping, present in zip(own, columns, strict=True):
        for column in (mapping or {}).values():
            if column not in present:
                raise missing_column(column, present, "columns of a source")
        shared = {name: column for name, column in common.items() if column in present}
        merged.append({**shared, **(mapping or {})})
    return merged


def missing_column(column: str, present: Iterable[str], where: str) -> DataError:
    """`no column 'qestion'`, with the one that was probably meant."""
    present = list(dict.fromkeys(present))
    hint = did_you_mean(column, present) or f"columns are {', '.join(map(repr, present))}"
    return DataError(f"the data has no column {column!r}", where=where, hint=hint)


def no_prompt(present: Sequence[str], where: str) -> DataError:
    """The data has no column `prompt`, and nothing says which one it is."""
    likely = next((name for name in PROMPT_NAMES if name in present), None)
    hint = f"set `data.columns: {{prompt: {likely or 'COLUMN'}}}` or `data.prompt_template`"
    return DataError(f"no column 'prompt' among {', '.join(map(repr, present))}", where=where, hint=hint)


def renamed(mapping: Mapping[str, str], present: Sequence[str]) -> dict[str, str]:
    """Name that the rewards see → column of the data, without `prompt` and reserved names.

    A mapped column goes by its new name only. Where another column had that name, the mapped one wins.
    """
    taken = set(mapping.values())
    kept = {column: column for column in present if column not in mapping and column not in taken}
    hidden = REWARD_ARGUMENTS | {"prompt"}
    return {name: column for name, column in {**kept, **mapping}.items() if name not in hidden}


def shadowed(mapping: Mapping[str, str], present: Sequence[str]) -> list[str]:
    """Columns of the data that nobody can reach, because another column got their name."""
    return [name for name, column in mapping.items() if name in present and name not in mapping.values()]
