"""Standard benchmarks with the lm-evaluation-harness (Biderman et al. 2024, arXiv 2405.14782), an extra.

The harness brings tasks, prompts and metrics; the model is the one in memory, as training and `rlctl eval`
load it. Tasks and their data are loaded before any model, so that what cannot run is known at once. Seeds are
the harness's own, whatever the config's: figures are those of `lm_eval run`, and of one kind in all runs.
"""

import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from rlctl.config.evaluation import LmEval
from rlctl.data.chat import as_conversations
from rlctl.errors import ConfigError, MissingError, Problem
from rlctl.evaluation.audience import Audience
from rlctl.evaluation.benchmarks import Benchmarks
from rlctl.evaluation.lm_eval_results import answers, scores, task_settings
from rlctl.evaluation.lm_eval_surroundings import (
    BOOTSTRAP,
    PLACE,
    SEEDS,
    Said,
    explained,
    one_process,
    quiet,
    seeded,
)
from rlctl.registry import did_you_mean

ALLOW_CODE = "HF_ALLOW_CODE_EVAL"
"""Environment variable by which users of the field allow the programs that a model writes to be run."""


@dataclass(frozen=True)
class Suite:
    """Tasks with their data, ready to be run on any number of models.

    Args:
        settings: The section `eval.lm_eval`.
        loaded: The tasks and groups as the harness holds them (its `TaskDict`).
        own: Names of those that are of `include_path`.
        warnings: What the harness had to say of them.
    """

    settings: LmEval
    loaded: Any
    own: frozenset[str]
    warnings: tuple[str, ...]


def load_suite(settings: LmEval) -> Suite:
    """Find the tasks, and load their data.

    Raises:
        MissingError: The harness, or a package that a task needs, is not installed.
        ConfigError: A task is unknown, needs pictures or sound, or runs programs that the model writes.
        DataError: Data of a task cannot be had.
    """
    if find_spec("lm_eval") is None:
        hint = "pip install 'rlctl[lm-eval]'"
        raise MissingError("benchmarks need the lm-evaluation-harness", where="eval.lm_eval", hint=hint)
    with explained("loading the tasks"), quiet(logging.DEBUG) as said, seeded():
        from lm_eval.tasks import TaskManager

        manager = TaskManager(include_path=settings.include_path)
        names = _known(settings, manager, said)
        _refuse_code(names, manager)
        own = frozenset(name for name in _members(names, manager) if _is_own(name, manager))
        said.records.clear()  # of all the tasks that there are
        loaded: Any = manager.load(names)
    _refuse_media(loaded["tasks"])
    for task in loaded["tasks"].values():
        _set_examples(task, settings.num_fewshot)
    return Suite(settings, loaded, own, said.warnings())


def run_benchmarks(
    suite: Suite,
    name: str,
    model: Any,
    tokenizer: Any,
    *,
    chat_template: Literal["auto", "always", "never"] = "auto",
    template_arguments: Mapping[str, Any] | None = None,
    audience: Audience | None = None,
) -> Benchmarks:
    """Run the tasks on a model in memory.

    Args:
        suite: The tasks.
        name: What the checkpoint is called.
        model: A causal LM; its mode and the global random states are left as they were.
        tokenizer: Its tokenizer.
        chat_template: `data.chat_template`; `auto` puts prompts into the chat template where there is one,
            with examples as earlier turns.
        template_arguments: Arguments of the chat template.
        audience: Who is told how it goes.

    Raises:
        DataError: The harness cannot run a task on this model, or there is no chat template.
        TrainingError: Out of memory.
    """
    audience = audience or Audience()
    chat = as_conversations(
        [], has_template=bool(tokenizer.chat_template), chat_template=chat_template, where="eval.lm_eval"
    )
    training = model.training
    try:
        with (
            explained("running the benchmarks", suite.settings.batch_size),
            quiet(logging.WARNING) as said,
            seeded(),
            one_process(),
        ):
            from lm_eval import evaluate
            from lm_eval.models.huggingface import HFLM

            lm = HFLM(
                pretrained=model,
                tokenizer=tokenizer,
                backend="causal",
                batch_size=suite.settings.batch_size,
                chat_template_args=dict(template_arguments or {}),
            )
            lm.set_cache_hook(_Counter(name, suite, audience))
            for task in suite.loaded["tasks"].values():
                task.set_fewshot_seed(seed=SEEDS["fewshot"])
            said.records.clear()  # that the model comes as an object, which it should
            results: Any = evaluate(
                lm=lm,
                task_dict=suite.loaded,
                limit=suite.settings.limit,
                bootstrap_iters=BOOTSTRAP,
                log_samples=True,
                apply_chat_template=chat,
                fewshot_as_multiturn=chat,
                confirm_run_unsafe_code=_code_is_allowed(),
            )
    finally:
        model.train(training)
    warnings = [*suite.warnings, *said.warnings()]
    for line in warnings:
        audience.tell(f"{name}: lm-eval: {line}")
    settings = {
        "lm_eval_version": version("lm_eval"),
        "chat_template": chat,
        "limit": suite.settings.limit,
        "seeds": SEEDS,
        "bootstrap": BOOTSTRAP,
        "tasks": task_settings(results, suite.own),
        "warnings": warnings,
    }
    return Benchmarks(scores(results), settings, list(answers(results["samples"])))


