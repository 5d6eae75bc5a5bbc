"""Batch geometry: prompts, groups, processes, forward passes, steps. All numbers by hand."""

import pytest

from rlctl.config.config import Config
from rlctl.config.plan import divisors, geometry_problems, largest_batch, make_plan


def config(*, algorithm=None, data=None, **training) -> Config:
    return Config.model_validate(
        {
            "model": {"path": "builtin:tiny-math"},
            "data": {"train": {"path": "builtin:arithmetic"}, **(data or {})},
            "rewards": {"components": [{"name": "length", "type": "length", "max": 5}]},
            "algorithm": {"type": "grpo", **(algorithm or {})},
            "training": training,
        }
    )


def test_auto_takes_the_largest_divisor_within_the_token_budget():
    # 16 prompts × 8 = 128 completions; 32,768 / 512 tokens = 64 fit; 64 divides 128: two passes.
    plan = make_plan(config(prompts_per_step=16, max_steps=10))
    assert (plan.completions_per_step, plan.completions_per_process) == (128, 128)
    assert (plan.per_device_train_batch_size, plan.gradient_accumulation_steps) == (64, 2)
    assert plan.steps_per_generation == 2
    assert plan.tokens_per_step == 128 * 512


def test_auto_skips_sizes_that_do_not_divide():
    # 5 prompts × 6 = 30 completions; 32,768 / 4,096 = 8 fit; divisors of 30 up to 8: 1 2 3 5 6.
    plan = make_plan(
        config(prompts_per_step=5, max_steps=1, algorithm={"num_generations": 6}, data={"max_length": 4096})
    )
    assert (plan.per_device_train_batch_size, plan.gradient_accumulation_steps) == (6, 5)


def test_a_sequence_longer_than_the_budget_goes_alone():
    assert largest_batch(30, 100_000) == 1


def test_processes_share_whole_groups():
    plan = make_plan(config(prompts_per_step=6, max_steps=1), num_processes=3)
    assert plan.completions_per_process == 2 * 8
    assert plan.per_device_train_batch_size * plan.gradient_accumulation_steps == 16


def test_explicit_batch_size():
    plan = make_plan(config(prompts_per_step=4, max_steps=1, per_device_train_batch_size=8))
    assert (plan.per_device_train_batch_size, plan.gradient_accumulation_steps) == (8, 4)


@pytest.mark.parametrize(
    ("training", "iterations", "prompts", "steps"),
    [
        ({"max_steps": 7}, 1, None, 7),
        ({"max_steps": 7}, 1, 1000, 7),
        ({}, 1, None, None),
        ({}, 1, 100, 6),  # 100 // 16 = 6 whole steps
        ({"num_epochs": 2.5}, 1, 100, 15),
        ({"num_epochs": 0.1}, 1, 100, 1),  # 0.6, rounded up
        ({"num_epochs": 1.0}, 3, 100, 18),  # each generation is used three times
    ],
)
def test_steps_of_a_run(training, iterations, prompts, steps):
    plan = make_plan(config(algorithm={"num_iterations": iterations}, **training), num_prompts=prompts)
    assert plan.steps == steps


def test_evaluations_and_checkpoints():
    held_out = {"eval": {"path": "builtin:arithmetic", "split": "test"}}
    plan = make_plan(config(max_steps=100, eval_steps=40, save_steps=50, data=held_out))
    assert plan.evaluations == (0, 40, 80, 100)
    assert plan.checkpoints == (50, 100)
    best = "checkpoints: after steps 50, 100, and after an evaluation that is the best so far, 3 stay: "
    assert f"{best}the newest and the best" in plan.describe()
    plan = make_plan(config(max_steps=100, eval_steps=None, save_steps=None, data=held_out))
    assert plan.evaluations == (0, 100)
    assert plan.checkpoints == ()
    assert make_plan(config(max_steps=100)).evaluations == ()


def test_the_plan_in_words():
    plan = make_plan(
        config(
            max_steps=1000,
            eval_steps=None,
            save_steps=100,
            algorithm={"num_iterations": 2},
            data={"eval": {"path": "builtin:arithmetic", "split": "test"}},
        ),
        num_processes=2,
        num_prompts=4000,
    )
    assert plan.describe() == [
        "one step: 16 prompts × 8 generations = 128 completions, at most 65,536 tokens",
        "in memory: 2 processes × 1 forward pass of 64 completions",
        "generation: by transformers, at most 256 tokens a completion",
        "length: 1,000 steps, 2 passes over 4,000 prompts",
        "reuse: 2 optimizer steps on the same completions",
        "held-out evaluation: after steps 0, 1000",
        "checkpoints: after steps 100, 200, 300, …, 900, 1000, 3 stay: the newest and the best",
    ]
    assert make_plan(config(num_epochs=1.0)).describe()[3] == "length: 1 pass over the prompts"


def test_a_batch_that_does_not_divide_is_explained():
    ((path, message, suggestion),) = geometry_problems(
        config(prompts_per_step=4, per_device_train_batch_size=5)
    )
    assert path == ("training", "per_device_train_batch_size")
    assert message == (
        "5 does not divide a step: 4 prompts × 8 generations = 32 completions, and 32 / 5 is no whole number"
    )
    assert suggestion == "use 4 or 8, or auto"


def test_a_batch_above_the_share_of_a_process_is_explained():
    ((_, message, suggestion),) = geometry_problems(
        config(prompts_per_step=4, per_device_train_batch_size=32), num_processes=2
    )
    assert "32 completions on 2 processes = 16 per process" in message
    assert suggestion == "use 16, or auto"


def test_groups_never_straddle_processes():
    ((path, message, suggestion),) = geometry_problems(config(prompts_per_step=5), num_processes=2)
    assert path == ("training", "prompts_per_step")
    assert "5 prompts cannot be shared by 2 processes" in message
    assert suggestion == "use a multiple of 2: 4 or 6"
    ((_, _, suggestion),) = geometry_problems(config(prompts_per_step=1), num_processes=4)
    assert suggestion == "use a multiple of 4: 4"


def test_fewer_prompts_than_a_step_needs():
    ((path, message, suggestion),) = geometry_problems(config(prompts_per_step=16), num_prompts=10)
    assert path == ("training", "prompts_per_step")
    assert message == "one step needs 16 different prompts, and `data.train` has 10"
    assert suggestion == "use 10 or less, or add prompts"


def test_what_fits_has_no_problems():
    assert geometry_problems(config(prompts_per_step=16, per_device_train_batch_size=32), 4, 16) == []
    assert geometry_problems(config()) == []


def test_divisors():
    assert divisors(1) == [1]
    assert divisors(36) == [1, 2, 3, 4, 6, 9, 12, 18, 36]
