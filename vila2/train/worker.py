"""One of several processes that train a stage; :mod:`vila2.train.processes` starts it, never a person."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any, BinaryIO

from vila2.errors import Vila2Error
from vila2.progress import Progress
from vila2.run.reports import Reports
from vila2.train.sign_of_life import Standing


class _Lines:
    """Lines of JSON for the process that started this one.

    Args:
        file: the way to that process.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self._one_at_a_time = threading.Lock()

    def __call__(self, **report: Any) -> None:
        """Sends one report."""
        line = json.dumps(report).encode() + b"\n"
        with self._one_at_a_time:
            self.file.write(line)
            self.file.flush()

    def beat(self, pause: float) -> None:
        """Sends a sign of life every ``pause`` seconds, without end."""
        while True:
            place = Standing.of_main_thread()
            self(alive=place.line, calls=place.calls)
            time.sleep(pause)


def main() -> None:
    """Trains as the orders on standard input say."""
    # Standard output is for reports alone: what libraries print goes where errors go.
    lines = _Lines(os.fdopen(os.dup(1), "wb"))
    os.dup2(2, 1)
    orders = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_the_starter, daemon=True).start()
    threading.Thread(target=lines.beat, args=(orders["pause_between_beats"],), daemon=True).start()
    first = os.environ["RANK"] == "0"
    reports = Reports(lines)
    if first:
        reports.log_to("vila2")
    try:
        results = _train(orders, reports if first else None)
    except Vila2Error as error:
        lines(error=type(error).__name__, what=error.what, hint=error.hint)
        raise
    if first:
        lines(results=results)
    logging.shutdown()
    # Threads of gloo and DeepSpeed do not always let the interpreter come to its end.
    os._exit(0)


def _train(orders: dict[str, Any], progress: Progress | None) -> dict[str, Any]:
    import torch

    from vila2.run.board import Board
    from vila2.train.stage import train_stage
    from vila2.train.train_settings import TrainSettings

    inputs = {name: Path(path) for name, path in orders["inputs"].items()}
    settings = TrainSettings.model_validate(orders["settings"])
    results = train_stage(Path(orders["folder"]), settings, inputs, progress or Board())
    if torch.distributed.is_initialized():
        torch.distributed.barrier()  # no process leaves while another still saves
    return results


def _end_with_the_starter() -> None:
    # The process that started this one holds the other end as long as it lives, however it ends.
    while os.read(0, 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
