"""The options that several commands have, under one name and with one help, and what they say alike."""

from __future__ import annotations

import contextlib
import logging
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer


def _be_verbose(asked: bool) -> bool:
    if asked:
        log = logging.getLogger("vila2")
        log.setLevel(min(log.level or logging.INFO, logging.INFO))
        for handler in logging.getLogger().handlers:
            handler.setLevel(min(handler.level, logging.INFO))
    return asked


AsJson = Annotated[
    bool, typer.Option("--json", help="Print the outcome as JSON, and nothing else, on standard output.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
Verbose = Annotated[
    bool,
    typer.Option("--verbose", "-v", callback=_be_verbose, help="Also show what is logged on the way."),
]
EngineName = Annotated[
    str | None,
    typer.Option(
        "--engine",
        help="What generates; a plugin may bring others. Default: as the run says, else transformers.",
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", "-n", help="Check everything, show what would be done, do nothing.")
]


@contextlib.contextmanager
def results_alone() -> Iterator[None]:
    """Keeps standard output for results: what a library prints on the way goes to standard error."""
    with contextlib.redirect_stdout(sys.stderr):
        yield


class Stopped(KeyboardInterrupt):
    """Ctrl-C in a command that knows better than others what is kept and how to go on.

    Attributes:
        told: a line for the reader.
    """

    def __init__(self, told: str) -> None:
        super().__init__(told)
        self.told = told


def quoted(path: str | Path) -> str:
    """A path as it can be copied into a shell: quoted where it holds spaces or the like."""
    return shlex.quote(str(path))
