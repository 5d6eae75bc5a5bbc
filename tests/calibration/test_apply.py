"""The advised penalty, written into a YAML of the user's."""

from importlib.resources import as_file, files
from pathlib import Path

import pytest

from rlctl.calibration.apply import apply_penalty, require_applicable, rounded_down
from rlctl.errors import ConfigError, DataError, UsageError

TEXT = "run: {seed: 1}\n\nrewards:\n  invalid_penalty: -2.0   # why\n  components: []\n"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    file = Path("config.yaml")
    file.write_text(TEXT)
    return file


def test_the_value_is_written_and_what_changed_is_said(config: Path) -> None:
    require_applicable(config)
    assert config.read_text() == TEXT
    said = apply_penalty(config, -1.8712345678)
    assert said == "config.yaml:4: rewards.invalid_penalty: -2.0 → -1.87124"
    assert config.read_text() == TEXT.replace("-2.0", "-1.87124")
    assert [path.name for path in config.resolve().parent.iterdir()] == ["config.yaml"]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("auto", "auto → -1.87"),
        ("{per_group: 2.5}", "{per_group: 2.5} → -1.87"),
        ("\n    per_group: 2.5", "{per_group: 2.5} → -1.87"),
        ("", "-1.0 (the default) → -1.87"),
        ("-1.870", "is -1.87 already"),
    ],
)
def test_what_stood_there_before_is_said(config: Path, written: str, said: str) -> None:
    config.write_text(TEXT.replace("-2.0", written))
    assert apply_penalty(config, -1.87) == f"config.yaml:4: rewards.invalid_penalty: {said}"


def test_a_missing_key_is_put_in(config: Path) -> None:
    config.write_text("rewards:\n  components: []\n")
    said = apply_penalty(config, -1.87)
    assert said == "config.yaml:2: rewards.invalid_penalty: -1.0 (the default) → -1.87"
    assert config.read_text() == "rewards:\n  invalid_penalty: -1.87\n  components: []\n"


def test_bytes_mode_and_links_stay(config: Path) -> None:
    real = config.resolve().parent / "shared" / "real.yaml"
    real.parent.mkdir()
    real.write_bytes(b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode())
    real.chmod(0o640)
    config.unlink()
    config.symlink_to("shared/real.yaml")
    require_applicable(config)
    assert apply_penalty(config, -3).startswith("config.yaml:4: ")
    assert config.is_symlink()
    assert real.read_bytes() == b"\xef\xbb\xbf" + TEXT.replace("-2.0", "-3").replace("\n", "\r\n").encode()
    assert real.stat().st_mode & 0o777 == 0o640


def test_the_built_in_quickstart_is_refused() -> None:
    template = files("rlctl.templates").joinpath("quickstart", "config.yaml")
    with as_file(template) as file, pytest.raises(UsageError, match="rlctl init quickstart"):
        require_applicable(file)


def test_a_read_only_file_is_refused(config: Path) -> None:
    config.chmod(0o444)
    with pytest.raises(DataError, match=r"config\.yaml: the file is read-only"):
        require_applicable(config)


def test_a_value_that_serves_several_places_is_refused_beforehand(config: Path) -> None:
    config.write_text("p: &p -2\nrewards: {invalid_penalty: *p}\n")
    with pytest.raises(ConfigError, match=r"config.yaml:1: rewards.invalid_penalty: an anchor"):
        require_applicable(config)


@pytest.mark.parametrize(
    "override", ["rewards.components[0].weight=3", "rewards.aggregate=weighted_mean", "rewards={}"]
)
def test_rewards_that_are_not_those_of_the_file_are_refused(config: Path, override: str) -> None:
    with pytest.raises(UsageError, match="would not fit those in config"):
        require_applicable(config, [override])


def test_overrides_that_leave_totals_alone_are_not(config: Path) -> None:
    overrides = ["rewards.timeout=60", "rewards.invalid_penalty=-9", "training.max_steps=1"]
    require_applicable(config, overrides)
    said = apply_penalty(config, -1.87, overrides)
    assert said == (
        "config.yaml:4: rewards.invalid_penalty: -2.0 → -1.87; "
        "where --set rewards.invalid_penalty is given, it still wins"
    )


def test_what_the_key_does_not_take_is_not_written(config: Path) -> None:
    with pytest.raises(DataError, match=r"takes -1e\+06 to 1e\+06, not -2e\+06"):
        apply_penalty(config, -2e6)
    assert config.read_text() == TEXT


def test_a_disk_that_takes_nothing_leaves_the_file(config: Path) -> None:
    Path(".config.yaml.tmp").mkdir()
    with pytest.raises(DataError, match="cannot be written"):
        apply_penalty(config, -1.87)
    assert config.read_text() == TEXT


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (-0.83630618, -0.836307),
        (0.83630618, 0.836306),
        (-2.0, -2.0),
        (0.0, 0.0),
        (-1e-7, -1e-7),
        (1234567.0, 1234560.0),
    ],
)
def test_a_value_is_never_rounded_up(value, written):
    """Rounded up, the very penalty that was advised would be called too mild by the next analysis."""
    assert rounded_down(value) == pytest.approx(written, rel=1e-12)
    assert rounded_down(value) <= value
