"""Every mistake of the corpus gets its line, its key and its suggestion, and nothing else is said.

A file of tests/config/broken begins with what must be said of it, in the file's order: `line` (- for none),
`key` (- for the file itself), a part of the message, and a part of the suggestion (- for none in
particular); before them the exit code where it is not 2.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from rlctl.config.load import load_config
from rlctl.errors import ConfigError, Problem, dotted

CORPUS = sorted(Path(__file__).parent.joinpath("broken").glob("*.yaml"))
PYDANTIC = re.compile(r"Input should|Field required|Extra inputs|valid (dict|integer|string)|Value error")


@dataclass(frozen=True)
class Expected:
    line: str
    key: str
    says: str
    fix: str


def expectations(text: str) -> tuple[int, list[Expected]]:
    header = re.match(r"(# .*\n)*", text).group()
    code = re.search(r"^# exit: (\d)$", header, re.M)
    found = re.findall(r"# line: (.*)\n# key: (.*)\n# says: (.*)\n# fix: (.*)\n", header)
    return int(code[1]) if code else 2, [Expected(*one) for one in found]


def problems_of(path: Path) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    return caught.value


def assert_is(problem: Problem, expected: Expected) -> None:
    assert str(problem.line or "-") == expected.line
    assert (dotted(problem.path) or "-") == expected.key
    assert expected.says in problem.message
    if expected.fix != "-":
        assert problem.suggestion is not None
        assert expected.fix in problem.suggestion


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_says_where_and_what_to_do(path: Path) -> None:
    code, expected = expectations(path.read_text(encoding="utf-8"))
    error = problems_of(path)
    said = [problem.render() for problem in error.problems]
    assert len(error.problems) == len(expected) > 0, said
    for problem, one in zip(error.problems, expected, strict=True):
        assert_is(problem, one)
        assert problem.file == str(path)
        assert "\n" not in problem.render()
        assert not PYDANTIC.search(problem.render())
    assert error.exit_code == code


def test_corpus_is_as_large_as_promised() -> None:
    assert len(CORPUS) >= 60
