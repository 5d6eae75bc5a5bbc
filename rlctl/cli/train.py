"""`rlctl train`: the plan with --dry-run, otherwise the run itself."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from rlctl.cli.output import console, print_json, print_lines, stdout_kept_for
from rlctl.config.config import Config
from rlctl.config.plan import Plan, make_plan
from rlctl.errors import ConfigError, Problem, UsageError, dotted


def run(
    path: str,
    overrides: list[str],
    output_dir: str | None,
    *,
    resume: bool,
    dry_run: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Validate, then print the plan or train."""
    from rlctl.config.load import load_config

    if output_dir is not None:
        overrides = [*overrides, f"run.output_dir={json.dumps(output_dir)}"]
    config = load_config(path, overrides)
    if resume:
        _refuse_changes(config, path, overrides)
    if resume and _is_finished(config, as_json=as_json, quiet=quiet):
        return
    if dry_run:
        _print_plan(config, resume=resume, as_json=as_json)
        return
    from rlctl.training.stopping import StopSignals

    with StopSignals() as stop, stdout_kept_for(as_json):
        from rlctl.training.together import leave_group
        from rlctl.training.train import train

        done = False
        try:
            result = train(config, resume=resume, console=console(stderr=as_json), quiet=quiet, stop=stop)
            done = True
        finally:
            leave_group(all_done=done)
    if as_json:
        print_json(result.summary)


def _refuse_changes(config: Config, path: str, overrides: list[str]) -> None:
    """Say at once, with its place, what a run cannot go on with.

    Raises:
        ConfigError: A key has changed that must not.
    """
    from rlctl.training.place import folder_of
    from rlctl.training.resume import allowed_changes, config_of, read_record

    folder = folder_of(config)
    if not folder.is_dir() or read_record(folder) is None or not config_of(folder).exists():
        return
    try:
        allowed_changes(config_of(folder), config)
    except ConfigError as error:
        raise ConfigError(placed(error.problems, path, overrides)) from None


def placed(problems: list[Problem], path: str, overrides: list[str]) -> list[Problem]:
    """Problems of a resolved config, each with the override or the line of the file that it comes from."""
    from rlctl.config.yaml_marks import parse

    lines = parse(Path(path).read_text(encoding="utf-8"), path).lines
    return [_placed(one, path, lines, overrides) for one in problems]


def _placed(problem: Problem, path: str, lines: dict[Any, int], overrides: list[str]) -> Problem:
    key = dotted(problem.path)
    given = [one for one in overrides if key.startswith(one.partition("=")[0])]
    if given:
        return replace(problem, file=f"--set {given[-1]}")
    known = (
        lines[problem.path[:end]] for end in range(len(problem.path), 0, -1) if problem.path[:end] in lines
    )
    return replace(problem, file=path, line=next(known, None))


def _is_finished(config: Config, *, as_json: bool, quiet: bool) -> bool:
    """Say that a run is done already, if it is."""
    from rlctl.training.place import folder_of
    from rlctl.training.resume import is_finished, summary_of

    folder = folder_of(config)
    if not is_finished(folder, config):
        return False
    summary = summary_of(folder)
    if as_json:
        print_json(summary)
    elif not quiet:
        early = summary.get("stopped_early")
        why = f", stopped early: {early['reason']}" if early else ""
        print_lines(f"done already: {folder}, {summary['steps']} steps{why}")
    return True


def _print_plan(config: Config, *, resume: bool, as_json: bool) -> None:
    from rlctl.training.place import folder_of, refuse_existing

    folder = folder_of(config)
    point = _point(config) if resume and folder.is_dir() else None
    if not resume:
        refuse_existing(config)
    plan = plan_of(config)
    if as_json:
        document = {"run": str(folder), "plan": plan_document(plan), "config": config.model_dump()}
        print_json({**document, "resume_from": None if point is None else str(point.path)})
    else:
        first = f"run: {folder} (not written: --dry-run)"
        start = [f"goes on from: {point.name if point else 'step 0, there is no checkpoint'}"] * resume
        print_lines(first, *start, *plan.describe())


def _point(config: Config) -> Any:
    """The checkpoint that a run would go on from; refuses what the run itself would refuse."""
    from rlctl.training.checkpoints import Checkpoints
    from rlctl.training.place import folder_of
    from rlctl.training.resume import allowed_changes, read_record

    folder = folder_of(config)
    record = read_record(folder)
    if record is None:
        return None
    checkpoints = Checkpoints(folder / "checkpoints")
    checkpoints.run = record.get("id")
    point, damaged = checkpoints.newest()
    allowed_changes((folder if point is None else point.path) / "config.yaml", config)
    print_lines(*(f"damaged, and not used: {one}" for one in damaged))
    return point


def plan_of(config: Config) -> Plan:
    """The plan, with the number of prompts where a quick look at the data tells it."""
    from rlctl.data.peek import peek

    rows = [peek(source).rows for source in config.data.train]
    prompts = None if None in rows else sum(count or 0 for count in rows)
    return make_plan(config, num_processes=processes(), num_prompts=prompts)


def processes() -> int:
    """Training processes, as a launcher such as `accelerate launch` announces them."""
    size = os.environ.get("WORLD_SIZE", "1")
    if not size.isdecimal() or int(size) < 1:
        raise UsageError(
            f"{size!r} is no number of processes", where="WORLD_SIZE", hint="Unset it, or start a launcher."
        )
    return int(size)


def plan_document(plan: Plan) -> dict[str, Any]:
    """The plan as JSON."""
    from dataclasses import asdict

    derived = ("completions_per_step", "completions_per_process", "steps_per_generation", "tokens_per_step")
    return {**asdict(plan), **{name: getattr(plan, name) for name in derived}}
