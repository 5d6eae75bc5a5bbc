"""User functions are found by reading, never by executing, and the rules for both ways are the same."""

import sys
from pathlib import Path
from textwrap import dedent

import pytest

from rlctl.errors import RewardError
from rlctl.rewards.calls import signature_of
from rlctl.rewards.functions import load
from rlctl.rewards.lookup import find
from rlctl.rewards.python import PythonReward


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "my_rewards.py"
    path.write_text(
        dedent(
            """
            from pathlib import Path
            Path(__file__).with_name("executed").touch()

            def batch(completions, answer, k=2, **kwargs): ...
            async def judge(prompt, generated, *, rubric): ...
            class Model:
                def __init__(self, path, size=1): ...
                def __call__(self, completions): ...
            def make(k): ...
            if True:
                def inside(completions): ...
            try:
                from json import dumps as renamed
            except ImportError:
                renamed = None
            assigned = other = batch
            """
        )
    )
    return path


def test_definitions_are_found_without_running_the_file(file: Path):
    found = find(f"{file}:batch")
    assert (found.path, found.line, found.is_class, found.is_async) == (file, 5, False, False)
    assert found.signature is not None
    assert (found.signature.names, found.signature.required) == (
        ("completions", "answer", "k"),
        ("completions", "answer"),
    )
    assert found.signature.open
    judge = find(f"{file}:judge")
    assert judge.is_async
    assert judge.signature is not None
    assert judge.signature.columns == ("rubric",)
    model = find(f"{file}:Model")
    assert model.is_class
    assert model.signature is not None
    assert model.signature.names == ("path", "size")
    for name in ("inside", "renamed", "assigned", "other", "make"):
        assert find(f"{file}:{name}").path is not None
    assert not (file.parent / "executed").exists()


def test_source_text_and_live_object_have_the_same_signature(file: Path):
    for name in ("batch", "judge", "Model", "make", "inside"):
        function = f"{file}:{name}"
        assert find(function).signature == signature_of(load(function))


@pytest.mark.parametrize(
    ("function", "message", "hint"),
    [
        ("{folder}/my_reward.py:batch", "cannot read", "did you mean 'my_rewards.py'?"),
        ("{folder}/my_rewards.py:bach", "has no 'bach'", "did you mean 'batch'?"),
        ("{folder}/my_rewards.py:zzz", "has no 'zzz'", "it defines Model, Path, assigned"),
        ("no_such_package.rewards:score", "no module 'no_such_package'", None),
        ("rlctl.rewards.shap:Length", "no module 'rlctl.rewards.shap'", "did you mean 'shape'?"),
        ("rlctl.rewards.shape:Lenth", "has no 'Lenth'", "did you mean 'Length'?"),
        ("rlctl.rewards:shape", "is a module, not a function", None),
        ("rlctl.errors.deeper:score", "a module, not a package", None),
    ],
)
def test_what_is_not_there(file: Path, function: str, message: str, hint: str | None):
    with pytest.raises(RewardError, match=message) as caught:
        find(function.format(folder=file.parent))
    if hint:
        assert hint in str(caught.value.hint)


def test_a_file_that_is_not_python_is_named_with_its_line(tmp_path: Path):
    (tmp_path / "broken.py").write_text("x = 1\ndef score(completions:\n")
    with pytest.raises(RewardError, match=r"broken\.py:2: not valid Python"):
        find(f"{tmp_path}/broken.py:score")


def test_modules_are_found_without_importing_their_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    package = tmp_path / "lonely_package"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from .inner import score\nfrom .gone import other\nraise RuntimeError\n"
    )
    (package / "inner.py").write_text("\ndef score(completions, gold): ...\n")
    monkeypatch.chdir(tmp_path)
    assert find("lonely_package.inner:score").line == 2
    through_the_package = find("lonely_package:score")
    assert (through_the_package.path, through_the_package.line) == (package / "inner.py", 2)
    assert find("lonely_package:other").path == package / "__init__.py"
    assert "lonely_package" not in sys.modules


def test_trl_is_found_without_importing_it():
    found = find("trl.rewards:get_soft_overlong_punishment")
    assert found.signature is not None
    assert found.signature.required == ("max_completion_len", "soft_punish_cache")
    assert find("math:sqrt").signature is None


def test_columns_are_the_parameters_that_the_data_must_bring(file: Path):
    def columns(name: str, **keys: object) -> tuple[str, ...]:
        return PythonReward(type="python", function=f"{file}:{name}", **keys).columns()

    assert columns("batch") == ("answer",)
    assert columns("batch", args={"answer": "7"}) == ()
    assert columns("judge") == ("rubric",)
    assert columns("Model") == columns("make") == columns("not_there") == ()


def test_paths_start_at_the_folder_of_the_yaml(file: Path):
    section = {"type": "python", "function": "./my_rewards.py:batch"}
    component = PythonReward.model_validate(section, context={"folder": file.parent})
    assert component.function == f"{file}:batch"
    assert PythonReward.model_validate({**section, "function": "a.b:c"}).function == "a.b:c"


@pytest.mark.parametrize(
    "function", ["my.py", "my.py:", ":score", "my.py:a b", "my-module:score", "https://x/my:f"]
)
def test_what_is_no_function_at_all(function: str):
    with pytest.raises(ValueError, match=r"is not .file\.py:function."):
        PythonReward(type="python", function=function)
