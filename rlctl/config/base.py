"""What every section of the YAML has in common: strict, frozen, closed, and described by its docstrings."""

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo

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
    )


def base_folder(info: ValidationInfo) -> Path:
    """The folder that relative paths of this YAML start from (validation context `folder`)."""
    context: dict[str, Any] = info.context or {}
    return Path(context.get("folder") or Path.cwd())


def _local_path(value: str, info: ValidationInfo) -> str:
    return str(base_folder(info).joinpath(Path(value).expanduser()).resolve())


def looks_local(value: str) -> bool:
    """Whether a string can only be a path: `./x`, `~/x`, `/x`, `a/b/c`, or a name with a data file's ending."""
    if value.startswith((".", "~", "/")) or value.count("/") > 1:
        return True
    return bool(re.search(r"\.(jsonl|json|csv|tsv|parquet|txt|jinja|py)(\.gz)?$", value))


def _local_or_hub(value: str, info: ValidationInfo) -> str:
    """A path that exists below the YAML's folder, or can only be a path, becomes absolute; the rest is a Hub id."""
    if value.startswith(("builtin:", "hub:")):
        return value
    path = base_folder(info).joinpath(Path(value).expanduser())
    return str(path.resolve()) if looks_local(value) or path.exists() else value


LocalPath = Annotated[str, Field(min_length=1), AfterValidator(_local_path)]
"""A path, relative to the folder of the YAML; absolute once loaded."""

LocalOrHub = Annotated[str, Field(min_length=1), AfterValidator(_local_or_hub)]
"""`builtin:NAME`, a path (absolute once loaded), or a Hub id."""


def union_of(kind: str) -> Any:
    """The type of a section that may be any registered one of `kind`, chosen by its key `type`."""
    classes = [registry.load(target) for target in registry.names(kind).values()]
    union: Any = classes[0]
    for cls in classes[1:]:
        union = union | cls
    return Annotated[union, Field(discriminator="type")] if len(classes) > 1 else union
