"""The commands and their options. Each one's work is in a file of its own, imported when it is called."""

import os
import sys
from typing import Annotated

import typer

from rlctl import __version__
from rlctl.cli.options import ConfigArgument, Json, OptionalConfig, Overrides, Quiet, Verbose

app = typer.Typer(
    name="rlctl",
    help="RL post-training from one YAML.",
    epilog="Start with: rlctl init, rlctl check config.yaml, rlctl train config.yaml",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"rlctl {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """RL post-training from one YAML."""


@app.command()
def train(
    config: ConfigArgument,
    overrides: Overrides = [],  # noqa: B006
    output_dir: Annotated[
        str | None,
        typer.Option("--output-dir", metavar="DIR", help="Folder that holds the runs.", show_default=False),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with the run of this name from its newest checkpoint."),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan; write nothing.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Validate the YAML, then run the algorithm that it names."""
    from rlctl.cli.train import run

    run(config, overrides, output_dir, resume=resume, dry_run=dry_run, as_json=as_json, quiet=quiet)


@app.command()
def check(
    config: ConfigArgument,
    overrides: Overrides = [],  # noqa: B006
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Validate the YAML as train does, without running it."""
    from rlctl.cli.check import run

    run(config, overrides, as_json=as_json, quiet=quiet, verbose=verbose)


@app.command(name="eval")
def eval_(
    config: OptionalConfig = None,
    checkpoint: Annotated[
        list[str],
        typer.Option(
            "--checkpoint",
            metavar="NAME",
            help="A model folder, a RUN, RUN@STEP, RUN@best, or base; repeatable. Default: the config's run.",
            show_default=False,
        ),
    ] = [],  # noqa: B006
    against: Annotated[
        list[str],
        typer.Option("--against", metavar="NAME", help="Compare with it, prompt by prompt; repeatable."),
    ] = [],  # noqa: B006
    num_samples: Annotated[
        int | None,
        typer.Option("--num-samples", metavar="N", help="Samples per prompt.", show_default=False),
    ] = None,
    completions: Annotated[
        str | None,
        typer.Option(
            "--completions",
            metavar="DATA",
            help="Score these completions; no model is loaded.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="DIR", help="Folder for the results.", show_default=False),
    ] = None,
    export: Annotated[
        str | None,
        typer.Option(
            "--export",
            metavar="lm-eval",
            help="Run the benchmarks of eval.lm_eval with the lm-evaluation-harness too.",
            show_default=False,
        ),
    ] = None,
    overrides: Overrides = [],  # noqa: B006
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Score checkpoints on held-out prompts, and compare them."""
    from rlctl.cli.eval import run as evaluate

    evaluate(
        config,
        overrides,
        checkpoint,
        against,
        num_samples,
        completions,
        output,
        export,
        as_json=as_json,
        quiet=quiet,
    )


@app.command(name="analyze-rewards")
def analyze_rewards(
    config: OptionalConfig = None,
    num_samples: Annotated[
        int | None,
        typer.Option(
            "--num-samples",
            metavar="N",
            help="Completions to sample, 100 by default; of a file the first, of a run the last (all).",
            show_default=False,
        ),
    ] = None,
    completions: Annotated[
        str | None,
        typer.Option(
            "--completions",
            metavar="DATA",
            help="Score these completions; no model is loaded.",
            show_default=False,
        ),
    ] = None,
    text: Annotated[
        list[str],
        typer.Option("--text", metavar="STRING", help="Score this string and show its parts; repeatable."),
    ] = [],  # noqa: B006
    row: Annotated[
        str | None,
        typer.Option(
            "--row",
            metavar="YAML",
            help="Columns for --text, e.g. '{answer: \"7\"}'. Default: the first training row.",
            show_default=False,
        ),
    ] = None,
    run: Annotated[
        str | None,
        typer.Option(
            "--run",
            metavar="RUN",
            help="Score what a run has sampled, by CONFIG or by its own config.",
            show_default=False,
        ),
    ] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Write the advised penalty into the YAML.")] = False,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="DIR", help="Folder for the results.", show_default=False),
    ] = None,
    overrides: Overrides = [],  # noqa: B006
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Analyse a reward before training: spread, penalty, traps."""
    from rlctl.cli.analyze_rewards import Asked
    from rlctl.cli.analyze_rewards import run as analyze

    asked = Asked(config, num_samples, completions, text, row, run, output, apply)
    analyze(asked, overrides, as_json=as_json, quiet=quiet)


@app.command()
def prove(
    config: ConfigArgument,
    overrides: Overrides = [],  # noqa: B006
    seeds: Annotated[
        int,
        typer.Option(
            "--seeds",
            metavar="N",
            help="Training seeds, run.seed and those after it; one alone is never called improved.",
        ),
    ] = 3,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            metavar="DIR",
            help="Folder of the proof; <run.output_dir>/<run.name>-prove by default.",
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what it will cost; write nothing.")
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Train seeds and a control, judge on held-out prompts.

    What is judged, and how, is fixed before training. The same command again
    goes on where it was stopped.
    """
    from rlctl.cli.prove import run

    run(config, overrides, seeds, output, dry_run=dry_run, as_json=as_json, quiet=quiet)


@app.command()
def export(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="A run's folder, or RUN@STEP or RUN@best for one of its checkpoints.",
            show_default=False,
        ),
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Folder to write; export or export-STEP in the run's by default.",
            show_default=False,
        ),
    ] = None,
    push: Annotated[
        str | None,
        typer.Option(
            "--push", metavar="OWNER/NAME", help="Upload it to the Hugging Face Hub.", show_default=False
        ),
    ] = None,
    private: Annotated[bool, typer.Option("--private", help="Make a new repository private.")] = False,
    adapter: Annotated[
        bool, typer.Option("--adapter", help="Export a LoRA adapter as it is, not merged.")
    ] = False,
    dtype: Annotated[
        str | None,
        typer.Option(
            "--dtype",
            metavar="TYPE",
            help="float32, bfloat16 or float16; that of the base model by default.",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write a run's model to one folder, with a model card.

    LoRA is merged into it.
    """
    from rlctl.cli.export import run as export_run

    export_run(
        run,
        output,
        push,
        private=private,
        adapter=adapter,
        dtype=dtype,
        as_json=as_json,
        quiet=quiet,
        verbose=verbose,
    )


@app.command()
def init(
    template: Annotated[
        str, typer.Argument(help="What to start from: see rlctl list templates.")
    ] = "quickstart",
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="File to write; never overwritten.")
    ] = "config.yaml",
    as_json: Json = False,
) -> None:
    """Write a commented YAML to start from."""
    from rlctl.cli.init import run

    run(template, output, as_json=as_json)


@app.command(name="list")
def list_(
    kind: Annotated[
        str, typer.Argument(metavar="KIND", help="rewards, algorithms, models, datasets or templates.")
    ],
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Show what a YAML can name, one line each."""
    from rlctl.cli.listing import run

    run(kind, as_json=as_json, verbose=verbose)


@app.command()
def schema() -> None:
    """Print the JSON Schema of the YAML, for editors."""
    from rlctl.config.schema import render

    typer.echo(render(), nl=False)


@app.command()
def doctor(as_json: Json = False) -> None:
    """Probe devices, libraries and trackers; print each fix."""
    from rlctl.cli.doctor import run

    run(as_json=as_json)


def _reported(error: Exception, *, as_json: bool, verbose: bool) -> int:
    from rlctl.cli.failures import exit_code, report

    try:
        return report(error, as_json=as_json, verbose=verbose)
    except OSError:  # the terminal is gone
        for descriptor in (1, 2):
            os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
        return exit_code(error)


def main() -> None:
    """Entry point of the `rlctl` command."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code; errors are printed, never raised."""
    from rlctl.cli.failures import EXIT_INTERRUPTED

    as_json = "--json" in arguments
    verbose = not {"-v", "--verbose"}.isdisjoint(arguments)
    try:
        code = app(arguments or ["--help"], prog_name="rlctl", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or the interpreter complains while it closes stdout
        return 1
    except Exception as error:
        return _reported(error, as_json=as_json, verbose=verbose)
    if code == EXIT_INTERRUPTED:
        typer.echo("interrupted", err=True)
    return code if isinstance(code, int) else 0
