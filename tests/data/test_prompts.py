"""From the section `data` to prompts: columns, templates, chat, lengths, mixtures, and the report of each."""

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from rlctl.config.data import Data
from rlctl.data.assemble import PromptSet
from rlctl.data.prompts import load_prompts, overlap, prompt_budget
from rlctl.errors import DataError


@pytest.fixture(scope="session")
def plain(tiny_model_folder: Path) -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(tiny_model_folder)


@pytest.fixture(scope="session")
def chat(tiny_chat_model_folder: Path) -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(tiny_chat_model_folder)


def file(folder: Path, rows: list[dict], name: str = "a.jsonl") -> str:
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(folder / name)


def load(tokenizer: Any, train: Any, limit: int = 500, seed: int = 0, **keys: Any) -> PromptSet:
    data = Data.model_validate({"train": train, **keys})
    return load_prompts(data.train, data, tokenizer, limit, seed=seed, role="train")


def asks(text: str) -> list[dict]:
    return [{"role": "user", "content": text}]


# Columns


def test_mapped_columns_are_renamed_and_others_kept(tmp_path: Path, plain: Any) -> None:
    path = file(tmp_path, [{"question": "1+1?", "solution": 2, "level": "easy"}])
    found = load(plain, {"path": path}, columns={"prompt": "question", "answer": "solution"})
    assert found.dataset[:] == {"prompt": ["1+1?"], "level": ["easy"], "answer": [2]}
    own = load(plain, {"path": path, "columns": {"prompt": "level"}}, columns={"prompt": "question"})
    assert own.dataset["prompt"][:] == ["easy"]


def test_a_mapped_name_wins_over_a_column_of_that_name(tmp_path: Path, plain: Any) -> None:
    path = file(tmp_path, [{"prompt": "old", "question": "new", "answer": "long", "final": "7"}])
    found = load(plain, {"path": path}, columns={"prompt": "question", "answer": "final"})
    assert found.dataset[:] == {"prompt": ["new"], "answer": ["7"]}
    assert found.report["sources"][0]["shadowed_columns"] == ["prompt", "answer"]
    swapped = load(plain, {"path": path}, columns={"answer": "final", "final": "answer"})
    assert swapped.dataset[:] == {"prompt": ["old"], "question": ["new"], "answer": ["7"], "final": ["long"]}
    assert swapped.report["sources"][0]["shadowed_columns"] == []


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({}, "set `data.columns: {prompt: question}`"),
        ({"columns": {"prompt": "qestion"}}, "no column 'qestion'\n  did you mean 'question'"),
        ({"columns": {"prompt": "question", "completion": "answer"}}, "'completion' means something else"),
        ({"prompt_template": "{qestion}"}, "did you mean 'question'"),
    ],
)
def test_missing_and_wrong_columns(tmp_path: Path, plain: Any, keys: dict, message: str) -> None:
    with pytest.raises(DataError) as caught:
        load(plain, {"path": file(tmp_path, [{"question": "1+1?", "answer": 2}])}, **keys)
    assert message in str(caught.value)


def test_columns_that_trl_would_misread_are_dropped_and_reported(tmp_path: Path, plain: Any) -> None:
    row = {"prompt": "a", "completion": "b", "completions": 1, "completion_ids": [1], "images": [], "ok": 1}
    row |= {"trainer_state": 1, "prompts": "x", "log_metric": 1}
    found = load(plain, {"path": file(tmp_path, [row])})
    assert found.dataset.column_names == ["prompt", "ok"]
    dropped = [
        "completion",
        "completion_ids",
        "completions",
        "images",
        "log_metric",
        "prompts",
        "trainer_state",
    ]
    assert found.report["sources"][0]["dropped_columns"] == dropped
    mapped = load(plain, {"path": file(tmp_path, [row])}, columns={"reference": "completion"})
    assert mapped.dataset["reference"][:] == ["b"]


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ({"prompt": None}, "row 2: the prompt is nothing, not text"),
        ({"prompt": 7}, "row 2: the prompt is a int"),
        ({"prompt": ["x"]}, "row 2: a message of the prompt has no `role`"),
        ({"prompt": [{"role": "user", "content": None}]}, "row 2: the user message has no text"),
        ({"prompt": [{"from": "human", "value": "x"}]}, "rename `from` to `role`"),
        ({"prompt": [*asks("x"), {"role": "assistant", "content": "y"}]}, "is the assistant's"),
        ({"prompt": [{"role": "user", "content": [{"type": "image"}]}]}, "of type 'image'"),
    ],
)
def test_a_bad_prompt_is_named_with_its_row(tmp_path: Path, chat: Any, second: dict, message: str) -> None:
    with pytest.raises(DataError) as caught:
        load(chat, {"path": file(tmp_path, [{"prompt": "fine"}, second])})
    assert message in str(caught.value)


