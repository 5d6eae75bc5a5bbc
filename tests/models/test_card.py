"""The model card: valid for the Hub, complete, without a path of this machine, equal for equal runs."""

import contextlib
import io
import json
import re
from pathlib import Path

import pytest
from huggingface_hub import ModelCard
from run_folders import evaluation, write_run

from rlctl.models.card import card
from rlctl.models.card_results import wilson
from rlctl.models.export import export
from rlctl.models.export_request import Request, request
from rlctl.models.public_names import hub_id, public_name, without_folders
from rlctl.models.redaction import public, public_component
from rlctl.models.trained import find_run


@pytest.fixture
def run(tmp_path: Path, tiny_model_folder: Path) -> Path:
    (tmp_path / "mine.py").write_text(
        "def score(completions, **columns):\n    return [1.0] * len(completions)\n"
    )
    components = [
        {"type": "regex", "name": "form", "pattern": "a|b", "weight": 0.5},
        {
            "type": "python",
            "name": "mine",
            "function": f"{tmp_path / 'mine.py'}:score",
            "gate": {"form": ">=1"},
        },
    ]
    rewards = {"components": components, "invalid_penalty": -1.5}
    return write_run(tmp_path, {"path": str(tiny_model_folder), "lora": {"r": 2}}, rewards=rewards)


def record(run: Path, **content: object) -> None:
    file = run / "run.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **content}))


def text_of(run: Path | str, base: str = "Qwen/Qwen2.5-0.5B", **options: bool) -> str:
    return card(Request(find_run(str(run)), Path("x"), **options), "float32", base)


def test_metadata_names_what_is_on_the_hub(run: Path) -> None:
    config = (run / "config.yaml").read_text()
    config = re.sub(r"- path: .*train\.jsonl", "- path: openai/gsm8k", config)
    (run / "config.yaml").write_text(config)
    found = ModelCard(text_of(run)).data
    assert (found.base_model, found.base_model_relation) == ("Qwen/Qwen2.5-0.5B", "finetune")
    assert found.datasets == ["openai/gsm8k"]
    assert (found.library_name, found.pipeline_tag) == ("transformers", "text-generation")
    assert found.tags == ["rlctl", "grpo", "reinforcement-learning", "lora"]

    found = ModelCard(text_of(run, adapter=True)).data
    assert (found.library_name, found.base_model_relation) == ("peft", "adapter")
    record(run, data={"train": {"sources": [source("train_dataset")]}})  # rows that came from Python instead
    assert ModelCard(text_of(run)).data.datasets is None


def source(name: str, **changes: int) -> dict[str, object]:
    return {
        "source": name,
        "used": 1200,
        "dropped_overlong": 2,
        "dropped_empty": 1,
        "truncated": 0,
        **changes,
    }


def test_what_is_not_on_the_hub_is_not_in_the_metadata(run: Path, tiny_model_folder: Path) -> None:
    found = ModelCard(text_of(run, str(tiny_model_folder))).data
    assert (found.base_model, found.datasets) == (None, None)
    assert f"`{tiny_model_folder.name}`, trained by GRPO for 4 steps with rlctl." in text_of(
        run, str(tiny_model_folder)
    )


def test_no_path_of_this_machine(run: Path, tmp_path: Path, tiny_model_folder: Path) -> None:
    text = text_of(run, str(tiny_model_folder))
    assert not re.search(r"(?<![\w.:/>])/\w+/", text), "an absolute path"
    assert str(tmp_path.parent) not in text
    assert "function: mine.py:score" in text
    assert f"path: {tiny_model_folder.name}" in text
    assert "output_dir: runs" in text


def test_data_and_rewards(run: Path) -> None:
    reports = {"train": {"sources": [source("/home/me/a b/train.jsonl")]}}
    reports["eval"] = {
        "sources": [source("openai/gsm8k:test", used=40)],
        "rows": 40,
        "overlap_with_training": 3,
    }
    record(run, data=reports)
    text = text_of(run)
    assert "| training | `train.jsonl` | 1,200 | 3 | 0 |" in text
    assert "| held out | `openai/gsm8k:test` | 40 | 3 | 0 |" in text
    assert "3 of the held-out prompts are also trained on." in text
    assert f"| `train.jsonl` | `{'ab' * 32}` |" in text
    assert '| form | `regex` | 0.5 | `{"pattern": "a\\|b"' in text
    assert re.search(r"\| mine \| `python` \| 1 \| `.*\"function\": \"mine\.py:score\"", text)
    assert "An invalid completion is worth -1.5 instead." in text
    assert "python 3.11.7, torch 2.13.0" in text


