"""`rlctl train` with evaluations that find what is planned for each process; all else is the real thing."""

import json
import os
import sys
from typing import Any

from rlctl.cli import main
from rlctl.evaluation.held_out import HeldOut
from rlctl.training.trl import grpo as backend


def evaluate(*args: Any, step: int, **keys: Any) -> HeldOut:
    """Twenty prompts, all at about the value that `PLANNED` has for this rank and step."""
    value = json.loads(os.environ["PLANNED"])[int(os.environ["RANK"])][step // 2]
    return HeldOut({"val/reward": value}, [value + 0.01 * (-1) ** i for i in range(20)], [])


if __name__ == "__main__":
    backend.evaluate = evaluate
    sys.exit(main())
