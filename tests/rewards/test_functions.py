"""Every style of user function runs: batch and single, sync and async, factory and class, and TRL's own."""

import asyncio
from pathlib import Path
from textwrap import dedent
from types import SimpleNamespace
from typing import Any

import pytest

from rlctl.errors import RewardError
from rlctl.rewards.batch import Batch
from rlctl.rewards.calls import RewardCall, reward_call
from rlctl.rewards.functions import resolve
from rlctl.rewards.outcome import Failed
from rlctl.rewards.python import PythonReward
from rlctl.rewards.shape import Length

BATCH = Batch(
    prompts=["p1", "p2"],
    completions=["a", "bcd"],
    columns={"answer": ["x", "y"], "completion_ids": [[1], [2, 3]]},
    trainer_state=SimpleNamespace(global_step=5),
)


def scores(function: Any, batch: Batch = BATCH, **keys: Any) -> list[Any]:
    return RewardCall(function, **keys).run(batch).scores


def test_a_batch_function_gets_what_it_names():
    seen: dict[str, Any] = {}

    def narrow(completions, answer):
        seen.update(completions=completions, answer=answer)
        return [1, 2]

    def wide(prompts, completions, completion_ids, trainer_state, **columns):
        seen.update(columns, ids=completion_ids, prompts=prompts, step=trainer_state.global_step)
        return [3, 4]

    assert scores(narrow) == [1, 2]
    assert seen == {"completions": ["a", "bcd"], "answer": ["x", "y"]}
    assert scores(wide) == [3, 4]
    assert (seen["prompts"], seen["ids"], seen["step"]) == (["p1", "p2"], [[1], [2, 3]], 5)
    assert {"log_extra", "log_metric"} <= set(seen)
    assert scores(lambda **everything: [len(text) for text in everything["completions"]]) == [1, 3]
    assert scores(lambda completion_ids: map(len, completion_ids)) == [1, 2]


def test_a_function_of_one_completion():
    assert scores(
        lambda prompt, generated, full_text: len(prompt) + 10 * len(generated) + 100 * len(full_text)
    ) == [
        2 + 10 + 300,
        2 + 30 + 500,
    ]
    assert scores(lambda completion: len(completion)) == [1, 3]
    assert scores(lambda completion, answer: answer == "y") == [0, 1]
    assert scores(lambda completion, completion_ids: len(completion_ids)) == [1, 2]
    assert scores(lambda completion, **rest: len(rest["answer"])) == [1, 1]


def test_an_exception_costs_only_the_rows_at_fault():
    def single(completion):
        return 1 / (len(completion) - 1)

    def batch(completions):
        return [single(completion) for completion in completions]

    for function in (single, batch):
        first, second = scores(function)
        assert isinstance(first, Failed)
        assert first.reason.startswith("ZeroDivisionError: ")
        assert "(test_functions.py:" in first.reason
        assert second == 0.5


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        ([1.0], "returned 1 scores for 2 completions"),
        ([1.0, 2.0, 3.0], "returned 3 scores for 2 completions"),
        (1.0, "returned a float, not a list of scores"),
        (None, "returned a NoneType, not a list of scores"),
        ("ab", "returned a str, not a list of scores"),
        ({"a": 1, "b": 2}, "returned a dict, not a list of scores"),
    ],
)
def test_a_result_of_the_wrong_shape_fails_every_row(result: Any, reason: str):
    assert scores(lambda completions: result) == [Failed(reason)] * 2


def test_lists_of_other_libraries_are_taken():
    import numpy as np
    import torch

    for result in (np.array([1, 2]), torch.tensor([1.0, 2.0]), (1, 2), iter([1, 2])):
        assert scores(lambda completions, result=result: result) == [1, 2]


def test_async_functions_run_together_and_are_timed_one_by_one():
    async def single(completion):
        if completion == "a":
            await asyncio.sleep(60)
        await asyncio.sleep(0.05)
        return 1.0

    async def batch(completions):
        return [await single(completion) for completion in completions]

    many = Batch(["p"] * 8, ["a", *["b"] * 7])
    for function in (single, batch):
        result = scores(function, many, concurrency=8, timeout=0.4)
        assert result == [Failed("took longer than 0.4 s"), *[1.0] * 7]


def test_async_calls_row_by_row_are_limited():
    running = peak = 0

    async def single(completion):
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        await asyncio.sleep(0.01)
        running -= 1
        return 1.0

    assert scores(single, Batch(["p"] * 8, ["b"] * 8), concurrency=3, timeout=5) == [1.0] * 8
    assert peak == 3


def test_async_clients_keep_their_event_loop_between_batches():
    loops = set()

    async def judge(completions):
        loops.add(asyncio.get_running_loop())
        return [1.0, 1.0]

    call = RewardCall(judge, timeout=5)
    assert call.run(BATCH).scores == call.run(BATCH).scores == [1.0, 1.0]
    assert len(loops) == 1


def test_what_a_function_logs_is_kept():
    def logs(completions, log_extra, log_metric):
        log_extra("seen", [text.upper() for text in completions])
        log_metric("longest", max(map(len, completions)))
        return [0, 0]

    reply = RewardCall(logs).run(BATCH)
    assert (reply.extras, reply.metrics) == ({"seen": ["A", "BCD"]}, {"longest": [3.0]})

    def one(completion, log_extra):
        if completion == "bcd":
            log_extra("note", "long")
        return 0

    assert RewardCall(one).run(BATCH).extras == {"note": [None, "long"]}

    def wrong(completions, log_extra):
        log_extra("seen", [1, 2, 3])
        return [0] * len(completions)

    assert all("log_extra('seen') got 3 values for" in score.reason for score in scores(wrong))


