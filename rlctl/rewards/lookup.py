"""Finds the function that `type: python` names by reading source text. Nothing of the user's is executed.

`check` uses it to answer within milliseconds, and to know which columns a reward reads.
"""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path

from rlctl.errors import RewardError
from rlctl.registry import did_you_mean
from rlctl.rewards.signature import Signature

MOST_REEXPORTS = 8
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True)
class Found:
    """Where a function is defined, as far as source text tells.

    Args:
        path: The file; None for a module without source.
        line: Line of the definition, from 1; None where it is not written as `def` or `class`.
        signature: Its parameters, those of `__init__` for a class; None where the text does not tell.
        is_class: Whether it is a class.
        is_async: Whether it is an `async def`.
    """

    path: Path | None = None
    line: int | None = None
    signature: Signature | None = None
    is_class: bool = False
    is_async: bool = False


def split(function: str) -> tuple[str, str]:
    """`file.py:name` or `package.module:name` as its two halves.

    Raises:
        ValueError: It is neither.
    """
    place, _, name = function.rpartition(":")
    module = all(part.isidentifier() for part in place.split("."))
    if not name.isidentifier() or not (place.endswith(".py") or module):
        package, _, last = function.rpartition(".")
        hint = f"; write '{package}:{last}'" if package and ":" not in function and last != "py" else ""
        raise ValueError(f"{function!r} is not 'file.py:function' or 'package.module:function'{hint}")
    return place, name


def find(function: str) -> Found:
    """Find `file.py:name` or `package.module:name` without executing it.

    Raises:
        RewardError: The file, the module or the name does not exist, or the file is not Python.
    """
    place, name = split(function)
    if place.endswith(".py"):
        return _in_file(Path(place), name, package=None, depth=0)
    return _in_module(place, name, depth=0)


def _in_module(module: str, name: str, depth: int) -> Found:
    spec = _spec(module)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return Found()
    is_package = spec.submodule_search_locations is not None
    package = module if is_package else module.rpartition(".")[0]
    try:
        return _in_file(Path(spec.origin), name, package=package, depth=depth)
    except RewardError:
        if is_package and _exists(f"{module}.{name}"):
            raise RewardError(f"{module}:{name} is a module, not a function") from None
        raise


def _in_file(path: Path, name: str, *, package: str | None, depth: int) -> Found:
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        names = [other.name for other in path.parent.glob("*.py")] if path.parent.is_dir() else []
        hint = did_you_mean(path.name, names)
        raise RewardError(f"cannot read {path}: {error.strerror}", hint=hint) from None
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        where = f"{path}:{line}" if line else str(path)
        raise RewardError(f"not valid Python: {getattr(error, 'msg', error)}", where=where) from None
    known: dict[str, Found] = {}
    for statement in _statements(tree.body):
        known.update(_defined(statement, path, package, name, depth))
    if name in known:
        return known[name]
    if "*" in known or "__getattr__" in known:
        return Found(path)
    hint = did_you_mean(name, known) or f"it defines {', '.join(sorted(known)) or 'nothing'}"
    raise RewardError(f"{path} has no {name!r}", hint=hint)


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements of a module, those below `if` and `try` included."""
    for statement in body:
        yield statement
        if isinstance(statement, ast.If):
            yield from _statements(statement.body + statement.orelse)
        elif isinstance(statement, ast.Try):
            handlers = [one for handler in statement.handlers for one in handler.body]
            yield from _statements(statement.body + handlers + statement.orelse + statement.finalbody)


def _defined(
    statement: ast.stmt, path: Path, package: str | None, wanted: str, depth: int
) -> Iterator[tuple[str, Found]]:
    """Names that a statement defines; only the wanted one is followed into other files."""
    if isinstance(statement, Definition):
        yield statement.name, _describe(statement, path)
    elif isinstance(statement, ast.Assign | ast.AnnAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        for node in (node for target in targets for node in ast.walk(target)):
            if isinstance(node, ast.Name):
                yield node.id, Found(path)
    elif isinstance(statement, ast.Import):
        for alias in statement.names:
            yield alias.asname or alias.name.partition(".")[0], Found(path)
    elif isinstance(statement, ast.ImportFrom):
        for alias in statement.names:
            exported = alias.asname or alias.name
            followed = _follow(statement, alias.name, package, depth) if exported == wanted else None
            yield exported, followed or Found(path)


def _follow(statement: ast.ImportFrom, name: str, package: str | None, depth: int) -> Found | None:
    """The definition behind `from x import name`; None where it cannot be told."""
    parents = package.split(".") if package else []
    if depth >= MOST_REEXPORTS or statement.level > len(parents):
        return None
    base = parents[: len(parents) - statement.level + 1] if statement.level else []
    module = ".".join([*base, *([statement.module] if statement.module else [])])
    try:
        return _in_module(module, name, depth + 1)
    except RewardError:
        return None


def _describe(node: Definition, path: Path) -> Found:
    if isinstance(node, ast.ClassDef):
        inits = [one for one in node.body if isinstance(one, ast.FunctionDef) and one.name == "__init__"]
        signature = _signature(inits[0].args, skip=1) if inits else None
        return Found(path, node.lineno, signature, is_class=True)
    is_async = isinstance(node, ast.AsyncFunctionDef)
    return Found(path, node.lineno, _signature(node.args), is_async=is_async)


def _signature(args: ast.arguments, skip: int = 0) -> Signature:
    plain = [one.arg for one in args.posonlyargs + args.args]
    required = plain[: len(plain) - len(args.defaults)]
    named = plain[max(skip, len(args.posonlyargs)) :]
    keyword = [one.arg for one in args.kwonlyargs]
    bare = [
        one.arg for one, default in zip(args.kwonlyargs, args.kw_defaults, strict=True) if default is None
    ]
    return Signature(
        tuple(named + keyword),
        tuple(name for name in named if name in required) + tuple(bare),
        args.kwarg is not None,
    )


def _exists(module: str) -> bool:
    try:
        return _spec(module) is not None
    except RewardError:
        return False


def _spec(module: str) -> ModuleSpec | None:
    """Where a module is, asked of every finder without importing its packages.

    Raises:
        RewardError: There is none of that name.
    """
    search: list[str] | None = None
    parts = module.split(".")
    for i in range(len(parts)):
        name = ".".join(parts[: i + 1])
        spec = _ask(name, search)
        if spec is None:
            hint = did_you_mean(parts[i], _neighbours(search))
            raise RewardError(
                f"there is no module {name!r}",
                hint=hint or "looked in the environment and in the current folder",
            )
        if i + 1 < len(parts):
            if spec.submodule_search_locations is None:
                raise RewardError(f"{name!r} is a module, not a package: it holds no {parts[i + 1]!r}")
            search = list(spec.submodule_search_locations)
    return spec


def _ask(name: str, search: list[str] | None) -> ModuleSpec | None:
    for finder in sys.meta_path:
        spec = finder.find_spec(name, search, None)
        if spec is not None:
            return spec
    from importlib.machinery import PathFinder

    return PathFinder.find_spec(name, [str(Path.cwd())]) if search is None else None


def _neighbours(search: list[str] | None) -> set[str]:
    folders = [Path(folder) for folder in search] if search is not None else [Path.cwd()]
    return {
        entry.stem
        for folder in folders
        if folder.is_dir()
        for entry in folder.iterdir()
        if entry.suffix in ("", ".py")
    }
