"""Templates of pages: what a page is made of comes from its own room, the style sheet from this one."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Template


def template(
    room: str, name: str, filters: Mapping[str, Callable[..., Any]], *, lenient: bool = False
) -> "Template":
    """A template that escapes what it is given, and fails on names that it is not given.

    Args:
        room: The package that it lies in.
        name: Its file.
        filters: Functions that it may use on values.
        lenient: Take what is not there for unknown, at any depth; filters are given None for it.
    """
    from jinja2 import ChainableUndefined, ChoiceLoader, Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=ChoiceLoader([PackageLoader(room, "."), PackageLoader("rlctl.reports", ".")]),
        autoescape=True,
        undefined=ChainableUndefined if lenient else StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {name: _known(one) for name, one in filters.items()} if lenient else filters
    return environment.get_template(name)


def _known(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that is given None for what is not there."""
    from jinja2 import Undefined

    def given(*values: Any) -> Any:
        return function(*(None if isinstance(value, Undefined) else value for value in values))

    return given
