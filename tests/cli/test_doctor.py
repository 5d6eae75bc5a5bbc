"""Probes try things for real, say how to mend what does not work, and never raise."""

import json
from pathlib import Path

from rlctl import doctor
from rlctl.config import catalogue


def test_here_everything_works(rlctl):
    ran = rlctl("doctor", "--json")
    document = json.loads(ran.out)
    broken = {probe["name"]: probe["found"] for probe in document["probes"] if probe["status"] == "broken"}
    assert (ran.code, document["ok"], broken) == (0, True, {})
    found = {probe["name"]: probe for probe in document["probes"]}
    assert {"python", "torch", "bfloat16", "TRL", "reward workers", "math_answer", "memory"} <= found.keys()
    assert "killed when they hang" in found["reward workers"]["found"]
    assert f"{len(catalogue.arguments('grpo'))} arguments" in found["TRL"]["found"]
    assert found["tensorboard"]["status"] == "ok"
    assert found["wandb"]["status"] == "ok" or "rlctl[wandb]" in found["wandb"]["fix"]


def test_what_is_broken_is_named_with_its_fix(rlctl, monkeypatch):
    probe = doctor.Probe("torch", "broken", "not built for this GPU", "install another build")
    monkeypatch.setattr(doctor, "probes", lambda: iter([probe, doctor.Probe("python", "ok", "3.12")]))
    ran = rlctl("doctor")
    assert ran.code == 4
    assert ran.out.splitlines() == [
        "broken torch: not built for this GPU",
        "       → install another build",
        "ok     python: 3.12",
        "",
        "broken: torch",
    ]


def test_a_probe_that_raises_is_a_finding():
    def boom():
        raise ImportError("libcuda.so.1")

    (probe,) = doctor._safely(boom)
    assert (probe.name, probe.status, probe.found) == ("boom", "broken", "ImportError: libcuda.so.1")
    assert "pip install" in probe.fix


def test_another_trl_is_found_out(monkeypatch):
    known = catalogue.arguments("grpo")
    monkeypatch.setattr(catalogue, "arguments", lambda kind: {**known, "gone_in_this_trl": {}})
    (probe,) = doctor.trl_arguments()
    assert probe.status == "broken"
    assert "does not know gone_in_this_trl" in probe.found
    assert probe.fix.endswith("pip install trl==1.16.0 transformers==5.23.0")


def test_a_folder_that_cannot_be_written(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    (probe,) = doctor.writing(file)
    assert probe.status == "broken"
    assert "--output-dir" in probe.fix
    (probe,) = doctor.writing(tmp_path / "not" / "there" / "yet")
    assert probe.status in ("ok", "note")
    assert list(Path(tmp_path).iterdir()) == [file]
