"""Writes what is derived: docs/reference/{config,rewards,trl,cli}.md from the code, and the template of
`rlctl init quickstart` from configs/quickstart.yaml. tests/test_reference.py fails where they differ.

    python scripts/make_reference.py
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import get_args

from rlctl import registry
from rlctl.config import catalogue
from rlctl.config.algorithm import SECTIONS
from rlctl.config.base import Section
from rlctl.config.component import Component
from rlctl.config.config import Config
from rlctl.config.schema import Key, as_yaml, keys
from rlctl.config.trl_keys import OWNED, REFUSED
from rlctl.rewards import transforms

ROOT = Path(__file__).parent.parent
NOTE = "<!-- Written by scripts/make_reference.py; do not edit. -->"


def config_page() -> str:
    """Every key of the YAML, section by section, and which sections each algorithm takes."""
    lines = [
        "# Configuration",
        NOTE,
        "Every key of the YAML. `null` is the default of what is off, or decided by something else.",
        "Relative paths start from the folder of the YAML; `run.output_dir` from the current folder.",
        "",
        "## Sections",
        "",
        *table(("algorithm", *Config.model_fields), section_rows()),
    ]
    for name, field in Config.model_fields.items():
        lines += ["", f"## `{name}`", "", f"{sentence(field.description)}"]
        if name == "algorithm":
            for kind, target in registry.names("algorithms").items():
                lines += ["", f"### `type: {kind}`", "", *section_lines(registry.load(target), name)]
        else:
            lines += ["", *section_lines(field.annotation, name)]
    return page(lines)


def section_rows() -> Iterator[tuple[str, ...]]:
    """Algorithm, and what it says of each section."""
    for algorithm, needs in SECTIONS.items():
        yield (f"`{algorithm}`", *(needs.get(section, "refused") for section in Config.model_fields))


def section_lines(section: type[Section], path: str) -> list[str]:
    """A table of a section's keys, then the sections below it; rewards have a page of their own."""
    found = keys(section)
    lines = key_table(found)
    for key in found:
        for below in key.sections:
            if issubclass(below, Component):
                lines += ["", f"The types of `{path}.{key.name}` are in [Rewards](rewards.md)."]
                break
            heading = f"### `{path}.{key.name}`"
            if below in [field.annotation for field in Config.model_fields.values()]:
                lines += ["", heading, "", f"The keys of [`{key.name}`](#{key.name})."]
                continue
            lines += [
                "",
                heading,
                "",
                sentence(below.__doc__),
                "",
                *section_lines(below, key.name),
            ]
    return lines


def rewards_page() -> str:
    """Reward types, the keys that all of them take, and the transforms."""
    common = [key for key in keys(Component) if key.name != "type"]
    names = {key.name for key in common}
    lines = [
        "# Rewards",
        NOTE,
        "The parts of a reward: items of `rewards.components`. Every type takes these keys:",
        "",
        *key_table(common),
    ]
    for name, target in registry.names("rewards").items():
        section = registry.load(target)
        own = [key for key in keys(section) if key.name not in {*names, "type"}]
        isolated = (
            "\n\nRuns in worker processes that are killed when they hang." if section.needs_worker else ""
        )
        lines += ["", f"## `{name}`", "", f"{paragraph(section.__doc__)}{isolated}", "", *key_table(own)]
    lines += ["", "## Transforms", "", "Values of `transform`, chosen by `type`; x is the raw score."]
    for section in get_args(get_args(transforms.Transform)[0]):
        (kind,) = get_args(section.model_fields["type"].annotation)
        own = [key for key in keys(section) if key.name != "type"]
        lines += [
            "",
            f"### `{kind}`",
            "",
            f"{sentence(section.__doc__)} {formula(section)}",
            "",
            *key_table(own),
        ]
    return page(lines)


def formula(section: type) -> str:
    """What `apply` computes."""
    return f"f(x): {sentence(section.apply.__doc__)}"


