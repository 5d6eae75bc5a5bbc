"""The report of `analyze-rewards` in the terminal, from what `--json` prints alone.

Sections say what there is to say and leave out the rest; any figure may be None. Where no person sits at the
other end, lines are not broken.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from rlctl.calibration.wording import grouping, notes, origin, outcomes, unproven
from rlctl.cli.checks_view import checks
from rlctl.cli.drawing import bar, histogram
from rlctl.cli.layout import columns, heading, indented, pairs
from rlctl.cli.output import print_lines
from rlctl.cli.penalty_view import penalty
from rlctl.reports.figures import number, percent, share_with_interval, with_interval
from rlctl.reports.visible import visible
from rlctl.rewards.batch import text_of

Document = Mapping[str, Any]

UNBROKEN = 100_000
"""Characters of a line where nobody reads it on a screen."""
DRAWING = 60
"""Characters of a histogram."""
MOST_REASONS = 4
MOST_CLASSES = 8
MOST_OF_VALUE = 80
"""Characters of a prompt or column that are shown."""
SEVERITIES = {"error": "bold red", "warning": "bold yellow", "info": "bold blue"}


def show(document: Document, screen: Console, *, folder: str | None = None) -> None:
    """Print the report.

    Args:
        document: What `--json` prints.
        screen: Where to.
        folder: Where the files are; None where there are none.
    """
    document = visible(document)
    if screen.is_terminal:
        _print(document, screen)
    else:
        screen.width = UNBROKEN
        with screen.capture() as printed:
            _print(document, screen)
        print_lines(*(line.rstrip() for line in printed.get().splitlines()))
    if folder is not None:
        print_lines("", f"results  {folder}")


def _print(document: Document, screen: Console) -> None:
    """Section after section, an empty line between them."""
    if "texts" in document:
        parts = [_row_of(document), *(_text(one) for one in document["texts"])]
    else:
        parts = [list(section(document)) for section in SECTIONS]
    for i, part in enumerate(part for part in parts if part):
        if i:
            screen.print()
        for one in part:
            screen.print(one)


def _counts(document: Document) -> Iterator[RenderableType]:
    """What was scored, and what came of it."""
    n, several = document["num_samples"], grouping(document)
    where = origin(document.get("source") or {})
    yield heading(f"{n:,} completion{'s' * (n != 1)} {where}{': ' if several else ''}{several}")
    shown = [f"{word} {count:,} ({percent(share)})" for word, count, share in outcomes(document)]
    cut = (document.get("source") or {}).get("truncated")
    yield Text("  " + " · ".join(shown + ([f"cut at their greatest length {cut:,}"] if cut else [])))
    reasons = document.get("reasons") or []
    if reasons:
        table = columns("", "", "", left=(0, 2))
        table.show_header = False
        for one in reasons[:MOST_REASONS]:
            table.add_row(
                one["outcome"].replace("_", " "),
                f"{one['count']:,}",
                Text(f"{one['component']}: {one['reason']}"),
            )
        yield indented(table)


def _reward(document: Document) -> Iterator[RenderableType]:
    """Mean, spread and shape of the valid completions' reward."""
    reward = document.get("reward") or {}
    if reward.get("mean") is None:
        return
    yield heading("Reward of the valid completions")
    low, high = number(reward.get("min")), number(reward.get("max"))
    quantiles = {
        "min": low,
        **{k: number(v) for k, v in (reward.get("quantiles") or {}).items()},
        "max": high,
    }
    quantiles = {key: value for key, value in quantiles.items() if key not in ("p01", "p99")}
    yield pairs(
        [
            ("mean", with_interval(reward["mean"], reward.get("mean_ci95"))),
            ("std", with_interval(reward.get("std"), reward.get("std_ci95"))),
            ("quantiles", "  ".join(f"{key} {value}" for key, value in quantiles.items())),
        ]
    )
    drawn = reward.get("histogram") or {}
    counts = drawn.get("counts") or []
    if len(counts) > 1:
        for line in histogram(drawn["edges"], counts, drawn.get("values"), width=DRAWING):
            yield Text(f"    {line}")


def _components(document: Document) -> Iterator[RenderableType]:
    """Each part, and its share of what GRPO feels."""
    components = document.get("components") or {}
    if not components:
        return
    yield heading("Components", " (raw scores; share of the advantage's variance)")
    table = columns("", "weight", "mean", "std", "", "share", "", left=(0, 4, 6))
    for name, one in components.items():
        table.add_row(
            Text(name),
            number(one.get("weight")),
            number(one.get("mean")),
            number(one.get("std")),
            *_share(one.get("share_of_advantage_variance"), one.get("share_ci95")),
            Text(notes(one)),
        )
    groups = document.get("groups") or {}
    for name, key in (("being valid", "validity_share"), ("interaction", "interaction_share")):
        if groups.get(key):
            table.add_row(Text(name, "italic"), "", "", "", *_share(groups[key], None), "")
    yield indented(table)