# Templates and chat


def test_a_template_sees_mapped_and_own_names(tmp_path: Path, plain: Any) -> None:
    path = file(tmp_path, [{"question": "1+1?", "unit": "kg"}])
    found = load(
        plain, {"path": path}, columns={"prompt": "question"}, prompt_template="{{Q}} {prompt} in {unit}"
    )
    assert found.dataset[:] == {"prompt": ["{Q} 1+1? in kg"], "unit": ["kg"]}
    direct = load(plain, {"path": path}, prompt_template="{question}\n")
    assert direct.dataset[:] == {"prompt": ["1+1?\n"], "question": ["1+1?"], "unit": ["kg"]}


def test_texts_become_messages_where_the_tokenizer_has_a_template(
    tmp_path: Path, plain: Any, chat: Any
) -> None:
    source = {"path": file(tmp_path, [{"prompt": "1+1?"}])}
    assert load(plain, source).dataset["prompt"][:] == ["1+1?"]
    assert load(chat, source).dataset["prompt"][:] == [asks("1+1?")]
    assert load(chat, source, chat_template="never").dataset["prompt"][:] == ["1+1?"]
    assert load(chat, source, chat_template="always").dataset["prompt"][:] == [asks("1+1?")]
    with pytest.raises(DataError, match="the tokenizer has no chat template"):
        load(plain, source, chat_template="always")


def test_messages_stay_messages(tmp_path: Path, plain: Any, chat: Any) -> None:
    parts = [{"role": "user", "content": [{"type": "text", "text": "1+"}, {"type": "text", "text": "1?"}]}]
    history = [*asks("Hi"), {"role": "assistant", "content": "Hello"}, *asks("1+1?")]
    source = {"path": file(tmp_path, [{"messages": parts}, {"messages": history}])}
    found = load(chat, source, columns={"prompt": "messages"}, chat_template="never")
    assert found.dataset["prompt"][:] == [asks("1+1?"), history]
    with pytest.raises(DataError, match="prompts are messages, but the tokenizer has no chat template"):
        load(plain, source, columns={"prompt": "messages"})


def test_texts_and_messages_together_become_messages(tmp_path: Path, chat: Any) -> None:
    sources = [
        {"path": file(tmp_path, [{"prompt": "a"}], "a.jsonl")},
        {"path": file(tmp_path, [{"prompt": asks("b")}], "b.jsonl")},
    ]
    assert load(chat, sources).dataset["prompt"][:] == [asks("a"), asks("b")]
    with pytest.raises(DataError, match="some prompts are texts and some are messages"):
        load(chat, sources, chat_template="never")


def test_system_prompt(tmp_path: Path, plain: Any, chat: Any) -> None:
    own = [{"role": "system", "content": "old"}, *asks("b")]
    source = {"path": file(tmp_path, [{"prompt": asks("a")}, {"prompt": own}])}
    system = {"role": "system", "content": "Be brief."}
    found = load(chat, source, system_prompt="Be brief.")
    assert found.dataset["prompt"][:] == [[system, *asks("a")], [system, *asks("b")]]
    texts = {"path": file(tmp_path, [{"prompt": "a"}], "texts.jsonl")}
    for tokenizer, keys in ((plain, {}), (chat, {"chat_template": "never"})):
        with pytest.raises(DataError, match=r"needs a chat template\n  write it into `data.prompt_template`"):
            load(tokenizer, texts, system_prompt="Be brief.", **keys)


def test_a_chat_template_that_refuses_a_role_is_explained(
    tmp_path: Path, tiny_chat_model_folder: Path
) -> None:
    strict = AutoTokenizer.from_pretrained(tiny_chat_model_folder)
    strict.chat_template = (
        "{% if messages[0]['role'] == 'system' %}{{ raise_exception('No system role') }}{% endif %}x"
    )
    source = {"path": file(tmp_path, [{"prompt": "a"}])}
    assert len(load(strict, source).dataset) == 1
    with pytest.raises(DataError, match="row 1: the chat template refuses this conversation: No system role"):
        load(strict, source, system_prompt="Be brief.")


# Lengths


def lengths(tokenizer: Any, prompts: list[Any]) -> list[int]:
    """Tokens as TRL makes them."""
    if isinstance(prompts[0], str):
        return [len(ids) for ids in tokenizer(text=prompts)["input_ids"]]
    ids = tokenizer.apply_chat_template(prompts, add_generation_prompt=True, tokenize=True, return_dict=True)
    return [len(one) for one in ids["input_ids"]]


