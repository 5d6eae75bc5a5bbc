"""Rows of files: every format, every way in which a file can be broken."""

import gzip
import json
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from rlctl.data.files import read_rows
from rlctl.errors import DataError

ROWS = [{"q": "1+1=", "n": 2}, {"q": "zwei, »2«\nlines", "n": None}]


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def rows_of(path: Path) -> list[dict]:
    return list(read_rows(path))


def test_jsonl_json_and_gz_give_the_same_rows(tmp_path: Path) -> None:
    lines = "\n".join(json.dumps(row) for row in ROWS)
    assert rows_of(write(tmp_path / "a.jsonl", lines + "\n\n")) == ROWS
    assert rows_of(write(tmp_path / "bom.jsonl", "\ufeff" + lines)) == ROWS
    assert rows_of(write(tmp_path / "a.json", json.dumps(ROWS, indent=2))) == ROWS
    assert rows_of(write(tmp_path / "lines.json", lines)) == ROWS
    assert rows_of(write(tmp_path / "wrapped.json", json.dumps({"version": "1", "data": ROWS}))) == ROWS
    columns = {"q": [row["q"] for row in ROWS], "n": [2, None]}
    assert rows_of(write(tmp_path / "columns.json", json.dumps(columns))) == ROWS
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    assert rows_of(tmp_path / "a.jsonl.gz") == ROWS


def test_csv_cells_stay_text_and_empty_cells_are_none(tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", 'q,answer,when\n"1,5 + ""2""",007,2024-01-01\n\nx,,1e3\n')
    assert rows_of(file) == [
        {"q": '1,5 + "2"', "answer": "007", "when": "2024-01-01"},
        {"q": "x", "answer": None, "when": "1e3"},
    ]
    assert rows_of(write(tmp_path / "a.tsv", "q\tanswer\na,b\t2\n")) == [{"q": "a,b", "answer": "2"}]


@pytest.mark.parametrize("name", ["a.parquet", "a.parquet.gz"])
def test_parquet_keeps_nested_columns_and_nulls(tmp_path: Path, name: str) -> None:
    rows = [{"q": [{"role": "user", "content": "hi"}], "n": None}, {"q": [], "n": 3}]
    plain = tmp_path / "plain.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), plain)
    content = plain.read_bytes()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    assert rows_of(tmp_path / name) == rows


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.jsonl", '{"q": 1}\n{"q": 2,}\n', "a.jsonl:2: broken JSON"),
        ("a.jsonl", '{"q": 1}\n\n[1, 2]\n', "a.jsonl:3: expected an object {...}, found a list"),
        ("a.jsonl", "", "a.jsonl: has no rows"),
        ("a.jsonl", "\n\n", "a.jsonl: has no rows"),
        ("a.json", '[{"q": 1},\n {"q": }]', "a.json:2: broken JSON"),
        ("a.json", '[{"q": 1}, 7]', "row 2: expected an object {...}, found a number"),
        ("a.json", '"text"', "no rows in this string"),
        ("a.json", '{"q": 1, "a": 2}', "no rows in this object"),
        ("a.json", '{"q": [1, 2], "a": [1]}', "columns of different length (q: 2, a: 1)"),
        ("a.json", "[]", "has no rows"),
        ("a.json", "[" * 100_000, "nested too deeply"),
        ("a.csv", "q,a\n1,2\n3\n", "a.csv:3: 1 cells, but the header has 2"),
        ("a.csv", "q,a,q\n1,2,3\n", "a.csv:1: the header names a column twice: 'q'"),
        ("a.csv", "q,a\n", "has no rows"),
        ("a.csv", 'q,a\n"1,2\n', "broken CSV"),
        ("a.parquet", "PAR1 no parquet", "broken Parquet file"),
        ("a.txt", "hello", "its name ends with '.txt'"),
        ("a.jsonl.gz", "no gzip at all", "broken or cut-off gzip file"),
    ],
)
def test_a_broken_file_is_named_with_its_line(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(DataError) as caught:
        rows_of(write(tmp_path / name, text))
    assert message in str(caught.value)
    assert str(tmp_path / name) in str(caught.value)


def test_cut_off_gzip_latin1_and_a_missing_file(tmp_path: Path) -> None:
    packed = gzip.compress(b'{"q": "a long enough text to be cut"}\n' * 50)
    (tmp_path / "cut.jsonl.gz").write_bytes(packed[:-12])
    with pytest.raises(DataError, match="cut-off gzip"):
        rows_of(tmp_path / "cut.jsonl.gz")
    (tmp_path / "latin.jsonl").write_bytes('{"q": "Grüße"}'.encode("latin-1"))
    with pytest.raises(DataError, match="not UTF-8 text"):
        rows_of(tmp_path / "latin.jsonl")
    with pytest.raises(DataError, match=r"did you mean 'latin\.jsonl'"):
        rows_of(tmp_path / "latn.jsonl")
    with pytest.raises(DataError, match="there is no folder"):
        rows_of(tmp_path / "nowhere" / "a.jsonl")
