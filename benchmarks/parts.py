"""CPU time of parts that a run waits for: built-in data, prompts, scoring in a worker process.

python -m benchmarks parts
"""

import json
import resource
import tempfile
import time
from pathlib import Path
from statistics import median

COMPLETIONS = 128
PROMPTS = 7_473
"""As many as the training split of GSM8K."""


def cpu_seconds() -> float:
    """User and system time of this process and of children that have ended."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def arithmetic() -> str:
    """The rows of `builtin:arithmetic`."""
    from rlctl.data.arithmetic import Arithmetic

    start = cpu_seconds()
    count = len(Arithmetic().rows("train"))
    return f"{count:,} rows of builtin:arithmetic: {1000 * (cpu_seconds() - start):.0f} ms CPU"


def prompts() -> str:
    """Reading, templating, tokenizing and counting prompts from a file."""
    from rlctl.config.data import Data
    from rlctl.config.model import Model
    from rlctl.data.prompts import load_prompts
    from rlctl.models.tokenizer import load_tokenizer

    tokenizer = load_tokenizer(Model(path="builtin:tiny-math"))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.jsonl"
        row = {"question": "Natalia sold clips to 48 of her friends, and then half as many. " * 4}
        file.write_text("".join(json.dumps({**row, "answer": str(i)}) + "\n" for i in range(PROMPTS)))
        data = Data.model_validate({"train": {"path": str(file)}, "columns": {"prompt": "question"}})
        start = cpu_seconds()
        load_prompts(data.train, data, tokenizer, 512, seed=0, role="train")
        return f"{PROMPTS:,} prompts of 256 tokens read and measured: {cpu_seconds() - start:.1f} s CPU"


def worker() -> str:
    """A batch of short completions through a reward in a process of its own; wall time, the trainer waits."""
    from rlctl.config.rewards import Rewards
    from rlctl.rewards.compose import Batch, Scorer

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "reward.py"
        file.write_text(
            "def score(completions, **columns):\n    return [float(len(c)) for c in completions]\n"
        )
        part = {"type": "python", "name": "mine", "function": f"{file}:score"}
        rewards = Rewards.model_validate({"components": [part]})
        batch = Batch(["47+38="] * COMPLETIONS, ["85"] * COMPLETIONS, {"answer": ["85"] * COMPLETIONS})
        with Scorer(rewards) as scorer:
            scorer.score(batch)
            times = []
            for _ in range(50):
                start = time.perf_counter()
                scorer.score(batch)
                times.append(time.perf_counter() - start)
    return f"{COMPLETIONS} completions through a worker process: {1000 * median(times):.1f} ms (median of 50)"


def main() -> None:
    """Measure each part and print it."""
    for part in (arithmetic, prompts, worker):
        print(part())


if __name__ == "__main__":
    main()
