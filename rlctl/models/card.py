"""The model card of an export: what it is, how it came about, and how good it is, for a person and the Hub.

Everything comes out of the run's folder, nothing from this machine or the clock: equal runs give equal cards.
What may be private is cut where it is put in, and once more in the whole text.
"""

import json
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from rlctl.config.dump import as_yaml
from rlctl.models.card_results import results
from rlctl.models.export_request import Request
from rlctl.models.public_names import hub_id, without_folders
from rlctl.models.redaction import public, public_component, public_path, without_secrets
from rlctl.models.trained import Trained
from rlctl.training.penalty import recorded


def card(request: Request, dtype: str, base: str) -> str:
    """The text of README.md.

    Args:
        request: What is exported.
        dtype: Type of the weights.
        base: The model before training: a Hub id, a built-in model, or a folder.
    """
    run = request.run
    name = run.config.run.name + ("" if run.checkpoint is None else f", step {run.checkpoint}")
    parts = [
        f"---\n{metadata(request, base)}\n---",
        f"# {name}",
        summary(request, dtype, base),
        "## Use",
        code(request, base),
        "## Training",
        *training(run),
        "## Data",
        *data(run),
        "## Rewards",
        *rewards(run),
        "## Held-out results",
        *results(run),
        "## Versions",
        versions(run),
        "## Config",
        f"<details>\n<summary>Every key, defaults included</summary>\n\n{config(run)}\n\n</details>",
    ]
    return without_folders(without_secrets("\n\n".join(parts))) + "\n"


def metadata(request: Request, base: str) -> str:
    """The front matter; models and datasets are named where they are on the Hub."""
    from huggingface_hub import ModelCardData

    config = request.run.config
    read = [one["source"] for one in _reports(request.run, "train")]
    named = [
        source.path for source in config.data.train if not read or any(source.path in one for one in read)
    ]
    datasets = list(dict.fromkeys(name for path in named if (name := hub_id(path))))
    relation = "adapter" if request.adapter else "finetune"
    return ModelCardData(
        base_model=hub_id(base),
        base_model_relation=relation if hub_id(base) else None,
        datasets=datasets or None,
        library_name="peft" if request.adapter else "transformers",
        pipeline_tag="text-generation",
        tags=[
            "rlctl",
            config.algorithm.type,
            "reinforcement-learning",
            *(["lora"] if request.run.is_adapter else []),
        ],
    ).to_yaml()


def summary(request: Request, dtype: str, base: str) -> str:
    """What this is, in a sentence or two."""
    run, model = request.run, request.run.config.model
    revision = f" (revision `{model.revision}`)" if model.revision else ""
    after = f" for {run.step:,} step{'s' * (run.step != 1)}" if run.step else ""
    what = (
        f"`{public_path(base)}`{revision}, trained by {run.config.algorithm.type.upper()}{after} with rlctl."
    )
    if request.adapter:
        return f"{what} This is the LoRA adapter alone; its weights are in {dtype}."
    kind = "The LoRA adapter is merged into the weights, which" if request.merged else "The weights"
    extra = ""
    if request.merged and model.quantization:
        extra = f" It was trained over {model.quantization} weights, and merged into unquantised ones."
    return f"{what} {kind} are in {dtype}.{extra}"


def code(request: Request, base: str) -> str:
    """Code that loads the export and continues a prompt."""
    model = request.run.config.model
    source = request.repository or "."
    more = ", trust_remote_code=True" if model.trust_remote_code else ""
    lines = [
        *(["from peft import PeftModel"] if request.adapter else []),
        "from transformers import AutoModelForCausalLM, AutoTokenizer",
        "",
        f'source = "{source}"{"  # this folder" if source == "." else ""}',
        f"tokenizer = AutoTokenizer.from_pretrained(source{more})",
    ]
    if request.adapter:
        revision = f', revision="{model.revision}"' if model.revision else ""
        lines += [
            f'base = AutoModelForCausalLM.from_pretrained("{public_path(base)}"{revision}{more})',
            "model = PeftModel.from_pretrained(base, source)",
        ]
    else:
        lines += [f"model = AutoModelForCausalLM.from_pretrained(source{more})"]
    chat = any(not isinstance(prompt, str) for prompt in request.run.prompts(1))
    if chat:
        lines += [
            'messages = [{"role": "user", "content": "Your prompt"}]',
            "inputs = tokenizer.apply_chat_template(",
            '    messages, add_generation_prompt=True, return_dict=True, return_tensors="pt"',
            ")",
        ]
    else:
        lines += ['inputs = tokenizer("Your prompt", return_tensors="pt")']
    length = request.run.config.generation.max_completion_length
    lines += [
        f"output = model.generate(**inputs, max_new_tokens={length}, do_sample=False)",
        'print(tokenizer.decode(output[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))',
    ]
    return "```python\n" + "\n".join(lines) + "\n```"


