"""Completions in groups: of files, of a run's log, and of a policy."""

import json

import pytest

from rlctl.calibration.collect import from_file, from_run, of_drawn
from rlctl.errors import CheckpointError, DataError
from rlctl.evaluation.samples import Drawn


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def logged(step, prompt, text, split="train", **more):
    return {"step": step, "split": split, "prompt": prompt, "completion": text, "components": {}, **more}


def test_equal_prompts_are_one_group_wherever_they_stand(tmp_path):
    rows = [{"prompt": p, "completion": t, "answer": a} for p, t, a in ["aW1", "bX1", "aY1", "bZ2"]]
    found = from_file(write(tmp_path / "a.jsonl", rows), {})
    assert found.sizes == [2, 2]
    assert found.texts == ["W", "Y", "X", "Z"]
    assert [row["answer"] for row in found.rows] == ["1", "1", "1", "2"]  # each row keeps its own columns
    assert found.source == {"kind": "completions", "path": str(tmp_path / "a.jsonl")}


def test_columns_do_not_part_a_group(tmp_path):
    rows = [{"prompt": "a", "completion": str(i), "note": i} for i in range(3)]
    found = from_file(write(tmp_path / "a.jsonl", rows), {})
    assert found.sizes == [3]
    assert found.batch([2, 0]).columns == {"note": [2, 0]}


def test_rows_without_a_prompt_are_alone(tmp_path):
    file = write(tmp_path / "a.jsonl", [{"completion": "x"}, {"completion": "x"}])
    assert from_file(file, {}).sizes == [1, 1]


def test_chats_are_grouped_by_what_they_say(tmp_path):
    chat = [{"role": "user", "content": "hi"}]
    answer = [{"role": "assistant", "content": "yes"}]
    found = from_file(write(tmp_path / "a.jsonl", [{"prompt": chat, "completion": answer}] * 2), {})
    assert found.sizes == [2]
    assert found.plain_texts == ["yes", "yes"]


def test_the_first_rows_of_a_file(tmp_path):
    rows = [{"prompt": p, "completion": str(i)} for i, p in enumerate("abab")]
    found = from_file(write(tmp_path / "a.jsonl", rows), {}, limit=3)
    assert (found.sizes, found.texts) == ([2, 1], ["0", "2", "1"])


def test_a_column_that_some_rows_lack_is_none_there(tmp_path):
    rows = [{"prompt": "a", "completion": "x", "answer": "1"}, {"prompt": "b", "completion": "y"}]
    found = from_file(write(tmp_path / "a.jsonl", rows), {})
    assert found.batch([0, 1]).columns == {"answer": ["1", None]}


def test_tokens_count_only_where_all_rows_have_them(tmp_path):
    rows = [{"prompt": "a", "completion": "x", "completion_ids": [1, 2]}, {"prompt": "a", "completion": "y"}]
    assert from_file(write(tmp_path / "a.jsonl", rows), {}).ids is None
    assert from_file(write(tmp_path / "b.jsonl", rows[:1]), {}).ids == [[1, 2]]


def test_of_a_log_the_samples_of_training(tmp_path):
    rows = [logged(0, "a", "eval", "eval"), logged(1, "a", "1"), logged(1, "a", "2"), logged(2, "a", "3")]
    found = from_file(write(tmp_path / "log.jsonl", rows), {})
    assert (found.texts, found.sizes) == (["1", "2", "3"], [2, 1])  # another step, another policy


def test_of_an_evaluation_no_greedy_completions(tmp_path):
    rows = [logged(0, "a", t, "eval", greedy=t == "g", prompt_index=0) for t in "xgy"]
    found = from_file(write(tmp_path / "log.jsonl", rows), {})
    assert (found.texts, found.sizes) == (["x", "y"], [2])


def test_a_run_and_its_last_completions(tmp_path):
    rows = [logged(step, p, f"{step}{p}") for step in (1, 2) for p in "aab"]
    write(tmp_path / "run" / "logs" / "completions.jsonl", [logged(0, "a", "e", "eval"), *rows])
    found = from_run(tmp_path / "run")
    assert (found.sizes, len(found)) == ([2, 1, 2, 1], 6)
    assert found.source == {"kind": "run", "path": str(tmp_path / "run"), "first_step": 1, "last_step": 2}
    last = from_run(tmp_path / "run", limit=3)
    assert (last.texts, last.source["first_step"]) == (["2a", "2a", "2b"], 2)


def test_a_run_that_is_none(tmp_path):
    with pytest.raises(CheckpointError, match=r"has no logs/completions\.jsonl"):
        from_run(tmp_path)
    write(tmp_path / "logs" / "completions.jsonl", [logged(0, "a", "e", "eval")])
    with pytest.raises(CheckpointError, match="no completion of training yet"):
        from_run(tmp_path)


def test_batches_are_whole_groups(tmp_path):
    rows = [{"prompt": p, "completion": p} for p in "aaabbcccc"]
    found = from_file(write(tmp_path / "a.jsonl", rows), {})
    assert list(found.batches(4)) == [(range(5), [3, 2]), (range(5, 9), [4])]
    assert list(found.batches(100)) == [(range(9), [3, 2, 4])]
    # A group that is larger than a batch is cut.
    assert list(found.batches(3)) == [(range(3), [3]), (range(3, 8), [2, 3]), (range(8, 9), [1])]


def test_no_prompt_is_no_group(tmp_path):
    file = write(tmp_path / "a.jsonl", [{"prompt": None, "completion": "x"}] * 2)
    assert from_file(file, {}).sizes == [1, 1]


@pytest.mark.parametrize(
    "row", [{"prompt": 5}, {"prompt": ["x"]}, {"prompt": {"a": 1}}, {"completion": [5]}, {"completion": {}}]
)
def test_rows_that_are_neither_text_nor_messages(tmp_path, row):
    file = write(tmp_path / "a.jsonl", [{"prompt": "a", "completion": "b"}, {"completion": "b", **row}])
    with pytest.raises(DataError, match=r"text,? or chat messages") as error:
        from_file(file, {})
    assert "row 2" in str(error.value)


def test_completions_of_a_policy():
    drawn = [
        Drawn(0, False, "x", [1], True),
        Drawn(0, False, "y", [2], False),
        Drawn(1, False, "z", [3], False),
    ]
    found = of_drawn(drawn, [{"prompt": "p"}, {"prompt": "q"}], {"kind": "policy"})
    assert (found.sizes, found.texts, found.ids) == ([2, 1], ["x", "y", "z"], [[1], [2], [3]])
    assert [row["prompt"] for row in found.rows] == ["p", "p", "q"]
    assert found.truncated == [True, False, False]


def test_broken_files_say_where(tmp_path):
    with pytest.raises(DataError, match="no completion") as error:
        from_file(write(tmp_path / "a.jsonl", [{"completion": "a"}, {"complation": "b"}]), {})
    assert "row 2" in str(error.value)
    assert "did you mean 'complation'" in str(error.value)
    with pytest.raises(DataError, match="no such file"):
        from_file(str(tmp_path / "none.jsonl"), {})
