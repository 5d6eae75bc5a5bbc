"""The watch: reward and metric that part are told, an honest run is left in peace; also by simulation."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rlctl.evaluation.watch import Notice, Watch, _below
from rlctl.statistics.paired import Comparison

ZERO_TO_ONE = [i / 19 for i in range(20)]
"""A metric of twenty prompts, with mean 0.5."""


def train(
    watch: Watch, steps: range, reward: Callable[[int], float] = lambda step: step / 40, **more: Any
) -> list[Notice]:
    """Logged steps; figures may be functions of the step."""
    said = []
    for step in steps:
        figures = {f"train/{name}": each(step) if callable(each) else each for name, each in more.items()}
        said += watch.training(step, {"train/reward": reward(step), "train/reward_std": 0.5, **figures})
    return said


def shifted(by: float) -> list[float | None]:
    """The metric with every prompt moved, none by exactly the same."""
    return [value + by + 0.01 * (-1) ** i for i, value in enumerate(ZERO_TO_ONE)]


def test_reward_up_and_metric_down_is_an_alarm_with_its_figures() -> None:
    """20 steps of reward 0.05 … 1.00: the ends are means of 5, 0.15 and 0.90. Every prompt falls by 0.29 or
    0.31, so the mean falls by 0.3, std 0.01·√(20/19), half width 2.093 · 0.01026 / √20 = 0.0048."""
    watch = Watch("correct")
    assert watch.evaluation(0, ZERO_TO_ONE) == []
    length = lambda step: 3.0 if step <= 10 else 9.0  # noqa: E731
    train(watch, range(1, 21), lambda step: step / 20, completion_length=length)
    (notice,) = watch.evaluation(20, shifted(-0.3))
    assert (notice.step, notice.kind, notice.severity) == (20, "metric_fell", "alarm")
    assert notice.text == (
        "training reward 0.15 → 0.90, held-out correct 0.50 → 0.20 (−0.30, 95 % interval −0.30 to −0.30): "
        "they part; meanwhile completions 3.00 → 9.00 tokens. "
        "Read the newest completions in logs/completions.jsonl for what the training reward pays for and "
        "the held-out correct does not."
    )
    assert watch.parted is not None
    assert watch.notices == [notice]


@pytest.mark.parametrize(
    ("reward", "values"),
    [
        (lambda step: step / 40, shifted(0.3)),  # both rise
        (lambda step: step / 40, ZERO_TO_ONE),
        (lambda step: -step / 40, shifted(-0.3)),  # both fall: seen in the training reward
        (lambda step: 0.5, shifted(-0.3)),  # nothing was gained by it
        (lambda step: step / 40, shifted(-0.02)),  # below a tenth of the std over prompts, 0.31
        (lambda step: step / 40, [None] * 20),
        (lambda step: step / 40, [0.0, *[None] * 19]),
    ],
)
def test_anything_else_is_none(reward: Callable[[int], float], values: list[float | None]) -> None:
    watch = Watch("correct")
    watch.evaluation(0, ZERO_TO_ONE)
    train(watch, range(1, 21), reward, reward_std=10.0)
    assert [one for one in watch.evaluation(20, values) if one.severity == "alarm"] == []
    assert watch.parted is None


def test_what_is_left_of_a_selection_is_told_and_not_compared() -> None:
    """The reward rises and the metric falls, but a tenth of the completions has no value; then it has."""
    watch = Watch("correct")
    watch.evaluation(0, ZERO_TO_ONE, 0.02)
    train(watch, range(1, 21))
    [notice] = watch.evaluation(20, shifted(-0.3), 0.1)
    assert (notice.kind, notice.severity, watch.parted) == ("left_out", "warning", None)
    assert notice.text.startswith("10.0% of the held-out completions have no value of correct, and 2.0% at")
    assert watch.evaluation(21, [None] * 20, 0.15) == []  # told before
    [worse] = watch.evaluation(22, [None] * 20, 1.0)
    assert worse.text.startswith("100.0%")
    restored = Watch("correct")
    restored.load_state_dict(watch.state_dict())
    assert [one.kind for one in restored.evaluation(23, shifted(-0.3), 0.05)] == ["metric_fell"]


def test_a_first_evaluation_that_was_of_a_selection_is_compared_with_nothing() -> None:
    watch = Watch("correct")
    watch.evaluation(0, ZERO_TO_ONE, 0.4)
    train(watch, range(1, 21))
    assert watch.evaluation(20, shifted(-0.3), 0.0) == []
    train(watch, range(21, 41))
    [notice] = watch.evaluation(40, shifted(-0.4), 0.0)
    assert "0.20 → 0.10" in notice.text


def test_four_steps_are_the_fewest_that_show_a_rise() -> None:
    for steps, found in ((3, 0), (4, 1)):
        watch = Watch("correct")
        watch.evaluation(0, ZERO_TO_ONE)
        train(watch, range(1, steps + 1))
        assert len(watch.evaluation(steps, shifted(-0.3))) == found


def test_a_fall_from_the_best_is_one_and_its_choice_is_paid_for() -> None:
    """The metric rises to step 20 and is at the start again at 40, while the reward rises on: the fall is
    from the best. Chosen among three, its interval is wider than the plain one."""
    watch = Watch("correct")
    for step, by in ((0, 0.0), (10, 0.1), (20, 0.4), (30, 0.39)):
        train(watch, range(max(1, step - 9), step + 1))
        assert watch.evaluation(step, shifted(by)) == []
    train(watch, range(31, 41))
    (notice,) = watch.evaluation(40, ZERO_TO_ONE)
    assert "held-out correct 0.90 (best of 4, step 20) → 0.50 (−0.40, 95 % interval" in notice.text


def test_after_the_best_the_reward_must_not_have_fallen_too() -> None:
    watch = Watch("correct")
    watch.evaluation(0, ZERO_TO_ONE)
    train(watch, range(1, 31))
    watch.evaluation(30, shifted(0.4))
    train(watch, range(31, 41), lambda step: 0.9 - step / 100)
    assert watch.evaluation(40, shifted(0.1)) == []


def test_it_is_said_once_and_again_where_it_is_twice_as_bad() -> None:
    watch = Watch("correct")
    watch.evaluation(0, ZERO_TO_ONE)
    said = []
    for step, by in ((10, -0.2), (20, -0.3), (30, -0.39), (40, -0.41), (50, -0.5)):
        train(watch, range(step - 9, step + 1))
        said.append(len(watch.evaluation(step, shifted(by))))
        assert watch.parted is not None, "whether it was said or not"
    assert said == [1, 0, 0, 1, 0]
    train(watch, range(51, 61))
    watch.evaluation(60, shifted(0.1))
    assert watch.parted is None


def test_few_prompts_cannot_be_too_sure() -> None:
    """Five prompts that all fall: by chance 1 in 32, more than the first look may spend, 1 in 80."""
    for n, found in ((5, 0), (8, 1)):
        watch = Watch("correct")
        watch.evaluation(0, [1.0] * n)
        train(watch, range(1, 21))
        assert len(watch.evaluation(20, [0.0] * n)) == found


@pytest.mark.parametrize(
    ("difference", "p_value", "wins", "losses", "expected"),
    [
        (-0.5, 0.001, 1, 4, 1 / 32),  # five prompts differ: none of 32 signs is rarer than 1 in 32
        (-0.5, 0.001, 0, 12, 0.0005),  # enough of them: half of the two-sided p-value
        (-0.5, 0.2, 0, 5, 0.1),
        (-0.5, None, 0, 5, 1 / 32),
        (0.5, 0.001, 12, 0, 1.0),  # a gain is no fall
        (0.0, 1.0, 2, 2, 1.0),
        (None, None, 0, 0, 1.0),
    ],
)
def test_the_chance_of_a_fall_by_hand(
    difference: float | None, p_value: float | None, wins: int, losses: int, expected: float
) -> None:
    found = Comparison(difference, -1.0, 1.0, p_value, wins, 8, losses, wins + 8 + losses, None)
    assert _below(found) == expected


def test_few_prompts_that_differ_cannot_be_too_sure() -> None:
    """Five or eight of 20 that fall, 1 in 32 and 1 in 256; the first look may spend 1 in 80, and the t-test
    would have it at 1 in 100 for five: mean −0.25, std 0.444, t = −2.52."""
    for fallen, found in ((5, 0), (8, 1)):
        watch = Watch("correct")
        watch.evaluation(0, [1.0] * 20)
        train(watch, range(1, 21))
        said = watch.evaluation(20, [0.0] * fallen + [1.0] * (20 - fallen))
        assert len([one for one in said if one.severity == "alarm"]) == found


def test_a_metric_that_stays_while_the_reward_rises_is_a_warning() -> None:
    """The reward rises by 0.75, more than half of the std 0.5."""
    for n, found in ((20, []), (200, ["metric_flat"])):
        watch = Watch("correct")
        watch.evaluation(0, [0.0] * n)
        train(watch, range(1, 41))
        said = watch.evaluation(40, [0.0] * n)
        assert [one.kind for one in said] == found
        assert watch.parted is None
    assert "held-out correct 0.00 → 0.00 (0.00 on each of 200 prompts) has hardly moved" in said[0].text


def test_symptoms_are_told_only_where_the_metric_does_not_rise() -> None:
    symptoms: dict[str, Any] = {
        "completion_length": lambda step: 4.0 * 2 ** (step / 10),
        "truncated_fraction": lambda step: step / 40,
        "repetition_fraction": lambda step: step / 50,
        "entropy": lambda step: 1.0 / step**2,
        "kl_div": lambda step: step / 20,
    }
    texts = []
    for by in (0.0, 0.3):
        watch = Watch("correct")
        watch.evaluation(0, ZERO_TO_ONE)
        train(watch, range(1, 41), reward_std=10.0, **symptoms)
        texts.append([one.text for one in watch.evaluation(40, shifted(by))])
    assert len(texts[0]) == 1
    for words in (
        "completions 5.",
        "truncated 14% → 89%",
        "repetition 0.11 → 0.71",
        "entropy",
        "KL 0.28 → 1.77",
    ):
        assert words in texts[0][0]
    assert "held-out correct 0.50 → 0.50 did not measurably rise" in texts[0][0]
    assert texts[1] == []


def test_without_evaluations_symptoms_are_told_as_all_there_is() -> None:
    watch = Watch("reward", evaluates=False)
    (notice,) = train(watch, range(1, 41), completion_length=lambda step: 32.0 / step)
    assert notice.kind == "symptoms"
    assert "nothing independent to hold it against: set data.eval" in notice.text
    quiet = Watch("reward", evaluates=False)
    assert train(quiet, range(1, 41), lambda step: 0.5, completion_length=lambda step: 32.0 / step) == []


def test_noise_is_no_symptom() -> None:
    rng = np.random.default_rng(0)
    watch = Watch("reward", evaluates=False)
    assert train(watch, range(1, 201), completion_length=lambda step: float(rng.exponential(3))) == []


def test_its_memory_does_not_grow_and_a_watch_that_was_saved_goes_on() -> None:
    rng = np.random.default_rng(0)
    values = [rng.random(50).tolist() for _ in range(12)]
    one, other = Watch("correct"), Watch("correct")
    for i, each in enumerate(values):
        for watch in (one, other):
            if i:
                train(watch, range(100 * i - 99, 100 * i + 1), lambda step: step / 1000 + step % 7)
            watch.evaluation(100 * i, each)
        state = other.state_dict()
        other = Watch("correct")
        other.load_state_dict(state)
        assert other.state_dict() == one.state_dict()
    assert len(one.state_dict()["course"]["points"]) <= 256
    course = one._course
    assert sum(point[2] for point in course.points) == 1100
    assert course.ends("train/reward") == pytest.approx((3.02, 4.08), abs=0.1)


# what it costs, and what it finds, over runs of twenty evaluations


def alarms(truth: Callable[[Any, int, int], Any], prompts: int, samples: int, runs: int) -> float:
    """Share of runs with an alarm. `truth`: probability of each prompt at an evaluation, out of its start."""
    found = 0
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        start = rng.beta(1, 1.5, prompts)
        watch = Watch("correct")
        for t in range(21):
            noise = rng.normal(0, 3, 5 * t + 1)
            train(watch, range(max(1, 5 * t - 4), 5 * t + 1), lambda step, noise=noise: step + noise[step])
            chance = truth(start, t, prompts)
            watch.evaluation(5 * t, (rng.binomial(samples, chance) / samples).tolist())
        found += any(one.severity == "alarm" for one in watch.notices)
    return found / runs


def unchanged(start: Any, t: int, prompts: int) -> Any:
    return start


def better(start: Any, t: int, prompts: int) -> Any:
    return start + t / 40 * (1 - start)


def worse(start: Any, t: int, prompts: int) -> Any:
    return start * (1 - 0.7 * t / 20)


def better_then_worse(start: Any, t: int, prompts: int) -> Any:
    return better(start, 7, prompts) * (1 - 0.7 * (t - 7) / 13) if t > 7 else better(start, t, prompts)


@pytest.mark.parametrize(("truth", "low", "high"), [(unchanged, 0.0, 0.05), (better_then_worse, 0.98, 1.0)])
def test_false_and_true_alarms(truth: Any, low: float, high: float) -> None:
    assert low <= alarms(truth, prompts=50, samples=4, runs=60) <= high


@pytest.mark.full
@pytest.mark.parametrize("samples", [1, 4])
@pytest.mark.parametrize("prompts", [10, 20, 50, 200])
@pytest.mark.parametrize("truth", [unchanged, better])
def test_false_alarms_of_a_whole_run(truth: Any, prompts: int, samples: int) -> None:
    """At most 5 %; of 300 runs, a true 8 % would give more than that with 97 % probability."""
    assert alarms(truth, prompts, samples, runs=300) <= 0.05


@pytest.mark.full
@pytest.mark.parametrize(
    ("truth", "prompts", "least"), [(worse, 50, 0.95), (worse, 200, 1.0), (better_then_worse, 200, 1.0)]
)
def test_a_real_fall_is_found(truth: Any, prompts: int, least: float) -> None:
    assert alarms(truth, prompts, samples=4, runs=200) >= least
