"""`rlctl train`: the plan with --dry-run, otherwise the run itself."""

import json
import os
import signal
from typing import Any

from rlctl.cli.output import console, print_json, print_lines, stdout_kept_for
from rlctl.config.config import Config
from rlctl.config.plan import Plan, make_plan
from rlctl.errors import UsageError


def run(
    path: str, overrides: list[str], output_dir: str | None, *, dry_run: bool, as_json: bool, quiet: bool
) -> None:
    """Validate, then print the plan or train."""
    from rlctl.config.load import load_config

    if output_dir is not None:
        overrides = [*overrides, f"run.output_dir={json.dumps(output_dir)}"]
    config = load_config(path, overrides)
    if dry_run:
        _print_plan(config, as_json=as_json)
        return
    for ending in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(ending, _interrupt)
    with stdout_kept_for(as_json):
        from rlctl.training.train import train

        result = train(config, console=console(stderr=as_json), quiet=quiet)
    if as_json:
        print_json(result.summary)


def _interrupt(number: int, frame: object) -> None:
    """A signal that ends the run does it like Ctrl-C: workers stop, and the run's status says so."""
    raise KeyboardInterrupt


def _print_plan(config: Config, *, as_json: bool) -> None:
    from rlctl.training.run import folder_of, refuse_existing

    refuse_existing(config)
    plan = plan_of(config)
    if as_json:
        print_json(
            {"run": str(folder_of(config)), "plan": plan_document(plan), "config": config.model_dump()}
        )
    else:
        print_lines(f"run: {folder_of(config)} (not written: --dry-run)", *plan.describe())


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
