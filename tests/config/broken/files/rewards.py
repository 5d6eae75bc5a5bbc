"""Reward functions for the broken YAMLs. Executing this file is an error: checking a config must only read it."""

raise RuntimeError("a check has executed a reward file")


def length(completions, max=10):
    return [float(len(text) <= max) for text in completions]


def make(target):
    def score(completions):
        return [float(text == target) for text in completions]

    return score
