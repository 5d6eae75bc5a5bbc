"""What was tried on a reward, in the terminal report: noise, probes, references, links and cost."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from rlctl.cli.layout import heading, pairs
from rlctl.reports.figures import number, percent, seconds

Document = Mapping[str, Any]


def checks(document: Document) -> Iterator[RenderableType]:
    """Tests, noise, probes, references, links and cost: a line each, where they say something."""
    tests = document.get("tests")
    lines = [
        *([("tests", f"{tests:,} of rewards.tests pass")] if tests else []),
        *_noise(document.get("noise") or {}),
        *_probes(document.get("probes") or []),
        *_gold(document.get("gold") or {}),
        *_links(document),
        *_cost(document.get("cost") or {}),
    ]
    if lines:
        yield heading("Checks")
        yield pairs(lines)


def _noise(noise: Document) -> Iterator[tuple[str, str]]:
    label = "noise"
    for key, what in (("noise", "scored again"), ("batch", "in another order and batch size")):
        one = noise.get(key) or {}
        changed, share = one.get("changed_outcomes"), one.get("share_of_within_variance")
        says = [f"{percent(share)} of the variance within prompts changes"] if share else []
        says += [f"{changed:,} of {noise['n']:,} outcomes change"] if changed else []
        if one.get("amplified"):
            says += [f"a group tied but for that gets advantages of {number(one['amplified'])}"]
        if one:
            yield label, f"{what}: {', '.join(says) or 'the same'}"
            label = ""


def _probes(probes: list[Any]) -> Iterator[tuple[str, str | Text]]:
    if not probes:
        return
    found = [one for one in probes if one.get("exploit")]
    named = "; ".join(f"{one.get('says') or one['name']} scores {number(one.get('median'))}" for one in found)
    if found:
        yield (
            "probes",
            Text.assemble((f"{len(found)} of {len(probes)} get through", "bold red"), f": {named}"),
        )
    else:
        yield "probes", f"{len(probes)} ways around the reward tried, none gets through"


def _gold(gold: Document) -> Iterator[tuple[str, str]]:
    label = "references"
    for name, one in (gold.get("components") or {}).items():
        if one.get("n") == 0:
            continue
        right, low = one.get("reference"), one.get("below_top")
        says = "no right answer gets a score" if right is None else f"right answers score {number(right)}"
        says += f", {percent(low)} of them below the top" if low and right is not None else ""
        if (other := one.get("other")) is not None:
            says += f"; answers to other prompts {number(other)}"
        yield label, f"{name}: {says}"
        label = ""


def _links(document: Document) -> Iterator[tuple[str, str]]:
    length = document.get("length") or {}
    within = length.get("reward_within")
    if within is not None and abs(within) >= 0.3:
        unit = length.get("unit") or "characters"
        yield (
            "length",
            f"correlation with the reward within prompts {within:.2f} ({number(length.get('mean'))} {unit})",
        )
    label = "alike"
    for one in document.get("correlations") or []:
        rank = one.get("spearman")
        if rank is not None and not -0.5 <= rank <= 0.9:
            yield label, f"{one['a']} and {one['b']}: rank correlation {rank:.2f} (n = {one['n']:,})"
            label = ""


def _cost(cost: Document) -> Iterator[tuple[str, str]]:
    each = cost.get("seconds_per_completion")
    if each is None:
        return
    step, count = cost.get("seconds_per_step"), cost.get("completions_per_step")
    whole = f", about {seconds(step)} for the {count:,} of a step" if step is not None and count else ""
    slow = max((cost.get("components") or {}).items(), key=lambda item: item[1] or 0, default=None)
    most = f"; most of it {slow[0]}" if slow and len(cost["components"]) > 1 else ""
    yield "cost", f"{seconds(each)} per completion{whole}{most}"
