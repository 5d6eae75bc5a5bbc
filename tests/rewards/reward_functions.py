"""User functions that misbehave on demand: each completion says what happens to it."""

import asyncio
import os
import re
import subprocess
import sys
import time

import rlctl


def score(completions, **columns):
    """What TRL would call: one float per completion."""
    print("a reward prints this")  # noqa: T201
    return [float(len(text)) for text in completions]


def odd(completions, trainer_state=None):
    """Do what each completion says, else score 1."""
    return [_one(text) for text in completions]


def odd_single(completion):
    """The same for one completion."""
    return _one(completion)


async def odd_async(completion):
    """The same, waiting instead of spinning."""
    if completion == "hang":
        await asyncio.sleep(60)
    return _one(completion)


def short(completions):
    """One score too few."""
    return [1.0] * (len(completions) - 1)


def broken(completions):
    """Raise on everything."""
    raise ValueError("nothing works")


def slow(completions):
    """0.15 s for each completion, all of them honest."""
    time.sleep(0.15 * len(completions))
    return [1.0] * len(completions)


def batch_size(completions, log_extra, log_metric):
    """How many completions came together, and in which process."""
    log_extra("process", [os.getpid()] * len(completions))
    log_metric("size", len(completions))
    return [float(len(completions))] * len(completions)


def grandchild(completions):
    """Start a process that outlives the call, then hang."""
    with open(completions[0], "w") as file:
        file.write(str(subprocess.Popen(["sleep", "60"]).pid))
    time.sleep(60)


def state(completions, trainer_state):
    """The trainer's step."""
    return [float(trainer_state.global_step)] * len(completions)


def _one(text):
    if text == "hang":
        while True:
            pass
    elif text == "hang in C":
        re.match(r"(a+)+$", "a" * 60 + "b")
    elif text == "fork and exit":
        if os.fork() == 0:
            time.sleep(60)
        os._exit(3)
    elif text == "exit":
        os._exit(3)
    elif text == "segfault":
        os.kill(os.getpid(), 11)
    elif text == "raise":
        raise ValueError("no good")
    elif text == "sys.exit":
        sys.exit(1)
    odd_values = {
        "nan": float("nan"),
        "inf": float("inf"),
        "-inf": float("-inf"),
        "none": None,
        "invalid": rlctl.Invalid("not a molecule"),
        "string": "1.0",
        "list": [1.0],
        "true": True,
    }
    return odd_values.get(text, 1.0)
