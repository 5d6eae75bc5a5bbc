"""What went wrong, in words: memory, disk, numbers. The message names the keys that help."""

import errno
import os
from pathlib import Path

from rlctl.config.config import Config
from rlctl.config.plan import make_plan
from rlctl.errors import RlctlError, TrainingError

TORCH_CANNOT_WRITE = (
    "PytorchStreamWriter",
    "unexpected pos",
    "iostream error",
    "open file failed",
    "Parent directory",
)
"""What torch's writer says instead of an error number."""


def explain(error: BaseException, config: Config) -> RlctlError | None:
    """The error as rlctl tells it, or None where nothing better than the error itself is known."""
    if isinstance(error, RlctlError):
        return error
    text = str(error)
    if _out_of_memory(error, text):
        return TrainingError(f"out of memory ({_first_line(text)})", hint=memory_advice(config))
    if disk_full(error):
        return TrainingError(
            "the disk is full",
            where=str(Path(config.run.output_dir).resolve()),
            hint="Free some space, keep fewer checkpoints (training.save_total_limit, training.save_steps), "
            "or write elsewhere (--output-dir).",
        )
    if is_io(error) and getattr(error, "errno", 0) is not None:
        return _io_error(error, config)
    if "probability tensor contains either" in text:
        return TrainingError(
            "the model's probabilities are no longer finite",
            hint="Lower training.learning_rate, use model.dtype: float32, or raise algorithm.beta.",
        )
    return None


def _io_error(error: BaseException, config: Config) -> TrainingError:
    run = Path(config.run.output_dir).expanduser().resolve() / config.run.name
    go_on = "When that is mended, the same command with --resume goes on from the newest checkpoint."
    if isinstance(error, FileNotFoundError) and not os.path.isdir(run):
        return TrainingError(
            "the run's folder is gone: removed, or its drive is lost", where=str(run), hint=go_on
        )
    return TrainingError(f"reading or writing failed: {in_words(error)}", where=str(run), hint=go_on)


def is_io(error: BaseException) -> bool:
    """Whether an error is of a disk or a drive, and not of the program."""
    writer = any(words in str(error) for words in TORCH_CANNOT_WRITE)
    return isinstance(error, OSError) or type(error).__name__ == "SafetensorError" or writer


def in_words(error: BaseException) -> str:
    """What happened to a file, in a line: `the disk is full`, `Permission denied: /data/run`."""
    if disk_full(error):
        return "the disk is full"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    if "iostream error" in str(error):
        return "a file could not be written: a full disk, a quota, or a fault of the drive"
    return _first_line(str(error))


def memory_advice(config: Config) -> str:
    """Keys that lower the memory of this config, cheapest first."""
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    batch = make_plan(config, processes).per_device_train_batch_size
    ways = [f"training.per_device_train_batch_size: less than {batch}"] if batch > 1 else []
    if not config.training.gradient_checkpointing:
        ways.append("training.gradient_checkpointing: true")
    ways.append(f"generation.max_completion_length (now {config.generation.max_completion_length})")
    ways.append(f"eval.batch_size (now {config.eval.batch_size})")
    if config.model.lora is None:
        ways.append("model.lora: {r: 16, alpha: 32}")
    if config.model.quantization is None:
        ways.append("model.quantization: 4bit (with model.lora, on a CUDA GPU)")
    if config.algorithm.beta > 0 and config.model.lora is None:
        ways.append("algorithm.beta: 0 (loads no reference model)")
    return "What helps, cheapest first:\n" + "\n".join(f"    - {way}" for way in ways)


def _out_of_memory(error: BaseException, text: str) -> bool:
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and ("out of memory" in text or "can't allocate memory" in text)


def disk_full(error: BaseException) -> bool:
    """Whether an error says that there is no more space."""
    text = str(error)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    # torch.save, when it cannot write all, says where its writer stands instead of why
    return (
        "No space left on device" in text or "PytorchStreamWriter failed" in text or "unexpected pos" in text
    )


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0][:200] if text.strip() else "no details"
