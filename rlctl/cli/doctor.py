"""`rlctl doctor`: each probe as it is done, its fix under it."""

import sys

import typer

from rlctl.cli.output import print_json, print_lines, stdout_kept_for
from rlctl.errors import EXIT_MISSING

COLOURS = {"ok": typer.colors.GREEN, "note": typer.colors.YELLOW, "broken": typer.colors.RED}


def run(*, as_json: bool) -> None:
    """Probe, print, and exit with 4 where something that every run needs does not work."""
    from dataclasses import asdict

    from rlctl.doctor import Probe, probes

    found: list[Probe] = []
    with stdout_kept_for(as_json):
        for probe in probes():
            found.append(probe)
            if not as_json:
                _show(probe.status, f"{probe.name}: {probe.found}", probe.fix)
    broken = [probe.name for probe in found if probe.status == "broken"]
    if as_json:
        print_json({"ok": not broken, "probes": [asdict(probe) for probe in found]})
    else:
        print_lines("", f"broken: {', '.join(broken)}" if broken else "everything that a run needs is here")
    if broken:
        raise typer.Exit(EXIT_MISSING)


def _show(status: str, text: str, fix: str | None) -> None:
    mark = f"{status:6}"
    print_lines(f"{typer.style(mark, fg=COLOURS[status]) if sys.stdout.isatty() else mark} {text}")
    if fix:
        print_lines(f"{'':6} → {fix}")
