"""Keeps the docs honest: YAML loads, code runs, links lead somewhere; commands, keys and metrics exist."""

import inspect
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

import rlctl
from rlctl import registry
from rlctl.cli.app import app
from rlctl.config import catalogue
from rlctl.config.base import Section
from rlctl.config.config import Config
from rlctl.config.load import config_from_dict, load_config
from rlctl.config.schema import keys
from rlctl.errors import EXIT_CONFIG, ConfigError
from rlctl.evaluation.figures import GREEDY, Figures
from rlctl.rewards.calls import RewardCall

ROOT = Path(__file__).parents[2]
WRITTEN = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
WRITTEN += sorted(page for page in (ROOT / "docs").rglob("*.md") if page.parent.name != "reference")
PAGES = [*WRITTEN, *sorted((ROOT / "docs" / "reference").glob("*.md"))]
YAML = re.compile(
    r'^(?:<!-- (complete|not built in) -->\n)?```yaml(?: title="[^"]+")?\n(.*?)^```', re.DOTALL | re.MULTILINE
)
FENCE = re.compile(r"^```(?:bash|console)[^\n]*\n(.*?)^```", re.DOTALL | re.MULTILINE)
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def prose(page: Path) -> str:
    """The page without its code blocks."""
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def blocks(wanted: str) -> list[Any]:
    """YAML blocks marked `<!-- complete -->`, or, with no mark, parts of a YAML."""
    return [
        pytest.param(text, id=f"{name(page)}:{place}")
        for page in WRITTEN
        for place, (mark, text) in enumerate(YAML.findall(page.read_text(encoding="utf-8")))
        if mark == wanted
    ]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that YAML blocks of the docs name."""
    row = {"prompt": "p", "question": "q", "sum": "1+1=", "answer": "2", "result": "2"}
    for file in ("train.jsonl", "eval.jsonl", "easy.jsonl", "hard.jsonl"):
        (tmp_path / file).write_text((json.dumps(row) + "\n") * 16)
    for file in ("train.csv", "eval.csv", "problems.csv"):
        (tmp_path / file).write_text(",".join(row) + "\n" + (",".join(row.values()) + "\n") * 16)
    (tmp_path / "my_rewards.py").write_text("def close(completions, tolerance=1.0, **columns): ...\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("text", blocks("complete"))
def test_complete_yaml_loads(text: str, folder: Path) -> None:
    (folder / "config.yaml").write_text(text)
    load_config("config.yaml")


BASE: dict[str, Any] = {
    "model": {"path": "builtin:tiny-math"},
    "data": {
        "train": {"path": "builtin:arithmetic"},
        "eval": {"path": "builtin:arithmetic", "split": "test"},
        "max_length": 512,
    },
    "rewards": {"components": [{"name": "correct", "type": "exact_match"}]},
    "generation": {"max_completion_length": 8},
    "algorithm": {"type": "grpo"},
}


@pytest.mark.parametrize("text", blocks(""))
def test_part_of_a_yaml_fits_into_a_whole(text: str, folder: Path) -> None:
    part = yaml.safe_load(text)
    whole = {section: {**BASE.get(section, {}), **part.get(section, {})} for section in {*BASE, *part}}
    try:
        config_from_dict(whole)
    except ConfigError as error:  # a GPU or an extra that is missing here is no mistake of the docs
        wrong = [problem.render() for problem in error.problems if problem.exit_code == EXIT_CONFIG]
        assert wrong == []


def python_blocks(page: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(r"^```python[^\n]*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", WRITTEN, ids=name)
def test_python_is_python(page: Path) -> None:
    for code in python_blocks(name(page)):
        compile(code.replace("…", "..."), name(page), "exec")


def test_the_reward_of_the_readme() -> None:
    scope: dict[str, Any] = {}
    exec(python_blocks("README.md")[0], scope)
    exact, off, words = scope["close"](["85", "75", "many"], answer=["85", "85", "85"])
    assert (exact, off) == (1.0, 0.5)  # 1 − 10/20
    assert isinstance(words, rlctl.Invalid)


def test_the_worked_reward_of_contributing(monkeypatch: pytest.MonkeyPatch) -> None:
    reward, test = python_blocks("CONTRIBUTING.md")[0], python_blocks("CONTRIBUTING.md")[-1]
    module = ModuleType("rlctl.rewards.keywords")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(reward, module.__dict__)
    scope: dict[str, Any] = {}
    exec(test, scope)
    (cases,) = [mark.args[1] for mark in scope["test_share_of_words"].pytestmark]
    assert len(cases) == 4
    for case in cases:
        scope["test_share_of_words"](*case)


def test_the_reward_that_remembers() -> None:
    (code,) = [code for code in python_blocks("docs/how-to/rewards.md") if "load_state_dict" in code]
    scope: dict[str, Any] = {}
    exec(code, scope)
    straight = RewardCall(scope["Novelty"]())
    assert straight(["a", "b", "a"]) == [1, 1, 1]
    state = straight.state_dict()
    assert straight(["a", "c"]) == [1 / 2, 1]
    resumed = RewardCall(scope["Novelty"]())
    resumed.load_state_dict(state)
    assert resumed(["a", "c"]) == [1 / 2, 1]


def slug(heading: str) -> str:
    """The anchor of a heading, as the site makes it."""
    return re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", heading.lower()).strip())


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if anchor:
            found = [slug(heading) for heading in HEADING.findall(target.read_text(encoding="utf-8"))]
            assert anchor in found, link


def test_every_page_is_in_the_navigation() -> None:
    text = (ROOT / "zensical.toml").read_text(encoding="utf-8")
    named = set(re.findall(r'"([\w/-]+\.md)"', text))
    assert named == {str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")}


@pytest.mark.parametrize("page", WRITTEN, ids=name)
def test_commands_exist(page: Path) -> None:
    commands = {command.name or command.callback.__name__ for command in app.registered_commands}
    options = {"--help", "--version"}
    code = "\n".join(FENCE.findall(page.read_text(encoding="utf-8")))
    spans = "\n".join(re.findall(r"`([^`\n]+)`", prose(page)))
    for word in re.findall(r"^(?:\$ .*)?\brlctl ([\w-]+)", f"{code}\n{spans}", re.MULTILINE):
        assert word in commands | options, f"rlctl {word}"


def key_paths(section: type[Section], prefix: str = "") -> Iterator[str]:
    """Every key of the YAML as `section.key`, without the indices of lists and the types of unions."""
    for key in keys(section):
        path = f"{prefix}{key.name}"
        yield path
        for below in key.sections:
            yield from key_paths(below, f"{path}.")
            if path == "rewards.components":
                for target in registry.names("rewards").values():
                    yield from key_paths(registry.load(target), f"{path}.")


KEYS = {*key_paths(Config), *(f"algorithm.trl.{name}" for name in catalogue.passed_through("grpo"))}


@pytest.mark.parametrize("page", [page for page in WRITTEN if page.name != "CHANGELOG.md"], ids=name)
def test_keys_exist(page: Path) -> None:
    """Each `section.key` in backticks, a value after it aside."""
    for key in re.findall(rf"`((?:{'|'.join(Config.model_fields)})\.[a-z_.]+)(?:: [^`]*)?`", prose(page)):
        if not key.endswith((".yaml", ".json", ".jsonl")):
            assert key in KEYS, key


def metric_names() -> set[str]:
    """Every metric that the code can log, parts of rewards aside."""
    sources = [*(ROOT / "rlctl").rglob("*.py")]
    text = "\n".join(source.read_text(encoding="utf-8") for source in sources)
    found = set(re.findall(r'"((?:train|val|time|perf)/[a-z0-9_]+)"', text))
    batch = (ROOT / "rlctl" / "rewards" / "statistics.py").read_text(encoding="utf-8")
    found |= {f"train/{word}" for word in re.findall(r'"(reward|reward_std|dead_group_fraction)"', batch)}
    found |= {f"val/{word}" for word in re.findall(r'"([a-z_]+)"', inspect.getsource(Figures.for_logs))}
    found |= {f"val/{name}" for name in ("pass_at_1", "majority", *GREEDY, "valid_fraction")}
    return found | {f"train/{outcome}_fraction" for outcome in ("invalid", "not_applicable", "failed")}


@pytest.mark.parametrize("page", WRITTEN, ids=name)
def test_metrics_exist(page: Path) -> None:
    known = metric_names()
    assert len(known) > 25
    for metric in re.findall(
        r"\b((?:train|val|time|perf)/[a-z0-9_]+)\b(?!/)", page.read_text(encoding="utf-8")
    ):
        assert metric in known, metric


def test_the_table_of_metrics_is_complete() -> None:
    page = (ROOT / "docs" / "run-folder.md").read_text(encoding="utf-8")
    assert [metric for metric in sorted(metric_names()) if f"`{metric}`" not in page] == []
