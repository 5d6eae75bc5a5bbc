"""What `load_config` makes of a sound YAML, of a file that is none, and of `--set`; and what it costs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import rlctl
from rlctl.config.config import Config
from rlctl.config.load import config_from_dict, load_config
from rlctl.errors import ConfigError, dotted

SOUND = """\
model: {path: builtin:tiny-math}
data:
  train: {path: builtin:arithmetic}
rewards:
  components:
    - {type: exact_match}
    - {type: length, max: 12}
algorithm: {type: grpo}
training:
  max_steps: 2
"""


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    path = tmp_path / "my run.v1.yaml"
    path.write_text(SOUND)
    return path


def problems(path: Path | str, *overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_config(path, overrides)
    return [problem.render().replace(str(path), "x.yaml") for problem in caught.value.problems]


def test_is_the_public_one(sound: Path) -> None:
    assert isinstance(rlctl.load_config(sound), Config)


def test_the_name_is_the_file_and_paths_are_absolute(
    sound: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    config = load_config(sound)
    assert config.run.name == "my-run.v1"
    assert config.run.output_dir == str(tmp_path / "here" / "outputs")


def test_relative_paths_start_from_the_yaml_and_those_of_set_from_here(
    sound: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    row = json.dumps({"prompt": "1+1=", "answer": "2"}) + "\n"
    here = tmp_path / "here"
    here.mkdir()
    for folder in (tmp_path, here):
        folder.joinpath("rows.jsonl").write_text(row * 16)
        folder.joinpath("mine.py").write_text(
            "def score(completions):\n    return [1.0 for _ in completions]\n"
        )
    monkeypatch.chdir(here)
    text = SOUND.replace("builtin:arithmetic", "rows.jsonl")
    sound.write_text(text.replace("{type: length, max: 12}", "{type: python, function: mine.py:score}"))
    config = load_config(sound)
    assert config.data.train[0].path == str(tmp_path / "rows.jsonl")
    assert config.rewards.components[1].function == f"{tmp_path / 'mine.py'}:score"
    overrides = ["data.train.path=rows.jsonl", "rewards.components[1].function=mine.py:score"]
    config = load_config(sound, overrides)
    assert config.data.train[0].path == str(here / "rows.jsonl")
    assert config.rewards.components[1].function == f"{here / 'mine.py'}:score"


def test_an_empty_section_is_one_of_defaults(sound: Path) -> None:
    sound.write_text(SOUND + "tracking:\n")
    assert load_config(sound).tracking.report_to == []


def test_without_held_out_data_nothing_is_evaluated(sound: Path) -> None:
    assert load_config(sound).training.eval_steps is None
    held_out = ["data.eval={path: builtin:arithmetic, split: test}"]
    assert load_config(sound, held_out).training.eval_steps == 50


def test_anchors_and_merge_keys(sound: Path) -> None:
    text = SOUND.replace("{path: builtin:arithmetic}", "&rows {path: builtin:arithmetic, limit: 50}")
    sound.write_text(text.replace("rewards:", "  eval: {<<: *rows, split: test}\nrewards:"))
    config = load_config(sound)
    assert (config.data.eval[0].split, config.data.eval[0].limit) == ("test", 50)


# --- files that cannot be read


def test_a_missing_file_names_the_one_that_was_meant(sound: Path, tmp_path: Path) -> None:
    (said,) = problems(tmp_path / "my run.v2.yaml")
    assert said == "x.yaml: no such file; did you mean 'my run.v1.yaml'?"


def test_a_folder(sound: Path, tmp_path: Path) -> None:
    assert problems(tmp_path) == ["x.yaml: a folder, not a file; name a YAML in it, such as my run.v1.yaml"]


def test_not_utf_8(sound: Path) -> None:
    sound.write_bytes(b"# one\nrun: {name: caf\xe9}\n")
    assert problems(sound) == ["x.yaml:2: not UTF-8 text; save the file as UTF-8"]


@pytest.mark.parametrize("content", [b"", b"\n# nothing\n", b"---\n", b"null"])
def test_empty(sound: Path, content: bytes) -> None:
    sound.write_bytes(content)
    assert problems(sound) == ["x.yaml: the YAML is empty; write a starter with `rlctl init`"]


@pytest.mark.parametrize("name", ["nul\0name.yaml", "x" * 5000 + ".yaml", ""])
def test_names_that_no_file_can_have(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(name)
    assert caught.value.exit_code == 2


# --- overrides


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("training.max_steps=7", "training.max_steps", 7),
        ("training.learning_rate=1e-5", "training.learning_rate", 1e-5),
        ("rewards.components.0.weight=2", "rewards.components[0].weight", 2.0),
        ("rewards.components[1].max=9", "rewards.components[1].max", 9.0),
        ("rewards.components[1]={type: repetition}", "rewards.components[1].type", "repetition"),
        ("tracking.tags=[a, 'b c']", "tracking.tags", ["a", "b c"]),
        ("run.name=again", "run.name", "again"),
        ("training.save_steps=", "training.save_steps", None),
        ("training.save_steps=null", "training.save_steps", None),
        ("tracking.project=a=b", "tracking.project", "a=b"),
        ("tracking.project=no", "tracking.project", "no"),
        ("model.lora={}", "model.lora.r", 16),
        ("model.lora.r=4", "model.lora.r", 4),
    ],
)
def test_overrides_win(sound: Path, override: str, key: str, value: object) -> None:
    found = load_config(sound, [override]).model_dump()
    for step in key.replace("[", ".").replace("]", "").split("."):
        found = found[int(step)] if step.isdigit() else found[step]
    assert found == value


def test_the_last_override_wins(sound: Path) -> None:
    overrides = ["training.max_steps=7", "training={max_steps: 8}", "training.max_steps=9"]
    assert load_config(sound, overrides).training.max_steps == 9


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("training.learing_rate=1", "training.learing_rate: unknown key; did you mean 'learning_rate'?"),
        ("traning.max_steps=1", "traning: unknown key; did you mean 'training'?"),
        ("training.max_steps=x", "training.max_steps: 'x' is text, not a whole number"),
        ("training.max_steps.x=1", "training.max_steps.x: `training.max_steps` holds a value, not a section"),
        ("rewards.components[2].weight=1", "`rewards.components` has no item 2; the last index is 1"),
        ("rewards.components.weight=1", "is a list; give an index: `rewards.components[0].weight`"),
        ("data.train[0].limit=1", "`data.train` is a section, not a list; leave the index out"),
        ("training.max_steps", "not KEY=VALUE; write e.g. `--set training.max_steps=10`"),
        ("=3", "'' is no key"),
        ("a..b=3", "'a..b' is no key"),
        ("training.max_steps=[1", "the `[` opened here is not closed"),
        ("training.learning_rate=.inf", ".inf is not a finite number"),
        ("model.path=./nowhere", "no such file or folder"),
    ],
)
def test_problems_of_an_override_are_placed_there(sound: Path, override: str, said: str) -> None:
    (found,) = problems(sound, override)
    assert found.startswith(f"--set {override}: ")
    assert said in found


def test_a_key_of_an_override_is_one_line(sound: Path) -> None:
    (found,) = problems(sound, "a\nb=3")
    assert found.startswith("--set a\\nb=3: 'a\\nb' is no key")


def test_an_override_heals_the_file(sound: Path) -> None:
    sound.write_text(SOUND.replace("max_steps: 2", "max_steps: two"))
    assert load_config(sound, ["training.max_steps=3"]).training.max_steps == 3
    assert load_config(sound, ["training={max_steps: 3}"]).training.max_steps == 3


def test_problems_come_in_the_order_of_the_file_and_overrides_last(sound: Path) -> None:
    sound.write_text("hello: 1\n" + SOUND.replace("max_steps: 2", "max_steps: two\n  optim: x"))
    found = problems(sound, "generation.top_p=3", "run.seed=-1")
    assert [one.partition(": ")[0] for one in found] == [
        "x.yaml:1",
        "x.yaml:11",
        "x.yaml:12",
        "--set generation.top_p=3",
        "--set run.seed=-1",
    ]


# --- dicts


def test_a_dict_is_the_same_config_as_the_yaml(sound: Path) -> None:
    data = {
        "run": {"name": "my-run.v1"},
        "model": {"path": "builtin:tiny-math"},
        "data": {"train": {"path": "builtin:arithmetic"}},
        "rewards": {"components": ({"type": "exact_match"}, {"type": "length", "max": 12})},
        "algorithm": {"type": "grpo"},
        "training": {"max_steps": 2},
    }
    before = repr(data)
    assert config_from_dict(data) == load_config(sound)
    assert repr(data) == before


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        pytest.param(10**5000, id="huge"),
        pytest.param("\ud800", id="surrogate"),
        object(),
        b"x",
        {1},
        {1: 2},
        {"a\n": 1},
    ],
)
def test_values_that_no_yaml_holds(value: object) -> None:
    with pytest.raises(ConfigError) as caught:
        config_from_dict({"model": {"path": "builtin:tiny-math"}, "tracking": {"project": value}})
    assert all("Input should" not in problem.message for problem in caught.value.problems)
    assert any(dotted(problem.path).startswith("tracking") for problem in caught.value.problems)


def test_a_dict_that_holds_itself() -> None:
    data: dict[str, object] = {}
    data["model"] = data
    with pytest.raises(ConfigError):
        config_from_dict(data)


# --- cost


def test_loading_imports_nothing_heavy(sound: Path) -> None:
    script = (
        "import sys\n"
        "from rlctl.config.load import load_config\n"
        "load_config(sys.argv[1])\n"
        "heavy = {'torch', 'transformers', 'trl', 'datasets', 'peft', 'accelerate', 'numpy', 'pyarrow'}\n"
        "print(*sorted(heavy & set(sys.modules)))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, str(sound)], capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == []


def test_null_switches_evaluation_off_whatever_else_is_set(tmp_path: Path) -> None:
    text = (
        "model: {path: builtin:tiny-math}\n"
        "data: {train: {path: builtin:arithmetic}, eval: {path: builtin:arithmetic, split: test}}\n"
        "rewards: {components: [{type: exact_match}]}\n"
        "algorithm: {type: grpo}\n"
        "training: {max_steps: 4, eval_steps: 2}\n"
        "eval: {num_samples: 4}\n"
    )
    path = tmp_path / "a.yaml"
    path.write_text(text)
    assert load_config(path).training.eval_steps == 2
    off = load_config(path, ["data.eval=null"])
    assert (off.data.eval, off.training.eval_steps, off.eval.num_samples) == (None, None, 1)