def test_held_out_results(run: Path) -> None:
    record(run, data={"eval": {"rows": 40, "sources": []}})
    text = text_of(run)
    assert "| | before | after step 4 |" in text
    assert "| reward, sampled | 0.250 [0.125, 0.375] | 0.750 [0.625, 0.875] |" in text
    # 20 of 40: centre (0.5 + 1.96²/80) / (1 + 1.96²/40) = 0.5, half width 0.14803
    assert "| 50.0% [35.2%, 64.8%] |" in text
    assert "n = 40 held-out prompts, 1 sampled completion and a greedy one for each" in text


def test_wilson() -> None:
    # Wilson (1927) for 0 of 10: [0, z² / (n + z²)]
    assert wilson(0.0, 10) == pytest.approx((0.0, 1.96**2 / (10 + 1.96**2)))
    assert wilson(0.5, 40) == pytest.approx((0.5 - 0.14803, 0.5 + 0.14803), abs=1e-4)


def test_a_model_that_was_not_evaluated_says_so(run: Path) -> None:
    text = text_of(f"{run}@2")
    assert "# small, step 2" in text
    assert "None: this checkpoint was not evaluated. Its run was, after steps 0, 4." in text
    results = {"evaluations": [evaluation(0, 0.25, 0.0), evaluation(2, 0.5, 0.5)]}
    (run / "logs/eval_results.json").write_text(json.dumps(results))
    assert "| reward, sampled | 0.250 [0.125, 0.375] | 0.500 [0.375, 0.625] |" in text_of(f"{run}@2")

    (run / "logs/eval_results.json").unlink()
    assert "None: no evaluation is in its logs." in text_of(run)
    config = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(re.sub(r"\n  eval:\n(    .*\n)+", "\n  eval: null\n", config))
    assert "None: `data.eval` was not set. Nothing is known" in text_of(run)


@pytest.mark.parametrize("adapter", [False, True])
def test_its_code_runs(
    run: Path, adapter: bool, tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = request(str(run), adapter=adapter).folder
    export(request(str(run), adapter=adapter))
    text = (folder / "README.md").read_text()
    assert text == card(Request(find_run(str(run)), folder, adapter), "float32", str(tiny_model_folder))
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    code = code.replace(f'"{tiny_model_folder.name}"', f'"{tiny_model_folder}"')  # the base of an adapter
    monkeypatch.chdir(folder)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, {})
    assert printed.getvalue().strip()


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/home/me/models/tiny", "tiny"),
        ("/home/me/outputs/first/final", "first"),
        ("/home/me/outputs/first/checkpoints/checkpoint-50", "first@50"),
        ("/home/me/outputs/first@50", "first@50"),
        ("/usr/lib/python3/rlctl/models/builtin/tiny_math", "builtin:tiny-math"),
        ("/home/me/.cache/huggingface/hub/models--Qwen--Qwen2.5-0.5B/snapshots/060db6", "Qwen/Qwen2.5-0.5B"),
        ("Qwen/Qwen2.5-0.5B", "Qwen/Qwen2.5-0.5B"),
        ("builtin:tiny-math", "builtin:tiny-math"),
        ("~/my models/tiny", "tiny"),
        ("file:///home/me/tiny", "tiny"),
        ("C:\\Users\\me\\tiny", "tiny"),
        ("a/b/c", "a/b/c"),
    ],
)
def test_public_names(path: str, name: str) -> None:
    assert public_name(path) == name


def test_only_paths_are_shortened() -> None:
    given = {
        "prompt_template": "/no_think {question}",
        "args": {"file": "/data/x/y.txt"},
        "path": "/my runs/a b",
    }
    found = public({**given, "column": "a/b", "system_prompt": "Say yes/no."})
    assert found["prompt_template"] == "/no_think {question}"
    assert (found["args"], found["path"]) == ({"file": "y.txt"}, "a b")
    assert (found["column"], found["system_prompt"]) == ("a/b", "Say yes/no.")
    names = ("gpt2", "a/b", "builtin:x", "/a/b", "a/b/c")
    assert [hub_id(name) for name in names] == ["gpt2", "a/b", None, None, None]
    assert hub_id("/home/me/.cache/huggingface/hub/models--a--b/snapshots/060db6") == "a/b"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("/home/me/My Data/words.txt", "words.txt"),
        ("/My Data/words.txt", "words.txt"),
        ("/home/me/My Data", "My Data"),
        ("~/My Data/words.txt", "words.txt"),
        ("file:///home/me/x", "x"),
        ("C:\\Users\\J. Doe\\My Data\\w.txt", "w.txt"),
        ("D:/My Data/w.txt", "w.txt"),
        ("\\\\server\\share\\w.txt", "w.txt"),
        ("Read /home/me/My Data/words.txt, then ~/a b/c.txt!", "Read words.txt, then c.txt!"),
        ("see file:///home/me/x and 'C:\\Users\\me\\y'", "see x and 'y'"),
        ("PATHS=/a/b:/home/me/c", "PATHS=b:c"),
        # no paths
        ("/no_think {question}", "/no_think {question}"),
        ("/think Say yes/no.", "/think Say yes/no."),
        ("either/or, 1/2/3, ~5/6, ./x/y, ../x/y", "either/or, 1/2/3, ~5/6, ./x/y, ../x/y"),
        ("<think>a</think><answer>b</answer>", "<think>a</think><answer>b</answer>"),
        (r"A:\s*(\d+)\s \\boxed\{(.*)\}", r"A:\s*(\d+)\s \\boxed\{(.*)\}"),
        ("https://host.org/a/b?", "https://host.org/a/b?"),
    ],
)
def test_paths_in_texts(text: str, left: str) -> None:
    assert without_folders(text) == left


