"""rlctl: RL post-training from one YAML. Importing this package imports neither torch nor transformers."""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from rlctl.calibration.analyze import analyze_rewards as analyze_rewards
    from rlctl.config.load import load_config as load_config
    from rlctl.evaluation.evaluate import evaluate as evaluate
    from rlctl.rewards.outcome import Invalid as Invalid
    from rlctl.training.train import train as train

_EXPORTS = {
    "Invalid": "rlctl.rewards.outcome",
    "analyze_rewards": "rlctl.calibration.analyze",
    "evaluate": "rlctl.evaluation.evaluate",
    "load_config": "rlctl.config.load",
    "train": "rlctl.training.train",
}
__all__ = ["Invalid", "__version__", "analyze_rewards", "evaluate", "load_config", "train"]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'rlctl' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_EXPORTS[name]), name)
