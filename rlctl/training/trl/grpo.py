"""GRPO on TRL's trainer: our config, our composed reward, our logs (Shao et al. 2024, arXiv 2402.03300)."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import gather_object
from transformers import PrinterCallback
from trl.trainer.grpo_config import GRPOConfig

from rlctl.config.config import Config
from rlctl.config.plan import Plan, geometry_problems, make_plan
from rlctl.config.rewards import Rewards
from rlctl.errors import ConfigError, MissingError, Problem
from rlctl.evaluation.held_out import HeldOut, evaluate
from rlctl.evaluation.samples import Share
from rlctl.models.load import LoadedModel, pick_device
from rlctl.rewards.compose import Scorer
from rlctl.rewards.selftest import require, run_tests
from rlctl.training.calibrating import penalty_of
from rlctl.training.checkpoints import complete_or_absent
from rlctl.training.inputs import Inputs, Objects, find_tokenizer, load_inputs
from rlctl.training.run import Run
from rlctl.training.state import Plain, RandomState, drawing_apart
from rlctl.training.stopping import StopSignals
from rlctl.training.summary import Summary
from rlctl.training.together import Together
from rlctl.training.trackers import Trackers
from rlctl.training.train import TrainedRun
from rlctl.training.trl.arguments import grpo_arguments
from rlctl.training.trl.bridge import RewardBridge
from rlctl.training.trl.callback import RunCallback
from rlctl.training.trl.seams import PolicyTrainer, one_gpu
from rlctl.training.view import View


def train(config: Config, objects: Objects, view: View, *, resume: bool, stop: StopSignals) -> TrainedRun:
    """Train a policy with GRPO, from the config to the final model in the run's folder.

    Args:
        config: The resolved config.
        objects: Ready model, tokenizer or datasets in place of their sections.
        view: What a person sees.
        resume: Go on with the run of this name, if there is one.
        stop: The signals that put the run down.

    Raises:
        Stopped: A signal came; what was reached is saved.
        RlctlError: Anything that goes wrong, explained; nothing is left behind before the first step.
    """
    started = time.perf_counter()
    state = processes(config)
    several = gather_object if state.num_processes > 1 else None
    together = Together(state.process_index, state.num_processes, several)
    with Run(config, resume=resume, together=together, stop=stop, tell=view.notice) as run:
        tokenizer = find_tokenizer(config, objects)

        def tokenize(text: str) -> list[int]:
            ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
            return ids

        with ExitStack() as rewards:
            scorer = judge = rewards.enter_context(_ready(config.rewards, tokenize, stop))
            if config.eval.rewards is not None:
                judge = rewards.enter_context(_ready(config.eval.rewards, tokenize, stop))
            inputs = load_inputs(config, objects, tokenizer)
            plan = plan_for(config, inputs, state.num_processes)
            run.begin({"model": inputs.name, "data": inputs.report()})
            return _train(config, inputs, plan, scorer, judge, run, view, started)


@contextmanager
def _ready(rewards: Rewards, tokenize: Callable[[str], list[int]], stop: StopSignals) -> Iterator[Scorer]:
    """Rewards that are loaded, and whose `tests` have passed."""
    with Scorer(rewards, tokenize=tokenize, poll=stop.check) as scorer:
        scorer.load()
        with scorer.unchanged():
            require(run_tests(rewards, scorer))
        yield scorer


def _train(
    config: Config,
    inputs: Inputs,
    plan: Plan,
    scorer: Scorer,
    judge: Scorer,
    run: Run,
    view: View,
    started: float,
) -> TrainedRun:
    for line in [*inputs.describe(), *plan.describe(), *config.about_held_out]:
        view.notice(line)
        if run.point is None:  # else it is in the log already
            run.logs.text(line)
    trainer, bridge = build_trainer(config, inputs, plan, scorer, run)
    policy = trainer.accelerator.unwrap_model(trainer.model)
    held_out = evaluator(policy, inputs, judge, config, run.stop)
    trackers = _trackers(config, run) if run.main else None
    callback = RunCallback(run, view, trackers, bridge, trainer.seconds, trainer.measured, held_out)
    trainer.add_callback(callback)
    trainer.remove_callback(PrinterCallback)
    trainer.on_update, trainer.on_random = run.saver.updating, run.saver.restore_random
    trainer.on_boundary = callback.boundary
    run.saver.write = trainer.write_checkpoint
    run.saver.parts |= {
        "random": RandomState(),
        "trainer": trainer,
        "bridge": bridge,
        "callback": callback,
        "watch": callback.watching,
        "rewards": Plain(scorer, "a reward"),
    }
    try:
        with run.taking_steps():
            if config.rewards.invalid_penalty == "auto":
                scorer.settle(penalty_of(config, policy, inputs, scorer, run))
            _steps(trainer, run)
            callback.evaluate_if_due(trainer.state.global_step)
    finally:
        trainer.let_go()
        view.end()
        if trackers is not None:
            trackers.close()
    run.tell_if_early(callback.last_step)
    with complete_or_absent(run.final, main=run.main) as unfinished:
        trainer.save_model(str(unfinished))
        (unfinished / "training_args.bin").unlink(missing_ok=True)
    summary = Summary(config)
    summary.finish(run, time.perf_counter() - started)
    summary.show(view)
    return TrainedRun(path=run.path, model=policy, tokenizer=inputs.tokenizer, summary=summary.as_dict())


def _trackers(config: Config, run: Run) -> Trackers:
    step = run.point.step if run.point else 0
    trackers = Trackers(config, run.path, former=run.record.get("trackers"), step=step)
    run.remember(trackers=trackers.identities)
    return trackers


def _steps(trainer: PolicyTrainer, run: Run) -> None:
    """Do the steps that are left.

    Raises:
        ConfigError: The run has done more steps than it is to have.
    """
    if run.point is None:
        trainer.train()
        return
    done, total = run.point.step, trainer.steps_in_all()
    if done > total:
        message = f"the run has done {done} steps already, and is to have {total}"
        raise ConfigError([Problem(message, ("training", "max_steps"), suggestion=f"use {done} or more")])
    trainer.train(resume_from_checkpoint=str(run.point.path))


def build_trainer(
    config: Config, inputs: Inputs, plan: Plan, scorer: Scorer, run: Run
) -> tuple[PolicyTrainer, RewardBridge]:
    """TRL's trainer with rlctl's reward in it."""
    bridge = RewardBridge(
        scorer,
        run,
        group_size=config.algorithm.num_generations,
        drop_dead_groups=config.algorithm.dead_groups == "drop",
        exchange=gather_object,
    )
    arguments = grpo_arguments(
        config,
        plan,
        output_dir=str(run.saver.checkpoints.folder),
        bf16=mixed_precision(config, inputs.model),
        on_cpu=PartialState().device.type == "cpu",
    )
    try:
        trainer = PolicyTrainer(
            on_scored=bridge.on_scored,
            stop=run.stop,
            model=inputs.model.model,
            reward_funcs=[bridge],
            args=one_gpu(GRPOConfig(**arguments)),
            train_dataset=inputs.train.dataset,
            processing_class=inputs.tokenizer,
            peft_config=inputs.model.peft_config,
        )
    except (ValueError, NotImplementedError) as error:  # combinations that only TRL itself knows to be wrong
        raise ConfigError([Problem(str(error), ("algorithm",))]) from error
    return trainer, bridge


def processes(config: Config) -> PartialState:
    """The processes of this run, as a launcher started them.

    Raises:
        MissingError: The launcher announced several, and they do not find each other.
    """
    state = PartialState(cpu=pick_device(config.model.device).type == "cpu")
    announced = int(os.environ.get("WORLD_SIZE", "1"))
    if state.num_processes != announced:
        raise MissingError(
            f"the launcher announced {announced} processes, and this one sees {state.num_processes}",
            hint="Start them with `accelerate launch --multi_gpu --num_processes N -m rlctl train CONFIG`.",
        )
    return state


def plan_for(config: Config, inputs: Inputs, processes: int) -> Plan:
    """The batch geometry, now that the prompts and processes are known.

    Raises:
        ConfigError: It does not come out even, or a step needs more prompts than there are.
    """
    prompts = len(inputs.train.dataset)
    found = geometry_problems(config, processes, prompts)
    if found:
        lost = inputs.train.report["dropped_overlong"] + inputs.train.report["dropped_empty"]
        more = f" ({lost} more were dropped as too long or empty)" if lost else ""
        raise ConfigError(
            [Problem(f"{message}{more}", path, suggestion=cure) for path, message, cure in found]
        )
    return make_plan(config, processes, prompts)


def evaluator(
    policy: Any, inputs: Inputs, scorer: Scorer, config: Config, stop: StopSignals
) -> Callable[[int], HeldOut] | None:
    """Evaluates the policy on the held-out prompts at a step; None where there are none."""
    if inputs.eval is None:
        return None
    prompts = list(inputs.eval.dataset)
    state = PartialState()
    share = (
        Share(state.process_index, state.num_processes, gather_object) if state.num_processes > 1 else None
    )

    def held_out(step: int) -> HeldOut:
        with scorer.unchanged(), drawing_apart(config.run.seed):
            return evaluate(
                policy,
                inputs.tokenizer,
                prompts,
                scorer,
                config,
                step=step,
                template_arguments=inputs.template_arguments,
                share=share,
                alone=stop.alone,
            )

    return held_out


def mixed_precision(config: Config, model: LoadedModel) -> bool:
    """Whether to train in bfloat16 mixed precision; auto: on a GPU that has it."""
    if config.training.bf16 != "auto":
        return config.training.bf16
    on_gpu = next(model.model.parameters()).device.type == "cuda" or torch.cuda.is_available()
    return config.model.device != "cpu" and on_gpu and torch.cuda.is_bf16_supported()
