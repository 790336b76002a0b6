"""Progress: what a reader of a log, a terminal or a status file sees."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from tests.run.plain_steps import Plain, plain_step
from vila2.errors import DataError, RunError
from vila2.run import board, displays
from vila2.run.board import Board, TaskState, duration
from vila2.run.displays import live_progress
from vila2.run.status import status
from vila2.run.steps import Run


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(board.time, "monotonic", clock)
    return clock


def work(folder, settings, inputs, board):
    with board.task("count", 3) as task:
        for _ in range(3):
            task.advance()
    if settings.get("fail"):
        raise DataError("no more numbers", hint="bring some")
    return {}


def test_a_log_gets_a_line_every_ten_seconds_and_one_at_the_end(clock: Clock):
    stream = io.StringIO()
    with live_progress(stream=stream).task("import photos", 100) as task:
        for _ in range(100):
            clock.now += 0.5
            task.advance()
    lines = stream.getvalue().splitlines()
    assert lines[0] == "import photos: 20/100 (20%)  2.0/s  40 s left"
    assert lines[-1] == "import photos: 100/100 (100%) in 50 s"
    assert len(lines) == 6


def test_a_leap_over_finished_work_does_not_count_as_speed(clock: Clock):
    task = TaskState("train", 1000)
    task.count(900, "")
    for _ in range(10):
        clock.now += 2
        task.count(1, "loss 0.5")
    assert task.rate == pytest.approx(0.5)
    assert task.seconds_left == pytest.approx(180)


def test_time_left_is_not_guessed_without_a_total_or_a_rate(clock: Clock):
    task = TaskState("import", None)
    assert (task.rate, task.seconds_left) == (None, None)
    task.count(1, "")
    clock.now += 2
    task.count(4, "")
    assert (task.rate, task.seconds_left) == (2.0, None)


def test_quiet_shows_nothing():
    board = live_progress(quiet=True)
    with board.task("x", 1) as task:
        task.advance()
    assert board.displays == []


def test_a_terminal_gets_bars_that_go_away(monkeypatch: pytest.MonkeyPatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    board = live_progress(stream=Terminal())
    with board.task("outer [names]", 2) as outer:
        with board.task("inner", None) as inner:
            inner.advance(5, note="loss 1.0")
        outer.advance()
        [display] = board.displays
        assert display.bars is not None and len(display.shown) == 1
    assert display.bars is None and display.shown == {}


def test_a_run_in_a_log(tmp_path: Path):
    stream = io.StringIO()
    with Run.open(tmp_path, dry=True) as dry:
        for n in range(2):
            dry.step(f"step{n}", plain_step(work), settings=Plain(**{"n": n}), inputs={})
    for _ in range(2):
        board = Board([displays.LinesDisplay(stream)])
        with Run.open(tmp_path, progress=board, planned=dry.plan) as run:
            for n in range(2):
                run.step(f"step{n}", plain_step(work), settings=Plain(**{"n": n}), inputs={})
    assert stream.getvalue().splitlines() == [
        "[1/2] step0", "[1/2] step0: done in 0.0 s", "[2/2] step1", "[2/2] step1: done in 0.0 s",
        "[1/2] step0: finished earlier, kept", "[2/2] step1: finished earlier, kept",
    ]  # fmt: skip


def test_status_of_a_finished_and_of_a_failed_run(tmp_path: Path):
    with Run.open(tmp_path) as run:
        run.step("first", plain_step(work), settings=Plain(), inputs={})
    (tmp_path / "report.html").touch()
    found = status(tmp_path)
    assert (found.state, found.error, found.superseded) == ("finished", "", 0)
    assert found.report == str(tmp_path / "report.html")
    assert [(step.name, step.state) for step in found.steps] == [("first", "done")]

    with pytest.raises(DataError), Run.open(tmp_path) as run:
        run.step("first", plain_step(work), settings=Plain(**{"fail": True}), inputs={})
    found = status(tmp_path)
    assert (found.state, found.superseded) == ("failed", 1)
    assert found.steps[0].state == "failed"
    assert found.steps[0].error == found.error == "no more numbers\n  hint: bring some"
    json.dumps(found.to_json())


def test_status_shows_the_steps_to_come(tmp_path: Path):
    with Run.open(tmp_path, dry=True) as dry:
        for name in ("first", "second"):
            dry.step(name, plain_step(work), settings=Plain(**{"name": name}), inputs={})
    with Run.open(tmp_path, planned=dry.plan) as run:
        run.step("first", plain_step(work), settings=Plain(**{"name": "first"}), inputs={})
        found = status(tmp_path)
    assert [(step.name, step.state) for step in found.steps] == [("first", "done"), ("second", "pending")]
    assert found.state == "running"


def test_ctrl_c_is_no_failure(tmp_path: Path):
    def interrupted(folder, settings, inputs, board):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), Run.open(tmp_path) as run:
        run.step("first", plain_step(interrupted), settings=Plain(), inputs={})
    found = status(tmp_path)
    assert (found.state, found.steps[0].state, found.error) == ("stopped", "partial", "")


def test_a_folder_without_a_run_is_an_error(tmp_path: Path):
    with pytest.raises(RunError, match="holds no run"):
        status(tmp_path)


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.04, "0.0 s"), (59.6, "1 min 00 s"), (61, "1 min 01 s"), (3600, "1 h 00 min")]
)
def test_spans_of_time(seconds: float, shown: str):
    assert duration(seconds) == shown
