"""`prove`: fix a plan, train seeds and a control, evaluate all on held-out prompts, and judge by the plan."""

import gc
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from rlctl.config.config import Config
from rlctl.config.load import load_config
from rlctl.errors import RewardError, Stopped, UsageError
from rlctl.evaluation.audience import Audience
from rlctl.files import replace_text, write_json
from rlctl.proof import document as documents
from rlctl.proof import measured as kept
from rlctl.proof import plan as plans
from rlctl.proof.held_out import held_out
from rlctl.proof.measured import Measured
from rlctl.proof.page import render
from rlctl.proof.reward import analysed, in_words
from rlctl.proof.runs import BASE, ProofRun, runs_of, seeds_of
from rlctl.proof.standing import require_as_concluded, require_unchanged
from rlctl.proof.verdict import judge
from rlctl.proof.wording import also_trained_on
from rlctl.training import penalty as penalties
from rlctl.training.place import lock, refuse_unwritable
from rlctl.training.provenance import fingerprints, provenance
from rlctl.training.stopping import StopSignals

SEEDS = 3


@dataclass(frozen=True)
class Proof:
    """A proof that has reached a verdict.

    Args:
        folder: Its folder.
        page: The page.
        document: What `rlctl prove --json` prints, and `proof.json` holds.
    """

    folder: Path
    page: Path
    document: dict[str, Any]


def prove(
    config: Config | str | Path,
    seeds: int = SEEDS,
    *,
    output: str | Path | None = None,
    console: Console | None = None,
    quiet: bool = False,
    stop: StopSignals | None = None,
) -> Proof:
    """Train several seeds and a control, and judge by a plan that was fixed before whether they are better.

    Called again, it goes on where it was stopped; what is done is not done again.

    Args:
        config: A loaded config, or the path of a YAML.
        seeds: Training seeds: `run.seed` and those that follow it.
        output: The proof's folder; `<output_dir>/<run.name>-prove` by default.
        console: Where it is shown; stdout by default.
        quiet: Show nothing.
        stop: Signals that are being heeded already.

    Raises:
        Stopped: A signal came; what was reached is saved.
        RlctlError: Anything that goes wrong on the way, explained.
    """
    if not isinstance(config, Config):
        config = load_config(config)
    if seeds < 1:
        raise UsageError(f"a proof needs one seed or more, not {seeds}", where="--seeds")
    plans.require_provable(config)
    _refuse_several_processes()
    folder = plans.place_of(config, output)
    plans.refuse_changes(folder, config, seeds_of(config, seeds))
    with stop or StopSignals() as signals:
        screen = Console(quiet=True) if quiet else console or Console()
        return _Work(config, folder, seeds, screen, signals).do()


