"""kill -9 at any moment, and the same command again: the same end as without."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

from tests.run.killable_run import PIECES, go
from vila2.run.status import status

HERE = Path(__file__).parent


def start(folder: Path, *, seconds: float, touch: int, place: str, end: int) -> subprocess.Popen:
    """The run in a process of its own, which is given a signal at a place that no machine's speed moves."""
    code = (
        "from killable_run import end_at, go; from pathlib import Path; "
        f"end_at({touch}, {place!r}, {int(end)}); go(Path({str(folder)!r}), {seconds}, 2)"
    )
    places = os.pathsep.join([str(HERE), str(HERE.parents[1])])
    return subprocess.Popen([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": places})


def outcome(folder: Path) -> dict[str, str]:
    """Every result file of the finished run, and what the steps returned."""
    pieces = {str(path.relative_to(folder)): path.read_text() for path in folder.glob("steps/*/[0-9].txt")}
    with_results = go(folder, 0, 2)
    return pieces | {name: str(step.results) for name, step in with_results.items()}


def test_a_run_killed_again_and_again_ends_as_one_left_alone(tmp_path: Path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    go(whole, 0, 2)
    chance = random.Random(3)
    kills = 0
    for _ in range(60):
        touch = chance.randint(1, 120)
        process = start(killed, seconds=0, touch=touch, place=str(killed), end=signal.SIGKILL)
        if process.wait() == 0:
            break
        assert process.returncode == -signal.SIGKILL
        kills += 1
        if (killed / "steps").exists():
            # "finished" where the kill came between the last step and the end of the process.
            assert status(killed).state in ("stopped", "finished")
    assert process.returncode == 0
    assert kills >= 3
    assert outcome(killed) == outcome(whole)
    assert len(list(killed.glob("steps/*/[0-9].txt"))) == 4 * PIECES
    assert not list(killed.glob("steps/*/error.txt"))


def test_a_look_from_elsewhere_while_it_runs_and_after_it_was_killed(tmp_path: Path):
    # It stays before its fourth piece; its file is written every half second, so after two or three of them.
    with start(tmp_path, seconds=0.3, touch=1, place="/.3.", end=signal.SIGSTOP) as process:
        _, how = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(how)
        seen = status(tmp_path)
        process.kill()
        process.wait()
    assert (seen.state, seen.pid) == ("running", process.pid)
    assert [(step.name, step.state) for step in seen.steps] == [("a", "running")]
    assert seen.tasks[0].label == "numbers" and seen.tasks[0].total == PIECES
    assert seen.tasks[0].done >= 2 and seen.tasks[0].seconds_left is not None
    after = status(tmp_path)
    assert (after.state, after.pid, after.tasks) == ("stopped", None, ())
    assert [(step.name, step.state) for step in after.steps] == [("a", "partial")]
