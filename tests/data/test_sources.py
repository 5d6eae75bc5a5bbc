"""Sources become datasets in memory: values kept, slices taken, nothing cached, nothing written."""

import json
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset, DatasetDict

from rlctl.config.data import Source
from rlctl.data.sources import _read_hub, from_rows, read_source
from rlctl.errors import DataError


def read(path: Path | str, **keys: Any) -> Dataset:
    return read_source(Source.model_validate({"path": str(path), **keys}))


def write_jsonl(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_mixed_types_nulls_and_nested_values_survive(tmp_path: Path) -> None:
    rows = [
        {"a": 1, "b": "x", "c": {"k": [1, 2]}, "d": None, "e": 2**70},
        {"a": "one", "b": None, "c": {"k": []}, "d": None, "e": 1},
        {"a": 2.5, "b": "y", "c": None, "d": None, "e": 2},
    ]
    dataset = read(write_jsonl(tmp_path / "a.jsonl", rows))
    kept = {key: [row[key] for row in rows] for key in "abcd"}
    # 2**70 does not fit a table: it becomes its digits
    assert dataset[:] == {**kept, "e": ["1180591620717411303424", 1, 2]}


def test_texts_that_look_like_json_stay_texts(tmp_path: Path) -> None:
    values = ["007", 7, "null", None, '"quoted"', "{", {"k": "1"}, [1, "1"], 2.5, True, "true"]
    dataset = read(write_jsonl(tmp_path / "a.jsonl", [{"a": value, "b": {"c": value}} for value in values]))
    assert [repr(row["a"]) for row in dataset] == [repr(value) for value in values]
    assert [repr(row["b"]["c"]) for row in dataset] == [repr(value) for value in values]


def test_an_integer_beside_a_float_stays_an_integer() -> None:
    values = from_rows([{"answer": 18}, {"answer": 2.5}], "here")["answer"][:]
    assert [repr(value) for value in values] == ["18", "2.5"]


def test_rows_with_different_keys_are_filled_with_none() -> None:
    assert from_rows([{"a": 1}, {"b": "x"}], "here")[:] == {"a": [1, None], "b": [None, "x"]}


def test_text_that_no_table_can_hold_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text('{"q": "lone surrogate \\ud83d"}\n')
    with pytest.raises(DataError, match="column 'q' cannot be read"):
        read(file)


def test_a_changed_file_gives_its_new_content_and_nothing_is_written(tmp_path: Path) -> None:
    file = write_jsonl(tmp_path / "a.jsonl", [{"q": "old"}])
    assert read(file)["q"][:] == ["old"]
    write_jsonl(file, [{"q": "new"}])
    assert read(file)["q"][:] == ["new"]
    Dataset.from_dict({"q": ["a", "b"]}).save_to_disk(tmp_path / "saved")
    before = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*"))
    saved = read(tmp_path / "saved")
    saved.map(lambda row: {"q": row["q"] + "!"})
    assert sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*")) == before


def test_splits_slices_and_limits(tmp_path: Path) -> None:
    four, two = Dataset.from_dict({"q": list("abcd")}), Dataset.from_dict({"q": list("xy")})
    DatasetDict({"train": four, "test": two}).save_to_disk(tmp_path / "saved")
    assert read(tmp_path / "saved", split="test")["q"][:] == ["x", "y"]
    assert read(tmp_path / "saved", split="train[1:3]+test[50%:]")["q"][:] == ["b", "c", "y"]
    assert read(tmp_path / "saved", limit=3)["q"][:] == ["a", "b", "c"]
    assert read(tmp_path / "saved", limit=30)["q"][:] == ["a", "b", "c", "d"]
    assert len(read("builtin:arithmetic", split="train[:5]")) == 5
    with pytest.raises(DataError, match="no rows"):
        read(tmp_path / "saved", split="train[4:]")
    with pytest.raises(DataError, match="write e"):
        read(tmp_path / "saved", split="train[:x]")


def test_broken_saved_datasets(tmp_path: Path) -> None:
    Dataset.from_dict({"q": ["a"] * 100}).save_to_disk(tmp_path / "saved")
    arrow = next((tmp_path / "saved").glob("*.arrow"))
    arrow.write_bytes(arrow.read_bytes()[:50])
    with pytest.raises(DataError, match="this saved dataset is broken"):
        read(tmp_path / "saved")
    (tmp_path / "saved" / "state.json").write_text("{")
    with pytest.raises(DataError, match="cannot be read"):
        read(tmp_path / "saved")


def test_a_hub_dataset_out_of_reach_says_what_to_do() -> None:
    with pytest.raises(DataError) as caught:
        read("rlctl-tests/not-in-the-cache", name="main", revision="v1")
    assert "cannot be reached, and it is not in the cache" in str(caught.value)
    assert caught.value.hint is not None


def test_gsm8k_is_read_whole(gsm8k_folder: Path) -> None:
    dataset = read(gsm8k_folder / "train.jsonl.gz")
    assert (len(dataset), dataset.column_names) == (7473, ["question", "answer"])
    assert all(answer.count("####") == 1 for answer in dataset["answer"][:])


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({}, "has several configurations\n  set `name` to one of main, socratic"),
        ({"name": "mian"}, "no configuration 'mian'\n  did you mean 'main'"),
        ({"name": "main", "split": "trian"}, "no split 'trian'\n  did you mean 'train'"),
        ({"name": "main", "split": "train[:x]"}, "Unrecognized instruction format: train[:x]"),
    ],
)
def test_what_datasets_says_of_a_repository_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: dict, message: str
) -> None:
    """A folder laid out like a dataset of the Hub takes the same way through `datasets` as one of the Hub."""
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    configs = [{"config_name": name, "data_files": f"{name}.jsonl"} for name in ("main", "socratic")]
    for name in ("main", "socratic"):
        write_jsonl(tmp_path / f"{name}.jsonl", [{"q": name}])
    (tmp_path / "README.md").write_text(f"---\n{json.dumps({'configs': configs})}\n---\n")
    with pytest.raises(DataError) as caught:
        _read_hub(Source.model_construct(path=str(tmp_path), **keys))
    assert message in str(caught.value)
    right = _read_hub(Source.model_construct(path=str(tmp_path), name="socratic"))
    assert right["q"][:] == ["socratic"]
