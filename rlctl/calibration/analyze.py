"""`rlctl analyze-rewards`: what training would feel of a reward, before it is trained on."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rlctl.calibration import collect
from rlctl.calibration.answers import judges
from rlctl.calibration.collect import Completions, log_of
from rlctl.calibration.exploits import run_probes
from rlctl.calibration.figures import Figures
from rlctl.calibration.findings import find
from rlctl.calibration.gold import check_gold
from rlctl.calibration.keywords import keywords
from rlctl.calibration.noise import check_noise
from rlctl.calibration.probes import make_probes
from rlctl.calibration.result import Analysis, place_of
from rlctl.calibration.scoring import (
    Scores,
    as_table,
    normalised,
    score_again,
    score_all,
    score_texts,
    unnormalised,
)
from rlctl.calibration.table import Floats
from rlctl.config.config import Config
from rlctl.config.data import Source
from rlctl.config.load import load_config
from rlctl.data.completions import name_of_completion
from rlctl.data.peek import is_local, peek
from rlctl.errors import DataError, RewardError, UsageError
from rlctl.evaluation.audience import Audience
from rlctl.models.tokenizer import lazy_tokenize
from rlctl.registry import did_you_mean
from rlctl.rewards.aggregate import Row
from rlctl.rewards.batch import plain
from rlctl.rewards.compose import Scorer
from rlctl.rewards.selftest import require, run_tests
from rlctl.training.penalty import recorded, with_penalty
from rlctl.training.provenance import content_hashes
from rlctl.training.resume import read_record

NUM_SAMPLES = 100
"""Completions that are sampled where nobody says how many."""
SCORED_AGAIN = 256
"""Completions, at least, that are scored again to see what is noise, where there are as many."""
MOST_SECONDS = 60
"""What scoring again may take, about; where rewards are slow, fewer completions are scored again."""
SOMEWHERE = "some/data"
"""Data that nothing is known of, as of any that is not on this machine: no columns are looked for in it."""
NONSENSE = "ßyx ßyx"
"""A text that is the answer to nothing."""
PROBED, REFERENCES = 16, 32
"""Prompts that are tried with each probe, and with their right answer."""


def analyze_rewards(
    config: Config | str | Path,
    num_samples: int | None = None,
    *,
    completions: str | None = None,
    texts: Sequence[str] = (),
    row: Mapping[str, Any] | None = None,
    run: str | Path | None = None,
    output: str | Path | None = None,
    keep: bool = True,
    audience: Audience | None = None,
) -> Analysis:
    """Score completions as training would, and find what training would feel of the scores.

    Without `completions`, `texts` and `run`, the policy of the config completes its own training prompts, in
    groups of `algorithm.num_generations`. `rewards.tests` are run first.

    Args:
        config: A loaded config, or the path of a YAML.
        num_samples: Completions to sample (100), or to take of a file (the first) or a run (the last; all).
        completions: A file with completions; equal prompts make a group. No model is loaded.
        texts: Single texts to score, in place of an analysis.
        row: Columns that the rewards read, for `texts`; by default those of the first training prompt.
        run: Folder of a run whose completions of training are scored.
        output: Folder for the results; by default below the run's `results`, or `run.output_dir`.
        keep: Write the results down; False for the returned object alone.
        audience: Who is told how it goes.

    Raises:
        ConfigError: The config is wrong.
        RewardError: A test failed, or a reward cannot be loaded or lacks a column.
        DataError: The completions cannot be read.
        UsageError: What is asked for does not go together, or the results cannot be written.
    """
    if not isinstance(config, Config):
        config = load_for(config, completions=completions, texts=bool(texts))
    if num_samples is not None and num_samples < 1:
        raise UsageError(f"{num_samples} samples", where="--num-samples", hint="Take 1 or more.")
    if sum([completions is not None, bool(texts), run is not None]) > 1:
        raise UsageError("completions of a file, texts and a run are three things", hint="Name one of them.")
    audience = audience or Audience()
    if run is not None:
        config = _as_the_run(config, Path(run))
    with _scorer(config, audience) as scorer:
        tests = run_tests(config.rewards, scorer)
        require(tests)
        if texts:
            return _of_texts(config, scorer, texts, row)
        inputs = {
            "completions": completions,
            "run": None if run is None else str(Path(run).absolute()),
            "content": _content(completions, run),
            "num_samples": num_samples,
        }
        of_run = None if run is None else Path(run)
        folder, request = place_of(config, inputs, output, of_run) if keep else (None, {})
        found = _collected(config, num_samples, completions, run, audience)
        document, samples = _Work(config, scorer, found, audience).done(tests=len(tests))
        analysis = Analysis(document, samples, folder, request)
        analysis.write()
        return analysis


def _content(completions: str | None, run: str | Path | None) -> dict[str, str]:
    """Hashes of the completions that are scored, where they are a file here."""
    if completions is not None:
        return content_hashes(completions) if is_local(completions) else {}
    return {} if run is None else content_hashes(str(log_of(Path(run))))


def _as_the_run(config: Config, run: Path) -> Config:
    """The config with the penalty that the run has chosen, where it was to choose one."""
    if config.rewards.invalid_penalty != "auto":
        return config
    value = recorded(read_record(run) or {}) if (run / "run.json").is_file() else None
    return config if value is None else with_penalty(config, value)


def load_for(
    path: str | Path, overrides: Sequence[str] = (), *, completions: str | None = None, texts: bool = False
) -> Config:
    """The config of an analysis. Where no model is needed, a YAML with nothing but `rewards` is enough.

    Args:
        path: The YAML.
        overrides: `KEY=VALUE` each.
        completions: The file that is scored; the columns that rewards read are looked for in it.
        texts: Whether single texts are scored.

    Raises:
        ConfigError: The YAML is wrong.
        DataError: The file is not there, or broken.
    """
    if completions is None and not texts:
        return load_config(path, overrides)
    rows: dict[str, Any] = {"train": {"path": SOMEWHERE}}
    if completions is not None:
        local = is_local(completions)
        columns = (peek(Source(path=completions)).columns if local else None) or ("completion",)
        if (name := name_of_completion(columns)) is None:
            hint = did_you_mean("completion", columns) or f"the columns are {', '.join(columns)}"
            raise DataError("has no column `completion`", where=completions, hint=hint)
        # A template from it makes prompts of rows that have none; the analysis does not read these.
        file = os.path.abspath(completions) if local else completions
        rows = {"train": {"path": file}, "prompt_template": f"{{{name}}}"}
    otherwise = {
        "model": {"path": "builtin:tiny-math"},
        "data": rows,
        "algorithm": {"type": "grpo"},
        "training": {"prompts_per_step": 1},
    }
    return load_config(path, overrides, otherwise=otherwise)


def _scorer(config: Config, audience: Audience) -> Scorer:
    scorer = Scorer(config.rewards, tokenize=lazy_tokenize(config.model), poll=audience.poll)
    try:
        scorer.load()
    except BaseException:
        scorer.close(kill=True)
        raise
    return scorer


def _collected(
    config: Config,
    count: int | None,
    file: str | None,
    run: str | Path | None,
    audience: Audience,
) -> Completions:
    """The completions that are asked for."""
    if file is not None:
        audience.tell(f"completions of {file}: no model is loaded")
        return collect.from_file(file, config.data.columns, limit=count)
    if run is not None:
        audience.tell(f"completions that {run} has logged")
        return collect.from_run(Path(run), limit=count)
    from rlctl.calibration.policy import completions_of_policy

    return completions_of_policy(config, NUM_SAMPLES if count is None else count, audience)


def _of_texts(
    config: Config, scorer: Scorer, texts: Sequence[str], row: Mapping[str, Any] | None
) -> Analysis:
    """Single texts, scored."""
    columns = dict(row) if row is not None else _first_row(config) if scorer.columns else {}
    if missing := [name for name in scorer.columns if name not in columns]:
        message = f"the rewards read the column {missing[0]!r}, which is not there"
        raise RewardError(message, hint=f"Give it: --row '{{{missing[0]}: ...}}'")
    rows = score_texts(scorer, [columns] * len(texts), texts)
    return Analysis.of_texts(rows, texts, {name: columns.get(name) for name in ("prompt", *scorer.columns)})


def _first_row(config: Config) -> dict[str, Any]:
    """The first row of `data.train`, with the names that the rewards know; empty for data of the Hub."""
    first = dict(peek(config.data.train[0]).first or {})
    mapping = {**config.data.columns, **(config.data.train[0].columns or {})}
    return {**first, **{name: first[column] for name, column in mapping.items() if column in first}}


def _same(empty: Sequence[Row], nonsense: Sequence[Row], totals: Floats) -> bool:
    """Whether all texts score alike, row by row: a column is read, and not they.

    Where all rows score alike too, as when every completion is wrong, that cannot be told.
    """
    texts = np.array([[np.nan if row.total is None else row.total for row in of] for of in (empty, nonsense)])
    differ = len(np.unique(totals)) > 1
    return bool(differ and np.all((texts == totals) | (np.isnan(texts) & np.isnan(totals))))


class _Work:
    """One analysis, part after part.

    Args:
        config: The config.
        scorer: Its composed reward, loaded.
        completions: What is scored.
        audience: Who is told how it goes.
    """

    def __init__(self, config: Config, scorer: Scorer, completions: Completions, audience: Audience) -> None:
        self.config = config
        self.scorer = scorer
        self.completions = completions
        self.audience = audience
        self.batch_size = config.training.prompts_per_step * config.algorithm.num_generations

    def done(self, *, tests: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Score, count, and look for noise and for ways around the reward.

        Args:
            tests: Tests of the rewards that have passed.

        Returns:
            What was found, and every completion with its scores.
        """
        advance = self.audience.counter("scoring", len(self.completions))
        with self.scorer.unchanged():
            scores = score_all(self.scorer, self.completions, batch_size=self.batch_size, advance=advance)
        table = as_table(scores.rows, self.completions, self.config.rewards)
        figures = Figures(self.config, self.completions, scores, table)
        noise = self._noise(scores)
        document: dict[str, Any] = {
            **figures.as_dict(),
            "tests": tests,
            "noise": noise,
            **self._tricks(scores, figures, noise),
        }
        document["findings"] = [one.as_dict() for one in find(document, self.config)]
        return document, self._samples(scores)

    def _noise(self, scores: Scores) -> dict[str, Any] | None:
        """The first completions, scored again, in the same batches and in others."""
        seconds = sum(scores.seconds.values()) / len(scores.rows)
        affordable = int(MOST_SECONDS / (3 * seconds)) if seconds else SCORED_AGAIN
        wanted = min(SCORED_AGAIN, max(affordable, self.config.algorithm.num_generations))
        last = min(len(scores.rows), wanted)
        if last < 2:
            return None
        advance = self.audience.counter("scoring again", 3 * last)

        def again(order: Sequence[int], batch_size: int | None) -> list[Row]:
            with self.scorer.unchanged():
                return score_again(
                    self.scorer, self.completions, order, batch_size or self.batch_size, advance=advance
                )

        def beside_mates(rows: Sequence[Row]) -> list[Row]:
            return normalised(rows, self.completions, self.config.rewards, batch_size=self.batch_size)

        algorithm = self.config.algorithm
        return check_noise(
            again,
            self.completions.groups[:last],
            group_size=algorithm.num_generations,
            normalise=beside_mates,
            scale=algorithm.scale_rewards,
        ).as_dict()

    def _tricks(self, scores: Scores, figures: Figures, noise: Mapping[str, Any] | None) -> dict[str, Any]:
        """Ways around the reward, and what it says of right answers."""
        totals = unnormalised(scores.rows, self.config.rewards)
        chosen = self._best_of_prompts(totals)
        rows = [self.completions.rows[i] for i in chosen]
        self.audience.progress("probes", 0, 1)

        def score(of: Sequence[Mapping[str, Any]], texts: Sequence[str]) -> list[Row]:
            self.audience.poll()
            with self.scorer.unchanged():
                return score_texts(self.scorer, of, texts)

        valid = totals[figures.table.valid]
        rewards = self.config.rewards
        best = [self.completions.texts[i] for i in chosen]
        stds = {name: one["std"] or 0.0 for name, one in (noise["components"] if noise else {}).items()}
        gold = check_gold(
            rows,
            rewards,
            score,
            completions=best,
            totals=totals[chosen].tolist(),
            raw=figures.table.raw,
            noise=stds,
            valid_totals=valid,
        )
        probes = make_probes(
            rows[:PROBED],
            rewards,
            completions=best[:PROBED],
            words=keywords(self.completions.plain_texts, np.where(figures.table.valid, totals, np.nan)),
            longest=self.config.generation.max_completion_length,
        )
        ignored = _same(score(rows, [""] * len(rows)), score(rows, [NONSENSE] * len(rows)), totals[chosen])
        # What a reward that does not know right answers gives them is no bar.
        known = gold and not any("reference" in one.problems for one in gold.components.values())
        reference = gold.total_median if gold and known else None
        tried = [] if ignored else probes
        found = run_probes(
            tried,
            rows[:PROBED],
            score,
            valid,
            reference=reference,
            noise=(noise["noise"]["before_std"] or 0.0) if noise else 0.0,
            judged=judges(rewards),
        )
        return {
            "text_ignored": ignored,
            "probes": [one.as_dict() for one in found],
            "gold": gold.as_dict() if gold else None,
        }

    def _best_of_prompts(self, totals: Floats) -> list[int]:
        """The best completion of each of some prompts, evenly spread over all."""
        groups = self.completions.groups
        known = np.where(np.isnan(totals), -np.inf, totals)
        order = np.lexsort((-known, groups))  # by group, the best first
        first = np.flatnonzero(np.diff(groups[order], prepend=-1))
        spread = np.linspace(0, len(first) - 1, min(REFERENCES, len(first))).astype(int)
        chosen = order[first][spread]
        return [int(i) for i in np.concatenate([chosen[::2], chosen[1::2]])]  # the first half is spread too

    def _samples(self, scores: Scores) -> list[dict[str, Any]]:
        """Every completion with its scores."""
        groups = self.completions.groups.tolist()
        names = [name for name in self.scorer.columns if name in self.completions.columns]
        return [
            {
                "group": group,
                "prompt": row["prompt"],
                "completion": text,
                **scored.as_dict(),
                "columns": {name: plain(row.get(name)) for name in names},
                "extra": {name: values[i] for name, values in scores.extras.items()},
            }
            for i, (group, row, text, scored) in enumerate(
                zip(groups, self.completions.rows, self.completions.plain_texts, scores.rows, strict=True)
            )
        ]
