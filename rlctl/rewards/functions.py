"""Loads the function that `type: python` names, and makes a reward of it and its arguments."""

import importlib.util
import inspect
import sys
from collections.abc import Callable
from functools import partial
from hashlib import blake2b
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from rlctl.errors import RewardError
from rlctl.registry import did_you_mean
from rlctl.rewards.calls import signature_of
from rlctl.rewards.lookup import split
from rlctl.rewards.reasons import describe
from rlctl.rewards.signature import PROVIDED, Signature


def load(function: str) -> Any:
    """The object behind `file.py:name` or `package.module:name`; executes its file.

    Raises:
        RewardError: It does not exist, or its file raised.
    """
    place, name = split(function)
    module = _run(place)
    try:
        return getattr(module, name)
    except AttributeError:
        raise RewardError(f"{place} has no {name!r}", hint=did_you_mean(name, vars(module))) from None


def resolve(target: Any, args: dict[str, Any]) -> Callable[..., Any]:
    """A function that scores.

    Args:
        target: A reward function, a factory of one, or a class whose objects are one.
        args: Given to the factory or the class; bound to parameters of a plain function.

    Raises:
        RewardError: It takes other arguments, raises, or does not give a reward.
    """
    name = getattr(target, "__name__", type(target).__name__)
    if not callable(target):
        raise RewardError(f"{name!r} is a {type(target).__name__}, not a function")
    _check_args(name, signature_of(target), args)
    if not inspect.isclass(target) and signature_of(target).without(args).kind != "factory":
        return partial(target, **args) if args else target
    try:
        made = target(**args)
    except Exception as error:
        raise RewardError(f"{name}({_arguments(args)}) raised {describe(error)}") from error
    if not callable(made) or signature_of(made).kind == "factory":
        raise RewardError(
            f"{name}({_arguments(args)}) gave a {type(made).__name__} that is not a reward",
            hint="a reward is a function with a parameter `completions` (a list), or `completion` (one text)",
        )
    return made


def _check_args(name: str, signature: Signature, args: dict[str, Any]) -> None:
    unknown = [] if signature.open else [arg for arg in args if arg not in signature.names]
    if unknown:
        hint = did_you_mean(unknown[0], signature.names)
        raise RewardError(
            f"{name} takes no argument {unknown[0]!r}", hint=hint or f"it takes {_names(signature)}"
        )
    left = signature.without(args)
    if left.kind == "factory" and left.required:
        missing = ", ".join(repr(one) for one in left.required)
        raise RewardError(
            f"{name} needs {missing}; give it in `args`",
            hint="a reward itself has a parameter `completions` (a list) or `completion` (one text)",
        )


def _names(signature: Signature) -> str:
    return ", ".join(name for name in signature.names if name not in PROVIDED) or "none"


def _arguments(args: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in args.items())


def _run(place: str) -> ModuleType:
    folder = str(Path(place).parent) if place.endswith(".py") else str(Path.cwd())
    if folder not in sys.path:
        sys.path.append(folder)
    try:
        return _run_file(Path(place)) if place.endswith(".py") else import_module(place)
    except (Exception, SystemExit) as error:
        file = place if place.endswith(".py") else getattr(error, "filename", None)
        raise RewardError(f"{Path(place).name} raised {describe(error, file)} while it was loaded") from error


def _run_file(path: Path) -> ModuleType:
    """Import a file under a name of its own, so that two files of one name do not meet."""
    name = f"rlctl_reward_{path.stem}_{blake2b(str(path).encode(), digest_size=6).hexdigest()}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise RewardError(f"cannot load {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