TEXTS = [
    "How many eggs?",
    "",
    "Anna has 12 eggs. She sells 5 of them. How many eggs are left – for Zoë 你好?",
    "ok",
]


def test_overlong_prompts_are_dropped_and_counted(tmp_path: Path, plain: Any, chat: Any) -> None:
    source = {"path": file(tmp_path, [{"prompt": text, "row": i} for i, text in enumerate(TEXTS)])}
    for tokenizer in (plain, chat):
        exact = lengths(tokenizer, load(tokenizer, source).dataset["prompt"][:])
        at_limit = load(tokenizer, source, limit=max(exact))
        assert at_limit.dataset["row"][:] == [0, 2, 3]
        below = load(tokenizer, source, limit=max(exact) - 1)
        assert below.dataset["row"][:] == [0, 3]
        counts = {
            key: below.report[key]
            for key in ("read", "kept", "dropped_overlong", "dropped_empty", "truncated")
        }
        assert counts == {"read": 4, "kept": 2, "dropped_overlong": 1, "dropped_empty": 1, "truncated": 0}
        assert below.report["longest_prompt"] == max(exact)


def test_fail_names_the_first_row_and_its_length(tmp_path: Path, plain: Any) -> None:
    source = {"path": file(tmp_path, [{"prompt": text} for text in (*TEXTS, TEXTS[2])])}
    exact = lengths(plain, [TEXTS[2]])[0]
    with pytest.raises(DataError) as caught:
        load(plain, source, limit=10, overlong="fail")
    assert f"row 3: the prompt has {exact} tokens, 10 fit; 1 more rows are too long" in str(caught.value)


def test_truncation_keeps_the_end_and_fits_exactly(tmp_path: Path, plain: Any) -> None:
    source = {"path": file(tmp_path, [{"prompt": text} for text in TEXTS])}
    words = "How many eggs does she sell in one week?"
    ids = plain(words)["input_ids"]
    cut = load(plain, {"path": file(tmp_path, [{"prompt": words}], "w.jsonl")}, limit=4, overlong="truncate")
    assert cut.dataset["prompt"][:] == [plain.decode(ids[-4:])]
    for limit in range(1, 40):
        found = load(plain, source, limit=limit, overlong="truncate")
        kept = found.dataset["prompt"][:]
        assert max(lengths(plain, kept)) <= limit
        assert all(any(text.endswith(prompt) for text in TEXTS) for prompt in kept)
        assert found.report["truncated"] + found.report["dropped_overlong"] > 0 or kept == [
            TEXTS[0],
            *TEXTS[2:],
        ]


