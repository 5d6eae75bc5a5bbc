"""What an analysis prints as JSON, for tests of how it is shown: one in full, one without figures."""

from typing import Any

SIZES = {"4": 0.44, "8": 0.231, "16": 0.12, "32": 0.05, "64": 0.0002}


def document() -> dict[str, Any]:
    """104 completions with everything there is to say of them."""
    quantiles = {"p01": -0.1, "p05": 0.0, "p25": 0.0, "p50": 0.4, "p75": 1.0, "p95": 1.0, "p99": 1.0}
    return {
        "num_samples": 104,
        "valid": 93,
        "invalid": 8,
        "not_applicable": 1,
        "failed": 2,
        "source": {"kind": "policy", "model": "builtin:tiny-math", "truncated": 3},
        "reasons": [
            _reason("invalid", "correct", "no number in the completion, which is all that could be read", 7),
            _reason("invalid", "format", "more than one <answer>", 1),
            _reason("failed", "mine", "ValueError: math domain error in my_rewards.py:12", 2),
        ],
        "reward": {
            "n": 93,
            "mean": 0.4288,
            "std": 0.4951,
            "mean_ci95": [0.3801, 0.4794],
            "std_ci95": [0.4812, 0.5049],
            "min": -0.1,
            "max": 1.0,
            "quantiles": quantiles,
            "skewness": 0.2,
            "distinct": 30,
            "ties": 0.12,
            "histogram": {
                "edges": [-0.1 + 0.0275 * i for i in range(41)],
                "counts": [9, 22, 3, 0, 1, 2, 4, 5, 3, 1]
                + [0, 1, 0, 2] * 5
                + [1, 3, 0, 5, 1, 0, 9, 4, 2, 22],
                "values": None,
            },
        },
        "components": {
            "correct": _component(1.0, 0.429, 0.495, 0.971, [0.9412, 0.9904]),
            "brevity": _component(
                0.1, 2.87, 0.61, 0.0213, [0.004, 0.05], saturated={"low": 0.0, "high": 0.93}
            ),
            "format": _component(0.5, 1.0, 0.0, 0.0, None, constant=True, distinct=1),
            "mine": _component(-0.25, 12345.678, 1e-7, -0.012, [-0.03, 0.001], failed=2),
        },
        "groups": {
            "count": 13,
            "size": 8,
            "within_std": 0.421,
            "between_std": 0.213,
            "icc": 0.204,
            "zero_std_fraction": 0.2308,
            "zero_std_ci95": [0.0504, 0.5381],
            "all_right": 0.1538,
            "all_wrong": 0.0769,
            "mixed": 0.7693,
            "predicted": {
                size: {"zero_std_fraction": share, "ci95": [share / 2, share * 2], "how": "counted"}
                for size, share in SIZES.items()
            },
            "validity_share": 0.1203,
            "interaction_share": 0.0,
        },
        "correlations": [
            {"a": "correct", "b": "brevity", "pearson": -0.8, "spearman": -0.71, "n": 93},
            {"a": "correct", "b": "mine", "pearson": 0.1, "spearman": 0.08, "n": 91},
        ],
        "length": {"unit": "tokens", "mean": 3.41, "reward_overall": -0.2, "reward_within": -0.41, "n": 93},
        "penalty": _penalty(),
        "simulation": [_cell(penalty, size) for size in (4, 8) for penalty in PENALTIES],
        "tests": 3,
        "noise": {
            "n": 104,
            "noise": {"changed_outcomes": 0, "share_of_within_variance": 0.0},
            "batch": {"changed_outcomes": 3, "share_of_within_variance": 0.113, "amplified": 0.84},
        },
        "cost": {
            "seconds_per_completion": 0.00034,
            "components": {"correct": 0.0003, "brevity": 0.00004},
            "completions_per_step": 128,
            "seconds_per_step": 0.0435,
        },
        "probes": [
            {"name": "empty", "says": "an empty completion", "n": 13, "median": None, "exploit": False},
            {
                "name": "repeated",
                "says": "one token, repeated to the limit",
                "n": 13,
                "median": 0.98,
                "p25": 0.0,
                "exploit": True,
            },
        ],
        "gold": {"components": {"correct": {"reference": 1.0, "other": 0.0, "below_top": 0.0769}}},
        "classes": {
            "difficulty": {
                "easy": {"n": 52, "valid": 50, "mean": 0.71, "std": 0.4, "ci95": [0.6, 0.8]},
                "hard": {"n": 52, "valid": 43, "mean": 0.1, "std": 0.3, "ci95": None},
            }
        },
        "findings": [
            {
                "severity": "error",
                "code": "exploit",
                "message": "one token, repeated to the limit scores 0.98, above a quarter of the valid "
                "completions (0, n = 13): this is what will be learnt",
                "figure": 0.98,
                "fix": "close the way: give Invalid, or a component that it fails",
            },
            {
                "severity": "warning",
                "code": "constant_component",
                "message": "format is 1 for all 93 completions: it teaches nothing",
                "figure": 1.0,
                "fix": "drop rewards.components 'format', or mend it",
            },
            {
                "severity": "info",
                "code": "penalty_provisional",
                "message": "the advice rests on 93 valid completions; the lower tail needs 400",
                "figure": 93.0,
                "fix": "--num-samples 500, or more completions in the file",
            },
        ],
    }