class _Work:
    """The steps of a proof, with what they share."""

    def __init__(self, config: Config, folder: Path, seeds: int, console: Console, stop: StopSignals) -> None:
        self.config = config
        self.folder = folder
        self.seeds = seeds_of(config, seeds)
        self.runs = runs_of(config, self.seeds, folder)
        self.console = console
        self.stop = stop

    def do(self) -> Proof:
        """Everything, in its order; what is done already is skipped."""
        from rlctl.training.train import calm_libraries

        calm_libraries()
        with self._step("rewards"):
            self._look_at_rewards()
        with self._step("held-out prompts"):
            rows, trained_on = held_out(self.config, Audience(tell=self._say, poll=self.stop.check))
            prompts = plans.fingerprint(rows)
            plans.require_held_out(prompts, trained_on)
        with self._locked():
            known = plans.read(self.folder)
            made = plans.make_plan(self.config, self.seeds, prompts, trained_on)
            if self.config.rewards.invalid_penalty == "auto":
                made["penalty"] = self._penalty(known)
            plan = plans.fix(self.folder, made)
            self._say_plan(plan, new=known is None)
            self._settle(plan)
            reward = self._analysed()
            found = {BASE: self._measure(plan, BASE, BASE, "base model", None)}
            for run in self.runs:
                self._train(run)
                plans.require_trained_as_planned(plan, run.folder, run.hashes)
                found[run.name] = self._measure(plan, run.name, str(run.folder), run.label, run.identity)
            return self._conclude(plan, found, reward)

    def _look_at_rewards(self) -> None:
        """What is asked of the rewards before anything is spent on training."""
        from rlctl.models.tokenizer import lazy_tokenize
        from rlctl.rewards.compose import Scorer
        from rlctl.rewards.selftest import require, run_tests

        tokenize = lazy_tokenize(self.config.model)
        sections = [self.config.rewards, *([self.config.eval.rewards] if self.config.eval.rewards else [])]
        for section in sections:
            with Scorer(section, tokenize=tokenize, poll=self.stop.check) as scorer:
                scorer.load()
                require(run_tests(section, scorer))
        count = sum(len(section.tests) for section in sections)
        self._say(f"rewards: {count} of {count} tests passed" if count else "rewards: no tests in the config")

    def _penalty(self, known: dict[str, Any] | None) -> dict[str, Any]:
        """The penalty of all runs, which are compared with each other: chosen once, and then of the plan."""
        if known is not None:
            return {"value": penalties.require_recorded(known, self.folder / plans.FILE)}
        from rlctl.calibration.auto import choose_for
        from rlctl.models.tokenizer import lazy_tokenize
        from rlctl.rewards.compose import Scorer

        tokenize = lazy_tokenize(self.config.model)
        with self._step("invalid penalty"):
            with Scorer(self.config.rewards, tokenize=tokenize, poll=self.stop.check) as scorer:
                found = choose_for(self.config, scorer, Audience(tell=self._say, poll=self.stop.check))
            _let_go()
        self._say(found.describe())
        return found.summary()

    def _settle(self, plan: dict[str, Any]) -> None:
        """Train and evaluate everything with the penalty of the plan, where it was chosen there."""
        if "penalty" in plan:
            self.config = penalties.with_penalty(self.config, plan["penalty"]["value"])
            self.runs = runs_of(self.config, self.seeds, self.folder)

    def _say_plan(self, plan: dict[str, Any], *, new: bool) -> None:
        seeds = ", ".join(map(str, self.seeds))
        self._say(
            f"plan: {plan['metric']} on {plan['prompts']['count']} held-out prompts × {plan['num_samples']}, "
            f"{'seeds' if len(self.seeds) > 1 else 'seed'} {seeds} and a control; "
            + (f"fixed now in {self.folder / plans.FILE}" if new else f"fixed {plan['made']}")
        )
        if seen := also_trained_on(plan["prompts"]):
            self._say(f"warning: {seen}")

    def _analysed(self) -> dict[str, Any]:
        """What is found of the reward before anything is trained with it."""
        with self._step("analysis of the rewards"):
            found = analysed(self.config, self.folder, Audience(poll=self.stop.check))
        _let_go()
        self._say(*in_words(found))
        return found

    def _train(self, run: ProofRun) -> None:
        """Train a run to its end, unless that was done."""
        if run.finished:
            return
        from rlctl.training.train import train

        self._say(f"{run.label}: training in {run.folder}")
        with self._step(run.label):
            resume = run.folder.is_dir()
            train(run.config, resume=resume, console=self.console, stop=self.stop)
        _let_go()

    def _measure(
        self, plan: dict[str, Any], name: str, checkpoint: str, label: str, identity: str | None
    ) -> Measured:
        """Evaluate a model on the held-out prompts, unless that was done; say what came out."""
        folder, model = self.folder / kept.FOLDER / name, Path(checkpoint) / "final"
        weights = {} if name == BASE else fingerprints(model)
        found = kept.read(folder, identity)
        if found is None:
            with self._step(label):
                found = self._evaluate(plan, checkpoint, folder, label, weights)
                kept.keep(found, identity)
            _let_go()
        else:
            require_unchanged(found, weights, self.config, str(model))
        metric = self.config.eval.metric
        value = kept.mean(found, metric)
        if value is None:
            raise RewardError(
                f"{metric} has no value on any held-out prompt",
                where=str(folder / kept.SAMPLES),
                hint="That file says of each completion why it was not scored.",
            )
        values = found.per_prompt[metric]
        known = len(values) - values.count(None)
        some = "" if known == len(values) else f"{known:,} of {len(values):,} "
        self._say(f"{label}: {metric} {value:.3f} on {some}held-out prompts")
        return found

    def _evaluate(
        self, plan: dict[str, Any], checkpoint: str, folder: Path, label: str, weights: dict[str, str]
    ) -> Measured:
        from rlctl.evaluation.evaluate import evaluate

        shutil.rmtree(folder, ignore_errors=True)  # of another run of this name
        with self.console.status(f"{label}: evaluating") as status:

            def progress(what: str, done: int, total: int) -> None:
                status.update(f"{label}: {what.removeprefix(f'{checkpoint}: ')} {done:,}/{total:,}")

            audience = Audience(progress=progress, poll=self.stop.check)
            done = evaluate(self.config, [checkpoint], output=folder, audience=audience)
        figures = done.figures[checkpoint]
        plans.require_planned(plan, plans.fingerprint(figures.prompts))
        names = [*figures.metrics(), *documents.OTHER_METRICS]
        per_prompt = {name: figures.per_prompt(name) for name in names}
        return Measured(folder, figures.as_dict(), per_prompt, weights, kept.sha256_of(folder))

    def _conclude(self, plan: dict[str, Any], found: dict[str, Measured], reward: dict[str, Any]) -> Proof:
        """Judge, and write the result down."""
        values = {name: one.per_prompt[plan["metric"]] for name, one in found.items()}
        *trained, control = (values[run.name] for run in self.runs)
        left_out = max(one.figures["left_out"] for one in found.values())
        verdict = judge(values[BASE], trained, control, left_out=left_out)
        made_of = provenance(self.config)
        document = documents.build(self.config, plan, self.runs, found, verdict, made_of, reward)
        page, file = self.folder / documents.PAGE, self.folder / documents.FILE
        require_as_concluded(documents.read(file), document, file)
        write_json(file, document)
        replace_text(page, render(document))
        self._say("", document["headline"], document["about_control"], f"page: {page}")
        return Proof(
            self.folder, page, {**document, "paths": {"folder": str(self.folder), "page": str(page)}}
        )

    def _say(self, *lines: str) -> None:
        for line in lines:
            self.console.print(line, markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def _step(self, label: str) -> Iterator[None]:
        """Around a part of the work: where a signal stops it, the message says which, and how to go on."""
        try:
            self.stop.check()
            yield
        except Stopped as stopped:
            raise Stopped(
                f"{label}: {stopped.message}",
                hint="The same command goes on from there.",
                step=stopped.step,
                checkpoint=stopped.checkpoint,
            ) from None

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """The proof's folder, written by this process alone."""
        if not self.folder.exists():
            refuse_unwritable(self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        held = lock(self.folder)
        try:
            yield
        finally:
            held.release()


def _refuse_several_processes() -> None:
    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise UsageError(
            "a proof is led by one process",
            where="WORLD_SIZE",
            hint="Start `rlctl prove` without a launcher.",
        )


def _let_go() -> None:
    """Give the memory of a model that is no longer used back."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
