"""`rlctl check`: what the YAML describes, and what deserves a second look; nothing is run."""

from rlctl.cli.output import print_json, print_lines
from rlctl.cli.train import plan_document, plan_of
from rlctl.config.config import Config


def run(path: str, overrides: list[str], *, as_json: bool, quiet: bool, verbose: bool) -> None:
    """Validate a YAML and print a summary of it."""
    from rlctl.config.load import load_config

    config = load_config(path, overrides)
    plan = plan_of(config)
    found = notices(config)
    if as_json:
        document = {
            "valid": True,
            "plan": plan_document(plan),
            "notices": found,
            "config": config.model_dump(),
        }
        print_json({"file": path, **document})
        return
    if not quiet:
        print_lines(f"{path} is valid", *(f"  {line}" for line in [*summary(config), *plan.describe()]))
        print_lines(*(f"note: {notice}" for notice in found))
    if verbose:
        from rlctl.config.dump import to_yaml

        print_lines("", to_yaml(config).rstrip())


def notices(config: Config) -> list[str]:
    """What is allowed, and still deserves a second look."""
    found = list(dict.fromkeys((*config.rewards.notes(), *config.eval_rewards.notes())))
    found += config.about_held_out
    if config.data.eval is None:
        found.append("`data.eval` is not set: nothing is measured on held-out prompts")
    if config.model.trust_remote_code:
        found.append(f"`model.trust_remote_code` runs code that comes with {config.model.path}")
    return found


def summary(config: Config) -> list[str]:
    """Algorithm, model, data and reward, a line each."""
    parts = [f"{part.name} ({part.weight:g} × {part.type})" for part in config.rewards.components]
    lines = [
        f"run: {config.run.name}, {config.algorithm.type}",
        f"model: {config.model.path}{_how(config)}",
        f"data: {', '.join(source.path for source in config.data.train)}",
        f"rewards: {', '.join(parts)}; invalid: {config.rewards.penalty_in_words}",
    ]
    if config.data.eval:
        lines.insert(3, f"held out: {', '.join(source.path for source in config.data.eval)}")
    return lines


def _how(config: Config) -> str:
    model = config.model
    how = [f"LoRA r={model.lora.r}"] if model.lora else []
    how += [model.quantization] if model.quantization else []
    return f" ({', '.join(how)})" if how else ""
