"""The cost of a proof as a person reads it."""

from typing import Any

from rlctl.proof.wording import count


def describe(found: dict[str, Any], prompts_each: int) -> list[str]:
    """The cost in lines of text.

    Args:
        found: What `cost` found.
        prompts_each: Completions of each held-out prompt in one evaluation.
    """
    samples = [_training(found), _held_out(found, prompts_each)]
    return [line for line in (_steps(found), *samples, _disk(found["disk"]), _time(found)) if line]


def done_lines(found: dict[str, Any]) -> list[str]:
    """What is done already; nothing where nothing is."""
    words = ["base model evaluated"] if found["base_evaluated"] else []
    for one in found["done"]:
        if one["evaluated"]:
            words.append(f"{one['run']} trained and evaluated")
        elif one["finished"]:
            words.append(f"{one['run']} trained")
        elif one["steps"]:
            words.append(f"{one['run']} up to step {one['steps']}")
    return [f"done already: {', '.join(words)}"] if words else []


def _steps(found: dict[str, Any]) -> str:
    if found["steps_left"] is None:
        return f"runs: {found['runs']}; their steps depend on the number of prompts, which is not known"
    each = found["steps_per_run"]
    text = f"runs: {found['runs']} of {count(each, 'step')}"
    return text if found["steps_left"] == each * found["runs"] else f"{text}, {found['steps_left']:,} left"


def _training(found: dict[str, Any]) -> str:
    if found["training_completions"] is None:
        return ""
    return (
        f"training: {count(found['training_completions'], 'completion')} sampled and scored, at most "
        f"{found['training_tokens_sampled_at_most']:,} tokens, {found['training_tokens_at_most']:,} with "
        "their prompts"
    )


def _held_out(found: dict[str, Any], each: int) -> str:
    models = count(found["models_to_evaluate"], "model")
    looks = f"{models} at the end, {count(found['evaluations_in_training'], 'evaluation')} in training"
    if found["held_out_completions"] is None:
        return f"held-out prompts: {looks}; how many there are is not known"
    return (
        f"held-out prompts: {looks}, each {found['held_out_prompts']:,} prompts × {each} completions = "
        f"{found['held_out_completions']:,}, at most {found['held_out_tokens_sampled_at_most']:,} tokens"
    )


def _disk(found: dict[str, Any]) -> str:
    def each(size: int | None) -> str:
        return "" if size is None else f" of about {size / 1e6:,.1f} MB"

    total = found["bytes_at_most"]
    return (
        f"disk: {found['final_models']} final models{each(found['bytes_per_final_model'])}, at most "
        f"{found['checkpoints_at_most']} checkpoints{each(found['bytes_per_checkpoint'])}"
        + ("" if total is None else f", together about {total / 1e6:,.0f} MB, and the logs")
    )


def _time(found: dict[str, Any]) -> str:
    if found["hours_of_steps"] is None:
        return "time: not known; `rlctl train` of this config with a few steps tells what one takes"
    return (
        f"time: {found['hours_of_steps']:.2g} hours for the steps, {found['seconds_per_step']:.2g} s each as "
        f"in {found['seconds_per_step_from']}; evaluations and start-up aside"
    )