def without_figures() -> dict[str, Any]:
    """The same where nothing could be scored: every figure that may be None is None."""
    nothing = _emptied(document())
    return {
        **nothing,
        "num_samples": 3,
        "valid": 0,
        "failed": 3,
        "noise": None,
        "gold": None,
        "simulation": [],
        "reasons": document()["reasons"],
        "findings": [],
    }


PENALTIES = (0.4288, 0.0, -0.41, -0.62, -0.83, -1.0, -1.8712, -2.0, -3.8)
KEPT = ("severity", "code", "message", "name", "a", "b", "n", "size", "count", "kind")


def _emptied(value: Any, key: str = "") -> Any:
    if key in ("quantiles", "thumb"):
        return None
    if isinstance(value, dict):
        return {name: _emptied(one, name) for name, one in value.items()}
    if isinstance(value, list) and not isinstance(value[0], dict):
        return [] if key in ("edges", "counts") else None
    if isinstance(value, list):
        return [_emptied(one) for one in value]
    return value if key in KEPT else None


def _reason(outcome: str, component: str, reason: str, count: int) -> dict[str, Any]:
    return {"outcome": outcome, "component": component, "reason": reason, "count": count, "examples": ["x"]}


def _component(
    weight: float, mean: float, std: float, share: float, ends: list[float] | None, **more: Any
) -> dict[str, Any]:
    return {
        "count": 93,
        "weight": weight,
        "mean": mean,
        "std": std,
        "share_of_advantage_variance": share,
        "share_ci95": ends,
        "saturated": {"low": 0.1, "high": None},
        "distinct": 12,
        "constant": False,
        "failed": 0,
        "invalid": 0,
        **more,
    }


def _penalty() -> dict[str, Any]:
    return {
        "configured": -1.0,
        "current": -1.0,
        "rule": {"low": -1.0565, "high": -0.5614, "value": -0.809},
        "recommended": -1.8712,
        "ci95": [-2.1034, -1.6251],
        "verdict": "too mild",
        "inversion_rate": 0.0215,
        "worst_prompt_inversion": 0.25,
        "provisional": True,
        "reason": "2.5 within-prompt standard deviations (0.421) below the mean (0.429) is -0.624; lowered "
        "to -1.87, 0.1 standard deviations below the 0.5 % quantile (-1.83), so that hardly any valid "
        "completion scores below an invalid one",
        "depth": 3.394,
        "group_size": 8,
        "invalid_share": 0.125,
        "spread_left": 0.655,
        "within_std": 0.421,
        "thumb": {
            "range": [-1.0, 1.0],
            "low": -1.0,
            "high": -0.5,
            "agrees": False,
            "says": "-1 to -0.5 for rewards in [-1, 1] is milder than what the data advise",
        },
    }


def _cell(penalty: float, size: int) -> dict[str, Any]:
    depth = (0.4288 - penalty) / 0.421
    return {
        "penalty": penalty,
        "depth": depth,
        "group_size": size,
        "invalid_fraction": 0.125,
        "scale": "group",
        "invalid_advantage": -depth / (1 + depth),
        "valid_spread": 1 / (1 + depth / 5),
        "validity_share": depth / (3 + depth),
        "dead_fraction": 0.1,
    }
