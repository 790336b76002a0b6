"""The plugins that are installed, and the ones of them that may be used. No plugin is imported here."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points

from vila2.errors import PluginError
from vila2.plugin.hookspecs import GROUP

#: Variable that chooses plugins: "ocr,spatial" uses only these two, "-ocr" all but that one, "none" no
#: plugin.
SWITCH = "VILA2_PLUGINS"


@dataclass(frozen=True, slots=True)
class Installed:
    """A plugin as its package's metadata describes it.

    Attributes:
        name: Name of the entry point.
        module: Module that the entry point names.
        package, version, summary: Metadata of the distribution that brings the plugin.
        allowed: Whether the plugin may be imported.
    """

    name: str
    module: str
    package: str
    version: str
    summary: str
    allowed: bool
    entry_point: EntryPoint

    def __str__(self) -> str:
        return f"plugin {self.name!r} ({self.package} {self.version})"


@dataclass(frozen=True, slots=True)
class Switch:
    """The choice of the plugins that may be used."""

    only: frozenset[str] | None
    never: frozenset[str]

    @classmethod
    def read(cls, text: str | None) -> Switch:
        """Reads the form of :data:`SWITCH`.

        Raises:
            PluginError: The text has both names to use and names to leave out.
        """
        names = [name.strip() for name in (text or "").split(",") if name.strip()]
        never = frozenset(name[1:] for name in names if name.startswith("-"))
        only = frozenset(name for name in names if not name.startswith("-"))
        if only == {"none"}:
            return cls(frozenset(), never)
        if only and never:
            raise PluginError(
                f"{SWITCH}={text}: names both plugins to use and plugins to leave out",
                hint="give either `a,b` (only these) or `-a,-b` (all but these)",
            )
        return cls(only or None, never)

    def allows(self, name: str) -> bool:
        """Whether the plugin of this name may be imported."""
        return name not in self.never and (self.only is None or name in self.only)


def installed_plugins(switch: Switch | None = None) -> tuple[Installed, ...]:
    """Every installed plugin, in order of the names. A name may occur twice (see :func:`clashes`)."""
    switch = switch or Switch.read(os.environ.get(SWITCH))
    found: dict[tuple[str, str, str], Installed] = {}
    for entry in entry_points(group=GROUP):
        package = entry.dist.name if entry.dist else "an unknown package"
        version = entry.dist.version if entry.dist else ""
        summary = (entry.dist.metadata["Summary"] if entry.dist else None) or ""
        plugin = Installed(
            entry.name, entry.value, package, version, summary, switch.allows(entry.name), entry
        )
        # An editable package can lie on the path twice, and is still one.
        found.setdefault((entry.name, entry.value, package), plugin)
    return tuple(sorted(found.values(), key=lambda plugin: (plugin.name, plugin.package)))


def clashes(plugins: Iterable[Installed]) -> dict[str, str]:
    """Names that several packages claim: name -> message for the user."""
    by_name: dict[str, list[Installed]] = {}
    for plugin in plugins:
        if plugin.allowed:
            by_name.setdefault(plugin.name, []).append(plugin)
    return {
        name: f"plugin {name!r} is brought by " + " and by ".join(f"{p.package} {p.version}" for p in several)
        for name, several in by_name.items()
        if len(several) > 1
    }
