"""What an analysis says in a few words, on the page and in the terminal: where from, what came of it."""

import shlex
from collections.abc import Mapping
from typing import Any

from rlctl.reports.figures import percent

Document = Mapping[str, Any]


def origin(source: Document) -> str:
    """Where the completions are from: `sampled from MODEL`, `logged by RUN`, `of FILE`.

    Args:
        source: `source` of the analysis.
    """
    path = source.get("path") or source.get("model") or ""
    match source.get("kind"):
        case "policy":
            return f"sampled from {path or 'the policy'}"
        case "run":
            first, last = source.get("first_step"), source.get("last_step")
            steps = "" if first is None else f", step {first}" + ("" if first == last else f" to {last}")
            return f"logged by {path}{steps}"
        case "completions":
            return f"of {path}"
    return "scored"


def headline(document: Document) -> tuple[str, str]:
    """Whether to train on this reward, in a sentence, and how grave that is: `bad`, `doubtful` or `good`.

    Args:
        document: The analysis.
    """
    severities = [one.get("severity") for one in document.get("findings") or []]
    errors, warnings = severities.count("error"), severities.count("warning")
    several = [f"{n} {word}{'s' * (n != 1)}" for n, word in ((errors, "error"), (warnings, "warning")) if n]
    if errors:
        return f"Do not train on this reward yet: {' and '.join(several)}.", "bad"
    if not document.get("valid"):
        return "Nothing can be said of this reward: no completion was valid.", "doubtful"
    if warnings:
        return f"Look at this before you train: {several[0]}.", "doubtful"
    return f"{unproven(document).capitalize()}.", "good"


def unproven(document: Document) -> str:
    """What was tried where nothing was found, and that it proves nothing.

    Args:
        document: The analysis.
    """
    probes = len(document.get("probes") or [])
    if not probes:
        return "no check found a problem, but this reward could not be probed: that is no proof"
    return f"no probe of {probes} got through and no check found a problem: that is no proof"


def grouping(document: Document) -> str:
    """How many prompts there are, and how many completions each has; empty where that is not known.

    Args:
        document: The analysis.
    """
    groups = document.get("groups") or {}
    if not groups.get("prompts") or not groups.get("sizes"):
        return f"{groups['count']:,} prompts × {groups['size']}" if groups.get("count") else ""
    prompts, (least, most) = groups["prompts"], groups["sizes"]
    if most < 2:
        return "no two of one prompt" if prompts > 1 else ""
    each = f" × {most}" if least == most else f", {least} to {most} completions each"
    return f"{prompts:,} prompt{'s' * (prompts != 1)}{each}"


def outcomes(document: Document) -> list[tuple[str, int, float]]:
    """Each outcome in words, how many completions had it, and their share; those that never came left out.

    Args:
        document: The analysis.
    """
    names = ("valid", "invalid", "not_applicable", "failed")
    n = document.get("num_samples") or 0
    counts = [(name.replace("_", " "), document.get(name) or 0) for name in names]
    return [(name, count, count / n) for name, count in counts if count and n]


def notes(component: Document) -> str:
    """What is to be said of a component beyond its figures.

    Args:
        component: One of `components`.
    """
    full = component.get("saturated") or {}
    counts = [(component.get(key), key) for key in ("failed", "invalid")]
    found = [f"{count:,} {word}" for count, word in counts if count]
    if component.get("constant"):
        return ", ".join(["constant", *found])
    for end, word in (("low", "min"), ("high", "max")):
        if (full.get(end) or 0) >= 0.5 and (component.get("distinct") or 0) > 2:
            found.append(f"{percent(full[end])} at its {word}")
    return ", ".join(found)


def command(request: Document) -> str:
    """The command that does the analysis again; `CONFIG` stands for the YAML.

    Args:
        request: `request` of the analysis.
    """
    words = ["rlctl", "analyze-rewards", "CONFIG"]
    for name in ("completions", "run", "num_samples"):
        if request.get(name) is not None:
            words += [f"--{name.replace('_', '-')}", str(request[name])]
    return shlex.join(words)
