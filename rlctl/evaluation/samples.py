"""What an evaluation keeps of every completion, to look at, to count again, and to score again."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from rlctl.evaluation.judge import Judge
from rlctl.rewards.aggregate import Row
from rlctl.rewards.batch import plain
from rlctl.rewards.compose import Batch, Exchange, Scorer

Item = TypeVar("Item")


@dataclass(frozen=True)
class Drawn:
    """One completion of one prompt.

    Args:
        prompt: Place of the prompt among the held-out prompts, from 0.
        greedy: Whether it is the most likely completion rather than a sample.
        text: The completion.
        ids: Its tokens, end token included; None where only the text is known.
        truncated: Whether it was cut at its greatest length; None where that is not known.
        kl: Kullback–Leibler divergence of the policy from the base model, nats summed over the tokens.
        entropy: Mean entropy of the policy over the tokens, in nats.
    """

    prompt: int
    greedy: bool
    text: str
    ids: list[int] | None = None
    truncated: bool | None = None
    kl: float | None = None
    entropy: float | None = None


@dataclass(frozen=True)
class Sample:
    """A completion with its scores.

    Args:
        drawn: The completion.
        row: What the rewards say of it.
        passed: Whether it passes; None where that is not known.
        answer: What it answers, where that can be counted.
        extra: Columns that rewards have logged.
    """

    drawn: Drawn
    row: Row
    passed: bool | None
    answer: str | None
    extra: dict[str, Any] = field(default_factory=dict)

    def as_dict(self, prompt: Mapping[str, Any]) -> dict[str, Any]:
        """For a log in JSON: the completion with its scores, without the columns of the data."""
        return {
            "greedy": self.drawn.greedy,
            "prompt": prompt["prompt"],
            "completion": self.drawn.text,
            **self.row.as_dict(),
            "passed": self.passed,
            "extra": self.extra,
        }


@dataclass(frozen=True)
class Share:
    """This process's part of the scoring.

    Args:
        rank: Its place among the processes.
        processes: How many there are.
        exchange: Gathers a list over all processes in rank order.
    """

    rank: int
    processes: int
    exchange: Exchange

    def of(self, items: Sequence[Item]) -> Sequence[Item]:
        """This process's items: neighbours, so that in rank order they are all of them."""
        first, last = (len(items) * place // self.processes for place in (self.rank, self.rank + 1))
        return items[first:last]


def score(
    drawn: Sequence[Drawn],
    prompts: Sequence[Mapping[str, Any]],
    scorer: Scorer,
    judge: Judge,
    *,
    share: Share | None = None,
) -> list[Sample]:
    """Score completions one by one, before any normalisation over groups or batches.

    Args:
        drawn: The completions.
        prompts: Rows with `prompt` and the columns that the rewards read.
        scorer: The composed reward.
        judge: Says which completions pass.
        share: Which part of them this process scores; None for all.

    Returns:
        All of them in their order, those of other processes included.
    """
    mine = share.of(drawn) if share else drawn
    exchange = share.exchange if share else None
    names = [name for name in (prompts[0] if prompts else ()) if name != "prompt"]
    columns = {name: [prompts[one.prompt].get(name) for one in mine] for name in names}
    if all(one.ids is not None for one in drawn):
        columns["completion_ids"] = [one.ids for one in mine]
    batch = Batch(
        prompts=[prompts[one.prompt]["prompt"] for one in mine],
        completions=[one.text for one in mine],
        columns=columns,
    )
    scored = scorer.score(batch, exchange=exchange, normalize=False)
    samples = [
        Sample(
            one,
            scored.rows[i],
            judge.passed(scored.rows[i]),
            judge.answer(one.text),
            {name: values[i] for name, values in scored.extras.items()},
        )
        for i, one in enumerate(mine)
    ]
    return exchange(samples) if exchange else samples


def kept(
    checkpoint: str, samples: Iterable[Sample], prompts: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """The lines of `samples.jsonl`: all that is needed to look at a completion, or to score it anew."""
    return [
        {
            "checkpoint": checkpoint,
            "prompt_index": one.drawn.prompt,
            **one.as_dict(prompts[one.drawn.prompt]),
            "answer_given": one.answer,
            "completion_ids": one.drawn.ids,
            "truncated": one.drawn.truncated,
            "kl": one.drawn.kl,
            "entropy": one.drawn.entropy,
            "columns": {
                name: plain(value) for name, value in prompts[one.drawn.prompt].items() if name != "prompt"
            },
        }
        for one in samples
    ]
