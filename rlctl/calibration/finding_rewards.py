"""Findings about the rewards themselves: their outcomes, spread, penalty and components."""

from collections.abc import Iterator, Mapping
from typing import Any

from rlctl.calibration.finding import Document, Finding, Severity
from rlctl.config.config import Config

FAR = 1.0
"""Standard deviations within prompts that a plain rule must be away from the advice to be worth a word."""
INTERACTION = 0.1
"""Share of the advantage's variance that parts leave which do not add up, above which none is called idle."""
FEW = 8
"""Completions below which it is too early to say that a component is constant."""


def outcomes(document: Document, config: Config) -> Iterator[Finding]:
    """What became of the completions."""
    n, valid, invalid, failed = (document[name] for name in ("num_samples", "valid", "invalid", "failed"))
    if failed:
        share, most = failed / n, config.rewards.max_failure_rate
        reasons = [one for one in document["reasons"] if one["outcome"] == "failed"]
        why = f"; mostly {reasons[0]['component']}: {reasons[0]['reason']}" if reasons else ""
        yield Finding(
            "error" if share > most or not valid + invalid else "warning",
            "failed",
            f"{failed} of {n} completions could not be scored ({share:.0%}){why}",
            share,
            f"mend the reward; training stops above rewards.max_failure_rate ({most:g})",
        )
    if left := document["not_applicable"]:
        yield Finding(
            "warning" if left > n / 2 else "info",
            "not_applicable",
            f"no component applies to {left} of {n} completions ({left / n:.0%}); they teach nothing",
            left / n,
            "see which columns of the data are empty, or leave these rows out of data.train",
        )
    if not valid and invalid:
        yield Finding(
            "error",
            "all_invalid",
            f"all {invalid} scored completions are invalid: they all get the penalty, and nothing is learnt",
            1.0,
            "begin with a model that gives valid completions now and then (sft), or mend the check",
        )
    elif invalid > n / 2:
        yield Finding(
            "warning",
            "mostly_invalid",
            f"{invalid} of {n} completions are invalid ({invalid / n:.0%}): mostly validity will be learnt",
            invalid / n,
            "say in the prompt what is asked for, or begin with sft",
        )
    cut = (document.get("source") or {}).get("truncated")
    if cut and cut > n / 5:
        yield Finding(
            "warning",
            "truncated",
            f"{cut} of {n} completions are cut at their greatest length ({cut / n:.0%})",
            cut / n,
            "raise generation.max_completion_length, or reward shorter answers",
        )


def spread(document: Document, config: Config) -> Iterator[Finding]:
    """Whether there is anything to learn from within groups."""
    reward, groups, valid = document["reward"], document["groups"], document["valid"]
    if valid and not reward["std"] and reward["distinct"] == 1:
        if valid == 1:
            yield Finding(
                "warning", "one_sample", "one valid completion has no spread", 1.0, "score more of them"
            )
        else:
            message = f"all {valid} valid completions have the same reward, {reward['mean']:g}"
            fix = "a reward that tells good completions from bad ones: partial credit, or harder prompts"
            yield Finding("error" if valid > 7 else "warning", "no_spread", message, 0.0, fix)
    if groups["sizes"][1] < 2:
        yield Finding(
            "info",
            "no_groups",
            "no prompt has two completions: the spread within prompts, which GRPO learns from, is not known",
            0.0,
            "give several completions of each prompt, with the column `prompt`",
        )
    dead = groups["zero_std_fraction"]
    if dead is not None and dead >= 0.25:
        ways = groups["predicted"]
        better = [(int(size), one["zero_std_fraction"]) for size, one in ways.items()]
        better = [(size, share) for size, share in better if share is not None and size > groups["size"]]
        more = "".join(f"; {share:.0%} are expected at {size}" for size, share in better[:1])
        yield Finding(
            "warning" if dead >= 0.5 else "info",
            "dead_groups",
            f"{dead:.0%} of {groups['count']} groups have no spread, and teach nothing{more}",
            dead,
            "a larger algorithm.num_generations, partial credit, or prompts neither too easy nor too hard",
        )
    noisy = document["noise"] and document["noise"]["noise"]["std"]  # which is told by itself
    if (flat := groups["flattened_fraction"]) and flat >= 0.05 and not noisy:
        yield Finding(
            "warning",
            "flattened",
            f"in {flat:.0%} of the groups some rewards are so far off that of the others' differences next "
            "to nothing is left in the advantage",
            flat,
            "bound the reward: a transform of type clip or sigmoid, a milder invalid_penalty; nothing, where "
            "the others' differences only break ties",
        )
    icc = groups["icc"]
    if icc is not None and icc > 0.9 and groups["within_std"]:
        yield Finding(
            "info",
            "between_prompts",
            f"{icc:.0%} of the variance lies between prompts, where GRPO does not see it",
            icc,
            "mean and std of all completions say little here; go by groups.within_std",
        )


