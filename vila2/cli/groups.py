"""Groups of commands, whose lists describe each command in a whole sentence."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, MutableMapping, Sequence
from typing import Any

import typer
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


class NamedCommands(MutableMapping[str, Any]):
    """Commands by name; the module of one is imported when it is first asked for.

    Args:
        names: names of modules: each has a function of its name, or a group of commands as ``app``.
        package: package of the modules.
    """

    def __init__(self, names: Sequence[str], package: str) -> None:
        self._package = package
        self._made: dict[str, Any] = dict.fromkeys(names)

    def __getitem__(self, name: str) -> Any:
        if self._made[name] is None:
            module = importlib.import_module(f"{self._package}.{name}")
            alone = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
            if hasattr(module, "app"):
                alone.add_typer(module.app, name=name)
            else:
                alone.command(name)(getattr(module, name))
            self._made[name] = typer.main.get_group(alone).commands[name]
        return self._made[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._made[name] = command

    def __delitem__(self, name: str) -> None:
        del self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._made)

    def __len__(self) -> int:
        return len(self._made)
