"""Groups of commands, whose lists describe each command in a whole sentence."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup

_WHOLE = 1000  # characters; no sentence is longer


class Commands(TyperGroup):
    """Lists commands without cutting their descriptions at the 80th column."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Writes the section of commands, and wraps long lines."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        rows = [
            (name, found.get_short_help_str(_WHOLE)) for name, found in commands if found and not found.hidden
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)
