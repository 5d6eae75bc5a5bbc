"""Each key of the YAML changes what a run does: one table, key → another value → where it shows.

The table is held against the schema, so a new key without a line here fails. The second half is about TRL:
every argument is passed, and a default that TRL changes changes nothing.
"""

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import datasets
import pytest
import torch
from small_runs import PROMPTS, merged, read_rows, small_config, write_rows
from transformers import AutoConfig, AutoModelForCausalLM
from trl import GRPOConfig

import rlctl
from rlctl.config import catalogue
from rlctl.config.base import Section, fields_of
from rlctl.config.component import Component
from rlctl.config.config import Config
from rlctl.config.load import config_from_dict
from rlctl.config.plan import make_plan
from rlctl.config.shape import choices_of, place_of, place_of_field
from rlctl.data.prompts import load_prompts, prompt_budget
from rlctl.errors import ConfigError, RewardError
from rlctl.evaluation.held_out import evaluate
from rlctl.models.load import LoadedModel, load_model
from rlctl.models.tokenizer import load_tokenizer
from rlctl.rewards.batch import Batch
from rlctl.rewards.compose import Scorer
from rlctl.rewards.selftest import run_tests
from rlctl.rewards.statistics import batch_metrics
from rlctl.training import trackers
from rlctl.training.place import folder_of
from rlctl.training.trl.arguments import grpo_arguments
from rlctl.training.trl.grpo import mixed_precision

REWARDS = Path(__file__).with_name("key_rewards.py")


class Places(NamedTuple):
    """Where a test finds things."""

    folder: Path
    model: Path
    chat: Path
    patch: pytest.MonkeyPatch


Observe = Callable[[dict[str, Any], Places], Any]
"""Reads off a config, as it is written in YAML, what the key is about."""


class Case(NamedTuple):
    """A key's line in the table.

    Args:
        value: Its other value; a function of the places where it is a path.
        observe: Where the change shows.
        seen: What is seen then; not checked where it is `...`, but for that it is not what was seen before.
        beside: What the config holds in both cases.
    """

    value: Any
    observe: Observe
    seen: Any = ...
    beside: dict[str, Any] | Callable[[Places], dict[str, Any]] = {}


# where it shows


def argument(name: str) -> Observe:
    """An argument of TRL's GRPOConfig."""

    def observe(data: dict[str, Any], at: Places) -> Any:
        config = config_from_dict(data)
        plan = make_plan(config, num_prompts=64)
        return grpo_arguments(config, plan, output_dir="checkpoints", bf16=False)[name]

    return observe


def plan(name: str) -> Observe:
    return lambda data, at: getattr(make_plan(config_from_dict(data), num_prompts=64), name)


def loaded(look: Callable[[LoadedModel], Any]) -> Observe:
    return lambda data, at: look(load_model(config_from_dict(data).model, gradient_checkpointing=False))


def adapter(name: str) -> Observe:
    return loaded(lambda model: getattr(model.peft_config, name))


def tokenizer_of(data: dict[str, Any], at: Places) -> Any:
    return load_tokenizer(config_from_dict(data).model).chat_template


def prompts(role: Any) -> Observe:
    """The prompts that the model gets, their other columns, and nothing of the model."""

    def observe(data: dict[str, Any], at: Places) -> Any:
        config = config_from_dict(data)
        budget = prompt_budget(config.data.max_length, config.generation.max_completion_length, 1024)
        sources = config.data.train if role == "train" else config.data.eval
        found = load_prompts(
            sources or [], config.data, load_tokenizer(config.model), budget, seed=config.run.seed, role=role
        )
        return list(found.dataset)

    return observe


