"""Held-out results of a model card: before against after, with intervals and n, or that there are none."""

import math

from rlctl.models.trained import Trained

PERCENT = {
    "val/accuracy": "accuracy, sampled",
    "val/greedy_accuracy": "accuracy, greedy",
    "val/invalid_fraction": "invalid",
    "val/failed_fraction": "could not be scored",
}


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
    names = ["val/reward", *(f"val/{part.name}" for part in run.config.rewards.components), *PERCENT]
    names += ["val/completion_length"]
    rows = [
        f"| {_label(name)} | {_cell(before, name, prompts)} | {_cell(after, name, prompts)} |"
        for name in names
        if name in after or name in (before or {})
    ]
    table = "\n".join([f"| | before | after step {run.step:,} |", "| --- | --- | --- |", *rows])
    samples = run.config.eval.num_samples
    count = "an unknown number of" if prompts is None else f"{prompts:,}"
    each = f"{samples} sampled completion{'s' * (samples != 1)} and a greedy one"
    note = (
        f"n = {count} held-out prompts, {each} for each, the same prompts and seed every time. "
        "± and brackets are 95 % intervals: of the mean, clustered by prompt; of greedy accuracy, Wilson's."
    )
    return [table, note]


def _label(name: str) -> str:
    if name == "val/reward":
        return "reward, sampled"
    if name == "val/completion_length":
        return "tokens per completion"
    return PERCENT.get(name) or f"part `{name.removeprefix('val/')}`"


def _cell(metrics: dict[str, float] | None, name: str, prompts: int | None) -> str:
    """A figure with its interval where the logs give one; – where it was not measured."""
    value = (metrics or {}).get(name)
    if metrics is None or value is None:
        return "–"
    if name == "val/greedy_accuracy" and prompts and not metrics.get("val/failed_fraction"):
        low, high = wilson(value, prompts)
        return f"{value:.1%} [{low:.1%}, {high:.1%}]"
    if name in PERCENT:
        return f"{value:.1%}"
    half = metrics.get("val/reward_ci95") if name == "val/reward" else None
    return f"{value:.3f}" + (f" ± {half:.3f}" if half is not None else "")


def wilson(share: float, n: int, z: float = 1.96) -> tuple[float, float]:
    """95 % interval of a share of n independent trials (Wilson 1927)."""
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return centre - half, centre + half
