"""Held-out results of a model card: before against after, with intervals and n, or that there are none."""

import math

from rlctl.evaluation.labels import figure, label, shown
from rlctl.models.trained import Trained


def results(run: Trained) -> list[str]:
    """Paragraphs and a table for the section."""
    found = run.evaluations()
    if not found:
        why = "`data.eval` was not set" if run.config.data.eval is None else "no evaluation is in its logs"
        return [
            f"None: {why}. Nothing is known of how this model does on prompts that it was not trained on."
        ]
    before, after = found.get(0), found.get(run.step) if run.step is not None else None
    if after is None or not run.step:
        steps = ", ".join(map(str, sorted(found)))
        return [f"None: this checkpoint was not evaluated. Its run was, after steps {steps}."]
    prompts = ((run.record.get("data") or {}).get("eval") or {}).get("rows")
    rows = [
        f"| {_label(name, run)} | {_cell(before, name, prompts)} | {_cell(after, name, prompts)} |"
        for name in shown(run.config, [before or {}, after])
    ]
    table = "\n".join([f"| | before | after step {run.step:,} |", "| --- | --- | --- |", *rows])
    samples = run.config.eval.num_samples
    count = "an unknown number of" if prompts is None else f"{prompts:,}"
    each = f"{samples} sampled completion{'s' * (samples != 1)} and a greedy one"
    note = (
        f"n = {count} held-out prompts, {each} for each, the same prompts and seed every time. "
        "Brackets are 95 % intervals: of the mean, clustered by prompt; of greedy passes, Wilson's."
    )
    if run.config.eval.rewards is not None:
        note += " The reward is an independent one (`eval.rewards`), which training did not see."
    return [table, note]


def _label(name: str, run: Trained) -> str:
    parts = [part.name for part in run.config.eval_rewards.components]
    return f"part `{name}`" if name in parts else label(name)


def _cell(metrics: dict[str, float] | None, name: str, prompts: int | None) -> str:
    """A figure with its interval where the logs give one; – where it was not measured."""
    if metrics is None:
        return "–"
    text, share = figure(metrics, name), metrics.get(f"val/{name}")
    if name == "greedy_pass" and share is not None and prompts and not metrics.get("val/failed_fraction"):
        low, high = wilson(share, prompts)
        return f"{text} [{low:.1%}, {high:.1%}]"
    return text


def wilson(share: float, n: int, z: float = 1.96) -> tuple[float, float]:
    """95 % interval of a share of n independent trials (Wilson 1927)."""
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return centre - half, centre + half
