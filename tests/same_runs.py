"""Whether two runs are the same run: everything that they wrote, times and their places left out."""

import json
import re
from pathlib import Path
from typing import Any

import torch

TIMES = ("time/", "perf/")
SPEED = re.compile(r"  tokens/s [\d,.]+")
"""In a line of the log: the only figure that depends on the machine's speed."""


def differences(one: Path, other: Path) -> list[str]:
    """What differs between the folders of two finished runs; nothing may. Weights: every byte."""
    found = [f"{name}: {text}" for name, text in _files(one, other)]
    for name in ("metrics.jsonl", "rewards.json", "eval_results.json", "training_log.txt"):
        read = _lines if name.endswith(".txt") else _json
        found += [f"{name}{place}" for place in _different(read(one, name), read(other, name))]
    last = [max((run / "checkpoints").glob("checkpoint-*"), key=_step, default=None) for run in (one, other)]
    if (last[0] is None) != (last[1] is None):
        found.append(f"last checkpoint: {last}")
    if last[0] is not None and last[1] is not None:
        found += [f"last checkpoint: {text}" for text in _checkpoints(last[0], last[1])]
    statuses = [json.loads((run / "run.json").read_text())["status"] for run in (one, other)]
    if statuses != ["done", "done"]:
        found.append(f"status: {statuses}")
    return found


def learnt(run: Path, start: Path) -> bool:
    """Whether the weights have moved, and rewards differed: else equal runs would prove little."""
    rows = [json.loads(line) for line in (run / "logs/completions.jsonl").read_text().splitlines()]
    trained = [row for row in rows if row["split"] == "train"]
    advantages = {row["advantage"] for row in trained}
    files = [run / "final/model.safetensors", start / "model.safetensors"]
    moved = not files[0].exists() or files[0].read_bytes() != files[1].read_bytes()
    return moved and len(advantages) > 2


def _files(one: Path, other: Path) -> list[tuple[str, str]]:
    """Files that must be equal byte by byte."""
    found = []
    folders = [run / "final" for run in (one, other)]
    names = [sorted(str(file.relative_to(top)) for file in top.rglob("*")) for top in folders]
    if names[0] != names[1] or not names[0]:
        found.append(("final", f"{names[0]} and {names[1]}"))
    for name in [*(f"final/{name}" for name in names[0]), "logs/completions.jsonl"]:
        pair = [run / name for run in (one, other)]
        if not pair[1].exists() or (pair[0].is_file() and pair[0].read_bytes() != pair[1].read_bytes()):
            found.append((name, "other bytes"))
    return found


def _checkpoints(one: Path, other: Path) -> list[str]:
    found = [] if one.name == other.name else [f"{one.name} and {other.name}"]
    names = [sorted(file.name for file in folder.glob("*.pt")) for folder in (one, other)]
    if names[0] != names[1]:
        return [*found, f"{names[0]} and {names[1]}"]
    for name in names[0]:
        pair = [torch.load(folder / name, weights_only=True) for folder in (one, other)]
        found += [f"{name}{place}" for place in _different(pair[0], pair[1])]
    return found


def _different(one: Any, other: Any, place: str = "") -> list[str]:
    """Places below which two nested values differ; tensors must be equal bit by bit."""
    if type(one) is not type(other):
        return [f"{place}: {type(one).__name__} and {type(other).__name__}"]
    if isinstance(one, dict):
        keys = [key for key in {**one, **other} if key != "step_time"]
        missing = [key for key in keys if (key in one) != (key in other)]
        both = [key for key in keys if key not in missing]
        inner = (_different(one[key], other[key], f"{place}[{key!r}]") for key in both)
        return [*(f"{place}: {key!r} in one" for key in missing), *(text for each in inner for text in each)]
    if isinstance(one, list | tuple):
        if len(one) != len(other):
            return [f"{place}: {len(one)} and {len(other)} long"]
        pairs = enumerate(zip(one, other, strict=True))
        return [text for i, (a, b) in pairs for text in _different(a, b, f"{place}[{i}]")]
    if isinstance(one, torch.Tensor):
        same = one.dtype == other.dtype and one.shape == other.shape
        same = same and one.contiguous().numpy().tobytes() == other.contiguous().numpy().tobytes()
        return [] if same else [f"{place}: another tensor"]
    return [] if one == other or (one != one and other != other) else [f"{place}: {one!r} and {other!r}"]


def _json(run: Path, name: str) -> Any:
    file = run / "logs" / name
    if not file.exists():
        return None
    lines = file.read_text().splitlines() if name.endswith(".jsonl") else [file.read_text()]
    rows = [json.loads(line) for line in lines]
    return [{key: value for key, value in row.items() if not key.startswith(TIMES)} for row in rows]


def _lines(run: Path, name: str) -> list[str]:
    """Lines of the log without the times before them, the speed, and the plan of the checkpoints."""
    lines = (run / "logs" / name).read_text().splitlines()
    return [SPEED.sub("", line[21:]) for line in lines if "  checkpoints: after step" not in line]


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix("checkpoint-"))


def tree(run: Path) -> list[str]:
    """Every file of a run."""
    return sorted(str(file.relative_to(run)) for file in run.rglob("*") if file.is_file())
