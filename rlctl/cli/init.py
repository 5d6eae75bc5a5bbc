"""`rlctl init`: a template of the package becomes the user's own files. Nothing is ever overwritten."""

import shlex
from importlib.resources import as_file, files
from pathlib import Path

from rlctl.cli.output import print_json, print_lines
from rlctl.errors import UsageError
from rlctl.registry import did_you_mean

CONFIG = "config.yaml"


def templates() -> dict[str, str]:
    """Name of each template, and what it is for."""
    folders = [folder for folder in files("rlctl.templates").iterdir() if folder.joinpath(CONFIG).is_file()]
    return {
        folder.name: _purpose(folder.joinpath(CONFIG).read_text(encoding="utf-8"))
        for folder in sorted(folders, key=lambda folder: folder.name)
    }


def _purpose(text: str) -> str:
    """The first comment that is meant for people."""
    comments = [line.strip("# ") for line in text.splitlines() if line.startswith("#")]
    return next(line for line in comments if line and not line.startswith("yaml-language-server"))


def run(template: str, output: str, *, as_json: bool) -> None:
    """Copy a template: its config to `output`, the files that it names beside it.

    Raises:
        UsageError: There is no such template, a file exists, or the folder cannot be written.
    """
    known = templates()
    if template not in known:
        hint = did_you_mean(template, known) or f"there is {', '.join(known)}"
        raise UsageError(f"no template {template!r}", hint=hint)
    target = Path(output)
    if target.is_dir():
        raise UsageError(f"{output} is a folder", hint=f"Name a file: --output {target / CONFIG}")
    with as_file(files("rlctl.templates").joinpath(template)) as folder:
        copies = {
            source: target if source.name == CONFIG else target.with_name(source.name)
            for source in sorted(folder.iterdir())
            if source.is_file()
        }
        _refuse_existing(list(copies.values()), template)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            for source, copy in copies.items():
                with copy.open("xb") as file:
                    file.write(source.read_bytes())
        except OSError as error:
            raise UsageError(f"cannot write here ({error.strerror})", where=str(target.parent)) from error
    written = [str(copy) for copy in copies.values()]
    if as_json:
        print_json({"template": template, "written": written})
    else:
        place = shlex.quote(str(target))
        print_lines(
            f"wrote {', '.join(written)}",
            f"next: rlctl check {place}, then rlctl train {place}",
            "for completion in an editor: rlctl schema > rlctl.schema.json, beside it",
        )


def _refuse_existing(copies: list[Path], template: str) -> None:
    taken = [str(copy) for copy in copies if copy.exists()]
    if taken:
        raise UsageError(
            f"{', '.join(taken)} exists, and nothing is overwritten",
            hint=f"Write somewhere else: rlctl init {template} --output FOLDER/{CONFIG}",
        )
