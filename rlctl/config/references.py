"""Looks up what a config names: data files, columns, reward functions. Nothing of the user's is executed.

A name that only the network could answer (a model or dataset of the Hub) is left to the run.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pydantic import ValidationError

from rlctl import registry
from rlctl.config.component import Component
from rlctl.config.config import Config
from rlctl.config.data import Data, Source
from rlctl.config.explain import Finding, explain
from rlctl.config.model_files import HUB_ID
from rlctl.config.rewards import Rewards
from rlctl.config.yaml_marks import Path
from rlctl.errors import EXIT_CONFIG, EXIT_DATA, DataError, RewardError
from rlctl.registry import closest, did_you_mean

if TYPE_CHECKING:
    from rlctl.data.peek import Peek

DATA: tuple[Path, ...] = (("data", "train"), ("data", "eval"))
MAPPED: tuple[Path, ...] = (*DATA, ("data", "columns"))
"""Keys that a statement about columns rests on."""


class Looked:
    """What a quick look into every source of `data` has found.

    Args:
        data: The section `data`.
    """

    def __init__(self, data: Data) -> None:
        self.data = data
        self.findings: list[Finding] = []
        self.peeks: dict[str, list[Peek | None]] = {}
        for role, sources in (("train", data.train), ("eval", data.eval or [])):
            self.peeks[role] = [self._look(one, ("data", role, i)) for i, one in enumerate(sources)]

    @property
    def train_rows(self) -> int | None:
        """Rows of all training sources together; None where one is not known."""
        rows = [peek.rows if peek else None for peek in self.peeks["train"]]
        return None if None in rows else sum(row or 0 for row in rows)

    def columns(self, role: str) -> list[tuple[str, ...] | None]:
        """Columns of each source of `train` or `eval`; None where they are not known."""
        return [peek.columns if peek else None for peek in self.peeks[role]]

    def _look(self, source: Source, path: Path) -> "Peek | None":
        """One source; None, and findings, where it is wrong."""
        from rlctl.data.peek import is_local, peek

        found = list(_wrong_name(source, path, is_local(source.path)))
        if not found:
            try:
                return peek(source)
            except DataError as error:
                key = "split" if error.message.startswith("no split") else "path"
                message = f"{error.where}: {error.message}" if error.where else error.message
                found = [Finding((*path, key), message, error.hint, exit_code=EXIT_DATA)]
        self.findings += found
        return None


def _wrong_name(source: Source, path: Path, local: bool) -> Iterator[Finding]:
    """A built-in dataset that does not exist or takes other arguments, and text that names nothing at all."""
    if source.path.startswith("builtin:"):
        known = registry.names("datasets")
        name = source.path.removeprefix("builtin:")
        if name not in known:
            yield Finding((*path, "path"), f"no built-in dataset {name!r}", _builtin(name, known))
            return
        try:
            section = registry.load(known[name])
            section.model_validate(source.args)
        except ValidationError as error:
            yield from explain(error, section, source.args, (*path, "args"))
    elif not local and not HUB_ID.fullmatch(source.path):
        message = f"{source.path!r} is no file, no folder and no name of a dataset of the Hub"
        yield Finding((*path, "path"), message, "name a file, `builtin:NAME` or `user/dataset`")


def _builtin(name: str, known: dict[str, str]) -> str:
    meant = closest(name, known)
    return (
        f"did you mean 'builtin:{meant}'?"
        if meant
        else f"there is builtin:{', builtin:'.join(sorted(known))}"
    )


def check_references(config: Config, looked: Looked) -> Iterator[Finding]:
    """Everything under `data`, `rewards` and `eval` that names something that is not there."""
    yield from looked.findings
    yield from _mapped_columns(config.data, looked)
    yield from _prompts(config.data, looked)
    held_out = config.eval.rewards if config.data.eval else None
    yield from _scoring(
        config.rewards, (), config.data, looked, ("train",) if held_out else ("train", "eval")
    )
    if held_out is not None:
        yield from _scoring(held_out, ("eval",), config.data, looked, ("eval",))
    yield from _groups(config, looked)


def _scoring(
    rewards: Rewards, below: Path, data: Data, looked: Looked, roles: tuple[str, ...]
) -> Iterator[Finding]:
    """Functions and columns of a section `rewards` that scores completions of these roles' prompts."""
    place = (*below, "rewards")
    for i, component in enumerate(rewards.components):
        path = (*place, "components", i)
        yield from _function(component, path)
        yield from _component_columns(component, path, data, looked, roles)
        yield from _test_rows(rewards, component, place, path)


def _groups(config: Config, looked: Looked) -> Iterator[Finding]:
    """Columns that evaluation makes groups by."""
    for i, column in enumerate(config.eval.group_by or ()):
        path = ("eval", "group_by", i)
        if column == "prompt":
            yield Finding(
                path, "every prompt would be a group of its own", "name a column that prompts share"
            )
            continue
        for where, columns in _sources(config.data, looked, ("eval",)):
            if column not in columns:
                source = (config.data.eval or [])[int(where[2])]
                hint = did_you_mean(column, columns) or f"the columns are {', '.join(columns)}"
                message = f"{source.path} has no column {column!r}"
                yield Finding(path, message, hint, exit_code=EXIT_DATA, reads=MAPPED)
                break


def _mapped_columns(data: Data, looked: Looked) -> Iterator[Finding]:
    """Columns that `columns` maps from and that the data do not have, and names that mean something else."""
    seen: set[Path] = set()
    for role, sources in (("train", data.train), ("eval", data.eval or [])):
        columns = looked.columns(role)
        maps: list[tuple[Path, dict[str, str], list[tuple[str, ...] | None]]] = [
            (("data", role, i, "columns"), one.columns or {}, [columns[i]]) for i, one in enumerate(sources)
        ]
        if sources:
            maps.insert(0, (("data", "columns"), data.columns, columns))
        for path, mapping, present in maps:
            for name, column in mapping.items():
                if (*path, name) not in seen and (finding := _mapped((*path, name), column, present)):
                    seen.add(finding.path)
                    yield finding