def _share(share: float | None, interval: Any) -> tuple[Text, str]:
    return Text(bar(share, 8), "cyan"), share_with_interval(share, interval)


def _groups(document: Document) -> Iterator[RenderableType]:
    """What lies within groups and between them, and how many teach nothing."""
    groups = document.get("groups") or {}
    if not groups.get("count"):
        return
    least, most = groups.get("sizes") or (groups["size"], groups["size"])
    each = f"of {most} completions" if least == most else "with two scored completions or more"
    yield heading("Groups", f" ({groups['count']:,} {each})")
    within, between = number(groups.get("within_std")), number(groups.get("between_std"))
    icc = groups.get("icc")
    among = "" if icc is None else f" ({percent(icc)} of the variance lies between prompts)"
    dead = share_with_interval(groups.get("zero_std_fraction"), groups.get("zero_std_ci95"))
    kinds = [(groups.get(key), key.replace("_", " ")) for key in ("all_right", "all_wrong", "mixed")]
    split = [f"{word} {percent(share)}" for share, word in kinds if share is not None]
    rows = [("spread", f"within {within}, between {between}{among}"), ("no spread", f"{dead} of the groups")]
    if split:
        rows.append(("", ", ".join(split)))
    yield pairs(rows)
    if predicted := groups.get("predicted"):
        table = columns("groups of", *predicted)
        table.add_row("no spread", *(percent(one["zero_std_fraction"]) for one in predicted.values()))
        yield indented(table)


def _classes(document: Document) -> Iterator[RenderableType]:
    """The reward by what the data call the completions."""
    for column, values in (document.get("classes") or {}).items():
        yield heading(f"Reward by {column}")
        table = columns("", "n", "valid", "mean", "std")
        for value, one in list(values.items())[:MOST_CLASSES]:
            valid = number(one.get("valid"))
            mean = with_interval(one.get("mean"), one.get("ci95"))
            table.add_row(Text(str(value)), f"{one['n']:,}", valid, mean, number(one.get("std")))
        yield indented(table)
        if len(values) > MOST_CLASSES:
            yield Text(f"    and {len(values) - MOST_CLASSES} more in the JSON")


def _findings(document: Document) -> Iterator[RenderableType]:
    """What a person should know, the gravest first, and what to do."""
    findings = document.get("findings") or []
    yield heading("Findings", "" if findings else f"  none: {unproven(document)}")
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for one in findings:
        mark = Text(f"  {one['severity']}", SEVERITIES.get(one["severity"], ""))
        said = Text.assemble((one["code"], "bold"), f": {one['message']}")
        table.add_row(mark, said)
        if one.get("fix"):
            table.add_row("", Text(f"→ {one['fix']}"))
    if findings:
        yield table


def _row_of(document: Document) -> list[RenderableType]:
    """The prompt and the columns that the texts of `--text` were scored with."""
    columns = dict((document.get("source") or {}).get("columns") or {})
    prompt = columns.pop("prompt", None)
    what = [] if prompt is None else [f"as an answer to the prompt {_shortened(text_of(prompt))}"]
    values = ", ".join(f"{name}: {_shortened(value)}" for name, value in columns.items())
    if values:
        what.append(f"({values})" if what else f"with {values}")
    others = "" if prompt is None else ", the first of the data; --row takes other columns"
    return [Text(f"scored {' '.join(what)}{others}")] if what else []


def _shortened(value: Any) -> str:
    """A value as a line can hold it."""
    shown = repr(value)
    return shown if len(shown) <= MOST_OF_VALUE else f"{shown[: MOST_OF_VALUE - 1]}…"


def _text(one: Document) -> list[RenderableType]:
    """One text of `--text`: what it is worth, and why."""
    outcome = str(one["outcome"]).replace("_", " ")
    colour = {"scored": "green", "invalid": "yellow", "failed": "red"}.get(outcome, "")
    reason = f"  {one['reason']}" if one.get("reason") else ""
    head = Text.assemble((repr(one["completion"]), "bold"))
    worth = Text.assemble(
        "  ", (outcome, f"bold {colour}".strip()), f", total {number(one.get('total'))}{reason}"
    )
    table = columns("", "raw", "value", "in the total", "", left=(0, 4))
    for name, part in (one.get("components") or {}).items():
        figures = (number(part.get(key)) for key in ("raw", "value", "weighted"))
        said = part.get("reason") or (
            "" if part["outcome"] == "scored" else part["outcome"].replace("_", " ")
        )
        table.add_row(Text(name), *figures, Text(said))
    return [head, worth, indented(table)]


SECTIONS: tuple[Callable[[Document], Iterator[RenderableType]], ...] = (
    _counts,
    _reward,
    _components,
    _groups,
    penalty,
    checks,
    _classes,
    _findings,
)
"""In the order in which they are read; the findings last, where the eye ends up."""