def penalty(document: Document, config: Config) -> Iterator[Finding]:
    """Whether the penalty of invalid completions is right."""
    found, invalid = document["penalty"], document["invalid"]
    if config.rewards.on_error == "penalty":
        invalid += document["failed"]  # which get it too
    value, current = found["recommended"], found["current"]
    advice = "" if value is None else f"rewards.invalid_penalty: {value:.4g} (--apply writes it)"
    severity: Severity = "warning" if invalid and found["ci95"] else "info"
    none = "" if invalid else "; no completion was invalid here"
    if found["verdict"] == "too mild" and current is not None:
        inverted = found["inversion_rate"] or 0.0
        what = f"{inverted:.1%} of the valid completions score below it"
        if not inverted:
            what = "nothing sets valid ones apart" if value is None else f"the advice is {value:.4g}"
        yield Finding(
            "error" if invalid and inverted > 0.05 else severity,
            "penalty_too_mild",
            f"the penalty {current:g} is too mild: {what}{none}",
            inverted,
            advice or "a penalty below the valid rewards",
        )
    if found["verdict"] == "too harsh":
        yield Finding(
            severity,
            "penalty_too_harsh",
            f"the penalty {current:g} is {found['depth']:.3g} standard deviations deep: beside an invalid "
            f"completion {found['spread_left']:.0%} of the differences among valid ones are left{none}",
            found["spread_left"],
            advice,
        )
    undivided = config.algorithm.scale_rewards == "none" and found["verdict"] is None
    if undivided and current is not None and found["depth"] is not None:
        yield Finding(
            severity,
            "penalty_in_full",
            f"the penalty {current:g} is {found['depth']:.3g} standard deviations deep, and felt in full "
            f"with scale_rewards: none: that much more than differences among valid completions{none}",
            found["depth"],
            advice,
        )
    if value is None:
        return
    if found["provisional"]:
        yield Finding(
            "info",
            "penalty_provisional",
            f"the advice rests on {document['valid']} valid completions; the lower tail needs 400",
            float(document["valid"]),
            "--num-samples 500, or more completions in the file",
        )
    ends, plain, unit = found["ci95"], found["rule"]["value"], found["within_std"]
    if ends and plain is not None and not ends[0] <= plain <= ends[1] and abs(plain - value) > FAR * unit:
        side = "deeper" if plain < ends[0] else "milder"
        yield Finding(
            "info",
            "plain_rule_differs",
            f"mean − 2.5·std of all completions gives {plain:.4g}, {side} than the advice {value:.4g}",
            plain - value,
            "GRPO divides by the spread within prompts, which is what the advice goes by",
        )
    thumb = found["thumb"]
    away = min(abs(thumb[end] - value) for end in ("low", "high")) if thumb else 0.0
    if thumb and thumb["agrees"] is False and away > FAR * unit:
        yield Finding(
            "info", "thumb_differs", f"rule of thumb: {thumb['says']}", thumb["high"], "go by the data"
        )


