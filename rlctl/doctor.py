"""Tries out, on this machine, everything that a run will lean on, and says how to mend what does not work.

Each probe does the thing itself (multiplies on the device, kills a hanging worker, writes a file); a version
number alone proves little.
"""

import importlib.metadata
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from rlctl.config import catalogue

Status = Literal["ok", "note", "broken"]
GIB = 2**30
TRACKERS = ("tensorboard", "wandb", "trackio", "mlflow")
LOW_DISK = 5 * GIB


@dataclass(frozen=True)
class Probe:
    """What one probe found.

    Args:
        name: What was tried.
        status: `note` for something that is absent and that not every run needs; `broken` stops every run.
        found: What there is.
        fix: What to do about it.
    """

    name: str
    status: Status
    found: str
    fix: str | None = None


def probes() -> Iterator[Probe]:
    """Every probe, one after the other, none of which raises."""
    for probe in (python, torch_build, devices, bf16, packages, trl_arguments, workers, math_answers, memory):
        yield from _safely(probe)
    for folder in (Path.cwd(), _hub_cache()):
        yield from _safely(partial(writing, folder), name=f"write {folder}")
    for tracker in TRACKERS:
        yield from _safely(partial(tracking, tracker), name=tracker, broken="note")
    yield from _safely(quantisation)
    yield from _safely(benchmarks, name="lm-eval", broken="note")


def _safely(probe: Callable[[], Iterable[Probe]], name: str = "", broken: Status = "broken") -> list[Probe]:
    try:
        return list(probe())
    except Exception as error:
        return [Probe(name or probe.__name__, broken, f"{type(error).__name__}: {error}", _REINSTALL)]


_REINSTALL = "install rlctl anew: pip install --force-reinstall rlctl"


def python() -> Iterator[Probe]:
    """The interpreter."""
    found = f"{platform.python_version()}, {platform.system()} {platform.machine()}"
    old = sys.version_info < (3, 11)
    yield Probe("python", "broken" if old else "ok", found, "use Python 3.11 or newer" if old else None)


def torch_build() -> Iterator[Probe]:
    """Which torch, built for what."""
    import torch

    built = f"CUDA {torch.version.cuda}" if torch.version.cuda else "no CUDA"
    yield Probe("torch", "ok", f"{torch.__version__} ({built}), {torch.get_num_threads()} threads")


def devices() -> Iterator[Probe]:
    """A matrix product on every device, compared with the CPU's."""
    import torch

    torch.manual_seed(0)
    matrix = torch.rand(64, 64)
    names = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    names += ["mps"] if torch.backends.mps.is_available() else []
    for name in names:
        right = torch.allclose((matrix.to(name) @ matrix.to(name)).cpu(), matrix @ matrix, rtol=1e-2)
        fix = None if right else "it computes wrong results: check the driver, or set model.device: cpu"
        yield Probe(name, "ok" if right else "broken", _device(name), fix)
    if not names:
        seen = Path("/dev/nvidia0").exists() or shutil.which("nvidia-smi") is not None
        fix = "a GPU is here, but this torch cannot use it: see https://pytorch.org for the build that fits"
        yield Probe("GPU", "note", "none that torch can use; runs go to the CPU", fix if seen else None)
    if len(names) > 1 and names[0].startswith("cuda"):
        fix = "accelerate launch -m rlctl train CONFIG, or CUDA_VISIBLE_DEVICES=0 for one"
        yield Probe("GPUs", "note", f"{len(names)}; one process uses one of them", fix)


def _device(name: str) -> str:
    import torch

    if name == "mps":
        return "Apple GPU"
    properties = torch.cuda.get_device_properties(name)
    free, total = torch.cuda.mem_get_info(name)
    return f"{properties.name}, {free / GIB:.1f} of {total / GIB:.1f} GiB free"


