"""`rlctl eval`: figures of checkpoints side by side, and what tells them apart."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rlctl.cli.audience import audience_at_terminal
from rlctl.cli.default_config import config_or_default
from rlctl.cli.output import console, print_json, print_lines, stdout_kept_for
from rlctl.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from rlctl.evaluation.figures import Figures
    from rlctl.evaluation.result import Evaluation, NamedComparison

EXPORTS = ("lm-eval",)
PLAIN = {
    "completion_length": "{:.1f}",
    "truncated_fraction": "{:.1%}",
    "distinct_fraction": "{:.1%}",
    "repetition_fraction": "{:.1%}",
    "kl_div": "{:.3f}",
    "entropy": "{:.3f}",
    "failed_fraction": "{:.1%}",
}
"""Figures without an interval, and how they are written."""
MOST_PASSES = 4
"""Rows of pass@k in the table; the JSON has all."""


def run(
    path: str | None,
    overrides: list[str],
    checkpoints: list[str],
    against: list[str],
    num_samples: int | None,
    completions: str | None,
    output: str | None,
    export: str | None,
    *,
    as_json: bool,
    quiet: bool,
) -> None:
    """Check what is asked for, evaluate, and print the figures."""
    from rlctl.config.load import load_config

    _check(num_samples, completions, export)
    with config_or_default(path) as (file, which):
        given = [] if num_samples is None or completions else [f"eval.num_samples={num_samples}"]
        config = load_config(file, [*overrides, *given])
    if which is not None and not quiet:
        console(stderr=True).print(which, markup=False, soft_wrap=True)
    with stdout_kept_for(as_json), audience_at_terminal(quiet=quiet) as audience:
        from rlctl.training.train import calm_libraries

        calm_libraries()
        from rlctl.evaluation.evaluate import evaluate

        found = evaluate(
            config,
            checkpoints,
            against=against,
            num_samples=num_samples if completions else None,
            completions=completions,
            output=output,
            benchmarks=export is not None,
            audience=audience,
        )
    if as_json:
        print_json(found.as_dict())
    elif not quiet:
        show(found, console())


def _check(num_samples: int | None, completions: str | None, export: str | None) -> None:
    if num_samples is not None and num_samples < 1:
        raise UsageError(f"{num_samples} samples", where="--num-samples", hint="Take 1 or more.")
    if export is not None and export not in EXPORTS:
        raise UsageError(f"no export {export!r}", where="--export", hint=f"There is {', '.join(EXPORTS)}.")
    if export is not None and completions is not None:
        hint = "Benchmarks need a model: leave --completions out."
        raise UsageError("completions out of a file cannot be exported", where="--export", hint=hint)


def show(found: "Evaluation", screen: "Console") -> None:
    """The figures as a table, groups below it, and the comparisons in words."""
    any_figures = next(iter(found.figures.values()), None)
    if any_figures is not None:
        samples = any_figures.samples_per_prompt
        count = f"{len(any_figures.prompts):,} prompts × {samples} sample{'s' * (samples != 1)}"
        rewards = " by `eval.rewards`, which training does not see" if found.config.eval.rewards else ""
        _table(screen, f"{count}{rewards}; mean and 95 % interval", found.figures)
        for column in found.config.eval.group_by or []:
            _groups(screen, column, found)
    for one in found.comparisons:
        print_lines("", *describe(one))
    for line in _benchmarks(found):
        print_lines(line)
    print_lines("", f"results  {found.folder}")


def _table(screen: "Console", title: str, figures: dict[str, "Figures"]) -> None:
    from rich.table import Table
    from rich.text import Text

    screen.print(Text(title, "bold"), soft_wrap=True)
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for name in figures:
        table.add_column(Text(name), justify="right", overflow="fold")
    for label, cells in _rows(figures):
        table.add_row(Text(label), *cells)
    screen.print(table)


def _rows(figures: dict[str, "Figures"]) -> Iterator[tuple[str, list[str]]]:
    """Label and one cell per checkpoint."""
    from rlctl.evaluation.labels import label

    shown = list(figures.values())
    for name in dict.fromkeys(name for one in shown for name in _few(one.metrics())):
        yield label(name), [_cell(one, name) for one in shown]
    for name, form in PLAIN.items():
        values = [one.mean(name) for one in shown]
        if name != "failed_fraction" or any(values):
            yield label(name), [_number(value, form) for value in values]


def _few(metrics: list[str]) -> list[str]:
    """All metrics, but of pass@k the first, the last and some powers of two between."""
    passes = [name for name in metrics if name.startswith("pass_at_")]
    powers = [name for i, name in enumerate(passes, start=1) if i & (i - 1) == 0]
    kept = {*powers[: MOST_PASSES - 1], *passes[-1:]}
    alone = {"majority"} if len(passes) == 1 else set()  # the vote of one
    return [name for name in metrics if (name not in passes or name in kept) and name not in alone]


def _cell(figures: "Figures", metric: str) -> str:
    """A mean with its interval; n where it is not over all prompts."""
    if metric not in figures.metrics():
        return "–"
    estimate = figures.estimate(metric)
    if estimate.mean is None:
        return "–"
    some = f" (n = {estimate.n:,})" if estimate.n < len(figures.prompts) else ""
    if estimate.low is None or estimate.high is None:
        return f"{estimate.mean:.3f}{some}"
    return f"{estimate.mean:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]{some}"


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)


def _groups(screen: "Console", column: str, found: "Evaluation") -> None:
    """The metric that decides, by the values of a column."""
    from rich.table import Table
    from rich.text import Text

    metric = found.config.eval.metric
    screen.print(Text(f"\n{metric} by {column}", "bold"), soft_wrap=True)
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    table.add_column("prompts", justify="right")
    for name in found.figures:
        table.add_column(Text(name), justify="right", overflow="fold")
    parts = {name: one.by(column) for name, one in found.figures.items()}
    for value in dict.fromkeys(value for part in parts.values() for value in part):
        some = [part[value] for part in parts.values() if value in part]
        cells = [_cell(part[value], metric) if value in part else "–" for part in parts.values()]
        table.add_row(Text(value), str(len(some[0].prompts)), *cells)
    screen.print(table)


def describe(one: "NamedComparison") -> list[str]:
    """A comparison in words."""
    found = one.found
    lines = [f"{one.a} against {one.b}: {one.metric}, {found.n:,} prompts in pairs"]
    if found.difference is None:
        return [*lines, "  no prompt has a value for both"]
    interval = "" if found.low is None else f" [{found.low:+.3f}, {found.high:+.3f}]"
    p_value = "" if found.p_value is None else f", {_p(found.p_value)}"
    adjusted = one.p_adjusted is not None and one.p_adjusted != found.p_value
    several = f" ({_p(one.p_adjusted or 0)} adjusted for the number of comparisons)" if adjusted else ""
    lines.append(f"  difference {found.difference:+.3f}{interval}{p_value}{several}: {_verdict(one)}")
    lines.append(f"  better on {found.wins:,} prompts, the same on {found.ties:,}, worse on {found.losses:,}")
    if found.detectable_effect is not None:
        lines.append(f"  detectable effect (80 % power at 5 %): {found.detectable_effect:.3f}")
    return lines


def _verdict(one: "NamedComparison") -> str:
    if one.verdict == "not judged":
        voted = one.metric.startswith("pass_at_") or one.metric == "majority"
        what = "completions, or of the prompts," if voted else "completions"
        if one.one_sided:
            several = "s have" if one.one_sided > 1 else " has"
            return (
                f"not judged, {one.one_sided:,} prompt{several} completions of only one of the two; with "
                f"these, {one.left_out:.1%} of the {what} have no {one.metric}"
            )
        counting = "" if voted else " (`reward` and `pass_at_1` count invalid ones too)"
        return f"not judged, {one.left_out:.1%} of the {what} have no {one.metric}{counting}"
    return "no evidence of a difference" if one.verdict == "no evidence" else one.verdict


def _p(value: float) -> str:
    return "p < 0.0001" if value < 1e-4 else f"p = {value:.4f}" if value < 0.1 else f"p = {value:.2f}"


def _benchmarks(found: "Evaluation") -> Iterator[str]:
    """What the lm-evaluation-harness found: checkpoint, task and metric; then the comparisons."""
    for name, tasks in found.benchmarks.get("benchmarks", {}).items():
        yield ""
        yield f"{name}, lm-evaluation-harness"
        for task, metrics in tasks.items():
            for metric, one in metrics.items():
                error = "" if one["stderr"] is None else f" ± {one['stderr']:.3f} (standard error)"
                value = _number(one["value"], "{:.3f}")
                yield f"  {task}, {metric}: {value}{error}, {one['n']:,} questions"
    for one in found.benchmarks.get("benchmark_comparisons", []):
        if one["difference"] is not None and one["p_value"] is not None:
            several = f", {_p(one['p_adjusted'])} adjusted" if one["p_adjusted"] != one["p_value"] else ""
            yield (
                f"{one['a']} against {one['b']}: {one['task']}, {one['metric']}: "
                f"{one['difference']:+.3f}, {_p(one['p_value'])}{several}"
            )