def totals(*texts: str, **columns: list[Any]) -> Observe:
    """Totals and outcomes of a batch of two groups; an error that stops the run, as its text."""

    def observe(data: dict[str, Any], at: Places) -> Any:
        batch = Batch(["twin"] * len(texts), list(texts), columns, group_size=len(texts) // 2 or 1)
        with Scorer(config_from_dict(data).rewards, tokenize=lambda text: [*map(ord, text)]) as scorer:
            try:
                return [(row.total, row.outcome) for row in scorer.score(batch).rows]
            except RewardError as error:
                return str(error)

    return observe


def selftest(data: dict[str, Any], at: Places) -> Any:
    rewards = config_from_dict(data).rewards
    with Scorer(rewards) as scorer:
        return [result.passed for result in run_tests(rewards, scorer)]


def problem(data: dict[str, Any], at: Places) -> str:
    """What is said where this machine lacks something."""
    try:
        config_from_dict(data)
    except ConfigError as error:
        return str(error)
    return ""


def trained(look: Callable[[Path], Any]) -> Observe:
    return lambda data, at: look(rlctl.train(config_from_dict(data), quiet=True).path)


def hub(owner: Any, name: str, key: str, role: Any = "train") -> Observe:
    """What a library is asked for; it cannot be reached from a test."""

    def observe(data: dict[str, Any], at: Places) -> Any:
        asked: list[dict[str, Any]] = []

        def ask(*places: Any, **arguments: Any) -> Any:
            asked.append({"places": places, **arguments})
            raise ConnectionError("no network in tests")

        at.patch.setattr(owner, name, ask)
        config = config_from_dict(data)
        with pytest.raises(rlctl.errors.RlctlError):
            if owner is AutoConfig:
                load_model(config.model, gradient_checkpointing=False)
            else:
                prompts(role)(data, at)
        found = asked[0]
        return found[key] if key in found else found["places"]

    return observe


def held_out(look: Callable[[list[int]], Any]) -> Observe:
    """Rows that each call of the model's `generate` returns, sampled and greedy."""

    def observe(data: dict[str, Any], at: Places) -> Any:
        config = config_from_dict(data)
        model = AutoModelForCausalLM.from_pretrained(config.model.path, dtype=torch.float32)
        sizes: list[int] = []
        generate = model.generate

        def counted(*args: Any, **kwargs: Any) -> Any:
            output = generate(*args, **kwargs)
            sizes.append(len(output))
            return output

        at.patch.setattr(model, "generate", counted)
        rows = [{"prompt": text} for text in PROMPTS]
        tokenizer = load_tokenizer(config.model)
        with Scorer(config.rewards) as scorer:
            evaluate(model, tokenizer, rows, scorer, config, step=0)
        return look(sizes)

    return observe


def judged(*keys: str) -> Observe:
    """What `rlctl eval` finds of completions that are there already: worth 2, 0.5, 1 and 0."""

    def observe(data: dict[str, Any], at: Places) -> Any:
        texts = [("a", "2"), ("a", "0.5"), ("b", "1"), ("b", "0")]
        rows = [{"prompt": one, "completion": text, "other": f"kind {one}"} for one, text in texts]
        file = write_rows(at.folder / "completions.jsonl", rows)
        config = config_from_dict(data)
        found: Any = rlctl.evaluate(config, completions=str(file)).as_dict()["checkpoints"]["completions"]
        for key in keys:
            found = (found or {}).get(key)
        return found

    return observe


def values(data: dict[str, Any], at: Places) -> Any:
    """What the watch and comparisons go by, prompt by prompt."""
    config = config_from_dict(data)
    model = AutoModelForCausalLM.from_pretrained(config.model.path, dtype=torch.float32)
    rows = [{"prompt": text} for text in PROMPTS]
    with Scorer(config.eval_rewards) as scorer:
        return evaluate(model, load_tokenizer(config.model), rows, scorer, config, step=0).values


def benchmarks(data: dict[str, Any], at: Places) -> str:
    """What becomes of a request for benchmarks that cannot be run."""
    with pytest.raises(rlctl.errors.RlctlError) as caught:
        rlctl.evaluate(config_from_dict(data), ["base"], benchmarks=True)
    return str(caught.value)


def measures_kl(data: dict[str, Any], at: Places) -> bool:
    config = config_from_dict(data)
    found = rlctl.evaluate(config, ["base"]).as_dict()
    return found["checkpoints"]["base"]["kl"] is not None


def ended(run: Path) -> Any:
    """Steps that were done, and what the watch has said."""
    record = json.loads((run / "run.json").read_text())
    return record["summary"]["steps"], [one["kind"] for one in record.get("watch", [])]


def tracker(owner: str, key: str, name: str) -> Observe:
    """What a tracker is started with; none of these is installed with rlctl."""

    def observe(data: dict[str, Any], at: Places) -> Any:
        started: dict[str, Any] = {}

        class Recorder:
            tracker = SimpleNamespace(id="1", info=SimpleNamespace(run_id="1"))

            def __init__(self, *places: Any, **arguments: Any) -> None:
                started.update(arguments, place=places)

            def start(self) -> None: ...

            def store_init_configuration(self, values: dict[str, Any]) -> None: ...

        at.patch.setattr(trackers, owner, Recorder)
        config = config_from_dict(data)
        tracking = config.tracking.model_copy(update={"report_to": [name]})
        trackers.Trackers(config.model_copy(update={"tracking": tracking}), at.folder)
        return started[key]

    return observe


def metrics(data: dict[str, Any]) -> dict[str, Any]:
    with Scorer(config_from_dict(data).rewards) as scorer:
        return batch_metrics(scorer.score(Batch([""], ["1"])).rows)


def precision(data: dict[str, Any], at: Places) -> bool:
    config = config_from_dict(data)
    return mixed_precision(config, load_model(config.model, gradient_checkpointing=False))


def advantages(run: Path) -> list[Any]:
    rows = read_rows(run / "logs/completions.jsonl")
    return [row["advantage"] for row in rows if row["split"] == "train" and row["step"] == 1]


def followed(run: Path) -> dict[str, bool]:
    """Which totals the advantages of the first step rise with, and whether each group has its own ones."""
    rows = read_rows(run / "logs/completions.jsonl")[: 3 * 4]
    groups = [rows[start : start + 4] for start in range(0, 12, 4)]
    found = {}
    for key in ("total", "shuffled_total"):
        if all(key in row for row in rows):
            pairs = [(a, b) for group in groups for a in group for b in group]
            found[key] = all((a[key] < b[key]) == (a["advantage"] < b["advantage"]) for a, b in pairs)
            found[f"{key}s of the group"] = all(
                sorted(row[key] for row in group) == sorted(row["total"] for row in group) for group in groups
            )
    return found


def checkpoints(run: Path) -> list[str]:
    return sorted(path.name for path in run.glob("checkpoints/*"))


def logged_steps(run: Path) -> list[int]:
    return [line["step"] for line in read_rows(run / "logs/metrics.jsonl") if "train/reward" in line]


# the table


def arguments(**cases: tuple[str, Any]) -> Iterator[tuple[str, Case]]:
    """Keys that are arguments of TRL under the same value: TRL's name → key, value."""
    for name, (key, value) in cases.items():
        yield key, Case(value, argument(name), value)


def part(type_: str, **keys: Any) -> dict[str, Any]:
    if type_ == "python":
        keys["function"] = f"{REWARDS}:{keys.get('function', 'number')}"
        keys.setdefault("isolate", False)
    return {"rewards": {"components": [{"type": type_, **keys}]}}


def two_parts(**first: Any) -> dict[str, Any]:
    parts = [part("python", name="a", **first), part("python", name="b", function="ten")]
    return {"rewards": {"components": [one["rewards"]["components"][0] for one in parts]}}


def shaped(kind: str, **keys: Any) -> dict[str, Any]:
    return part("python", transform={"type": kind, **keys})


NUMBERS = totals("0.3", "2", "5", "-1")
ANSWER = {"answer": ["a", "a"]}
LORA = {"model": {"lora": {}}}
TEN = part("python", function="ten")


def with_test(function: str, **keys: Any) -> dict[str, Any]:
    test = {"completion": "7", "expect": 7.5, **keys}
    return merged(part("python", function=function), {"rewards": {"tests": [test]}})


def long_row(at: Places) -> dict[str, Any]:
    rows = [{"prompt": "word " * 60}, *({"prompt": f"short {i}"} for i in range(3))]
    return {"data": {"train": {"path": str(write_rows(at.folder / "long.jsonl", rows))}}}


def chats(at: Places) -> dict[str, Any]:
    return {"model": {"path": str(at.chat)}}


def other_rows(at: Places) -> str:
    return str(write_rows(at.folder / "other.jsonl", [{"prompt": f"another {i}"} for i in range(3)]))


def template_file(at: Places) -> str:
    file = at.folder / "template.jinja"
    file.write_text("{% for message in messages %}{{ message['content'] }}\n{% endfor %}")
    return str(file)


def mixture(at: Places) -> dict[str, Any]:
    rows = [[{"prompt": f"{name} {i}"} for i in range(12)] for name in "ab"]
    return {
        "data": {
            "train": [{"path": str(write_rows(at.folder / f"{i}.jsonl", r))} for i, r in enumerate(rows)]
        }
    }


def weighted(at: Places) -> list[dict[str, Any]]:
    first, second = mixture(at)["data"]["train"]
    return [{**first, "weight": 3.0}, second]


def growing(at: Places) -> dict[str, Any]:
    """A reward that rises, whatever the model does, while held-out completions are worth the same."""
    same = part("python", function="ten")["rewards"]
    return {
        **part("python", function="growing"),
        "data": {
            "eval": {
                "path": str(
                    write_rows(at.folder / "many.jsonl", [{"prompt": f"prompt {i}"} for i in range(60)])
                )
            }
        },
        "generation": {"max_completion_length": 1},
        "eval": {"rewards": same},
        "training": {"max_steps": 20, "prompts_per_step": 1},
    }


BUILT_IN = {"path": "builtin:arithmetic", "args": {"size": 64}}
SOURCE: dict[str, tuple[Any, dict[str, Any] | None]] = {
    "path": (other_rows, None),
    "split": ("test", BUILT_IN),
    "limit": (4, None),
    "columns": ({"prompt": "question"}, None),
    "args": ({"size": 32}, BUILT_IN),
}
"""Key of a source → value, and the source in both cases; None for the file of the base config."""


def source(role: str) -> Iterator[tuple[str, Case]]:
    for name, (value, beside) in SOURCE.items():
        yield f"data.{role}.{name}", Case(value, prompts(role), beside={"data": {role: beside or {}}})
    for name, at in (("name", "places"), ("revision", "revision")):
        observe = hub(datasets, "load_dataset", at, role)
        yield f"data.{role}.{name}", Case("v2", observe, beside={"data": {role: {"path": "some/rows"}}})


CASES: dict[str, Case] = {
    "run.name": Case("other", lambda data, at: folder_of(config_from_dict(data)).name, "other"),
    "run.output_dir": Case(
        "/tmp/other", lambda data, at: str(folder_of(config_from_dict(data)).parent), "/tmp/other"
    ),
    # the model
    "model.path": Case(lambda at: str(at.chat), tokenizer_of),
    "model.revision": Case(
        "v2", hub(AutoConfig, "from_pretrained", "revision"), "v2", {"model": {"path": "some/model"}}
    ),
    "model.tokenizer": Case(lambda at: str(at.chat), tokenizer_of),
    "model.chat_template": Case(template_file, tokenizer_of, beside=chats),
    "model.dtype": Case(
        "bfloat16", loaded(lambda model: next(model.model.parameters()).dtype), torch.bfloat16
    ),
    "model.attn_implementation": Case(
        "eager", loaded(lambda model: model.model.config._attn_implementation), "eager"
    ),
    "model.quantization": Case("8bit", problem, beside=LORA),
    "model.lora": Case({}, loaded(lambda model: model.trainable)),
    "model.lora.r": Case(3, adapter("r"), 3, LORA),
    "model.lora.alpha": Case(5, adapter("lora_alpha"), 5, LORA),
    "model.lora.dropout": Case(0.5, adapter("lora_dropout"), 0.5, LORA),
    "model.lora.target_modules": Case(["q_proj"], adapter("target_modules"), {"q_proj"}, LORA),
    "model.lora.modules_to_save": Case(["norm"], adapter("modules_to_save"), ["norm"], LORA),
    "model.lora.use_rslora": Case(True, adapter("use_rslora"), True, LORA),
    # the data
    "data.train": Case(lambda at: [{"path": other_rows(at)}], prompts("train")),
    "data.eval": Case(None, plan("evaluations"), ()),
    "data.eval.weight": Case(2.0, problem),
    "data.train.weight": Case(None, prompts("train"), beside=mixture),
    "data.max_length": Case(1000, lambda data, at: len(prompts("train")(data, at)), 4, long_row),
    "data.overlong": Case("truncate", lambda data, at: len(prompts("train")(data, at)), 4, long_row),
    "data.columns": Case(
        {"prompt": "question"}, lambda data, at: prompts("train")(data, at)[0]["prompt"], "zero?"
    ),
    "data.prompt_template": Case(
        "Q: {question}", lambda data, at: prompts("train")(data, at)[0]["prompt"], "Q: zero?"
    ),
    "data.system_prompt": Case("Be brief.", prompts("train"), beside=chats),
    "data.chat_template": Case(
        "never", lambda data, at: prompts("train")(data, at)[0]["prompt"], PROMPTS[0], chats
    ),
    **dict(source("train")),
    **dict(source("eval")),
    # the reward as a whole
    "rewards.components": Case([{"type": "python", "function": f"{REWARDS}:ten"}], NUMBERS),
    "rewards.invalid_penalty": Case(-9.0, totals("bad", "1"), [(-9.0, "invalid"), (1.0, "scored")]),
    "rewards.invalid_penalty.per_group": Case(
        3.0,
        totals("bad", "1", "2", "3", "4", "5", "6", "bad"),
        [(-1.0, "invalid"), *((float(i), "scored") for i in range(1, 7)), (2.0, "invalid")],
        {"rewards": {"invalid_penalty": {"per_group": 2.0}}, "eval": {"metric": "valid_fraction"}},
    ),
    "rewards.on_error": Case(
        "penalty",
        totals("nan", "1"),
        [(-1.0, "failed"), (1.0, "scored")],
        {"rewards": {"max_failure_rate": 0.9}},
    ),
    "rewards.max_failure_rate": Case(0.9, totals("nan", "1"), [(None, "failed"), (1.0, "scored")]),
    "rewards.timeout": Case(0.05, totals("1", "1"), beside=part("python", function="process", isolate=True)),
    "rewards.workers": Case(
        2,
        lambda data, at: len({total for total, _ in totals("1", "2", "3", "4")(data, at)}),
        2,
        part("python", function="process", isolate=True),
    ),
    "rewards.aggregate": Case(
        "weighted_mean", totals("2", "4"), [(6.0, "scored"), (7.0, "scored")], two_parts()
    ),
    "rewards.scale": Case(3.0, totals("2", "bad"), [(6.0, "scored"), (-3.0, "invalid")]),
    "rewards.shuffle": Case(
        True,
        trained(followed),
        {
            "total": False,
            "totals of the group": True,
            "shuffled_total": True,
            "shuffled_totals of the group": True,
        },
        {**part("length", unit="characters", max=99), "data": {"eval": None}},
    ),
    "rewards.tests": Case([{"completion": "7", "expect": 7}], selftest, [True]),
    "rewards.tests.completion": Case("7.5", selftest, [True], with_test("number")),
    "rewards.tests.expect": Case("<8", selftest, [True], with_test("number")),
    "rewards.tests.tolerance": Case(0.6, selftest, [True], with_test("number")),
    "rewards.tests.row": Case({"points": 7.5}, selftest, [True], with_test("column")),
    "rewards.tests.prompt": Case("twin", selftest, [True], with_test("same_prompt", expect=1)),
    # every part of it
    "rewards.components.name": Case("other", lambda data, at: list(metrics(data)), ...),
    "rewards.components.weight": Case(3.0, totals("2", "1"), [(6.0, "scored"), (3.0, "scored")]),
    "rewards.components.transform": Case({"type": "clip", "max": 1}, NUMBERS),
    "rewards.components.normalize": Case("batch_mean", totals("2", "4"), [(-1.0, "scored"), (1.0, "scored")]),
    "rewards.components.gate": Case({"b": ">10"}, totals("2", "4"), [(10.0, "scored")] * 2, two_parts()),
    # how completions are sampled, and what is learnt from them
    "generation.engine": Case("transformers", lambda data, at: config_from_dict(data).generation.engine),
    "algorithm.dead_groups": Case("drop", trained(advantages), [None] * 12, TEN),
    "algorithm.trl": Case({"delta": 4.0}, argument("delta"), 4.0),
    "algorithm.num_generations": Case(6, plan("completions_per_step"), 18),
    # optimisation
    "training.max_steps": Case(7, plan("steps"), 7),
    "training.num_epochs": Case(2.0, plan("steps"), 42, {"training": {"max_steps": None}}),
    "training.prompts_per_step": Case(6, plan("completions_per_step"), 24),
    "training.per_device_train_batch_size": Case(4, plan("gradient_accumulation_steps"), 3),
    "training.bf16": Case(True, precision, True),
    "training.save_steps": Case(1, trained(checkpoints), ["checkpoint-1", "checkpoint-2"], TEN),
    "training.save_total_limit": Case(
        1, trained(checkpoints), ["checkpoint-2"], {**TEN, "training": {"save_steps": 1}}
    ),
    "training.eval_steps": Case(1, plan("evaluations"), (0, 1, 2)),
    "training.logging_steps": Case(2, trained(logged_steps), [2], TEN),
    # evaluation and trackers
    "eval.num_samples": Case(2, held_out(sum), 3 * len(PROMPTS), TEN),
    "eval.batch_size": Case(2, held_out(list), [2] * 6, TEN),
    "eval.rewards": Case(part("python", function="ten")["rewards"], judged("reward", "mean"), 10.0),
    "eval.pass": Case({"python": ">=0.5"}, judged("pass_at", "1"), (2 / 2 + 1 / 2) / 2),
    "eval.group_by": Case("other", lambda data, at: list(judged("groups")(data, at) or ()), ["other"]),
    "eval.metric": Case("valid_fraction", values, [1.0] * len(PROMPTS), TEN),
    "eval.patience": Case(1, trained(ended), (1, []), merged(TEN, {"training": {"eval_steps": 1}})),
    "eval.watch": Case("off", trained(ended), (20, []), growing),
    "eval.kl": Case(False, measures_kl, False, TEN),
    "eval.lm_eval": Case({"tasks": ["no_such_task"]}, benchmarks),
    "tracking.report_to": Case(["tensorboard"], trained(lambda run: len([*run.rglob("events*")])), 1, TEN),
    "tracking.project": Case("mine", tracker("WandBTracker", "place", "wandb"), ("mine",)),
    "tracking.entity": Case("us", tracker("WandBTracker", "entity", "wandb"), "us"),
    "tracking.group": Case("g", tracker("WandBTracker", "group", "wandb"), "g"),
    "tracking.tags": Case(["t"], tracker("WandBTracker", "tags", "wandb"), ["t"]),
    **dict(
        arguments(
            seed=("run.seed", 7),
            use_cpu=("model.device", True),
            trust_remote_code=("model.trust_remote_code", True),
            shuffle_dataset=("data.shuffle", False),
            max_completion_length=("generation.max_completion_length", 9),
            temperature=("generation.temperature", 0.5),
            top_p=("generation.top_p", 0.5),
            top_k=("generation.top_k", 5),
            min_p=("generation.min_p", 0.1),
            repetition_penalty=("generation.repetition_penalty", 1.1),
            beta=("algorithm.beta", 0.1),
            loss_type=("algorithm.loss_type", "grpo"),
            scale_rewards=("algorithm.scale_rewards", "batch"),
            epsilon=("algorithm.epsilon", 0.1),
            epsilon_high=("algorithm.epsilon_high", 0.3),
            num_iterations=("algorithm.num_iterations", 2),
            importance_sampling_level=("algorithm.importance_sampling_level", "sequence"),
            mask_truncated_completions=("algorithm.mask_truncated_completions", True),
            learning_rate=("training.learning_rate", 0.5),
            gradient_checkpointing=("training.gradient_checkpointing", True),
            lr_scheduler_type=("training.lr_scheduler_type", "cosine"),
            warmup_steps=("training.warmup_steps", 1),
            weight_decay=("training.weight_decay", 0.1),
            max_grad_norm=("training.max_grad_norm", 0.5),
            optim=("training.optim", "sgd"),
        )
    ),
}
CASES["model.device"] = Case("cpu", argument("use_cpu"), True, {"model": {"device": "auto"}})

THINK = "<think>a</think>", "<think>a</think> b", "<think> </think>", "<think>a</think><think>b</think>"
PARTS: dict[str, tuple[Any, dict[str, Any], tuple[str, ...], dict[str, list[Any]]]] = {
    # key → its other value, the part in both cases, completions, columns
    "exact_match.column": ("other", {}, ("a", "b"), {**ANSWER, "other": ["b", "b"]}),
    "exact_match.strip": (False, {}, (" a", "b"), ANSWER),
    "exact_match.ignore_case": (True, {}, ("A", "b"), ANSWER),
    "exact_match.collapse_space": (True, {}, ("x  y", "b"), {"answer": ["x y"] * 2}),
    "regex.pattern": ("b", {"pattern": "a"}, ("a", "b"), {}),
    "regex.mode": ("count", {"pattern": "a"}, ("aa", "b"), {}),
    "regex.group": (2, {"pattern": "(a)(b)", "group": 1, "column": "answer"}, ("ab", "b"), ANSWER),
    "regex.column": (
        "other",
        {"pattern": "(a)", "group": 1, "column": "answer"},
        ("a", "b"),
        {**ANSWER, "other": ["x"] * 2},
    ),
    "regex.required": (True, {"pattern": "a"}, ("a", "b"), {}),
    "regex.match_timeout": (0.1, {"pattern": r"^(a|a)*$", "match_timeout": 0.05}, ("a" * 40 + "b", "b"), {}),
    "format.tags": (["answer"], {"tags": ["think"]}, THINK, {}),
    "format.sections": (["B:"], {"sections": ["A:"]}, ("A: 1", "B: 1"), {}),
    "format.once": (False, {"tags": ["think"]}, THINK, {}),
    "format.only": (True, {"tags": ["think"]}, THINK, {}),
    "format.nonempty": (False, {"tags": ["think"]}, THINK, {}),
    "format.opened": (True, {"tags": ["think"]}, ("a</think>", "b"), {}),
    "format.partial": (True, {"tags": ["think", "answer"]}, THINK, {}),
    "format.required": (True, {"tags": ["think"]}, ("a", "b"), {}),
    "length.max": (1, {}, ("a b", "b"), {}),
    "length.unit": ("words", {}, ("a b", "b"), {}),
    "repetition.ngram": (1, {}, ("a b a", "b"), {}),
    "repetition.unit": ("characters", {}, ("a aaaa", "b"), {}),
    "math_answer.column": ("other", {}, ("7", "8"), {"answer": ["7", "7"], "other": ["8", "8"]}),
    "python.function": (f"{REWARDS}:ten", {}, ("1", "2"), {}),
    "python.args": ({"factor": 2.0}, {"function": "times"}, ("1", "2"), {}),
    "python.isolate": (True, {"function": "process"}, ("1", "2"), {}),
    "python.messages": (True, {"function": "is_chat"}, ("1", "2"), {}),
    "python.concurrency": (1, {"function": "together"}, ("1", "2"), {}),
    "transform.clip.min": (1.0, {"transform": {"type": "clip", "max": 4}}, ("0", "2"), {}),
    "transform.clip.max": (1.0, {"transform": {"type": "clip", "min": -4}}, ("0", "2"), {}),
    "transform.linear.slope": (2.0, {"transform": {"type": "linear"}}, ("0", "2"), {}),
    "transform.linear.offset": (2.0, {"transform": {"type": "linear"}}, ("0", "2"), {}),
    "transform.exponential_decay.k": (
        2.0,
        {"transform": {"type": "exponential_decay", "k": 1.0}},
        ("0", "2"),
        {},
    ),
}
"""Keys of one type of reward, and of one transform."""
for kind in ("sigmoid", "reverse_sigmoid", "double_sigmoid", "step"):
    beside = {"transform": {"type": kind, "low": 1.0, "high": 4.0}}
    for name, value in (("low", 2.5), ("high", 3.0)):
        PARTS[f"transform.{kind}.{name}"] = (value, beside, ("2", "3.5"), {})
    if kind != "step":
        for name in ("coef_div", "coef_si", "coef_se") if kind == "double_sigmoid" else ("k",):
            PARTS[f"transform.{kind}.{name}"] = (0.7, beside, ("1.1", "3.9"), {})
for name, (value, keys_, texts, columns) in PARTS.items():
    kind = "python" if name.startswith("transform") else name.partition(".")[0]
    CASES[f"rewards.components.{name}"] = Case(value, totals(*texts, **columns), beside=part(kind, **keys_))


# the tests


def keys(cls: type[Section], path: str = "") -> Iterator[str]:
    """Every key of a section and those below it; what all rewards share, and transforms, once."""
    for name, field in fields_of(cls).items():
        if name == "type":
            continue
        shared = issubclass(cls, Component) and name in Component.model_fields
        key = f"{path.rpartition('.')[0]}.{name}" if shared else f"{path}.{name}" if path else name
        if path:
            yield key
        place = place_of_field(field)
        listed = place.only("list")
        inside = [*place.classes(), *(place_of(listed.items).classes() if listed else ())]
        for inner in dict.fromkeys(inside):
            if key in ("eval.rewards", "eval.lm_eval"):
                continue  # the keys of `rewards`, which have their lines; those of the harness: test_lm_eval
            yield from keys(inner, f"{key}.{choices_of(inner, 'type')[0]}" if len(inside) > 1 else key)


def put(data: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    """The config with a value at a key; of rewards and tests, the first."""
    steps = [step for step in key.split(".") if step not in KINDS]
    changed = json.loads(json.dumps(data))
    place: Any = changed
    for step in steps[:-1]:
        place = place.setdefault(step, {})
        place = place[0] if isinstance(place, list) else place
    place[steps[-1]] = value
    return changed


KINDS = {
    *rlctl.registry.names("rewards"),
    *("clip", "linear", "sigmoid", "reverse_sigmoid", "double_sigmoid", "step", "exponential_decay"),
}


def test_every_key_has_its_line() -> None:
    assert set(keys(Config)) == set(CASES)


@pytest.mark.parametrize("key", CASES)
def test_changing_it_shows(
    key: str,
    tmp_path: Path,
    tiny_model_folder: Path,
    tiny_chat_model_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    case = CASES[key]
    at = Places(tmp_path, tiny_model_folder, tiny_chat_model_folder, monkeypatch)
    data = merged(base(at), case.beside(at) if callable(case.beside) else case.beside)
    before = case.observe(
        {**data, "run": {**data["run"], "name": "before"}} if key != "run.name" else data, at
    )
    value = weighted(at) if key == "data.train.weight" else case.value
    place = "data.train" if key == "data.train.weight" else key
    after = case.observe(put(data, place, value(at) if callable(value) else value), at)
    assert before != after
    if case.seen is not ...:
        assert after == case.seen


def base(at: Places) -> dict[str, Any]:
    rows = [
        {"prompt": text, "answer": "1", "other": "b", "question": f"{word}?"}
        for text, word in zip(PROMPTS, WORDS, strict=True)
    ]
    data = str(write_rows(at.folder / "rows.jsonl", rows))
    changes = {"data": {"train": {"path": data}, "eval": {"path": data}}, **part("python")}
    return small_config(at.folder, at.model, **changes)


WORDS = ["zero", "one", "two", "three", "four", "five"]


# TRL's defaults


def trl_arguments(at: Path) -> dict[str, Any]:
    config = config_from_dict(small_config(at, "builtin:tiny-math", data={"max_length": 32}))
    return grpo_arguments(config, make_plan(config), output_dir=str(at), bf16=False)


def test_every_argument_of_trl_is_passed(tmp_path: Path) -> None:
    assert set(trl_arguments(tmp_path)) == {
        field.name for field in dataclasses.fields(GRPOConfig) if field.init
    }


def test_a_default_that_trl_changes_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With every default of the dataclass replaced by something of no use, all stays as it was."""
    passed = trl_arguments(tmp_path)
    before = GRPOConfig(**passed).to_dict()
    defaults = GRPOConfig.__init__.__defaults__
    assert len(defaults) > 150
    monkeypatch.setattr(GRPOConfig.__init__, "__defaults__", tuple(object() for _ in defaults))
    for field in dataclasses.fields(GRPOConfig):
        if field.name in vars(GRPOConfig):
            monkeypatch.setattr(GRPOConfig, field.name, object())
    with pytest.raises(Exception, match="object"):
        GRPOConfig(output_dir=str(tmp_path))
    after = GRPOConfig(**trl_arguments(tmp_path)).to_dict()
    assert after == before


def test_arguments_under_trl_reach_it(tmp_path: Path) -> None:
    """What `algorithm.trl` takes arrives, argument by argument, with a value that is not the default."""
    for name, entry in catalogue.passed_through("grpo").items():
        value = {"bool": True, "int": 3, "float": 0.5, "str": "x", "dict": {}}.get(entry["types"][0])
        if value is None or value == entry["default"] or "choices" in entry:
            continue
        config = config_from_dict(small_config(tmp_path, "builtin:tiny-math", data={"max_length": 32}))
        trl = {**config.algorithm.trl, name: value}
        algorithm = config.algorithm.model_copy(update={"trl": trl})
        changed = config.model_copy(update={"algorithm": algorithm})
        arguments_ = grpo_arguments(changed, make_plan(config), output_dir="x", bf16=False)
        assert arguments_[name] == value