def components(document: Document, config: Config) -> Iterator[Finding]:
    """What each component adds."""
    weighted = [part for part in config.rewards.components if part.weight]
    # Where parts do not simply add up, one may decide everything through the others.
    additive = abs(document["groups"]["interaction_share"] or 0.0) <= INTERACTION
    for part in weighted:
        name, one = part.name, document["components"][part.name]
        share = one["share_of_advantage_variance"]
        if one["constant"] and one["count"] > 1:
            moved = one["weighted"]["mean"] or 0.0
            again = f"; without it all rewards, and the penalty to use, are {-moved:+.3g}" if moved else ""
            yield Finding(
                "warning" if one["count"] >= FEW else "info",
                "constant_component",
                f"{name} is {one['mean']:g} for all {one['count']} completions: it teaches nothing",
                one["mean"],
                f"mend {name}, or drop it and analyse again{again}",
            )
            continue
        if share is not None and share < 0.02 and len(weighted) > 1 and additive:
            yield _idle(name, share, one)
        full = [(end, one["saturated"][end]) for end in ("low", "high") if one["saturated"][end] is not None]
        end, most = max(full, key=lambda pair: pair[1], default=("low", 0.0))
        if most >= 0.9 and one["distinct"] > 2:
            yield Finding(
                "warning",
                "saturated_component",
                f"{name} is at its {'lowest' if end == 'low' else 'highest'} in {most:.0%} of completions",
                most,
                "a transform with a wider range, or a measure that still tells these apart",
            )


def _idle(name: str, share: float, one: Mapping[str, Any]) -> Finding:
    """A component that is there, and moves nothing."""
    mean, within = one["weighted"]["mean"] or 0.0, one["weighted"]["within_std"] or 0.0
    return Finding(
        "warning" if within else "info",
        "idle_component",
        f"{name} makes {share:.1%} of the advantage's variance: in the total it has a mean of {mean:.3g} "
        f"and a standard deviation of {within:.3g} within prompts",
        share,
        f"raise the weight of {name}, give it `normalize: group_std`, or drop it"
        if within
        else f"nothing, where {name} only guards against what does not happen yet; else drop it",
    )


def links(document: Document, config: Config) -> Iterator[Finding]:
    """What goes together that should not, or twice."""
    weights = {part.name: part.weight for part in config.rewards.components}
    for pair in document["correlations"]:
        rank = pair["spearman"]
        if rank is None or pair["n"] < 20 or not (weights[pair["a"]] and weights[pair["b"]]):
            continue
        rank *= 1 if weights[pair["a"]] * weights[pair["b"]] > 0 else -1
        names = f"{pair['a']} and {pair['b']}"
        if rank > 0.95:
            message = f"{names} rank completions alike (Spearman {rank:.2f}, n = {pair['n']}): counted twice"
            yield Finding("info", "redundant_components", message, rank, "drop one, or halve the weights")
        elif rank < -0.5:
            message = f"{names} pull apart (Spearman {rank:.2f}, n = {pair['n']})"
            yield Finding(
                "info", "opposed_components", message, rank, "see that their weights say what you want"
            )
    yield from _length(document["length"], config)


def _length(length: Mapping[str, Any], config: Config) -> Iterator[Finding]:
    """Whether length pays; less grave where it is only that right answers are longer."""
    within, beside = length["reward_within"], length["reward_given_right"]
    if within is None or abs(within) < 0.5 or length["n"] < 20:
        return
    which = "longer" if within > 0 else "shorter"
    message = f"within prompts, {which} completions score better: correlation with length {within:.2f}"
    if beside is not None and abs(beside) < 0.3:
        yield Finding(
            "info",
            "length_driven",
            f"{message} (n = {length['n']}), as right ones are {which}; among those alone it is {beside:.2f}",
            within,
            "nothing, where right answers are like that",
        )
        return
    meant = any(part.type in ("length", "repetition") for part in config.rewards.components)
    yield Finding(
        "info" if meant else "warning",
        "length_driven",
        f"{message} (n = {length['n']})",
        within,
        f"see that {which} is meant; else bound it (a transform), or a part of type length against it",
    )
