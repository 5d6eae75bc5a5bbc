"""Every way in which a command can end badly, as a person (or with --json, a script) reads it."""

import sys
import traceback
from typing import Any

import typer

from rlctl.cli.output import print_json
from rlctl.errors import ConfigError, RlctlError, Stopped, UsageError, dotted

EXIT_BUG = 1
EXIT_INTERRUPTED = 130


def report(error: BaseException, *, as_json: bool, verbose: bool) -> int:
    """Print an error and return the exit code that belongs to it.

    Args:
        error: What was raised: ours, the parser's, or anything else, which is a bug.
        as_json: Whether stdout gets the error as a document.
        verbose: Whether the traceback is printed too.
    """
    if isinstance(error, typer.TyperException):
        error = usage_error(error)
    elif verbose:
        typer.echo("".join(traceback.format_exception(error)).rstrip(), err=True)
    code = exit_code(error)
    if as_json:
        print_json(stopped(error) if isinstance(error, Stopped) else {"error": document(error, code)})
    if isinstance(error, ConfigError):
        count = len(error.problems)
        typer.echo(f"{error}\n{count} problems" if count > 1 else str(error), err=True)
    elif isinstance(error, Stopped):
        typer.echo(error.render(), err=True)
    else:
        mark = typer.style("error:", fg=typer.colors.RED) if sys.stderr.isatty() else "error:"
        typer.echo(f"{mark} {_in_words(error, verbose)}", err=True)
    return code


def exit_code(error: BaseException) -> int:
    """The code that belongs to an error; of one that is not ours, that of a bug."""
    return error.exit_code if isinstance(error, RlctlError) else EXIT_BUG


def _in_words(error: BaseException, verbose: bool) -> str:
    if isinstance(error, RlctlError):
        return error.render()
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'output'}: {error.strerror}"
    more = "" if verbose else " Run again with -v for the traceback."
    return f"{type(error).__name__}: {error}\n  This is a bug in rlctl.{more}"


def stopped(error: Stopped) -> dict[str, Any]:
    """A run that was put down, as JSON."""
    return {
        "status": "stopped",
        "step": error.step,
        "checkpoint": error.checkpoint,
        "exit_code": error.exit_code,
        "message": error.message,
    }


def document(error: BaseException, code: int) -> dict[str, Any]:
    """An error as JSON."""
    found: dict[str, Any] = {"type": type(error).__name__, "exit_code": code, "message": str(error)}
    if isinstance(error, ConfigError):
        found["problems"] = [
            {
                "file": problem.file,
                "line": problem.line,
                "key": dotted(problem.path),
                "message": problem.message,
                "suggestion": problem.suggestion,
            }
            for problem in error.problems
        ]
    elif isinstance(error, RlctlError):
        found |= {"message": error.message, "where": error.where, "hint": error.hint}
    return found


def usage_error(error: typer.TyperException) -> UsageError:
    """What the parser found, in our words, with the nearest name and the place of the help."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "rlctl"
    message = error.format_message().rstrip(".")
    hint = f"See {command} --help."
    option, near = getattr(error, "option_name", None), getattr(error, "possibilities", None)
    parameter = getattr(error, "param", None)
    if option and message.startswith("No such option"):
        message = f"no option {option}"
        if near:
            hint = f"Did you mean {' or '.join(sorted(near))}? {hint}"
    elif parameter is not None and parameter.name == "config" and message.startswith("Missing"):
        message = f"{command} needs a CONFIG, the YAML of the run"
        hint = f"rlctl init writes one to start from. {hint}"
    elif "Did you mean" in message:
        message, _, near = message.partition(". Did you mean ")
        hint = f"Did you mean {near} {hint}" if near.endswith("?") else f"Did you mean {near}? {hint}"
    return UsageError(message[:1].lower() + message[1:], hint=hint)
