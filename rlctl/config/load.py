"""From a YAML file, overrides or a dict to a `Config`, or to every problem at once in the file's order."""

import math
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path as File
from typing import Any

from rlctl.config.checks import check, check_sections
from rlctl.config.config import Config
from rlctl.config.explain import Finding
from rlctl.config.overrides import Override, put, read_override
from rlctl.config.salvage import salvage
from rlctl.config.wrong_value import kind_of
from rlctl.config.yaml_marks import Document, Path, parse
from rlctl.errors import ConfigError, Problem
from rlctl.registry import did_you_mean

_MOST_BYTES = 10 * 2**20


def load_config(
    path: str | os.PathLike[str],
    overrides: Iterable[str] = (),
    *,
    otherwise: Mapping[str, Any] | None = None,
) -> Config:
    """Read and check a YAML.

    Args:
        path: The YAML. Relative paths in it start from its folder, `run.output_dir` from the current one.
        overrides: `KEY=VALUE` each, as after `--set`: a dotted path with list indices, YAML. They win over
            the file; relative paths in them start from the current folder.
        otherwise: Sections that serve where the YAML has none of that name, or lacks the one key that the
            section cannot do without; paths in them are absolute.

    Returns:
        The resolved config: every default filled in, paths absolute.

    Raises:
        ConfigError: Something is wrong; `.problems` has all of it, in the order of the file.
    """
    file = os.fspath(path)
    document = parse(_read(file), file)
    folder = File(os.path.abspath(file)).parent
    if isinstance(document.data, dict):
        _put_under(document.data, otherwise or {})
    return _config(document, list(overrides), file, folder, name=File(file).stem)


def config_from_dict(
    data: Mapping[str, Any], folder: str | os.PathLike[str] = ".", overrides: Iterable[str] = ()
) -> Config:
    """Check a dict of the shape that a YAML has.

    Args:
        data: Sections with their keys.
        folder: Where relative paths in it start from.
        overrides: As in `load_config`.

    Raises:
        ConfigError: Something is wrong; `.problems` has all of it.
    """
    problems: list[Problem] = []
    document = Document(_plain(data, (), problems), {}, problems)
    return _config(document, list(overrides), None, File(os.path.abspath(folder)), name=None)


_NEEDED = {"model": "path", "data": "train", "algorithm": "type"}


def _put_under(data: dict[str, Any], otherwise: Mapping[str, Any]) -> None:
    """Put sections in where there are none, or under those without the key that they need."""
    for name, section in otherwise.items():
        own = data.get(name)
        if own is None:
            data[name] = section
        elif isinstance(own, dict) and name in _NEEDED and _NEEDED[name] not in own:
            data[name] = {**section, **own}


def _config(document: Document, texts: list[str], file: str | None, folder: File, name: str | None) -> Config:
    problems, overrides = _put_all(document, texts)
    data = document.data
    if not isinstance(data, dict):
        raise ConfigError([*problems, _no_mapping(data, file, document.lines)])
    problems += document.problems
    _fill_in(data, name)
    found = salvage(data, {"folder": folder}, [problem.path for problem in document.problems])
    findings = [*found.findings, *check_sections(data)]
    if found.config is not None:
        checked = [replace(one, path=found.original(one.path)) for one in check(found.config)]
        findings += [one for one in checked if not found.rests_on_bad(one)]
    problems += [_problem(one, document, overrides, file) for one in findings]
    if problems or found.config is None:
        raise ConfigError(_in_order(problems, [one.place for one in overrides]))
    return found.config


def _read(file: str) -> str:
    """The text of a YAML. That it cannot be read is a problem like any other."""
    path = File(file)
    try:
        if path.is_dir():
            raise _unreadable(file, "a folder, not a file", _closest_yaml(path))
        if not path.exists():
            raise _unreadable(file, "no such file", _closest_yaml(path.parent, path.name))
        if path.stat().st_size > _MOST_BYTES:
            raise _unreadable(file, "larger than 10 MB, so hardly a config", None)
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise _unreadable(file, f"cannot be read ({reason})", None) from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        problem = Problem("not UTF-8 text", (), file, line, "save the file as UTF-8")
        raise ConfigError([problem]) from None


def _unreadable(file: str, message: str, suggestion: str | None) -> ConfigError:
    return ConfigError([Problem(message, (), file, None, suggestion)])


def _closest_yaml(folder: File, name: str = "") -> str | None:
    """The YAML that was probably meant, among those of a folder."""
    if not folder.is_dir():
        return None
    names = sorted(one.name for one in folder.iterdir() if one.suffix in (".yaml", ".yml"))
    if name:
        return did_you_mean(name, names)
    return f"name a YAML in it, such as {names[0]}" if names else "name a YAML"


