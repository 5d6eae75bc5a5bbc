"""`train` for every algorithm: quiet libraries, one dispatch, one result."""

import logging
import os
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from rlctl import registry
from rlctl.config.config import Config
from rlctl.config.load import load_config
from rlctl.training.place import folder_of
from rlctl.training.resume import is_finished, summary_of
from rlctl.training.stopping import StopSignals
from rlctl.training.view import View


@dataclass(frozen=True)
class TrainedRun:
    """A finished run.

    Args:
        path: The run's folder.
        model: The trained model, in memory.
        tokenizer: Its tokenizer.
        summary: What `rlctl train --json` prints.
    """

    path: Path
    model: Any
    tokenizer: Any
    summary: dict[str, Any] = field(default_factory=dict)


def train(
    config: Config | str | Path,
    *,
    model: Any = None,
    tokenizer: Any = None,
    train_dataset: Any = None,
    eval_dataset: Any = None,
    resume: bool = False,
    console: Console | None = None,
    quiet: bool = False,
    stop: StopSignals | None = None,
) -> TrainedRun:
    """Run the algorithm that the config names.

    Args:
        config: A loaded config, or the path of a YAML.
        model: A causal LM to train in place of `model.path`.
        tokenizer: Its tokenizer; needed with `model`.
        train_dataset: A `datasets.Dataset` (or list of rows) in place of `data.train`.
        eval_dataset: The same in place of `data.eval`.
        resume: Go on with the run of this name; one that is not there, or has no checkpoint, starts at step
            0, and one that is done is returned as it is.
        console: Where the run is shown; stdout by default.
        quiet: Show nothing.
        stop: Signals that are being heeded already; by default they are for as long as training runs.

    Raises:
        Stopped: SIGTERM, SIGINT (Ctrl-C) or SIGUSR1 came; what was reached is saved.
        RlctlError: Anything that goes wrong on the way, explained.
    """
    if not isinstance(config, Config):
        config = load_config(config)
    calm_libraries()
    from rlctl.training.inputs import Objects

    objects = Objects(model, tokenizer, train_dataset, eval_dataset)
    main = int(os.environ.get("RANK", "0")) == 0
    view = View(console or Console(), quiet=quiet or not main)
    if resume and is_finished(folder_of(config), config):
        return _finished(config)
    backend = registry.load(registry.names("backends")[config.algorithm.type])
    with stop or StopSignals() as signals:
        trained: TrainedRun = backend(config, objects, view, resume=resume, stop=signals)
    return trained


def _finished(config: Config) -> TrainedRun:
    """A run that was done before."""
    from rlctl.models.load import load_model
    from rlctl.models.tokenizer import load_tokenizer

    path = folder_of(config)
    section = config.model.model_copy(update={"path": str(path / "final"), "lora": None, "revision": None})
    model = load_model(section, gradient_checkpointing=False).model
    return TrainedRun(path, model, load_tokenizer(section), summary_of(path))


def calm_libraries() -> None:
    """No telemetry unless the user asked for it, no progress bars, no warnings that are not for the user."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # Threads that wait for each other give up their core: on busy cores, spinning costs a small model several
    # times the CPU time of its work. Read when torch is first imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    if "HF_HUB_DISABLE_TELEMETRY" not in os.environ:
        os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
        import huggingface_hub.constants

        huggingface_hub.constants.HF_HUB_DISABLE_TELEMETRY = True
    import datasets
    import transformers

    warnings.filterwarnings("ignore", category=FutureWarning, module=r"transformers|trl|peft|accelerate")
    warnings.filterwarnings("ignore", message=".*pin_memory.*no accelerator")
    for name in ("trl", "huggingface_hub"):
        logging.getLogger(name).setLevel(logging.ERROR)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    datasets.disable_progress_bars()