def test_truncation_of_messages_shortens_the_last_user_message(tmp_path: Path, chat: Any) -> None:
    row = {"prompt": [{"role": "system", "content": "Be brief."}, *asks("Hi there"), *asks(TEXTS[2])]}
    source = {"path": file(tmp_path, [row])}
    whole = lengths(chat, [row["prompt"]])[0]
    content = len(chat(TEXTS[2])["input_ids"])
    for limit in (whole - 1, whole - content // 2):
        (cut,) = load(chat, source, limit=limit, overlong="truncate").dataset["prompt"][:]
        assert cut[:2] == row["prompt"][:2]
        assert cut[2]["content"] != TEXTS[2]
        assert TEXTS[2].endswith(cut[2]["content"])
        assert limit - 4 <= lengths(chat, [cut])[0] <= limit
    with pytest.raises(DataError, match=r"no prompt is left \(1 longer than"):
        load(chat, source, limit=whole - content, overlong="truncate")


def test_no_prompt_left_says_what_would_help(tmp_path: Path, plain: Any) -> None:
    source = {"path": file(tmp_path, [{"prompt": TEXTS[2]}, {"prompt": " \n"}])}
    longest = lengths(plain, [TEXTS[2]])[0]
    with pytest.raises(DataError) as caught:
        load(plain, source, limit=5)
    assert "no prompt is left (1 longer than 5 tokens, 1 empty)" in str(caught.value)
    assert f"the longest prompt has {longest} tokens" in str(caught.value)


def test_prompt_budget() -> None:
    assert prompt_budget(512, 128, None) == 384
    assert prompt_budget(512, 128, 256) == 128
    assert prompt_budget(512, 128, 4096) == 384
    with pytest.raises(DataError, match=r"data.max_length: 128 tokens leave no room"):
        prompt_budget(128, 128, None)
    with pytest.raises(DataError, match="the model's context of 64"):
        prompt_budget(512, 64, 64)


# Mixtures, duplicates, overlap


def test_a_mixture_has_exact_counts_and_none_for_foreign_columns(tmp_path: Path, plain: Any) -> None:
    sources = [
        {
            "path": file(tmp_path, [{"prompt": f"a{i}", "answer": i} for i in range(6)], "a.jsonl"),
            "weight": 3,
        },
        {
            "path": file(tmp_path, [{"prompt": f"b{i}", "level": "x"} for i in range(2)], "b.jsonl"),
            "weight": 1,
        },
    ]
    found = load(plain, sources)  # 8 rows, 3 : 1, so six of a and two of b
    assert found.dataset["prompt"][:] == ["a0", "a1", "b0", "a2", "a3", "a4", "b1", "a5"]
    assert found.dataset["answer"][:] == [0, 1, None, 2, 3, 4, None, 5]
    assert found.dataset["level"][:] == [None, None, "x", None, None, None, "x", None]
    assert [source["used"] for source in found.report["sources"]] == [6, 2]
    even = load(plain, [{**source, "weight": 1} for source in sources])  # four of six, and two rows twice
    assert [source["used"] for source in even.report["sources"]] == [4, 4]
    assert sorted(p for p in even.dataset["prompt"][:] if p[0] == "b") == ["b0", "b0", "b1", "b1"]
    assert even.report["duplicates"] == 2
    assert even.dataset[:] == load(plain, [{**source, "weight": 1} for source in sources]).dataset[:]


def test_mixed_types_over_sources_keep_their_values(tmp_path: Path, plain: Any) -> None:
    sources = [
        {"path": file(tmp_path, [{"prompt": "a", "answer": 18}], "a.jsonl")},
        {"path": file(tmp_path, [{"prompt": "b", "answer": "19", "meta": {"k": 1}}], "b.jsonl")},
    ]
    found = load(plain, sources)
    assert [found.dataset[i] for i in range(2)] == [
        {"prompt": "a", "answer": 18, "meta": None},
        {"prompt": "b", "answer": "19", "meta": {"k": 1}},
    ]


def test_a_common_mapping_is_skipped_where_only_other_sources_have_the_column(
    tmp_path: Path, plain: Any
) -> None:
    sources = [
        {"path": file(tmp_path, [{"question": "a", "final": 1}], "a.jsonl")},
        {"path": file(tmp_path, [{"prompt": "b"}], "b.jsonl")},
    ]
    found = load(plain, sources, columns={"prompt": "question", "answer": "final"})
    assert found.dataset[:] == {"prompt": ["a", "b"], "answer": [1, None]}


def test_duplicates_and_overlap_ignore_white_space(tmp_path: Path, plain: Any, chat: Any) -> None:
    train = {"path": file(tmp_path, [{"prompt": p} for p in ("1 + 1", "1  +\n1", "2 + 2")], "t.jsonl")}
    held_out = {
        "path": file(tmp_path, [{"prompt": p} for p in ("2 + 2 ", "3 + 3", "1 + 1", "1 + 1")], "e.jsonl")
    }
    for tokenizer in (plain, chat):
        trained = load(tokenizer, train)
        assert trained.report["duplicates"] == 1
        # "2 + 2" once and "1 + 1" twice
        assert overlap(trained.dataset, load(tokenizer, held_out).dataset) == 3


def test_eval_takes_no_weights(tmp_path: Path) -> None:
    path = file(tmp_path, [{"prompt": "a"}])
    with pytest.raises(ValueError, match="`weight` mixes training prompts"):
        Data.model_validate({"train": {"path": path}, "eval": [{"path": path, "weight": 2.0}]})


# Real data


def test_gsm8k(gsm8k_folder: Path, chat: Any) -> None:
    columns = {"prompt": "question"}
    path = str(gsm8k_folder / "train.jsonl.gz")
    train = load(chat, {"path": path}, limit=200, columns=columns)
    assert (train.report["read"], train.report["rows"]) == (7473, 7473 - train.report["dropped_overlong"])
    assert train.dataset[0]["prompt"][0]["content"].startswith("Natalia sold clips to 48")
    assert train.dataset[0]["answer"].endswith("#### 72")
    part = load(chat, {"path": path, "limit": 500}, columns=columns)
    exact = lengths(chat, part.dataset["prompt"][:])
    fitting = load(chat, {"path": path, "limit": 500}, limit=200, columns=columns)
    assert fitting.report["dropped_overlong"] == sum(length > 200 for length in exact) > 0
    assert max(lengths(chat, fitting.dataset["prompt"][:])) <= 200
    test = load(chat, {"path": str(gsm8k_folder / "test.jsonl")}, columns=columns)
    assert overlap(train.dataset, test.dataset) == 0
