"""A reduced form of ``python -m tests.kill all``, and the injector itself."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kill.trials import Job, run_trials


def test_jobs_survive_faults(tmp_path: Path):
    """Forks, so it runs in a process without threads of its own."""
    command = [
        sys.executable,
        "-m",
        "tests.kill",
        "all",
        "--trials",
        "4",
        "--folder",
        str(tmp_path),
        "--json",
    ]
    told = subprocess.run(command, capture_output=True, text=True)
    found = json.loads(told.stdout)
    assert len(found) >= 12 and all(job["trials"] == 4 for job in found.values()), told.stderr
    assert [example for job in found.values() for example in job["examples"]] == []
    assert told.returncode == 0


def test_training_survives_faults(tmp_path: Path):
    command = [sys.executable, "-m", "tests.kill", "training", "--trials", "2", "--json"]
    told = subprocess.run([*command, "--folder", str(tmp_path)], capture_output=True, text=True)
    (found,) = json.loads(told.stdout).values()
    assert found["operations"] > 200 and found["trials"] == 2 and not found["examples"], told.stderr
    assert told.returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("job", ["run", "run-two-parent", "run-two-first"])
def test_whole_runs_survive_kills(tmp_path: Path, job: str):
    command = [sys.executable, "-m", "tests.kill", job, "--kinds", "kill", "--trials", "1", "--json"]
    told = subprocess.run([*command, "--folder", str(tmp_path)], capture_output=True, text=True)
    (found,) = json.loads(told.stdout).values()
    assert found["operations"] > 200 and found["kills"] == 1 and not found["examples"], told.stderr
    assert told.returncode == 0


def careless(folder: Path) -> None:
    """Writes over its file in two steps, and goes on where it believes itself."""
    file = folder / "out" / "file.txt"
    if not file.exists():
        file.parent.mkdir(exist_ok=True)
        (folder / "out" / "scratch").write_text("x" * 100)
        file.write_text("whole " * 100)
    elif file.read_text() == "":
        raise KeyError("empty")
    (folder / "out" / "scratch").unlink(missing_ok=True)


@pytest.fixture
def found(tmp_path: Path):
    if sys.platform != "linux":
        pytest.skip("needs /proc")
    return run_trials(Job("careless", lambda folder: None, careless), tmp_path / "work")


def test_the_harness_notices_a_careless_job(found):
    assert found.operations == 5, "two files opened and written, one deleted"
    assert found.different and found.refused
    assert any("KeyError" in example for example in found.examples)
