"""What an analysis found, and the folder where it is kept."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rlctl.calibration.page import page
from rlctl.calibration.wording import origin
from rlctl.config.config import Config
from rlctl.config.dump import as_yaml
from rlctl.errors import UsageError
from rlctl.files import replace_text, write_json
from rlctl.results import place
from rlctl.rewards.aggregate import Row
from rlctl.rewards.batch import plain
from rlctl.rewards.statistics import OUTCOMES
from rlctl.training.provenance import data_hashes, reward_hashes

RESULTS, SAMPLES, PAGE = "analysis.json", "completions.jsonl", "report.html"


@dataclass(frozen=True)
class Analysis:
    """What an analysis of the rewards found.

    Args:
        document: Everything, as `--json` prints it.
        samples: Every completion with its scores.
        folder: Where it is kept; None where nothing is written.
        request: What it depends on.
    """

    document: dict[str, Any]
    samples: list[dict[str, Any]] = field(default_factory=list)
    folder: Path | None = None
    request: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return self.document

    @property
    def recommended(self) -> float | None:
        """The penalty to use, in units of `rewards.invalid_penalty`; None where there is no advice."""
        value: float | None = (self.document.get("penalty") or {}).get("recommended")
        return value

    @classmethod
    def of_texts(cls, rows: Sequence[Row], texts: Sequence[str], columns: Mapping[str, Any]) -> "Analysis":
        """Single texts with their scores.

        Args:
            rows: What the rewards say of each.
            texts: The texts.
            columns: What they were scored with.
        """
        counts = {outcome: sum(row.outcome == outcome for row in rows) for outcome in OUTCOMES}
        counts["valid"] = counts.pop("scored")
        scored = [{"completion": text, **row.as_dict()} for text, row in zip(texts, rows, strict=True)]
        document = {
            "num_samples": len(texts),
            **counts,
            "source": {"kind": "text", "columns": plain(columns)},
            "texts": scored,
        }
        return cls(document)

    def write(self) -> None:
        """Write everything into the folder.

        Raises:
            UsageError: The folder cannot be written.
        """
        if self.folder is None:
            return
        whole = {**self.document, "request": self.request}
        n = self.document["num_samples"]
        title = f"{n:,} completion{'s' * (n != 1)} {origin(self.document['source'])}"
        rewards = as_yaml({"rewards": self.request["rewards"]})
        lines = (json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in self.samples)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            replace_text(self.folder / SAMPLES, "".join(lines))
            write_json(self.folder / RESULTS, whole)
            replace_text(self.folder / PAGE, page(whole, title=title, config_text=rewards))
        except OSError as error:
            message = f"the results cannot be written ({error.strerror or error})"
            raise UsageError(message, where=str(self.folder), hint="Choose another: --output DIR.") from error


def place_of(
    config: Config, inputs: Mapping[str, Any], output: str | Path | None, run: Path | None
) -> tuple[Path, dict[str, Any]]:
    """The folder of an analysis, and what the analysis depends on, by which it is told from others.

    Args:
        config: The config.
        inputs: Where the completions are from, and how many.
        output: The folder that the user names, if so.
        run: The run that the completions are of; else the config's own run, where there is one.
    """
    include = {"model", "data", "rewards", "generation", "algorithm", "training"}
    request = {
        **config.model_dump(mode="json", include=include),
        "seed": config.run.seed,
        **inputs,
        "hashes": {"data": data_hashes(config), "rewards": reward_hashes(config)},
    }
    own = Path(config.run.output_dir) / config.run.name
    run = run or (own if (own / "run.json").is_file() else None)
    default = Path(config.run.output_dir)
    return place("analyze", request, RESULTS, output=output, run=run, default=default), request