@pytest.mark.parametrize(
    "given",
    [
        {"api_key": "XYZZY"},
        {"hub_token": "XYZZY"},
        {"apiKey": "XYZZY"},
        {"client-secret": "XYZZY"},
        {"db": {"PASSWORD": "XYZZY"}},
        {"passwords": ["XYZZY"]},
        {"auth": {"user": "XYZZY"}},
        {"a": "sk-XYZZY123"},
        {"a": "use hf_XYZZY12345 now"},
        {"a": ["ghp_XYZZY12345"]},
        {"a": "Authorization: Bearer XYZZY"},
        {"a": "curl -H 'Bearer XYZZY'"},
        {"a": "https://me:XYZZY@host.org/x"},
        {"path": "https://host.org/rows.jsonl?sig=XYZZY&x=1"},
        {"path": "/home/me/https:/host.org/rows.jsonl?sig=XYZZY"},
        {"a": "see https://host.org/x?sig=XYZZY for more"},
        {"a": "API_KEY=XYZZY python x.py"},
        {"a": 'send {"token": "XYZZY"}'},
        {"sk-XYZZY123": 1},
    ],
)
def test_secrets(given: dict[str, object]) -> None:
    found = json.dumps(public(given), ensure_ascii=False)
    assert "XYZZY" not in found
    assert "…" in found


def test_what_is_no_secret() -> None:
    given = {
        "eos_token": "<|im_end|>",
        "max_tokens": 12,
        "token": None,
        "use_key": True,
        "required_keys": ["a"],
        "prompt_template": "The key: {answer}, a token of {x}",
        "path": "hf-internal-testing/tiny",
        "function": "hf_reward.py:score",
        "revision": "0" * 40,
    }
    assert public(given) == given


def test_the_card_has_no_secret_and_no_private_path(tmp_path: Path, tiny_model_folder: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "def score(completions, api_key, corpus, url, **columns):\n    return [1.0] * len(completions)\n"
    )
    arguments = {"api_key": "sk-SECRET123", "corpus": "/home/me/My Data/w.txt", "url": "file:///home/me/x"}
    own = {"type": "python", "name": "mine", "function": f"{tmp_path}/mine.py:score", "args": arguments}
    run = write_run(
        tmp_path,
        {"path": str(tiny_model_folder)},
        rewards={"components": [own]},
        algorithm={
            "type": "grpo",
            "num_generations": 4,
            "trl": {"chat_template_kwargs": {"key": "SECRET", "b": "ghp_SECRET12345"}},
        },
        tracking={"tags": ["sk-SECRET123", "~/private/tag"], "entity": "hf_SECRET12345"},
    )
    record(run, data={"train": {"sources": [source("https://me:SECRET@host/x.jsonl?sig=SECRET")]}})
    config = (run / "config.yaml").read_text()
    template = "prompt_template: 'Bearer SECRET12 {prompt} in /home/me/My Data/w.txt'"
    (run / "config.yaml").write_text(re.sub("prompt_template: null", template, config))
    text = text_of(run)
    for private in ("SECRET", "/home", "My Data", "private", str(tmp_path)):
        assert private not in text, private
    hidden = '"args": {"api_key": "…", "corpus": "…", "url": "…"}'
    assert hidden in text
    assert "prompt_template: Bearer … {prompt} in w.txt" in text
    assert "corpus: …" in text
    assert public_component({"type": "x", "args": {"a": 1}}) == {"type": "x", "args": {"a": "…"}}
