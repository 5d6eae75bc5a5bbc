"""What a run was made of: enough to repeat it, or to see why a repetition differs."""

import hashlib
import os
import platform
import socket
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rlctl.config.config import Config
from rlctl.errors import CheckpointError
from rlctl.models.adapters import base_of
from rlctl.models.resolve import is_adapter, resolve

PACKAGES = (
    "rlctl",
    "torch",
    "transformers",
    "trl",
    "peft",
    "accelerate",
    "datasets",
    "tokenizers",
    "math-verify",
)

MEBIBYTE = 2**20


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def provenance(config: Config, *, command: list[str] | None = None) -> dict[str, Any]:
    """Versions, commit, command, seed, hardware, and hashes of local data and reward code."""
    return {
        "name": config.run.name,
        "algorithm": config.algorithm.type,
        "seed": config.run.seed,
        "command": command if command is not None else sys.argv,
        "folder": os.getcwd(),
        "python": platform.python_version(),
        "packages": versions(),
        "git": git_state(Path.cwd()),
        "hardware": hardware(),
        "hashes": {
            "model": model_hashes(config),
            "data": data_hashes(config),
            "rewards": reward_hashes(config),
        },
    }


def process() -> dict[str, Any]:
    """Where the process that writes a run can be found."""
    return {"pid": os.getpid(), "host": socket.gethostname()}


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Versions, hardware, data and reward code that are not what they were, in words.

    Args:
        before: The provenance of a run's start.
        after: The same of now.
    """
    words = []
    for group, known in (("packages", after["packages"]), ("hardware", after["hardware"])):
        old = before.get(group, {})
        names = (name for name in known if name not in ("system", "cpus"))
        words += [f"{name} {old.get(name)} → {known[name]}" for name in names if old.get(name) != known[name]]
    if before.get("python") != after["python"]:
        words.append(f"python {before.get('python')} → {after['python']}")
    for what, hashes in after["hashes"].items():
        old = before.get("hashes", {}).get(what, {})
        changed = [Path(file).name for file in hashes if old.get(file) != hashes[file]]
        words += [f"{what}: {name} has changed" for name in changed]
    return words


def versions() -> dict[str, str]:
    """Installed versions of what decides the result."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def git_state(folder: Path) -> dict[str, Any] | None:
    """Commit of the repository around `folder` and whether it has changes; None outside a repository."""
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        return {"commit": commit, "changed": bool(_git(folder, "status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True, timeout=10
    )
    return done.stdout.strip()


def hardware() -> dict[str, Any]:
    """Machine, cores, threads and GPUs of this process."""
    import torch

    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "machine": platform.machine(),
        "system": platform.platform(),
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpus": gpus,
        "processes": int(os.environ.get("WORLD_SIZE", "1")),
    }


def model_hashes(config: Config) -> dict[str, str]:
    """What the model before training is: the commit of a Hub id, or a fingerprint of each file of a folder.

    Weights may be large, so a fingerprint is of a file's size, its first and its last mebibyte.
    """
    try:
        source = resolve(config.model.path)
        sources = [source, base_of(source)] if is_adapter(source) else [source]
    except CheckpointError:
        return {}
    found: dict[str, str] = {}
    for one in sources:
        if Path(one).is_dir():
            found |= {str(Path(one) / name): digest for name, digest in fingerprints(Path(one)).items()}
        elif commit := _commit_here(one, config.model.revision):
            found[one] = commit
    return found


def fingerprints(folder: Path) -> dict[str, str]:
    """File of a model's folder → SHA-256 of its size, its first and its last mebibyte, in their order."""
    return {file.name: _fingerprint(file) for file in sorted(folder.iterdir()) if file.is_file()}


def _fingerprint(file: Path) -> str:
    digest, size = hashlib.sha256(), file.stat().st_size
    with file.open("rb") as handle:
        digest.update(f"{size} ".encode() + handle.read(MEBIBYTE))
        handle.seek(max(size - MEBIBYTE, 0))
        digest.update(handle.read(MEBIBYTE))
    return digest.hexdigest()


def _commit_here(repository: str, revision: str | None) -> str | None:
    """The commit of a Hub repository whose files are in the cache of this machine."""
    from huggingface_hub import try_to_load_from_cache

    try:
        file = try_to_load_from_cache(repository, "config.json", revision=revision)
    except ValueError:
        return None
    return Path(file).parent.name if isinstance(file, str) else None


def data_hashes(config: Config) -> dict[str, str]:
    """SHA-256 of every data file that the config names; a Hub dataset is named by its revision instead."""
    sources = [*config.data.train, *(config.data.eval or [])]
    return {name: digest for source in sources for name, digest in content_hashes(source.path).items()}


def content_hashes(path: str) -> dict[str, str]:
    """File → SHA-256: of a data file, or of all files of a saved dataset; of anything else nothing.

    What `datasets` puts beside a saved dataset when it is worked with, `cache-….arrow`, is none of its files.
    """
    place = Path(path)
    files = sorted(place.rglob("*")) if place.is_dir() else [place]
    return {str(file): _sha256(file) for file in files if file.is_file() and file.name[:6] != "cache-"}


def reward_hashes(config: Config) -> dict[str, str]:
    """SHA-256 of every file with reward code of the user's own."""
    sections = [config.rewards, *([config.eval.rewards] if config.eval.rewards is not None else [])]
    functions = [getattr(part, "function", "") for section in sections for part in section.components]
    files = [Path(function.rpartition(":")[0]) for function in functions if ".py:" in function]
    return {str(file): _sha256(file) for file in files if file.is_file()}


def _sha256(file: Path) -> str:
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
