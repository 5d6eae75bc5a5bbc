"""Figures of benchmarks side by side: pairing by document, adjustment for several, the JSON."""

import json

import pytest

from rlctl.evaluation.benchmarks import (
    Benchmarks,
    Document,
    Score,
    benchmark_results,
    benchmark_samples,
    compare_benchmarks,
)


def documents(values: list[float], *, contents: str = "h", first: int = 0) -> dict[Document, float]:
    """Values of documents of the task `sums`."""
    return {("sums", first + i, f"{contents}{first + i}"): value for i, value in enumerate(values)}


def benchmarks(**metrics: dict[Document, float]) -> Benchmarks:
    """Benchmarks of the task `sums`."""
    found = {
        name: Score(sum(values.values()) / len(values), 0.1, len(values), True, values)
        for name, values in metrics.items()
    }
    return Benchmarks({"sums": found}, {"lm_eval_version": "0"}, [{"task": "sums", "document": 0}])


def test_paired_by_document() -> None:
    a = benchmarks(acc=documents([1, 1, 1, 0]))
    b = benchmarks(acc=documents([0, 1, 0, 0]))
    (found,) = compare_benchmarks(a, b)
    # differences 1, 0, 1, 0: mean 0.5; sd² = 4 × 0.25 / 3, so the standard error is 0.28868 and t = 1.7321;
    # with 3 degrees of freedom p = 1 − (2/π)(atan(1) + 1/2) = 0.18169, as t/√3 = 1
    assert (found["task"], found["metric"], found["higher_is_better"]) == ("sums", "acc", True)
    assert found["difference"] == 0.5
    assert (found["wins"], found["ties"], found["losses"], found["prompts"]) == (2, 2, 0, 4)
    assert found["p_value"] == pytest.approx(0.18169, abs=1e-5)
    assert found["p_adjusted"] == found["p_value"]
    low, high = found["ci95"]
    assert high - 0.5 == pytest.approx(3.18245 * 0.2886751, rel=1e-5)
    assert low + high == pytest.approx(1.0)


def test_only_documents_of_equal_content_are_paired() -> None:
    a = benchmarks(acc=documents([1, 0]) | documents([1, 1], contents="old", first=2))
    b = benchmarks(acc=documents([0, 0]) | documents([0, 0], contents="new", first=2))
    (found,) = compare_benchmarks(a, b)
    assert (found["prompts"], found["difference"]) == (2, 0.5)


def test_several_comparisons_are_adjusted() -> None:
    a = benchmarks(acc=documents([1, 1, 1, 0]), acc_norm=documents([1.0] * 20))
    b = benchmarks(acc=documents([0, 1, 0, 0]), acc_norm=documents([0.0, 1.0] * 10))
    first, second = compare_benchmarks(a, b)
    # half of n documents differ by 1: t = √(n − 1). acc: 0.18169, as above; acc_norm: √19, p = 0.000338
    # Holm: the smaller one twofold, then the larger one, no smaller than that
    assert second["p_value"] == pytest.approx(0.000338, abs=1e-6)
    assert second["p_adjusted"] == pytest.approx(2 * second["p_value"])
    assert first["p_adjusted"] == first["p_value"]


def test_where_every_document_differs_alike_a_share_still_has_an_interval() -> None:
    (found,) = compare_benchmarks(benchmarks(acc=documents([1] * 8)), benchmarks(acc=documents([0] * 8)))
    assert found["difference"] == 1
    assert found["ci95"][0] < 1 <= found["ci95"][1]
    (found,) = compare_benchmarks(
        benchmarks(bits=documents([2.5] * 8)), benchmarks(bits=documents([0.5] * 8))
    )
    assert (found["difference"], found["ci95"]) == (2, None)


def test_figures_without_values_per_document_are_not_compared() -> None:
    a = Benchmarks({"text": {"word_perplexity": Score(12.0, None, 3)}}, {})
    assert compare_benchmarks(a, a) == []


def test_the_json() -> None:
    found = {"run": benchmarks(acc=documents([1, 0])), "base": benchmarks(acc=documents([0, 0]))}
    result = benchmark_results(found, [("run", "base")])
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert result["benchmarks"]["run"]["sums"]["acc"] == {
        "value": 0.5,
        "stderr": 0.1,
        "n": 2,
        "higher_is_better": True,
    }
    assert [(one["a"], one["b"]) for one in result["benchmark_comparisons"]] == [("run", "base")]
    assert result["benchmark_settings"]["base"] == {"lm_eval_version": "0"}
    assert [line["checkpoint"] for line in benchmark_samples(found)] == ["run", "base"]
