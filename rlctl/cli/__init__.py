"""The command line: parse, load the config, one call, print. No torch, no logic."""

from rlctl.cli.app import main

__all__ = ["main"]
