"""The whole YAML as one frozen object."""

from typing import TYPE_CHECKING

from rlctl.config.algorithm import Generation, Grpo
from rlctl.config.base import Section, union_of
from rlctl.config.data import Data
from rlctl.config.model import Model
from rlctl.config.rewards import Rewards
from rlctl.config.run import Run, Tracking
from rlctl.config.training import Eval, Training

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
