"""Groups of commands, whose lists tell what each command does in a whole sentence."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup

_WHOLE = 1000  # letters; no sentence is longer


class Commands(TyperGroup):
    """Lists commands without cutting what they do off at the 80th column."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Writes the section of commands; long lines are wrapped."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        rows = [
            (name, found.get_short_help_str(_WHOLE)) for name, found in commands if found and not found.hidden
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)
