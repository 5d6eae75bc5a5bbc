"""`rlctl eval`: checkpoints on held-out prompts, with intervals, and compared prompt by prompt."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlctl.config.config import Config
from rlctl.config.load import config_from_dict, load_config
from rlctl.config.model import Model
from rlctl.errors import ConfigError, DataError, Problem, UsageError
from rlctl.evaluation.audience import Audience
from rlctl.evaluation.benchmarks import Benchmarks, benchmark_results, benchmark_samples
from rlctl.evaluation.checkpoints import default_name, fetch, find_all, refuse_itself, unfinished
from rlctl.evaluation.figures import Figures
from rlctl.evaluation.judge import Judge
from rlctl.evaluation.rescoring import Completions, read_completions
from rlctl.evaluation.result import RESULTS, Evaluation, compared
from rlctl.evaluation.samples import Drawn, kept, score
from rlctl.models.tokenizer import lazy_tokenize
from rlctl.results import place
from rlctl.rewards.compose import Scorer
from rlctl.rewards.selftest import require, run_tests
from rlctl.training.penalty import settled
from rlctl.training.provenance import content_hashes, data_hashes, model_hashes, reward_hashes

if TYPE_CHECKING:
    from rlctl.evaluation.lm_eval import Suite

Prompts = list[dict[str, Any]]


def evaluate(
    config: Config | str | Path,
    checkpoints: Sequence[str] = (),
    *,
    against: Sequence[str] = (),
    num_samples: int | None = None,
    completions: str | None = None,
    output: str | Path | None = None,
    benchmarks: bool = False,
    audience: Audience | None = None,
) -> Evaluation:
    """Sample checkpoints on the prompts of `data.eval`, score the completions, and compare.

    The same arguments give the same figures, on one machine and with the same versions.

    Args:
        config: A loaded config, or the path of a YAML.
        checkpoints: Folders, runs, `RUN@STEP`, `RUN@best`, Hub ids, or `base`; by default the config's
            own run where it has ended, else `base`. With `completions`, names in the file; by default all.
        against: What each of them is compared with, prompt by prompt.
        num_samples: In place of `eval.num_samples`; with `completions`, the first so many of each prompt.
        completions: Data with completions to score in place of a model's.
        output: Folder for the results; by default below the run's `results`.
        benchmarks: Run `eval.lm_eval` too.
        audience: Who is told how it goes.

    Raises:
        ConfigError: The config is wrong, or has no `data.eval`.
        CheckpointError: A checkpoint is missing or damaged.
        RlctlError: A reward or the data are wrong.
    """
    if not isinstance(config, Config):
        config = load_config(config)
    audience = audience or Audience()
    refuse_itself(checkpoints, against)
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UsageError("evaluation runs in one process", hint="Start it without a launcher.")
    if completions is not None:
        return _rescored(config, checkpoints, against, num_samples, completions, output, audience)
    if num_samples is not None:
        config = config_from_dict(config.model_dump(), overrides=[f"eval.num_samples={num_samples}"])
    names = list(dict.fromkeys(checkpoints))
    if not names:
        names = [default_name(config)]
        audience.tell(f"checkpoint: {names[0]}{unfinished(config)}")
    models = find_all([*names, *against], config)
    if not benchmarks or config.data.eval is not None:
        config = settled(config, [one.run for one in models if one.run is not None], audience.tell)
    for line in config.about_held_out:
        audience.tell(line)
    for one in models:
        audience.poll()
        fetch(one)
    suite = _suite(config) if benchmarks else None
    request = {
        **_asked(config, names, against),
        "models": {one.name: _files(config, one.model) for one in models},
        "benchmarks": benchmarks,
    }
    run = next((one.run for one in models if one.run is not None), None)
    folder = _place(request, output, run, config)
    with _Scoring(config, audience) as scoring:
        from rlctl.evaluation.policies import Policies

        policies = Policies(config, audience)
        prompts = policies.prompts(models[0]) if suite is None or config.data.eval is not None else []
        figures: dict[str, Figures] = {}
        found: dict[str, Benchmarks] = {}
        for one in models:
            drawn, of_benchmarks = policies.run(one, prompts, suite)
            if of_benchmarks is not None:
                found[one.name] = of_benchmarks
            if prompts:
                figures[one.name] = scoring.figures(one.name, drawn, prompts)
    return scoring.result(request, folder, figures, found, names, against)


def _suite(config: Config) -> "Suite":
    """The benchmarks that the config names.

    Raises:
        ConfigError: It names none.
    """
    if config.eval.lm_eval is None:
        fix = "name tasks there: {tasks: [gsm8k]}"
        raise ConfigError([Problem("missing; --export lm-eval runs it", ("eval", "lm_eval"), suggestion=fix)])
    from rlctl.evaluation.lm_eval import load_suite

    return load_suite(config.eval.lm_eval)


def _rescored(
    config: Config,
    names: Sequence[str],
    against: Sequence[str],
    per_prompt: int | None,
    file: str,
    output: str | Path | None,
    audience: Audience,
) -> Evaluation:
    """`evaluate` with completions out of a file: no model is loaded."""
    config = settled(config, tell=audience.tell)
    with _Scoring(config, audience) as scoring:
        columns = scoring.scorer.columns
        found = read_completions(file, config.data.columns, columns, per_prompt=per_prompt)
        chosen = list(dict.fromkeys(names)) or [one for one in found.drawn if one not in against]
        for name in [*chosen, *against]:
            if name not in found.drawn:
                hint = f"it has completions of {', '.join(found.drawn)}"
                raise UsageError(f"{file} has no completions of {name!r}", where="--checkpoint", hint=hint)
        request = {**_asked(config, chosen, against), "completions": _content(file), "per_prompt": per_prompt}
        folder = _place(request, output, None, config)
        found = found.of([*chosen, *against])
        audience.tell(f"completions of {file}: {sum(map(len, found.drawn.values())):,}, no model is loaded")
        _share_prompts(found, chosen, against)
        figures = {name: scoring.figures(name, drawn, found.prompts) for name, drawn in found.drawn.items()}
    return scoring.result(request, folder, figures, {}, chosen, against)


def _share_prompts(found: Completions, names: Sequence[str], against: Sequence[str]) -> None:
    """Raise DataError where two that are to be compared have no prompt in common."""
    prompts = {name: {one.prompt for one in drawn} for name, drawn in found.drawn.items()}
    for a, b in ((a, b) for a in names for b in against):
        if not prompts[a] & prompts[b]:
            hint = "Prompts are matched by `prompt_index`, text, and the columns that the rewards read."
            raise DataError(f"{a} and {b} have no prompt in common", where="--against", hint=hint)


class _Scoring:
    """Scores completions, and keeps every one.

    Args:
        config: The rewards, and what is counted.
        audience: Who is told how it goes.
    """

    def __init__(self, config: Config, audience: Audience) -> None:
        self.config = config
        self.audience = audience
        self.judge = Judge(config)
        self.scorer = Scorer(config.eval_rewards, tokenize=lazy_tokenize(config.model), poll=audience.poll)
        self.samples: list[dict[str, Any]] = []

    def __enter__(self) -> "_Scoring":
        self.scorer.load()
        require(run_tests(self.config.eval_rewards, self.scorer))
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        self.scorer.close(kill=kind is not None)

    def figures(self, name: str, drawn: Sequence[Drawn], prompts: Prompts) -> Figures:
        """The figures of a checkpoint's completions."""
        self.audience.progress(f"{name}: scoring", 0, len(drawn))
        with self.scorer.unchanged():
            samples = score(drawn, prompts, self.scorer, self.judge)
        self.samples += kept(name, samples, prompts)
        return Figures(samples, prompts, self.config)

    def result(
        self,
        request: dict[str, Any],
        folder: Path,
        figures: dict[str, Figures],
        benchmarks: dict[str, Benchmarks],
        names: Sequence[str],
        against: Sequence[str],
    ) -> Evaluation:
        """Compare, and write everything down."""
        pairs = [(a, b) for a in names for b in dict.fromkeys(against) if a != b]
        comparisons = compared(figures, pairs, self.config.eval.metric) if figures else []
        results = benchmark_results(benchmarks, pairs) if benchmarks else {}
        found = Evaluation(self.config, request, folder, figures, comparisons, results)
        found.write(self.samples, list(benchmark_samples(benchmarks)))
        return found


