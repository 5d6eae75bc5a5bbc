"""A proof in words and figures: the sentence on top, what it does not say, numbers as a person reads them."""

from typing import Any

from rlctl.config.config import Config

TITLES = {"improved": "Improved", "no evidence": "No evidence", "worse": "Worse"}


def headline(document: dict[str, Any]) -> str:
    """The verdict in one sentence.

    Args:
        document: `proof.json`.
    """
    gain, metric = document["gain"], document["metric"]
    change = f"{metric} {number(document['base'])} → {number(document['trained'])}, {interval(gain)}"
    if gain["p_value"] is not None:
        change += f", {p_value(gain['p_value'])}"
    said = f"{TITLES[document['verdict']]}: {document['because']} ({change})."
    seen = document["also_trained_on"]
    return f"{said} Beware: {seen}" if seen else said


def also_trained_on(prompts: dict[str, Any]) -> str | None:
    """How many of the held-out prompts are no held-out prompts, in a sentence; None where none is.

    Args:
        prompts: `prompts` of the plan.
    """
    seen, all_of_them = prompts["trained_on"], prompts["count"]
    if not seen:
        return None
    is_or_are = "is" if seen == 1 else "are"
    share = f"{seen:,} of the {all_of_them:,} held-out prompts ({seen / all_of_them * 100:.1f} %)"
    return f"{share} {is_or_are} also trained on."


def basis(document: dict[str, Any]) -> str:
    """On how much the verdict rests."""
    seeds, prompts, missing = len(document["seeds"]), document["prompts"], document["prompts_without_value"]
    alone = " (another may come out otherwise)" if seeds == 1 else ""
    held_out = count(prompts, "held-out prompt")
    if missing:
        held_out += f" with a value in every model ({missing:,} of {prompts + missing:,} lack one somewhere)"
    samples = count(document["samples_per_prompt"], "sample")
    left_out = document["left_out"]
    some = f", of which a model has no value for up to {left_out:.1%}" if left_out else ""
    return f"{count(seeds, 'seed')}{alone}, {held_out}, {samples} of each{some}"


def about_control(document: dict[str, Any]) -> str:
    """What the control did, in a sentence."""
    control = document["control"]
    did = "improved as they did" if control["improved"] else "did not improve as they did"
    if document["verdict"] != "improved":
        did = "is better than the base model" if control["improved"] else "did not improve either"
    if control["improved"] is None:
        did = "drifts as any run does, and whether it improved cannot be told from that"
    return (
        f"The control, trained with shuffled rewards, {did}: {interval(control)} from the base model; the "
        f"trained models are {interval(document['over_control'])} from it."
    )


def detectable(document: dict[str, Any]) -> str | None:
    """Where nothing was found, what would have been; None elsewhere."""
    least = document["detectable_effect"]
    if document["verdict"] != "no evidence" or least is None:
        return None
    return (
        f"With so many prompts, samples and seeds, a true difference of about {number(least)} or more is "
        "found four times out of five; a smaller one may be there."
    )


def limits(config: Config, plan: dict[str, Any]) -> list[str]:
    """What the verdict does not say.

    Args:
        config: The resolved config, as the user gave it.
        plan: What was fixed beforehand.
    """
    seeds = len(plan["seeds"])
    metric = config.eval.metric
    source = (
        "rewards that training never saw"
        if config.eval.rewards is not None
        else "the rewards of the training"
    )
    found = [
        f"It speaks of {metric}, computed from {source}. What this does not measure, it does not judge.",
        "It speaks of this base model and of prompts like these held-out ones, sampled as in training; other "
        "tasks may have become worse.",
    ]
    if config.eval.rewards is None:
        found.insert(
            1,
            "The same rewards were trained on: a model that exploits a weakness of them looks improved. "
            "eval.rewards names an independent measure.",
        )
    if seen := also_trained_on(plan["prompts"]):
        found.insert(0, f"{seen} A model that has learnt them by heart looks improved on them.")
    if seeds == 1:
        found.append(
            "With one seed, only the prompts vary. A run drifts by chance, so one seed can look better, or "
            "worse, without having learnt anything: the verdict can then not be improved. Three seeds or "
            "more can tell."
        )
    else:
        found.append(
            "There is one control. The interval against it takes the control's own drift to be as large as "
            "that of the seeds."
        )
    if 1 < seeds < 5:
        found.append(
            f"How much training varies is estimated from {seeds} seeds only; the interval allows for that."
        )
    if config.eval.patience is not None:
        found.append(
            "Training could be stopped early (eval.patience) by the same held-out prompts, which favours it "
            "a little."
        )
    return found


def interval(effect: dict[str, Any]) -> str:
    """`+0.500 [+0.470, +0.530]`; the difference alone where there is no interval."""
    ends = effect["ci95"]
    shown = signed(effect["difference"])
    return shown if ends is None else f"{shown} [{signed(ends[0])}, {signed(ends[1])}]"


def p_value(value: float) -> str:
    """`p < 0.001` or `p = 0.012`."""
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def number(value: float | None) -> str:
    """Three decimals, fewer of large numbers; a dash where there is none."""
    if value is None:
        return "–"
    digits = 3 if abs(value) < 100 else 1 if abs(value) < 10_000 else 0
    return f"{value:,.{digits}f}".replace("-", "−")


def signed(value: float | None) -> str:
    """The same with its sign."""
    return "–" if value is None else ("" if value < 0 else "+") + number(value)


def count(many: int, noun: str) -> str:
    """`1 seed`, `3 seeds`."""
    return f"{many:,} {noun}{'s' * (many != 1)}"
