"""Findings about how rewards are made: noise, ways around them, right answers, time."""

from collections.abc import Iterator, Mapping
from typing import Any

from rlctl.calibration.finding import Document, Finding
from rlctl.config.config import Config


def noise(document: Document, config: Config) -> Iterator[Finding]:
    """What scoring again changes."""
    found = document["noise"]
    if not found:
        return
    again, batch = found["noise"], found["batch"]
    share, changed = again["share_of_within_variance"], again["changed_outcomes"]
    if share is not None and share > 0.01:
        yield Finding(
            "error" if share > 0.5 else "warning",
            "noisy",
            f"scoring {found['n']} completions again changes the rewards: {share:.0%} of the variance within "
            f"prompts is noise; a group that is tied but for it gets advantages of {again['amplified']:.2f}",
            share,
            "average several calls, round the score, or set temperature 0 in a judge",
        )
    elif config.algorithm.scale_rewards == "group" and again["amplified"] and again["amplified"] > 0.05:
        yield Finding(
            "warning",
            "noisy_ties",
            f"the reward has a noise of {again['std']:.1g}: a group that is tied but for it gets advantages "
            f"of {again['amplified']:.2f}, as large as any",
            again["amplified"],
            "round the score to what it is worth",
        )
    if changed:
        yield Finding(
            "warning",
            "unstable_outcomes",
            f"scoring {found['n']} completions again gives {changed} of them another outcome "
            f"({_listed(again['changes'])})",
            changed / found["n"],
            "see whether the reward runs into its time limit (rewards.timeout), or guesses",
        )
    if batch["depends"]:
        share = batch["share_of_within_variance"]
        much = "" if share is None else f": {share:.0%} of the variance within prompts"
        yield Finding(
            "warning",
            "batch_dependent",
            f"in another order, {batch['batch_size']} at a time, completions score differently{much}",
            share,
            "score each completion by itself; what is relative to others belongs into `normalize`",
        )


def _listed(changes: Mapping[str, int]) -> str:
    return ", ".join(f"{count} × {change}" for change, count in changes.items())


def tricks(document: Document, config: Config) -> Iterator[Finding]:
    """What pays without being meant, and right answers that do not."""
    if document["text_ignored"] and document["valid"]:
        yield Finding(
            "info",
            "text_ignored",
            "an empty completion and nonsense score like the real ones: the reward does not look at the text "
            "and cannot be probed",
            None,
            "nothing, where the rewards are scores out of a file; else mend the reward",
        )
    yield from _form_alone([probe for probe in document["probes"] if probe["form_alone"]])
    for probe in document["probes"]:
        if probe["form_alone"] or (not probe["above"] and not probe["exploit"]):
            continue
        share = probe["share_exploiting"] if probe["exploit"] else probe["share_above"]
        level = "half of the way to the best" if probe["exploit"] else "the 25th percentile of the valid ones"
        value = probe["bar"] if probe["exploit"] else probe["p25"]
        yield Finding(
            "error" if probe["exploit"] else "warning",
            "exploit" if probe["exploit"] else "probe_above_p25",
            f"{probe['name']} ({probe['says']}) scores {probe['median']:.3g}, above {level} ({value:.3g}), "
            f"for {share:.0%} of {probe['n']} prompts",
            share,
            "give Invalid to it, or a component that it fails; else this is what will be learnt"
            if probe["exploit"]
            else "see that this is meant: credit for the form, or for being short",
        )
    for name, one in ((document["gold"] or {}).get("components") or {}).items():
        yield from _references(name, one)


def _form_alone(probes: list[Mapping[str, Any]]) -> Iterator[Finding]:
    """That nothing but the form, or words, is paid: one finding for all that show it."""
    if not probes:
        return
    tags = [probe for probe in probes if probe["name"].startswith("tags")]
    best = max(tags or probes, key=lambda probe: (probe["share_exploiting"], probe["median"]))
    also = [probe["name"] for probe in probes if probe is not best]
    yield Finding(
        "warning",
        "form_alone",
        f"the reward is for {'form' if tags else 'words'} alone: {best['example']['completion']!r} "
        f"({best['name']}: {best['says']}) scores {best['median']:.3g}, above half of the way to the best "
        f"({best['bar']:.3g}), for {best['share_exploiting']:.0%} of {best['n']} prompts"
        + (f"; so do {', '.join(also)}" if also else ""),
        best["share_exploiting"],
        "nothing, where that is all that is to be learnt; else add a component that judges the answer",
    )


def _references(name: str, one: Mapping[str, Any]) -> Iterator[Finding]:
    """What a component says of right answers, and of those to other prompts."""
    doubt = ", as far as the column's name tells" if one["guessed"] else ""
    if "reference" in one["problems"]:
        [example] = one["examples"][:1]
        why = f" ({example['reason']})" if example["reason"] else ""
        yield Finding(
            "warning" if one["guessed"] else "error",
            "right_answers_score_low",
            f"{name}: {one['below_top']:.0%} of {one['n']} right answers{doubt} are not at the top; "
            f"e.g. {example['reference']!r} gets {example['raw']}{why}",
            one["below_top"],
            f"mend {name}, or the column that it compares with",
        )
    if not one["testable"]:
        [example] = one["examples"][:1]
        why = f" ({example['reason']})" if example["reason"] else ""
        yield Finding(
            "info",
            "references_untested",
            f"{name}: right answers{doubt} get nothing in any form that was tried, though real ones do; "
            f"e.g. {example['reference']!r} gets {example['raw']}{why}",
            None,
            "give `rewards.tests` a right completion, and see that it scores at the top",
        )
    if "other" in one["problems"]:
        [example] = one["mistaken"][:1]
        yield Finding(
            "warning" if one["guessed"] else "error",
            "wrong_answers_score_high",
            f"{name}: {one['other_at_top']:.0%} of {one['other_n']} answers to other prompts are at the top; "
            f"e.g. {example['reference']!r} gets {example['raw']}",
            one["other_at_top"],
            f"mend {name}: it does not tell right answers from wrong ones",
        )


def cost(document: Document, config: Config) -> Iterator[Finding]:
    """Whether scoring will hold training up."""
    if document["cost"]["seconds_per_step"] and document["cost"]["seconds_per_step"] > 30:
        seconds = document["cost"]["seconds_per_step"]
        slowest = max(document["cost"]["components"].items(), key=lambda item: item[1])[0]
        message = f"scoring takes about {seconds:.0f} s of every step, most of it {slowest}"
        yield Finding("info", "slow", message, seconds, "rewards.workers, a cache, or a cheaper component")
