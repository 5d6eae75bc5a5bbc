"""`rlctl analyze-rewards`: what a reward would do to training, and the penalty to use."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlctl.cli.audience import audience_at_terminal
from rlctl.cli.default_config import config_or_default
from rlctl.cli.output import console, print_json, print_lines, stdout_kept_for
from rlctl.errors import CheckpointError, ConfigError, DataError, UsageError

if TYPE_CHECKING:
    from rlctl.calibration.result import Analysis
    from rlctl.config.config import Config


@dataclass(frozen=True)
class Asked:
    """What the command line asks for; the options of `rlctl analyze-rewards`, under their names."""

    config: str | None
    num_samples: int | None
    completions: str | None
    texts: list[str]
    row: str | None
    run: str | None
    output: str | None
    apply: bool


def run(asked: Asked, overrides: list[str], *, as_json: bool, quiet: bool) -> None:
    """Check what is asked for, analyse, print the report, and write the penalty where that is wanted."""
    _check(asked)
    columns = None if asked.row is None else _columns(asked.row)
    with _config_of(asked.config, asked.run) as (file, which):
        config = _loaded(file, overrides, asked)
    if which is not None and not quiet:
        console(stderr=True).print(which, markup=False, soft_wrap=True)
    with stdout_kept_for(as_json), audience_at_terminal(quiet=quiet) as audience:
        if asked.completions is None and not asked.texts and asked.run is None:
            from rlctl.training.train import calm_libraries

            calm_libraries()
        from rlctl.calibration.analyze import analyze_rewards

        found = analyze_rewards(
            config,
            asked.num_samples,
            completions=asked.completions,
            texts=asked.texts,
            row=columns,
            run=asked.run,
            output=asked.output,
            audience=audience,
        )
    _report(found, Path(file), overrides, apply=asked.apply, as_json=as_json, quiet=quiet)


def _check(asked: Asked) -> None:
    """Say what cannot go together, before anything is read."""
    if asked.num_samples is not None and asked.num_samples < 1:
        raise UsageError(f"{asked.num_samples} samples", where="--num-samples", hint="Take 1 or more.")
    _require_whole_run(asked.run)
    sources = {
        "--completions": asked.completions is not None,
        "--text": bool(asked.texts),
        "--run": asked.run is not None,
    }
    named = [option for option, given in sources.items() if given]
    if len(named) > 1:
        raise UsageError(f"{' and '.join(named)} are different things to score", hint="Name one of them.")
    if asked.row is not None and not asked.texts:
        raise UsageError("is for the strings of --text alone", where="--row", hint="Add --text STRING.")
    refused = {
        "--num-samples": asked.num_samples is not None,
        "--output": asked.output is not None,
        "--apply": asked.apply,
    }
    for option in (option for option, given in refused.items() if asked.texts and given):
        hint = "Score more: leave --text out." if option != "--output" else "Use --json for a file."
        raise UsageError("single strings are shown, not analysed", where=option, hint=hint)
    if asked.apply and asked.run is not None and asked.config is None:
        hint = f"Name the YAML to change: rlctl analyze-rewards CONFIG --run {asked.run} --apply"
        raise UsageError("the config.yaml of a run is its record", where="--apply", hint=hint)


def _require_whole_run(of_run: str | None) -> None:
    """Refuse `RUN@STEP`, which names a checkpoint elsewhere."""
    run, at, step = (of_run or "").rpartition("@")
    if at and not Path(f"{run}@{step}").is_dir() and Path(run).is_dir():
        hint = f"Take the run, all its steps: --run {run}; --num-samples N takes its last N completions."
        raise UsageError(f"{run}@{step} is one step of a run", where="--run", hint=hint)


def _columns(text: str) -> dict[str, Any]:
    """The columns of `--row`."""
    from rlctl.config.yaml_marks import parse

    try:
        found = parse(text, "--row")
    except ConfigError as error:
        raise _no_row(text, error.problems[0].message) from None
    if found.problems or not isinstance(found.data, dict):
        raise _no_row(text, found.problems[0].message if found.problems else "not a mapping")
    return found.data


def _no_row(text: str, why: str) -> UsageError:
    shown = text if text.isprintable() else ascii(text)[1:-1]
    return UsageError(f"{shown!r}: {why}", where="--row", hint="Write columns: --row '{answer: \"7\"}'")


@contextmanager
def _config_of(path: str | None, of_run: str | None) -> Iterator[tuple[str, str | None]]:
    """The YAML to read: what was named, else that of the run, else as for every command."""
    if path is not None or of_run is None:
        with config_or_default(path) as found:
            yield found
        return
    folder = Path(of_run)
    if not folder.is_dir():
        raise CheckpointError("no such run", where=of_run, hint="name the folder of a run: outputs/NAME")
    file = folder / "config.yaml"
    if not file.is_file():
        message = "not the folder of a run: it has no config.yaml"
        raise CheckpointError(message, where=of_run, hint="name the CONFIG to score with")
    yield str(file), f"config: {file}"


def _loaded(file: str, overrides: list[str], asked: Asked) -> "Config":
    from rlctl.calibration.analyze import load_for

    config = load_for(file, overrides, completions=asked.completions, texts=bool(asked.texts))
    if asked.apply:
        from rlctl.calibration.apply import require_applicable

        require_applicable(Path(file), overrides)
    return config


def _report(
    found: "Analysis", file: Path, overrides: list[str], *, apply: bool, as_json: bool, quiet: bool
) -> None:
    """The figures; then what `--apply` changed."""
    document = found.as_dict()
    if not as_json and not quiet:
        from rlctl.cli.analysis_view import show

        show(document, console(), folder=None if found.folder is None else str(found.folder))
    applied = _applied(document, file, overrides) if apply else None
    if as_json:
        print_json(document if applied is None else {**document, "applied": applied})
    elif applied is not None and not quiet:
        print_lines(applied)


def _applied(document: dict[str, Any], file: Path, overrides: list[str]) -> str:
    from rlctl.calibration.apply import apply_penalty

    advice = document["penalty"]
    if advice["recommended"] is None:
        message = f"there is no penalty to write: {advice['reason']}"
        raise DataError(message, where="--apply", hint=f"{file} is as it was.")
    return apply_penalty(file, advice["recommended"], overrides)