def test_a_reward_cannot_log_under_a_name_of_the_logs():
    def logs(completions, log_metric):
        log_metric("reward", 99)
        return [1.0] * len(completions)

    assert all("log_metric('reward'): the logs use this name" in score.reason for score in scores(logs))


def test_chat_messages():
    chat = Batch(
        [[{"role": "user", "content": "hi"}], "plain"], [[{"role": "assistant", "content": "yo"}], "text"]
    )
    assert chat.texts == ["yo", "text"]
    assert chat.prompt_texts == ["hi", "plain"]
    seen: list[Any] = []

    def function(prompts, completions):
        seen.append((prompts, completions))
        return [0, 0]

    scores(function, chat)
    assert seen[-1] == (["hi", "plain"], ["yo", "text"])
    scores(function, chat, messages=True)
    prompts, completions = seen[-1]
    assert prompts == [[{"role": "user", "content": "hi"}], [{"role": "user", "content": "plain"}]]
    assert completions[1] == [{"role": "assistant", "content": "text"}]


def test_factories_classes_and_arguments():
    def factory(k: int):
        return lambda completions: [k] * len(completions)

    class Model:
        def __init__(self, k: int = 7):
            self.k = k

        def __call__(self, completions):
            return [self.k] * len(completions)

    def plain(completions, k=1):
        return [k] * len(completions)

    def judge_of(prompt: str):
        return lambda completion: len(prompt)

    assert scores(resolve(factory, {"k": 3})) == [3, 3]
    assert scores(resolve(Model, {"k": 4})) == [4, 4]
    assert scores(resolve(Model, {})) == [7, 7]
    assert scores(resolve(Model(k=5), {})) == [5, 5]
    assert scores(resolve(plain, {"k": 6})) == [6, 6]
    assert scores(resolve(plain, {})) == [1, 1]
    assert scores(resolve(judge_of, {"prompt": "Is it good?"})) == [11, 11]


@pytest.mark.parametrize(
    ("target", "args", "message"),
    [
        (lambda completions, k=1: [], {"kk": 1}, "takes no argument 'kk'"),
        (lambda texts: [], {}, "needs 'texts'; give it in `args`"),
        (lambda k: 7, {"k": 1}, "gave a int that is not a reward"),
        (lambda k: lambda texts: [], {"k": 1}, "gave a function that is not a reward"),
        (lambda k: 1 / 0, {"k": 1}, "raised ZeroDivisionError"),
        (7, {}, "is a int, not a function"),
    ],
)
def test_what_cannot_be_a_reward_is_explained(target: Any, args: dict[str, Any], message: str):
    with pytest.raises(RewardError, match=message):
        resolve(target, args)


def test_trl_reward_functions_really_run():
    messages = [
        [{"role": "assistant", "content": text}] for text in ("<think>a</think>\\boxed{7}", "\\boxed{8}")
    ]
    batch = Batch(["p", "p"], messages, {"solution": ["$7$", "$7$"], "completion_ids": [[1] * 90, [1] * 120]})

    def run(name: str, **args: Any) -> list[Any]:
        part = PythonReward(
            type="python", function=f"trl.rewards:{name}", args=args, messages=True, isolate=False
        )
        return reward_call(part).run(batch).scores

    assert run("think_format_reward") == [1.0, 0.0]
    assert run("accuracy_reward") == [1.0, 0.0]
    assert run("get_soft_overlong_punishment", max_completion_len=100, soft_punish_cache=20) == [-0.5, -1.0]
    # cos(pi * 90/100) = -0.9511: 0.5 + 0.25 (1 - 0.9511); the wrong one is at the long bound already.
    assert run("get_cosine_scaled_reward", max_len=100) == pytest.approx([0.5122, -0.5], abs=1e-4)


def test_any_component_is_a_reward_function_for_trl():
    reward = reward_call(Length(type="length", name="brevity", max=2.0))
    assert reward.__name__ == "brevity"
    got = reward(
        prompts=["p"] * 2, completions=["a", "b"], completion_ids=[[1], [1, 2, 3]], trainer_state=None
    )
    assert got == [1.0, -1.0]
    broken = RewardCall(lambda completions: [1.0, float("nan")])
    assert broken(prompts=["p"] * 2, completions=["a", "b"], answer=["x", "y"]) == [1.0, None]


def test_loading_executes_once_and_errors_name_the_line(tmp_path: Path):
    path = tmp_path / "broken.py"
    path.write_text(
        dedent("""
        import sibling
        def score(completions): return sibling.value(completions)
        """)
    )
    part = PythonReward(type="python", function=f"{path}:score", isolate=False)
    with pytest.raises(RewardError, match=r"broken\.py raised ModuleNotFoundError.*\(broken\.py:2\)"):
        part.build()
    (tmp_path / "sibling.py").write_text("def value(completions): return [1.0] * len(completions)\n")
    assert part.build().run(BATCH).scores == [1.0, 1.0]
