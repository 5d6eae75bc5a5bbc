"""Rewards for `test_keys.py`: a completion says what it is worth."""

import asyncio
import os
import time
from typing import Any

from rlctl import Invalid

running = 0


def number(completions: list[Any], **columns: Any) -> list[Any]:
    special = {"nan": float("nan"), "none": None, "bad": Invalid("bad")}
    return [special[text] if text in special else float(text) for text in completions]


def ten(completions: list[str], **columns: Any) -> list[float]:
    return [10.0] * len(completions)


def times(completions: list[str], factor: float = 1.0, **columns: Any) -> list[float]:
    return [factor * float(text) for text in completions]


def column(completions: list[str], points: list[float] | None = None, **columns: Any) -> list[float]:
    return points or [0.0] * len(completions)


def is_chat(completions: list[Any], **columns: Any) -> list[float]:
    return [float(isinstance(completion, list)) for completion in completions]


def process(completions: list[str], **columns: Any) -> list[float]:
    time.sleep(0.2)
    return [float(os.getpid())] * len(completions)


async def together(completion: str) -> float:
    global running
    running += 1
    await asyncio.sleep(0.02)
    most = running
    await asyncio.sleep(0.02)
    running -= 1
    return float(most)


def growing(completions: list[str], trainer_state: Any, **columns: Any) -> list[float]:
    return [trainer_state.global_step + 0.1 * i for i in range(len(completions))]


def same_prompt(completions: list[str], prompts: list[Any], **columns: Any) -> list[float]:
    return [float(prompt == "twin") for prompt in prompts]
