"""`rlctl prove`: the cost with --dry-run, otherwise the proof itself."""

from pathlib import Path
from typing import Any

from rlctl.cli.output import console, print_json, print_lines, stdout_kept_for
from rlctl.cli.train import placed, plan_of
from rlctl.config.config import Config
from rlctl.errors import ConfigError, UsageError


def run(
    path: str,
    overrides: list[str],
    seeds: int,
    output: str | None,
    *,
    dry_run: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Validate, hold it against the plan if there is one, then print the cost or prove."""
    from rlctl.config.load import load_config

    if seeds < 1:
        raise UsageError(f"a proof needs one seed or more, not {seeds}", where="--seeds")
    config = load_config(path, overrides)
    folder = _checked(config, seeds, output, path, overrides)
    if dry_run:
        _print_cost(config, folder, seeds, as_json=as_json)
        return
    from rlctl.training.stopping import StopSignals

    with StopSignals() as stop, stdout_kept_for(as_json):
        from rlctl.proof.prove import prove

        done = prove(config, seeds, output=output, console=console(stderr=as_json), quiet=quiet, stop=stop)
    if as_json:
        print_json(done.document)


def _checked(config: Config, seeds: int, output: str | None, path: str, overrides: list[str]) -> Path:
    """The proof's folder; refuses what cannot be proved, with its place, before torch is loaded."""
    from rlctl.proof.plan import place_of, refuse_changes, require_provable
    from rlctl.proof.runs import seeds_of

    folder = place_of(config, output)
    try:
        require_provable(config)
        refuse_changes(folder, config, seeds_of(config, seeds))
    except ConfigError as error:
        raise ConfigError(placed(error.problems, path, overrides)) from None
    return folder


def _print_cost(config: Config, folder: Path, seeds: int, *, as_json: bool) -> None:
    from rlctl.data.peek import peek
    from rlctl.proof.cost import cost
    from rlctl.proof.cost_lines import describe, done_lines
    from rlctl.proof.runs import runs_of, seeds_of
    from rlctl.proof.verdict import rule

    rows = [peek(source).rows for source in config.data.eval or []]
    prompts = None if None in rows else sum(count or 0 for count in rows)
    runs = runs_of(config, seeds_of(config, seeds), folder)
    found = cost(config, folder, runs, plan_of(config), prompts)
    judged = rule(config.eval.metric, seeds)
    if as_json:
        document: dict[str, Any] = {"folder": str(folder), "metric": config.eval.metric, "rule": judged}
        print_json({**document, "runs": [one.name for one in runs], "cost": found})
        return
    print_lines(
        f"proof: {folder} (not written: --dry-run)",
        *describe(found, config.eval.num_samples + 1),
        *done_lines(found),
        f"judged by {config.eval.metric}:",
        *(f"  {line}" for line in judged),
    )
