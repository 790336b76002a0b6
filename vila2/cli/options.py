"""The options that several commands have, under one name and with one help."""

from __future__ import annotations

from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", "-n", help="Check everything, show what would be done, do nothing.")
]
