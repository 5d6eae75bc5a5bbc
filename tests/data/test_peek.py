"""A quick look into a source, without torch and `datasets`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from datasets import Dataset, DatasetDict

from rlctl.config.data import Source
from rlctl.data.peek import Peek, peek
from rlctl.errors import DataError


@pytest.fixture
def jsonl(tmp_path: Path) -> Path:
    file = tmp_path / "a.jsonl"
    file.write_text('{"q": "a"}\n{"q": "b", "answer": 2}\n{"q": "c"}\n')
    return file


def test_columns_rows_and_first_row_of_a_file(jsonl: Path) -> None:
    assert peek(Source(path=str(jsonl))) == Peek(("q", "answer"), 3, {"q": "a"})
    assert peek(Source(path=str(jsonl), limit=2)).rows == 2
    assert peek(Source(path=str(jsonl), split="train[:1]")).rows is None


def test_parquet_and_saved_datasets(tmp_path: Path) -> None:
    data = Dataset.from_dict({"q": ["a", "b"], "n": [1, 2]})
    data.to_parquet(tmp_path / "a.parquet")
    assert peek(Source(path=str(tmp_path / "a.parquet"))) == Peek(("q", "n"), 2, {"q": "a", "n": 1})
    data.save_to_disk(tmp_path / "one")
    assert peek(Source(path=str(tmp_path / "one"))).columns == ("q", "n")
    DatasetDict({"train": data, "validation": data}).save_to_disk(tmp_path / "two")
    assert peek(Source(path=str(tmp_path / "two"), split="validation")).columns == ("q", "n")
    with pytest.raises(DataError, match=r"no split 'validaton'\n.*did you mean 'validation'"):
        peek(Source(path=str(tmp_path / "two"), split="validaton"))


def test_builtin_and_hub() -> None:
    found = peek(Source(path="builtin:arithmetic", args={"size": 7}))
    assert found.rows == 7
    assert found.first is not None
    assert set(found.columns or ()) >= {"prompt", "answer"}
    assert peek(Source(path="openai/gsm8k", name="main")) == Peek(None, None, None)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"path": "builtin:arithmetc"}, "did you mean 'arithmetic'"),
        ({"path": "builtin:arithmetic", "split": "tset"}, "did you mean 'test'"),
        ({"path": "builtin:arithmetic", "args": {"sise": 3}}, "did you mean 'size'"),
        ({"path": "builtin:arithmetic", "args": {"size": 0}}, "args.size"),
        ({"path": "/nowhere/at/all.jsonl"}, "no such file or folder"),
        ({"path": "/"}, "not a saved dataset"),
    ],
)
def test_mistakes(source: dict, message: str) -> None:
    with pytest.raises(DataError) as caught:
        peek(Source.model_validate(source))
    assert message in str(caught.value)
    assert caught.value.exit_code == 3


def test_a_file_has_only_train(jsonl: Path) -> None:
    with pytest.raises(DataError, match=r"no split 'test'\n  a data file has train"):
        peek(Source(path=str(jsonl), split="test"))


def test_gsm8k_is_counted(gsm8k_folder: Path) -> None:
    found = peek(Source(path=str(gsm8k_folder / "train.jsonl.gz")))
    assert (found.columns, found.rows) == (("question", "answer"), 7473)
    assert peek(Source(path=str(gsm8k_folder / "test.jsonl"))).rows == 1319


def test_nothing_heavy_is_imported(jsonl: Path) -> None:
    code = f"""
import sys
from rlctl.config.data import Source
from rlctl.data.peek import peek
from rlctl.models.resolve import resolve
peek(Source(path={str(jsonl)!r}))
peek(Source(path="builtin:arithmetic"))
resolve("org/model")
print([name for name in ("torch", "transformers", "datasets", "pyarrow", "numpy") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_source_keys_that_do_not_fit_the_path_are_refused(jsonl: Path) -> None:
    for extra in ({"name": "main"}, {"revision": "v1"}, {"args": {"size": 1}}):
        with pytest.raises(ValueError, match="leave it out"):
            Source.model_validate({"path": str(jsonl), **extra})
    with pytest.raises(ValueError, match="args"):
        Source.model_validate({"path": "org/dataset", "args": {"size": 1}})
    assert json.loads(Source(path="org/dataset", name="main").model_dump_json())["name"] == "main"
