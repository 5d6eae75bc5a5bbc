"""The batch geometry of a run: what one step is made of, and how it is cut into forward passes. Torch-free.

One step samples `num_generations` completions for each of `prompts_per_step` prompts. Those completions are
shared among the processes, whole groups to each, and each process takes its share in equal micro-batches.
"""

import math
from dataclasses import dataclass

from rlctl.config.config import Config
from rlctl.errors import ConfigError, Problem

TOKENS_PER_FORWARD = 32_768
"""`per_device_train_batch_size: auto` fills a forward pass up to this many tokens."""

Found = tuple[tuple[str | int, ...], str, str | None]
"""Path of a key, what is wrong with it, and what to do."""


@dataclass(frozen=True)
class Plan:
    """What a run will do, in numbers.

    Args:
        num_processes: Training processes.
        prompts_per_step: Prompts of one generation, over all processes.
        num_generations: Completions per prompt (a group).
        num_iterations: Optimizer steps on the same completions.
        per_device_train_batch_size: Completions per forward pass and process.
        gradient_accumulation_steps: Forward passes per optimizer step and process.
        engine: What generates the completions.
        max_completion_length: Tokens of a completion, at most.
        max_length: Tokens of prompt and completion together, at most.
        num_prompts: Training prompts; None where unknown.
        steps: Optimizer steps of the whole run; None where it depends on an unknown number of prompts.
        epochs: Passes over the prompts, where they decide the number of steps; else None.
        evaluations: Steps after which the held-out prompts are evaluated; 0 is before training.
        checkpoints: Steps after which a checkpoint is written.
        save_total_limit: Checkpoints that stay; None for all.
    """

    num_processes: int
    prompts_per_step: int
    num_generations: int
    num_iterations: int
    per_device_train_batch_size: int
    gradient_accumulation_steps: int
    engine: str
    max_completion_length: int
    max_length: int
    num_prompts: int | None
    steps: int | None
    epochs: float | None
    evaluations: tuple[int, ...]
    checkpoints: tuple[int, ...]
    save_total_limit: int | None

    @property
    def completions_per_step(self) -> int:
        """Completions that are sampled and scored together."""
        return self.prompts_per_step * self.num_generations

    @property
    def completions_per_process(self) -> int:
        """Each process's share of them."""
        return self.completions_per_step // self.num_processes

    @property
    def steps_per_generation(self) -> int:
        """Forward passes that one generation feeds, in one iteration."""
        return self.gradient_accumulation_steps

    @property
    def tokens_per_step(self) -> int:
        """Tokens that one step handles at most, prompts included."""
        return self.completions_per_step * self.max_length

    def describe(self) -> list[str]:
        """The plan as lines of text."""
        lines = [self._geometry(), self._micro_batches(), self._generation(), self._length()]
        if self.num_iterations > 1:
            lines.append(f"reuse: {self.num_iterations} optimizer steps on the same completions")
        if self.evaluations:
            lines.append(f"held-out evaluation: {_steps(self.evaluations)}")
        if self.checkpoints:
            kept = _kept(self.save_total_limit, evaluated=bool(self.evaluations))
            between = {*self.evaluations} - {0, *self.checkpoints}
            best = ", and after an evaluation that is the best so far" if between else ""
            lines.append(f"checkpoints: {_steps(self.checkpoints)}{best}{kept}")
        return lines

    def _geometry(self) -> str:
        return (
            f"one step: {_count(self.prompts_per_step, 'prompt')} × {self.num_generations} generations = "
            f"{self.completions_per_step} completions, at most {self.tokens_per_step:,} tokens"
        )

    def _micro_batches(self) -> str:
        share = (
            f"{_count(self.num_processes, 'process')} × " if self.num_processes > 1 else ""
        ) + f"{_count(self.gradient_accumulation_steps, 'forward pass')}"
        return f"in memory: {share} of {_count(self.per_device_train_batch_size, 'completion')}"

    def _generation(self) -> str:
        longest = _count(self.max_completion_length, "token")
        return f"generation: by {self.engine}, at most {longest} a completion"

    def _length(self) -> str:
        if self.steps is None:
            return f"length: {_count(self.epochs or 1, 'pass')} over the prompts"
        text = f"length: {_count(self.steps, 'step')}"
        if self.num_prompts is None:
            return text
        passes = self.steps * self.prompts_per_step / self.num_iterations / self.num_prompts
        return f"{text}, {passes:.3g} passes over {_count(self.num_prompts, 'prompt')}"


