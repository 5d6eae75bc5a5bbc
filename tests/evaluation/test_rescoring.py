"""Completions out of files: of a former evaluation, and of other tools."""

import json

import pytest

from rlctl.errors import DataError
from rlctl.evaluation.rescoring import read_completions


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def test_rows_of_any_tool(tmp_path):
    file = write(
        tmp_path / "mine.jsonl",
        [
            {"prompt": "1+1=", "completion": "2", "gold": "2"},
            {"prompt": "2+2=", "completion": "5", "gold": "4"},
            {"prompt": "1+1=", "completion": "3", "gold": "2"},
            {"prompt": "1+1=", "completion": "2", "gold": "9"},  # the same words, another right answer
        ],
    )
    found = read_completions(file, {"answer": "gold"}, ["answer"])
    assert [(one["prompt"], one["answer"]) for one in found.prompts] == [
        *(("1+1=", "2"), ("2+2=", "4"), ("1+1=", "9"))
    ]
    assert list(found.drawn) == ["mine"]
    assert [(one.prompt, one.text) for one in found.drawn["mine"]] == [(0, "2"), (1, "5"), (0, "3"), (2, "2")]
    assert {one.ids for one in found.drawn["mine"]} == {None}


def test_rows_without_a_prompt_are_prompts_of_their_own(tmp_path):
    file = write(tmp_path / "a.jsonl", [{"completion": "2"}, {"completion": "2"}])
    assert [one.prompt for one in read_completions(file, {}, []).drawn["a"]] == [0, 1]


def test_messages_are_scored_by_their_text(tmp_path):
    row = {"completion": [{"role": "assistant", "content": "7"}], "checkpoint": "x", "greedy": True}
    [one] = read_completions(write(tmp_path / "a.jsonl", [row]), {}, []).drawn["x"]
    assert (one.text, one.greedy) == ("7", True)


def test_the_first_samples_of_each_prompt(tmp_path):
    rows = [{"prompt": "p", "completion": str(i), "greedy": i == 0} for i in range(4)]
    found = read_completions(write(tmp_path / "a.jsonl", rows), {}, [], per_prompt=2)
    assert [one.text for one in found.drawn["a"]] == ["0", "1", "2"]  # the greedy one is beside them


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"text": "7"}, "row 2: has no completion"),
        ({"completion": 7}, "row 2: `completion` is a int, not text"),
        ({"completion": None}, "row 2: `completion` is null"),
        ({"completion": "7", "completion_ids": "no"}, "`completion_ids` is no list"),
        ({"completion": "7", "truncated": "no"}, "`truncated` is 'no'"),
        ({"completion": "7", "kl": "far"}, "`kl` is 'far'"),
    ],
)
def test_what_is_wrong_is_said_with_its_row(tmp_path, row, says):
    file = write(tmp_path / "a.jsonl", [{"completion": "fine"}, row])
    with pytest.raises(DataError) as caught:
        read_completions(file, {}, [])
    assert says in str(caught.value)
    assert "row 2" in str(caught.value)


def test_no_such_file(tmp_path):
    with pytest.raises(DataError):
        read_completions(str(tmp_path / "none.jsonl"), {}, [])


def test_an_empty_cell_is_an_empty_completion(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("prompt,completion\n1+1=,2\n1+2=,\n")
    assert [one.text for one in read_completions(str(file), {}, []).drawn["a"]] == ["2", ""]


def test_the_evaluations_of_a_run_are_read_from_its_own_log(tmp_path):
    def row(step, split, text, greedy=False):
        more = {"components": {}, "columns": {"answer": "2"}, "total": 1.0}
        return {"step": step, "split": split, "greedy": greedy, "prompt": "1+1=", "completion": text, **more}

    rows = [row(0, "eval", "3"), row(1, "train", "4"), row(5, "eval", "2"), row(5, "eval", "2", True)]
    found = read_completions(write(tmp_path / "completions.jsonl", rows), {}, ["answer"])
    assert found.prompts == [{"prompt": "1+1=", "answer": "2"}]
    assert {name: [one.text for one in drawn] for name, drawn in found.drawn.items()} == {
        "step-0": ["3"],
        "step-5": ["2", "2"],
    }
    with pytest.raises(DataError, match="of training only"):
        read_completions(write(tmp_path / "train.jsonl", rows[1:2]), {}, [])


def test_prompts_that_no_chosen_checkpoint_has_are_left_out(tmp_path):
    rows = [
        {"prompt": prompt, "completion": "2", "checkpoint": name}
        for name, prompt in (("c", "9+9="), ("a", "1+1="), ("b", "2+2="), ("b", "1+1="), ("c", "1+1="))
    ]
    found = read_completions(write(tmp_path / "a.jsonl", rows), {}, []).of(["b", "a", "b"])
    assert [one["prompt"] for one in found.prompts] == ["1+1=", "2+2="]
    assert {name: [one.prompt for one in drawn] for name, drawn in found.drawn.items()} == {
        "b": [1, 0],
        "a": [0],
    }
