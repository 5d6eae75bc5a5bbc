"""`rewards.invalid_penalty: auto` in training: the main process chooses it before the first step."""

from typing import Any

from rlctl.calibration.auto import COMPLETIONS, Choice, choose
from rlctl.calibration.policy import completions_of
from rlctl.config.config import Config
from rlctl.errors import RlctlError, Stopped
from rlctl.evaluation.audience import Audience
from rlctl.files import write_json
from rlctl.rewards.compose import Scorer
from rlctl.training.inputs import Inputs
from rlctl.training.penalty import require_recorded
from rlctl.training.run import Run
from rlctl.training.state import drawing_apart


def penalty_of(config: Config, policy: Any, inputs: Inputs, scorer: Scorer, run: Run) -> float:
    """The penalty of a run, the same on all processes: chosen now, or when the run began.

    Nothing that training draws or that rewards remember is changed by choosing it.

    Args:
        config: The resolved config.
        policy: The model before the first step, not wrapped.
        inputs: Its tokenizer and training prompts.
        scorer: The composed reward.
        run: The run, which keeps the value in `run.json` and what it rests on in `results/penalty.json`.

    Raises:
        RewardError: There is nothing to choose by.
        CheckpointError: The run goes on, and its `run.json` does not say what was chosen.
        Stopped: A signal came.
    """
    if run.point is not None:
        return run.together.on_main(lambda: require_recorded(run.record, run.path / "run.json"))
    found: Choice | RlctlError | None = None
    with run.stop.alone():
        if run.main:
            run.note(f"invalid penalty: choosing it from {COMPLETIONS} completions of the policy")
            found = _attempt(config, policy, inputs, scorer, run)
    return run.together.on_main(lambda: _kept(found, run))


def _attempt(config: Config, policy: Any, inputs: Inputs, scorer: Scorer, run: Run) -> Choice | RlctlError:
    """The choice, or why there is none: other processes wait to be told."""
    audience = Audience(tell=run.note, poll=run.stop.poll)
    try:
        with drawing_apart(config.run.seed):
            sampled = completions_of(
                policy,
                inputs.tokenizer,
                inputs.train.dataset,
                config,
                COMPLETIONS,
                template_arguments=inputs.template_arguments,
                audience=audience,
            )
            return choose(scorer, sampled, config)
    except Stopped:
        raise
    except RlctlError as error:
        return error


def _kept(found: Choice | RlctlError | None, run: Run) -> float:
    if not isinstance(found, Choice):
        assert found is not None
        raise found
    (run.path / "results").mkdir(exist_ok=True)
    write_json(run.path / "results" / "penalty.json", found.as_dict())
    run.remember(penalty=found.summary())
    run.note(found.describe())
    return found.value
