"""Templates of pages: what a page is made of comes from its own room, the style sheet from this one."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Template


def template(room: str, name: str, filters: Mapping[str, Callable[..., Any]]) -> "Template":
    """A template that escapes what it is given, and fails on names that it is not given.

    Args:
        room: The package that it lies in.
        name: Its file.
        filters: Functions that it may use on values.
    """
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=ChoiceLoader([PackageLoader(room, "."), PackageLoader("rlctl.reports", ".")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= filters
    return environment.get_template(name)