def _known(settings: LmEval, manager: Any, said: "Said") -> list[str]:
    """Names of tasks, groups and tags, patterns such as `mmlu_*` resolved."""
    names, problems = [], []
    for i, wanted in enumerate(settings.tasks):
        found = manager.match_tasks([wanted])
        names += found
        if not found:
            fix = did_you_mean(wanted, manager.all_tasks) or "`lm_eval ls tasks` lists what there is"
            problems.append(Problem(f"no task, group or tag {wanted!r}", (*PLACE, i), suggestion=fix))
    if problems:
        skipped = said.skipped(settings.include_path)
        problems += [Problem(f"left out: {line}", ("eval", "lm_eval", "include_path")) for line in skipped]
        raise ConfigError(problems)
    return list(dict.fromkeys(names))


def _refuse_code(names: Iterable[str], manager: Any) -> None:
    risky = sorted(name for name in _members(names, manager) if _entry(name, manager).get("unsafe_code"))
    if risky and not _code_is_allowed():
        fix = f"if you accept that, best in a container, set {ALLOW_CODE}=1; or leave it out"
        message = f"{', '.join(risky)}: runs programs that the model writes, here and with your rights"
        raise ConfigError([Problem(message, PLACE, suggestion=fix)])


def _code_is_allowed() -> bool:
    return os.environ.get(ALLOW_CODE) == "1"


def _members(names: Iterable[str], manager: Any) -> set[str]:
    """The tasks behind names, groups and tags opened."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in found or name not in manager.task_index:
            continue
        found.add(name)
        entry = manager.task_index[name]
        inside = _entry(name, manager).get("task")
        items = [*(inside if isinstance(inside, list) else ()), *(() if entry.yaml_path else entry.tags)]
        waiting += [
            item if isinstance(item, str) else item.get("task") or item.get("group") for item in items
        ]
    return found


def _is_own(name: str, manager: Any) -> bool:
    file, folder = manager.task_index[name].yaml_path, manager.include_path
    return bool(file and folder) and Path(file).is_relative_to(folder)


def _entry(name: str, manager: Any) -> Mapping[str, Any]:
    return manager.task_index[name].cfg or {}


def _refuse_media(tasks: Mapping[str, Any]) -> None:
    if media := sorted(name for name, task in tasks.items() if getattr(task, "MULTIMODAL", False)):
        message = f"{', '.join(media)}: needs pictures or sound, and the model reads text"
        raise ConfigError([Problem(message, PLACE, suggestion="leave it out")])


def _set_examples(task: Any, wanted: int | None) -> None:
    """Examples in the prompt, by the harness's rule: a task that says 0 keeps it."""
    own = task.get_config("num_fewshot")
    if own is None or (wanted is not None and own != 0):
        task.set_config(key="num_fewshot", value=wanted or 0)


class _Counter:
    """The harness hands each answer to what it takes for a cache: that is progress, and a time to stop.

    Args:
        name: The checkpoint.
        suite: Its tasks.
        audience: Who is told.
    """

    def __init__(self, name: str, suite: Suite, audience: Audience) -> None:
        self.name, self.suite, self.audience = name, suite, audience
        self._advance: Any = None

    def add_partial(self, kind: str, request: Any, answer: Any) -> None:
        """Called once for every request that is answered."""
        if self._advance is None:
            tasks = self.suite.loaded["tasks"].values()
            total = sum(one.repeats for task in tasks for one in task.instances)
            self._advance = self.audience.counter(f"{self.name}: benchmarks", total)
        self._advance(1)