def _asked(config: Config, names: Sequence[str], against: Sequence[str]) -> dict[str, Any]:
    """What the result depends on beside models and completions: settings, data, the code of rewards."""
    sections = config.model_dump(
        mode="json", include={"model", "data", "rewards", "generation", "eval", "run"}
    )
    sections["data"].pop("train")
    held_out = config.data.model_copy(update={"train": config.data.eval or []})
    return {
        "names": list(names),
        "against": list(against),
        **{name: section for name, section in sections.items() if name != "run"},
        "seed": config.run.seed,
        "hashes": {
            "data": data_hashes(config.model_copy(update={"data": held_out})),
            "rewards": reward_hashes(config),
        },
    }


def _place(request: dict[str, Any], output: str | Path | None, run: Path | None, config: Config) -> Path:
    return place("eval", request, RESULTS, output=output, run=run, default=Path(config.run.output_dir))


def _files(config: Config, model: Model) -> dict[str, Any]:
    """A model, by its place and what is there."""
    return {"path": model.path, "files": model_hashes(config.model_copy(update={"model": model}))}


def _content(file: str) -> dict[str, Any]:
    """A file or folder with completions, and what is in it."""
    path = Path(file)
    return {"path": str(path.absolute()) if path.exists() else file, "sha256": content_hashes(file)}
