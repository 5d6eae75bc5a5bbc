"""The whole YAML as one frozen object."""

from typing import TYPE_CHECKING

from rlctl.config.algorithm import Generation, Grpo
from rlctl.config.base import Section, union_of
from rlctl.config.component import Component
from rlctl.config.data import Data
from rlctl.config.evaluation import Eval, judged, metric_names, pass_conditions
from rlctl.config.model import Model
from rlctl.config.rewards import PerGroup, Rewards
from rlctl.config.run import Run, Tracking
from rlctl.config.training import Training

if TYPE_CHECKING:
    AnyAlgorithm = Grpo
else:
    AnyAlgorithm = union_of("algorithms")


class Config(Section):
    """Everything that a run is made of. `algorithm.SECTIONS` says what each algorithm needs."""

    run: Run = Run()
    """Name, place and seed of the run."""
    model: Model
    """The model that is trained."""
    data: Data
    """Prompts to train and evaluate on."""
    rewards: Rewards
    """What a completion is worth."""
    generation: Generation = Generation()
    """How completions are sampled."""
    algorithm: AnyAlgorithm
    """The learning algorithm."""
    training: Training = Training()
    """Optimisation, batches, checkpoints."""
    eval: Eval = Eval()
    """Evaluation on `data.eval`."""
    tracking: Tracking = Tracking()
    """Experiment trackers."""

    @property
    def eval_rewards(self) -> Rewards:
        """What held-out completions are scored with: `eval.rewards`, else `rewards`."""
        return self.eval.rewards or self.rewards

    @property
    def about_held_out(self) -> tuple[str, ...]:
        """What a person should know of the reward of held-out completions."""
        if self.data.eval is None or not isinstance(self.eval_rewards.invalid_penalty, PerGroup):
            return ()
        return (
            "held-out reward: of valid completions alone, because the penalty is relative to a group; "
            "`valid_fraction` says how many they are",
        )

    @property
    def metric_names(self) -> tuple[str, ...]:
        """Every name that `eval.metric` may have, the total first."""
        return metric_names(self.eval, self.eval_rewards)

    @property
    def pass_conditions(self) -> dict[str, str]:
        """Name of a component, or `reward` → the condition on it under which a completion passes."""
        return pass_conditions(self.eval, self.eval_rewards)

    @property
    def judged(self) -> Component:
        """The component whose answers a majority vote counts, if it knows answers."""
        return judged(self.eval, self.eval_rewards)
