"""kill -9 at any moment, and the same command again: the same end as without."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

from killable_run import PIECES, go

from vila2.run.status import status

HERE = Path(__file__).parent
SECONDS = 0.02


def start(folder: Path, seconds: float) -> subprocess.Popen:
    """The run in a process of its own."""
    code = f"from killable_run import go; from pathlib import Path; go(Path({str(folder)!r}), {seconds}, 2)"
    places = os.pathsep.join([str(HERE), str(HERE.parents[1])])
    return subprocess.Popen([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": places})


def outcome(folder: Path) -> dict[str, str]:
    """Every result file of the finished run, and what the steps returned."""
    pieces = {str(path.relative_to(folder)): path.read_text() for path in folder.glob("steps/*/[0-9].txt")}
    with_results = go(folder, SECONDS, 2)
    return pieces | {name: str(step.results) for name, step in with_results.items()}


def test_a_run_killed_again_and_again_ends_as_one_left_alone(tmp_path: Path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    go(whole, SECONDS, 2)
    chance = random.Random(3)
    kills = 0
    for _ in range(60):
        process = start(killed, SECONDS)
        try:
            process.wait(timeout=chance.uniform(0.08, 0.45))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            kills += 1
        if process.returncode == 0:
            break
        if (killed / "steps").exists():
            # "finished" where the kill came between the last step and the end of the process.
            assert status(killed).state in ("stopped", "finished")
    assert process.returncode == 0
    assert kills >= 2
    assert outcome(killed) == outcome(whole)
    assert len(list(killed.glob("steps/*/[0-9].txt"))) == 4 * PIECES
    assert not list(killed.glob("steps/*/error.txt"))


def test_a_look_from_elsewhere_while_it_runs_and_after_it_was_killed(tmp_path: Path):
    with start(tmp_path, 0.3) as process:
        end = time.monotonic() + 20
        while time.monotonic() < end:
            time.sleep(0.05)
            if (tmp_path / "steps").exists() and (seen := status(tmp_path)).tasks and seen.tasks[0].done >= 2:
                break
        process.kill()
        process.wait()
    assert (seen.state, seen.pid) == ("running", process.pid)
    assert [(step.name, step.state) for step in seen.steps] == [("a", "running")]
    assert seen.tasks[0].label == "numbers" and seen.tasks[0].total == PIECES
    assert seen.tasks[0].seconds_left is not None
    after = status(tmp_path)
    assert (after.state, after.pid, after.tasks) == ("stopped", None, ())
    assert [(step.name, step.state) for step in after.steps] == [("a", "partial")]