def make_plan(config: Config, num_processes: int = 1, num_prompts: int | None = None) -> Plan:
    """The plan of a config.

    Args:
        config: The resolved config.
        num_processes: Training processes.
        num_prompts: Training prompts; None where that is not known before the data are read.

    Raises:
        ConfigError: The batch does not fit together on so many processes.
    """
    if found := geometry_problems(config, num_processes):
        raise ConfigError([Problem(message, path, suggestion=fix) for path, message, fix in found])
    training, algorithm = config.training, config.algorithm
    share = training.prompts_per_step * algorithm.num_generations // num_processes
    batch = training.per_device_train_batch_size
    if batch == "auto":
        batch = largest_batch(share, config.data.max_length)
    steps, epochs = _steps_in_all(config, num_prompts)
    return Plan(
        num_processes=num_processes,
        prompts_per_step=training.prompts_per_step,
        num_generations=algorithm.num_generations,
        num_iterations=algorithm.num_iterations,
        per_device_train_batch_size=batch,
        gradient_accumulation_steps=share // batch,
        engine="transformers" if config.generation.engine == "auto" else config.generation.engine,
        max_completion_length=config.generation.max_completion_length,
        max_length=config.data.max_length,
        num_prompts=num_prompts,
        steps=steps,
        epochs=epochs,
        evaluations=_points(training.eval_steps, steps, first=0) if config.data.eval else (),
        checkpoints=_points(training.save_steps, steps) if training.save_steps else (),
        save_total_limit=training.save_total_limit,
    )


def largest_batch(completions: int, max_length: int) -> int:
    """The largest divisor of `completions` that keeps a forward pass within 32,768 tokens; 1 if none does."""
    fits = max(1, TOKENS_PER_FORWARD // max_length)
    return max(divisor for divisor in divisors(completions) if divisor <= fits)


def divisors(number: int) -> list[int]:
    """Every divisor, ascending."""
    small = [d for d in range(1, math.isqrt(number) + 1) if number % d == 0]
    return sorted({*small, *(number // d for d in small)})


def geometry_problems(config: Config, num_processes: int = 1, num_prompts: int | None = None) -> list[Found]:
    """What does not fit together in the batch: path, message and suggestion of each problem.

    Args:
        config: The resolved config.
        num_processes: Training processes.
        num_prompts: Training prompts, where they are known.
    """
    prompts, group = config.training.prompts_per_step, config.algorithm.num_generations
    if prompts % num_processes:
        nearest = _either(_multiples_near(prompts, num_processes))
        return [
            (
                ("training", "prompts_per_step"),
                f"{prompts} prompts cannot be shared by {num_processes} processes: each process needs whole "
                f"groups of {group} completions",
                f"use a multiple of {num_processes}: {nearest}",
            )
        ]
    return _batch_problems(config, prompts * group, num_processes) + _prompt_problems(config, num_prompts)


def _batch_problems(config: Config, completions: int, num_processes: int) -> list[Found]:
    batch = config.training.per_device_train_batch_size
    share = completions // num_processes
    if batch == "auto" or share % batch == 0:
        return []
    prompts, group = config.training.prompts_per_step, config.algorithm.num_generations
    shared = f" on {num_processes} processes = {share} per process" if num_processes > 1 else ""
    known = divisors(share)
    below = [d for d in known if d < batch][-1:]
    above = [d for d in known if d > batch][:1]
    return [
        (
            ("training", "per_device_train_batch_size"),
            f"{batch} does not divide a step: {_count(prompts, 'prompt')} × {group} generations = "
            f"{completions} completions{shared}, and {share} / {batch} is no whole number",
            f"use {_either(below + above)}, or auto",
        )
    ]


def _prompt_problems(config: Config, num_prompts: int | None) -> list[Found]:
    needed = config.training.prompts_per_step
    if num_prompts is None or num_prompts >= needed:
        return []
    return [
        (
            ("training", "prompts_per_step"),
            f"one step needs {needed} different prompts, and `data.train` has {num_prompts}",
            f"use {num_prompts} or less, or add prompts",
        )
    ]


def _steps_in_all(config: Config, num_prompts: int | None) -> tuple[int | None, float | None]:
    """Optimizer steps, and the epochs that they come from; prompts left over at the end of an epoch wait."""
    training = config.training
    if training.max_steps is not None:
        return training.max_steps, None
    epochs = training.num_epochs if training.num_epochs is not None else 1.0
    if num_prompts is None:
        return None, epochs
    per_epoch = num_prompts // training.prompts_per_step * config.algorithm.num_iterations
    return math.ceil(epochs * per_epoch), epochs


def _points(every: int | None, steps: int | None, first: int | None = None) -> tuple[int, ...]:
    """`first`, every so many steps, and the last step."""
    if not steps:
        return ()
    regular = range(every, steps, every) if every else ()
    return (*([first] if first is not None else []), *regular, steps)


def _multiples_near(number: int, of: int) -> list[int]:
    below = number // of * of
    return [value for value in (below, below + of) if value]


def _either(values: list[int]) -> str:
    return " or ".join(str(value) for value in values)


def _count(number: float, noun: str) -> str:
    plural = noun if number == 1 else f"{noun}es" if noun.endswith("s") else f"{noun}s"
    return f"{number:,g} {plural}" if number < 1e6 else f"{number:,.0f} {plural}"


def _kept(limit: int | None, *, evaluated: bool) -> str:
    if limit is None:
        return ""
    if limit == 1:
        return ", the newest and the best stay" if evaluated else ", the newest stays"
    return f", {limit} stay: the newest and the best" if evaluated else f", the newest {limit} stay"


def _steps(steps: tuple[int, ...]) -> str:
    """`after steps 50, 100, …, 950, 1000`"""
    shown = [str(step) for step in steps]
    if len(shown) > 6:
        shown = [*shown[:3], "…", *shown[-2:]]
    return f"after step{'s' if len(steps) > 1 else ''} {', '.join(shown)}"
