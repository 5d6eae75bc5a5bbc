"""What transformers, safetensors and peft say of a model that does not load, in a line to act on."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from rlctl.errors import CheckpointError, MissingError, RlctlError

OFFLINE = (
    "couldn't connect",
    "offline mode is enabled",
    "couldn't find them in the cached",
    "max retries exceeded",
)
UNKNOWN = ("is not a valid model identifier", "404 client error", "repository not found")
GATED = ("gated repo", "401 client error", "403 client error")


@contextmanager
def explained(source: str, what: str) -> Iterator[None]:
    """Turn what goes wrong inside into a short CheckpointError or MissingError.

    Args:
        source: The folder or Hub id that is being loaded.
        what: What is being loaded: `the model`, `the tokenizer`.
    """
    try:
        with _quiet():
            yield
    except (RlctlError, KeyboardInterrupt):
        raise
    except ImportError as error:
        hint = "set `model.attn_implementation: auto`" if "attention" in str(error).lower() else None
        raise MissingError(_first_line(error), where=source, hint=hint) from error
    except Exception as error:
        _explain(error, source, what)


def _explain(error: Exception, source: str, what: str) -> NoReturn:
    text = f"{error} {error.__cause__ or ''}".lower()
    if type(error).__name__ == "SafetensorError":
        message, hint = (
            f"a weights file is broken or cut off ({_first_line(error)})",
            "copy or download it again",
        )
    elif "backend tokenizer" in text:
        message = f"{what} cannot be loaded: its tokenizer.json is missing or of another kind"
        hint = "copy it beside the weights, or name another with `model.tokenizer`"
    elif isinstance(error, json.JSONDecodeError) or "not a valid json file" in text:
        message, hint = f"{what} has a broken JSON file ({_first_line(error)})", "copy or download it again"
    elif any(sign in text for sign in GATED):
        message, hint = "access is restricted", "accept its terms on the Hub, then run `hf auth login`"
    elif any(sign in text for sign in OFFLINE):
        message = "the Hugging Face Hub cannot be reached, and it is not in the cache of this machine"
        hint = "load it once with a network, or name a local folder"
    elif any(sign in text for sign in UNKNOWN):
        message, hint = "no such folder here, and no such model on the Hugging Face Hub", "check the name"
    elif "trust_remote_code" in text:
        message = "it comes with code of its own"
        hint = "if you trust the source, set `model.trust_remote_code: true`"
    elif "out of memory" in text:
        message = f"{what} does not fit into memory"
        hint = "set `model.dtype: bfloat16`, or `model.quantization: 4bit` with `model.lora`"
    else:
        message, hint = f"{what} cannot be loaded: {_first_line(error)}", None
    raise CheckpointError(message, where=source, hint=hint) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).split("\n")[0]


@contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars and no warnings while loading; what they warn of is checked afterwards."""
    import warnings

    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
