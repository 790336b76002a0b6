"""`vila2 doctor`: what is well, what is not and why, two real steps of training, and the exit code."""

from __future__ import annotations

import json
import resource

from typer.testing import CliRunner

from tests.plugin.packages import install
from vila2.cli.main import app


def looked(*options: str, code: int = 0) -> dict[str, dict[str, str]]:
    result = CliRunner().invoke(app, ["doctor", "--json", *options])
    assert result.exit_code == code, result.output
    said = json.loads(result.stdout)
    states = [one["state"] for one in said["found"]]
    assert (said["problems"], said["warnings"]) == (states.count("problem"), states.count("warning"))
    return {one["name"]: one for one in said["found"]}


def test_a_machine_that_works_takes_two_steps(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 0, result.output
    lines = [line for line in result.stdout.splitlines() if not line.startswith("      hint:")]
    assert lines[-2].startswith("ok    training: two steps of the miniature in ")
    assert lines[-1].startswith("problems: 0")
    assert any(line.startswith("ok    plugin ocr: vila2-ocr ") for line in lines)
    assert not list(tmp_path.iterdir())


def test_without_training_it_looks_only(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = looked("--no-train")
    assert {"packages", "gpu", "memory", "disk", "locks", "hub cache", "plugin ocr"} <= found.keys()
    assert "training" not in found and str(tmp_path) in found["disk"]["told"]


def test_a_package_that_is_too_old_is_a_problem_with_a_hint(tmp_path, monkeypatch):
    info = tmp_path / "peft-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: peft\nVersion: 0.1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = looked("--no-train", code=1)["packages"]
    assert "peft" in found["told"] and "0.1 is installed" in found["told"] and "pip install" in found["hint"]


def test_a_plugin_that_cannot_be_imported_is_named(tmp_path, monkeypatch):
    install(tmp_path, "vila2-lame", "raise RuntimeError('my weights are gone')\n", entry="lame")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = looked("--no-train", code=1)["plugin lame"]
    assert "my weights are gone" in found["told"] and found["hint"]


def test_few_open_files_are_a_warning_and_no_failure():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
    try:
        found = looked("--no-train")["open files"]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert found["state"] == "warning" and "ulimit" in found["hint"]
