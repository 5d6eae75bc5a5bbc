"""What is derived from something else says what that says: the reference, the quickstart template."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
spec = importlib.util.spec_from_file_location("make_reference", ROOT / "scripts" / "make_reference.py")
make_reference = importlib.util.module_from_spec(spec)
spec.loader.exec_module(make_reference)


@pytest.mark.parametrize("path", make_reference.FILES)
def test_file_is_current(path):
    committed = (ROOT / path).read_text(encoding="utf-8")
    assert make_reference.FILES[path]() == committed, "run `make reference`"
