"""What every section of the YAML has in common: strict, frozen, closed, and described by its docstrings."""

import os
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from rlctl import registry


class Section(BaseModel):
    """A section of the YAML. Unknown keys, wrong types, NaN and infinity are errors; values never change."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        validate_default=True,
        serialize_by_alias=True,
    )


def fields_of(cls: type[BaseModel]) -> dict[str, FieldInfo]:
    """The keys of a section as a YAML has them (`pass` is no name that Python allows), in order."""
    return {field.alias or name: field for name, field in cls.model_fields.items()}


class FromCommandLine(str):
    """Text that came with `--set`: its relative paths start from the current folder, not from the YAML's."""


def wrong_at(place: tuple[str | int, ...], text: str) -> ValidationError:
    """What a validator of a whole section raises to point at one of its keys.

    Args:
        place: Keys and indices below the section.
        text: What is wrong; after a semicolon, what to do.
    """
    fault = PydanticCustomError("value_error", "{text}", {"text": text})
    return ValidationError.from_exception_data("Section", [{"type": fault, "loc": place, "input": None}])


def base_folder(info: ValidationInfo, value: str = "") -> Path:
    """The folder that relative paths start from: the YAML's (context `folder`), or the current one.

    Args:
        info: pydantic's, of a validator that runs before the text is checked.
        value: The text that holds the path, as it was given.
    """
    context: dict[str, Any] = info.context or {}
    folder = None if isinstance(value, FromCommandLine) else context.get("folder")
    return Path(folder or Path.cwd())


def _local_path(value: Any, info: ValidationInfo) -> Any:
    """The path made absolute. What is no text is left to the check that follows."""
    return _absolute(value, info) if _is_path(value) else value


def _is_path(value: Any) -> bool:
    return isinstance(value, str) and value != "" and "\0" not in value


def _absolute(value: str, info: ValidationInfo) -> str:
    return os.path.abspath(base_folder(info, value) / os.path.expanduser(value))


def looks_local(value: str) -> bool:
    """Whether a text can only be a path: `./x`, `~/x`, `/x`, `a/b/c`, or a name with a data file's ending."""
    if value.startswith((".", "~", "/")) or value.count("/") > 1:
        return True
    return bool(re.search(r"\.(jsonl|json|csv|tsv|parquet|txt|jinja|py)(\.gz)?$", value))


def _local_or_hub(value: Any, info: ValidationInfo) -> Any:
    """A path that exists below its folder, or can only be a path, becomes absolute; the rest is a Hub id."""
    if not _is_path(value) or value.startswith(("builtin:", "hub:")):
        return value
    path = _absolute(value, info)
    run = path.rpartition("@")[0]  # RUN@STEP is a checkpoint of a run
    there = os.path.exists(path) or os.path.isdir(run)
    return path if there or looks_local(value) else str(value)


LocalPath = Annotated[str, BeforeValidator(_local_path), Field(min_length=1)]
"""A path, relative to the folder of the YAML; absolute once loaded."""

LocalOrHub = Annotated[str, BeforeValidator(_local_or_hub), Field(min_length=1)]
"""`builtin:NAME`, a path (absolute once loaded), or a Hub id."""


def union_of(kind: str) -> Any:
    """The type of a section that may be any registered one of `kind`, chosen by its key `type`."""
    classes = [registry.load(target) for target in registry.names(kind).values()]
    union: Any = classes[0]
    for cls in classes[1:]:
        union = union | cls
    return Annotated[union, Field(discriminator="type")] if len(classes) > 1 else union