def _mapped(path: Path, column: str, present: Sequence[tuple[str, ...] | None]) -> Finding | None:
    """What is wrong with one `name: column`."""
    from rlctl.data.columns import REWARD_ARGUMENTS

    if path[-1] in REWARD_ARGUMENTS:
        message = f"{path[-1]!r} means something else to a reward"
        return Finding(path, message, "choose another name for the column")
    if _anywhere(column, present):
        return None
    message = f"the data have no column {column!r}"
    return Finding(path, message, _columns(column, present), exit_code=EXIT_DATA, reads=DATA)


def _columns(wanted: str, present: Sequence[tuple[str, ...] | None]) -> str:
    known = list(dict.fromkeys(name for columns in present for name in columns or ()))
    return did_you_mean(wanted, known) or f"the columns are {', '.join(known)}"


def _prompts(data: Data, looked: Looked) -> Iterator[Finding]:
    """The prompt's source: a column `prompt`, a mapped one, or a template and its placeholders."""
    from rlctl.data import template
    from rlctl.data.columns import no_prompt

    if data.prompt_template is not None:
        code = EXIT_CONFIG
        try:
            template.template_columns(data.prompt_template)
            code = EXIT_DATA
            for _, columns in _sources(data, looked):
                template.check_columns(data.prompt_template, columns)
        except DataError as error:
            place = ("data", "prompt_template")
            yield Finding(place, error.message, error.hint, exit_code=code, reads=MAPPED)
        return
    for path, columns in _sources(data, looked):
        if "prompt" not in columns:
            none = no_prompt(columns, "")
            rests = (("data", "columns"),)
            yield Finding(path, none.message, none.hint, exit_code=EXIT_DATA, reads=rests)


def _sources(
    data: Data, looked: Looked, roles: tuple[str, ...] = ("train", "eval")
) -> Iterator[tuple[Path, list[str]]]:
    """Every source whose columns are known, with the names that templates and rewards may use."""
    for role in roles:
        sources: list[Source] = getattr(data, role) or []
        for i, (source, present) in enumerate(zip(sources, looked.columns(role), strict=True)):
            if present is not None:
                mapping = {**data.columns, **(source.columns or {})}
                absent = {
                    column for column in mapping.values() if not _anywhere(column, looked.columns(role))
                }
                mapped = [name for name, column in mapping.items() if column in present or column in absent]
                taken = set(mapping.values())
                yield (
                    ("data", role, i),
                    [*mapped, *(name for name in present if name not in (*mapped, *taken))],
                )


def _anywhere(column: str, present: Sequence[tuple[str, ...] | None]) -> bool:
    """Whether some source may have a column. One that none has was reported where it is mapped."""
    return any(columns is None or column in columns for columns in present)


def _component_columns(
    component: Component, path: Path, data: Data, looked: Looked, roles: tuple[str, ...]
) -> Iterator[Finding]:
    """Columns that a reward reads and that the data do not have."""
    for column in component.columns():
        key = next(
            (name for name in ("column", "columns", "function") if name in type(component).model_fields), None
        )
        here = (*path, key) if key else path
        for where, columns in _sources(data, looked, roles):
            if column not in columns and column != "prompt":
                source = getattr(data, str(where[1]))[int(where[2])]
                listed = f"map one of {', '.join(columns)}: `data.columns: {{{column}: NAME}}`"
                hint = did_you_mean(column, columns) or listed
                message = f"{component.name} reads the column {column!r}, which {source.path} does not have"
                yield Finding(here, message, hint, exit_code=EXIT_DATA, reads=MAPPED)
                break


def _test_rows(rewards: Rewards, component: Component, place: Path, path: Path) -> Iterator[Finding]:
    """Columns that a reward reads and that the rows of the section's tests do not have."""
    for column in component.columns():
        for k, test in enumerate(rewards.tests):
            if column not in test.row and column != "prompt":
                message = f"the row has no column {column!r}, which {component.name} reads"
                yield Finding(
                    (*place, "tests", k, "row"), message, did_you_mean(column, test.row), reads=(path,)
                )


def _function(component: Component, path: Path) -> Iterator[Finding]:
    """The function of `type: python`, and its arguments, as far as source text tells."""
    from rlctl.rewards.python import PythonReward, find

    if not isinstance(component, PythonReward):
        return
    try:
        found = find(component.function)
    except RewardError as error:
        message = f"{error.where}: {error.message}" if error.where else error.message
        yield Finding((*path, "function"), message, error.hint, exit_code=EXIT_DATA)
        return
    signature = found.signature
    if signature is None:
        return
    name = component.function.rpartition(":")[2]
    for argument in component.args:
        if argument not in signature.names and not signature.open:
            hint = (
                did_you_mean(argument, signature.names)
                or f"it takes {', '.join(signature.names) or 'nothing'}"
            )
            yield Finding((*path, "args", argument), f"{name} takes no argument {argument!r}", hint)
    left = signature.without(component.args)
    if (
        left.kind == "factory"
        and left.required
        and (found.is_class or set(component.args) <= set(signature.names))
    ):
        needed = ", ".join(repr(one) for one in left.required)
        hint = "give it in `args`; a reward itself has a parameter `completions` or `completion`"
        yield Finding((*path, "function"), f"{name} needs {needed}", hint, exit_code=EXIT_CONFIG)