def bf16() -> Iterator[Probe]:
    """A product in bfloat16 on the device that runs use."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        yield Probe(
            "bfloat16", "note", "this GPU has none", "leave training.bf16 at auto, or set it to false"
        )
        return
    ones = torch.ones(32, 32, dtype=torch.bfloat16, device=device)
    right = bool(((ones @ ones) == 32).all())
    where = "on the GPU" if device == "cuda" else "on the CPU, where training.bf16: auto does not use it"
    fix = None if right else "set training.bf16: false"
    yield Probe("bfloat16", "ok" if right else "broken", f"works {where}", fix)


def packages() -> Iterator[Probe]:
    """Every required package against the versions that rlctl declares."""
    from packaging.requirements import Requirement

    try:
        declared = importlib.metadata.requires("rlctl") or []
    except importlib.metadata.PackageNotFoundError:
        yield Probe("packages", "note", "rlctl runs from a folder and is not installed", "pip install -e .")
        return
    required = [
        one for one in map(Requirement, declared) if one.marker is None or one.marker.evaluate({"extra": ""})
    ]
    wrong = [one for one in required if not _satisfied(one.name, one.specifier)]
    for one in wrong:
        found = f"{_version(one.name) or 'not installed'}; needs {one.specifier}"
        yield Probe(one.name, "broken", found, f"pip install '{one}'")
    if not wrong:
        yield Probe("packages", "ok", f"all {len(required)} in the versions that rlctl needs")


def _satisfied(name: str, specifier: Any) -> bool:
    version = _version(name)
    return version is not None and specifier.contains(version, prereleases=True)


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def trl_arguments() -> Iterator[Probe]:
    """Whether the installed TRL takes exactly the arguments that rlctl passes to it."""
    from dataclasses import fields

    from trl.trainer.grpo_config import GRPOConfig

    have, passed = {field.name for field in fields(GRPOConfig)}, catalogue.arguments("grpo").keys()
    installed = ", ".join(f"{name} {_version(name)}" for name in catalogue.versions())
    made_for = ", ".join(f"{name} {version}" for name, version in catalogue.versions().items())
    if missing := sorted(passed - have):
        fix = f"rlctl is made for {made_for}: pip install " + made_for.replace(" ", "==").replace(",==", " ")
        yield Probe("TRL", "broken", f"{installed}: does not know {', '.join(missing)}", fix)
        return
    note = "" if installed == made_for else f"; tested with {made_for}"
    yield Probe("TRL", "ok", f"{installed}, {len(passed)} arguments{note}")


def workers() -> Iterator[Probe]:
    """A worker process with a reward that hangs, and is killed."""
    import time

    from rlctl.rewards.batch import Batch
    from rlctl.rewards.outcome import Failed
    from rlctl.rewards.python import PythonReward
    from rlctl.rewards.workers import Pool

    reward = PythonReward(type="python", name="probe", function="rlctl.doctor:hang")
    pool = Pool(reward, processes=1, timeout=0.2)
    try:
        pool.load()
        start = time.perf_counter()
        [score] = pool.score(Batch(prompts=[""], completions=[""])).scores
    finally:
        pool.close(kill=True)
    if isinstance(score, Failed):
        found = f"start, and are killed when they hang ({time.perf_counter() - start:.1f} s)"
        yield Probe("reward workers", "ok", found)
    else:
        yield Probe("reward workers", "broken", "a worker that hangs is not stopped", _REINSTALL)


def hang(completion: str) -> float:
    """A reward that never comes back; `workers` kills it."""
    import time

    time.sleep(3600)
    return float(len(completion))


def math_answers() -> Iterator[Probe]:
    """Math-Verify on a pair that is equal and one that is not."""
    from math_verify import parse, verify

    right = verify(parse("$\\frac{1}{2}$"), parse("$0.5$")) and not verify(parse("$2$"), parse("$3$"))
    fix = None if right else "pip install --force-reinstall 'math-verify>=0.9,<0.10'"
    yield Probe(
        "math_answer", "ok" if right else "broken", "½ = 0.5 and 2 ≠ 3" if right else "wrong verdicts", fix
    )


def memory() -> Iterator[Probe]:
    """Memory that is free now."""
    import psutil

    state = psutil.virtual_memory()
    found = f"{state.available / GIB:.1f} of {state.total / GIB:.1f} GiB free, {os.cpu_count()} CPU cores"
    yield Probe("memory", "ok", found)


def writing(folder: Path) -> Iterator[Probe]:
    """A file written to a folder, or to the nearest one above it that exists."""
    exists = next(place for place in (folder, *folder.parents) if place.exists())
    free = shutil.disk_usage(exists).free
    try:
        with tempfile.NamedTemporaryFile(dir=exists) as file:
            file.write(b"rlctl")
    except OSError as error:
        fix = "choose another folder: rlctl train --output-dir DIR, or HF_HOME for downloads"
        yield Probe(f"write {folder}", "broken", error.strerror or str(error), fix)
        return
    space = "free some space: a checkpoint holds the weights and twice as much for the optimizer"
    low = free < LOW_DISK
    yield Probe(
        f"write {folder}", "note" if low else "ok", f"{free / GIB:.1f} GiB free", space if low else None
    )


def _hub_cache() -> Path:
    from huggingface_hub.constants import HF_HUB_CACHE

    return Path(HF_HUB_CACHE)


def tracking(name: str) -> Iterator[Probe]:
    """A tracker: importable; tensorboard also writes an event."""
    from importlib.util import find_spec

    if find_spec(name) is None:
        yield Probe(name, "note", "not installed", f"pip install 'rlctl[{name}]'")
        return
    if name == "tensorboard":
        from torch.utils.tensorboard import SummaryWriter

        with tempfile.TemporaryDirectory() as folder, SummaryWriter(folder) as writer:
            writer.add_scalar("probe", 1.0, 0)
    else:
        importlib.import_module(name)
    yield Probe(name, "ok", _version(name) or "installed")


def quantisation() -> Iterator[Probe]:
    """bitsandbytes, for `model.quantization` and 8-bit optimizers."""
    from importlib.util import find_spec

    import torch

    if find_spec("bitsandbytes") is None:
        yield Probe("bitsandbytes", "note", "not installed", "pip install 'rlctl[quant]' (needs a CUDA GPU)")
    elif not torch.cuda.is_available():
        yield Probe("bitsandbytes", "note", f"{_version('bitsandbytes')}, of no use without a CUDA GPU")
    else:
        from bitsandbytes.functional import dequantize_4bit, quantize_4bit

        values = torch.rand(64, 64, device="cuda")
        error = (dequantize_4bit(*quantize_4bit(values, quant_type="nf4")) - values).abs().max().item()
        right = error < 0.2
        fix = None if right else "pip install --force-reinstall 'rlctl[quant]'"
        yield Probe(
            "bitsandbytes", "ok" if right else "note", f"{_version('bitsandbytes')}, 4-bit works", fix
        )


def benchmarks() -> Iterator[Probe]:
    """The lm-evaluation-harness, for `rlctl eval --export lm-eval`: importable with all that it needs."""
    from importlib.util import find_spec

    if find_spec("lm_eval") is None:
        yield Probe("lm-eval", "note", "not installed", "pip install 'rlctl[lm-eval]'")
        return
    for module in ("lm_eval.tasks", "lm_eval.evaluator", "lm_eval.models.huggingface"):
        importlib.import_module(module)
    yield Probe("lm-eval", "ok", _version("lm_eval") or "installed")