def training(run: Trained) -> list[str]:
    """How it was trained: the settings that decide most."""
    config = run.config
    algorithm, steps = config.algorithm, config.training
    group = steps.prompts_per_step * algorithm.num_generations
    planned = f"{steps.max_steps:,} steps" if steps.max_steps else f"{steps.num_epochs or 1:g} epochs"
    hardware = run.record.get("hardware", {})
    machines = ", ".join(hardware.get("gpus", [])) or "CPU"
    rows = [
        ("algorithm", f"{algorithm.type}, loss `{algorithm.loss_type}`"),
        ("steps", f"{'unknown' if run.step is None else f'{run.step:,}'} of {planned}"),
        (
            "completions per step",
            f"{steps.prompts_per_step} prompts × {algorithm.num_generations} = {group:,}, "
            f"of at most {config.generation.max_completion_length:,} tokens",
        ),
        ("sampling", f"temperature {config.generation.temperature:g}, top-p {config.generation.top_p:g}"),
        (
            "learning rate",
            f"{steps.learning_rate:g}, {steps.lr_scheduler_type}, {steps.warmup_steps} steps warm-up",
        ),
        ("KL weight (beta)", f"{algorithm.beta:g}"),
        ("trained weights", _lora(run)),
        ("seed", str(config.run.seed)),
        (
            "hardware",
            f"{machines}, {hardware.get('processes', 1)} process{'es' * (hardware.get('processes', 1) > 1)}",
        ),
    ]
    return [table(("setting", "value"), rows if hardware else rows[:-1])]


def _lora(run: Trained) -> str:
    lora = run.config.model.lora
    if lora is None:
        return "an adapter that a former run had trained" if run.is_adapter else "all"
    modules = lora.target_modules if isinstance(lora.target_modules, str) else ", ".join(lora.target_modules)
    whole = f"; in full: {', '.join(lora.modules_to_save)}" if lora.modules_to_save else ""
    return f"LoRA of rank {lora.r}, alpha {lora.alpha:g}, on {modules}{whole}"


def data(run: Trained) -> list[str]:
    """Where the prompts came from, what became of the rows, and hashes of files."""
    rows = []
    for role, label in (("train", "training"), ("eval", "held out")):
        found = _reports(run, role)
        for one in found:
            lost = one["dropped_overlong"] + one["dropped_empty"]
            rows.append(
                (
                    label,
                    f"`{public_path(one['source'])}`",
                    f"{one['used']:,}",
                    f"{lost:,}",
                    f"{one['truncated']:,}",
                )
            )
        if not found:
            given = run.config.data.train if role == "train" else run.config.data.eval or []
            rows += [(label, f"`{public_path(source.path)}`", "–", "–", "–") for source in given]
    lines = [table(("for", "source", "prompts", "dropped", "shortened"), rows)]
    overlap = ((run.record.get("data") or {}).get("eval") or {}).get("overlap_with_training")
    if overlap is not None:
        what = (
            f"{overlap:,} of the held-out prompts are also trained on"
            if overlap
            else "No held-out prompt is trained on"
        )
        lines.append(f"{what}.")
    return [*lines, *_hashes(run, "data")]


def _reports(run: Trained, role: str) -> list[dict[str, Any]]:
    """What `run.json` says of each source; nothing where the run has not come that far."""
    return list(((run.record.get("data") or {}).get(role) or {}).get("sources") or [])


def _hashes(run: Trained, kind: str) -> list[str]:
    hashes = (run.record.get("hashes") or {}).get(kind) or {}
    rows = [(f"`{PurePath(file).name}`", f"`{digest}`") for file, digest in hashes.items()]
    return [table(("file", "SHA-256"), rows)] if rows else []


def rewards(run: Trained) -> list[str]:
    """Every part of the reward with its parameters, and how they become one number."""
    config = run.config.rewards
    rows = []
    for part in config.components:
        keys = part.model_dump(exclude={"name", "type", "weight"})
        own = {key: value for key, value in keys.items() if value not in (None, "none", {}, [])}
        parameters = json.dumps(public_component(own), ensure_ascii=False)
        rows.append((part.name, f"`{part.type}`", f"{part.weight:g}", f"`{parameters}`" if own else ""))
    rule = f"Aggregated by `{config.aggregate}`, times {config.scale:g}. "
    penalty = f"An invalid completion is worth {_penalty(run)} instead."
    return [table(("part", "type", "weight", "parameters"), rows), rule + penalty, *_hashes(run, "rewards")]


def _penalty(run: Trained) -> str:
    config, chosen = run.config.rewards, recorded(run.record)
    if config.invalid_penalty != "auto":
        return config.penalty_in_words
    if chosen is None:
        return "a penalty that was chosen before the first step and is not known any more"
    return f"{chosen:g} (chosen before the first step)"


def config(run: Trained) -> str:
    """The whole config as YAML, without what is private."""
    sections = run.config.model_dump(mode="python")
    shown = public(sections)
    shown["rewards"]["components"] = [public_component(part) for part in sections["rewards"]["components"]]
    return f"```yaml\n{as_yaml(shown).rstrip()}\n```"


def versions(run: Trained) -> str:
    """Versions that the run was made with."""
    packages = {"python": run.record.get("python"), **(run.record.get("packages") or {})}
    known = [f"{name} {version}" for name, version in packages.items() if version]
    return ", ".join(known) if known else "The run's `run.json`, which names them, is missing."


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A Markdown table."""
    cells = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in cells)
