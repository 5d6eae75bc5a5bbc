"""Options that commands have in common, declared once."""

from typing import Annotated

import typer

ConfigArgument = Annotated[
    str, typer.Argument(metavar="CONFIG", help="The YAML of the run.", show_default=False)
]

OptionalConfig = Annotated[
    str | None,
    typer.Argument(
        metavar="[CONFIG]",
        help="The YAML of the run; else rlctl.yaml or config.yaml here, else the built-in quickstart.",
        show_default=False,
    ),
]

Overrides = Annotated[
    list[str],
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Set a key, e.g. training.max_steps=10. Wins over the file."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document, and nothing else, to stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say more; with errors, the traceback.")]
