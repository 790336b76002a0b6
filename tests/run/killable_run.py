"""A small run for the tests that kill it: four steps in a diamond, each goes on where it was stopped."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from tests.run.plain_steps import Plain, plain_step
from vila2.data.atomic import write_text_atomic
from vila2.run.board import Board
from vila2.run.step_files import StepResult
from vila2.run.steps import Run

PIECES = 6


def numbers(folder, settings, inputs, progress):
    """Writes one file a piece and goes on after the last; leaves a mark for every start."""
    with (folder / "starts.log").open("a") as file:
        file.write("start\n")
    total = 0
    with progress.task("numbers", PIECES) as task:
        for piece in range(PIECES):
            path = folder / f"{piece}.txt"
            if not path.exists():
                time.sleep(settings["seconds"])
                before = sum(int((inputs[name] / path.name).read_text()) for name in sorted(inputs))
                write_text_atomic(path, str((before + piece) * settings["scale"]))
            total += int(path.read_text())
            task.advance()
    return {"total": total}


def go(
    folder: Path, seconds: float, scale: int, board: Board | None = None, **changed: int
) -> dict[str, StepResult]:
    """a -> b -> d and a -> c -> d; ``changed`` gives a step a scale of its own."""
    with Run.open(folder, progress=board) as run:
        found: dict[str, StepResult] = {}
        for name, sources in [("a", ""), ("b", "a"), ("c", "a"), ("d", "bc")]:
            found[name] = run.step(
                name,
                plain_step(numbers),
                settings=Plain(**{"seconds": seconds, "scale": changed.get(name, scale)}),
                inputs={source: found[source] for source in sources},
            )
    return found


def end_at(touch: int, place: str, end: int) -> None:
    """Gives this process the signal ``end`` before its n-th touch of a path with ``place`` in it.

    A touch is to open, make, rename or delete: all that a killed run can leave half done.
    """
    left = touch

    def count(event: str, arguments: tuple) -> None:
        nonlocal left
        if arguments and isinstance(arguments[0], str | os.PathLike) and place in str(arguments[0]):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), end)

    sys.addaudithook(count)
