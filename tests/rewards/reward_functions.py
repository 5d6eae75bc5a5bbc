"""User functions that misbehave on demand: each completion says what happens to it."""

import asyncio
import multiprocessing
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


class Novelty:
    """A memory: 1 for a text that is new, 1/2 for the second time, 1/3 for the third."""

    def __init__(self):
        self.seen = {}

    def __call__(self, completions, power=1):
        return [self.one(text) ** power for text in completions]

    def one(self, text):
        self.seen[text] = self.seen.get(text, 0) + 1
        return _one(text) / self.seen[text]

    def state_dict(self):
        return {"seen": self.seen}  # no copy: making one is not the user's task

    def load_state_dict(self, state):
        self.seen = state["seen"]


NOVELTY = Novelty()


def bound_novelty():
    """A factory of a bound method."""
    return Novelty().__call__


class SingleNovelty(Novelty):
    """The same for one completion."""

    def __call__(self, completion):
        return self.one(completion)


class AsyncNovelty(Novelty):
    """The same, one after the other."""

    async def __call__(self, completions):
        return [self.one(text) for text in completions]


class Refuses(Novelty):
    """Cannot tell or take a state, in the way that `how` says, from the second time on."""

    def __init__(self, how):
        super().__init__()
        self.how = how
        self.times = 0

    def state_dict(self):
        self.times += 1
        if self.times == 1:
            return {}
        if self.how == "raises":
            raise ValueError("no state today")
        if self.how == "exits":
            os._exit(3)
        return {"a function": lambda: None} if self.how == "a lambda" else {"one": Refuses("to be known")}

    def load_state_dict(self, state):
        raise KeyError("seen")


class OnlyHalf:
    """Has no `load_state_dict`."""

    def __call__(self, completions):
        return [0.0] * len(completions)

    def state_dict(self):
        raise AssertionError


def module():
    """A model that scores; it has both methods, but its weights are no state of a run."""
    import torch

    class Model(torch.nn.Linear):
        def __call__(self, completions):
            return [self.weight.sum().item()] * len(completions)

    return Model(1, 1)


def proxy():
    """Hands every other attribute on to a model."""
    model = module()

    class Proxy:
        def __call__(self, completions):
            return model(completions)

        def __getattr__(self, name):
            return getattr(model, name)

    return Proxy()


def sleeps(completions):
    """Longer than any test."""
    time.sleep(60)


def slow_to_load():
    """A factory that takes long."""
    time.sleep(60)


def terminates_children(completions):
    """End two sleeping children with SIGTERM; the sum of their exit codes."""
    program = subprocess.Popen(["sleep", "60"])
    program.terminate()
    forked = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
    forked.start()
    forked.terminate()
    forked.join()
    return [float(program.wait() + forked.exitcode)] * len(completions)