def _no_mapping(data: Any, file: str | None, lines: dict[Path, int]) -> Problem:
    starter = "write a starter with `rlctl init`"
    if data is None:
        return Problem("the YAML is empty", (), file, None, starter)
    what = {"list": "a list", "text": "text"}.get(kind_of(data), "a single value")
    fix = "put a space after each colon" if kind_of(data) == "text" and ":" in data else starter
    return Problem(f"the YAML is {what}, not sections with keys", (), file, lines.get(()), fix)


def _put_all(document: Document, texts: list[str]) -> tuple[list[Problem], list[Override]]:
    """Put the overrides over the document; those that cannot be are problems."""
    problems: list[Problem] = []
    overrides: list[Override] = []
    for text in texts:
        try:
            override = read_override(text)
            if document.data is None or isinstance(document.data, dict):
                put(override, document)
            overrides.append(override)
        except ConfigError as error:
            problems += error.problems
    return problems, overrides


def _fill_in(data: dict[str, Any], name: str | None) -> None:
    """Defaults that depend on the file, the current folder or another key. An empty section is a default."""
    for section in Config.model_fields:
        if section in data and data[section] is None:
            data[section] = {}
    run = data.setdefault("run", {})
    if isinstance(run, dict):
        if name is not None and "name" not in run:
            run["name"] = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("._-")[:100] or "run"
        where = run.get("output_dir", Config.model_fields["run"].get_default().output_dir)
        if isinstance(where, str) and where and "\0" not in where:
            run["output_dir"] = os.path.abspath(os.path.expanduser(where))
    rows = data.get("data")
    training = data.setdefault("training", {})
    if not isinstance(rows, dict) or rows.get("eval") is not None:
        return
    if "eval" in rows:  # `eval: null` switches it off, as after `--set data.eval=null`, whatever else is set
        section = data.pop("eval", None)
        if isinstance(section, dict) and section.get("lm_eval") is not None:  # it has data of its own
            data["eval"] = {"lm_eval": section["lm_eval"]}
        if isinstance(training, dict):
            training.pop("eval_steps", None)
    if isinstance(training, dict):
        training.setdefault("eval_steps", None)


def _problem(one: Finding, document: Document, overrides: list[Override], file: str | None) -> Problem:
    """A finding with its place: the override that set the key, else the line of the key or of its section."""
    for length in range(len(one.path), -1, -1):
        prefix = one.path[:length]
        exact = next((o for o in reversed(overrides) if o.path == prefix), None)
        within = next((o for o in reversed(overrides) if o.path[:length] == prefix), None)
        if exact or (within and prefix not in document.lines and prefix):
            place = (exact or within).place  # type: ignore[union-attr]
            return Problem(one.message, one.path, place, None, one.suggestion, one.exit_code)
        if prefix in document.lines:
            break
    line = document.lines.get(prefix, 1) if file else None
    return Problem(one.message, one.path, file, line, one.suggestion, one.exit_code)


def _in_order(problems: list[Problem], overrides: list[str]) -> list[Problem]:
    """By line, then by override; each once."""
    after = {place: i for i, place in enumerate(overrides, start=1)}
    unique = list(dict.fromkeys(problems))
    return sorted(unique, key=lambda one: (after.get(one.file or "", 0), one.line or 0))


def _plain(value: Any, path: Path, problems: list[Problem]) -> Any:
    """A copy made of dicts, lists and scalars alone; anything else is a problem."""
    if len(path) > 40:
        problems.append(Problem("nested too deeply, or holds itself", path[:4]))
        return None
    if isinstance(value, Mapping):
        wrong = [key for key in value if not isinstance(key, str) or not key.isprintable()]
        problems += [Problem(f"the key {key!r} is not printable text", path) for key in wrong]
        return {k: _plain(v, (*path, k), problems) for k, v in value.items() if k not in wrong}
    if isinstance(value, list | tuple):
        return [_plain(one, (*path, i), problems) for i, one in enumerate(value)]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, float) and not math.isfinite(value):
        problems.append(Problem(f"{value} is not a finite number", path, suggestion="give a finite number"))
        return None
    if isinstance(value, int) and abs(value) > 10**300:
        problems.append(Problem("a number of more than 300 digits", path))
        return None
    if isinstance(value, str) and any("\ud800" <= sign <= "\udfff" for sign in value):
        problems.append(Problem("half of a surrogate pair is not a character", path))
        return None
    if value is None or isinstance(value, str | int | float):
        return value
    problems.append(Problem(f"a {type(value).__name__} cannot stand in a config", path))
    return None