def trl_page() -> str:
    """What `algorithm.trl` takes, what other keys own, what is refused."""
    versions = ", ".join(f"{name} {version}" for name, version in catalogue.versions().items())
    lines = [
        "# Arguments of TRL",
        NOTE,
        f"Made from {versions}. rlctl passes every argument to TRL, with these defaults unless the YAML says",
        "otherwise, so that another version's defaults cannot change a run.",
    ]
    for algorithm in catalogue.algorithms():
        known = catalogue.arguments(algorithm)
        lines += [
            "",
            f"## `{algorithm}`: what `algorithm.trl` takes",
            "",
            *table(
                ("argument", "takes", "default", "meaning"),
                (
                    (f"`{name}`", catalogue.kind(entry), f"`{as_yaml(entry['default'])}`", entry["help"])
                    for name, entry in catalogue.passed_through(algorithm).items()
                ),
            ),
            "",
            f"## `{algorithm}`: set by other keys",
            "",
            *table(
                ("argument", "key"), ((f"`{name}`", f"`{OWNED[name]}`") for name in known if name in OWNED)
            ),
            "",
            f"## `{algorithm}`: not taken",
            "",
            *table(("argument", "why"), ((f"`{name}`", REFUSED[name]) for name in known if name in REFUSED)),
        ]
    return page(lines)


def cli_page() -> str:
    """The help of every command, as it is printed."""
    from typer.testing import CliRunner

    from rlctl.cli.app import app

    def help_of(*arguments: str) -> str:
        run = CliRunner().invoke(app, [*arguments, "--help"], prog_name="rlctl", env={"COLUMNS": "80"})
        return run.stdout.rstrip()

    commands = [command.name or command.callback.__name__ for command in app.registered_commands]
    lines = ["# Commands", NOTE, "```text", help_of(), "```"]
    for command in commands:
        lines += ["", f"## `rlctl {command}`", "", "```text", help_of(command), "```"]
    return page(lines)


def key_table(found: list[Key]) -> list[str]:
    """Keys as a Markdown table; a sentence where there are none."""
    if not found:
        return ["No keys of its own."]
    rows = (
        (
            f"`{key.name}`",
            key.kind,
            "required" if key.default is None else f"`{key.default}`",
            key.description,
        )
        for key in found
    )
    return table(("key", "takes", "default", "meaning"), rows)


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    """A Markdown table."""
    cells = [head, ("---",) * len(head), *rows]
    return [f"| {' | '.join(cell.replace('|', '&#124;') for cell in row)} |" for row in cells]


def sentence(text: str | None) -> str:
    """The first line of a docstring."""
    return (text or "").strip().partition("\n")[0]


def paragraph(text: str | None) -> str:
    """A docstring up to its first empty line, on one line."""
    return " ".join((text or "").strip().partition("\n\n")[0].split())


def page(lines: list[str]) -> str:
    """Lines as a page; the heading and the note stand apart."""
    title, note, *rest = lines
    return "\n".join([title, "", note, "", *rest]) + "\n"


def quickstart_template() -> str:
    """The shipped quickstart, as it reads in a folder of the user's own."""
    text = (ROOT / "configs" / "quickstart.yaml").read_text(encoding="utf-8")
    return text.replace("../rlctl.schema.json", "rlctl.schema.json").replace(
        "configs/quickstart.yaml", "config.yaml"
    )


FILES: dict[str, Callable[[], str]] = {
    "docs/reference/config.md": config_page,
    "docs/reference/rewards.md": rewards_page,
    "docs/reference/trl.md": trl_page,
    "docs/reference/cli.md": cli_page,
    "rlctl/templates/quickstart/config.yaml": quickstart_template,
}
"""Path from the root of the repository → what makes its text."""


if __name__ == "__main__":
    for path, make in FILES.items():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(make(), encoding="utf-8")
        print(f"wrote {path}")
