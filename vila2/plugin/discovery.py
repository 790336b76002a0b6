"""What plugins bring and which of it may be used, as the packages' metadata say. Nothing is imported here."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, distributions, entry_points
from typing import Literal, get_args

from vila2.errors import PluginError

log = logging.getLogger("vila2.plugin")

#: What an entry point brings. A "plugin" is a module with hooks, which brings specialists.
Kind = Literal["plugin", "engine", "source", "benchmark"]
#: Group of the entry points of each kind, such as "vila2.specialists".
GROUPS: dict[Kind, str] = {
    kind: ".".join(("vila2", name))
    for kind, name in zip(get_args(Kind), ("specialists", "engines", "sources", "benchmarks"), strict=True)
}
#: Variable that chooses plugins: "ocr,spatial" uses only these two, "-ocr" all but that one, "none" no
#: plugin.
SWITCH = "VILA2_PLUGINS"


@dataclass(frozen=True, slots=True)
class Installed:
    """An entry point of a plugin's package, as the package's metadata describe it.

    Attributes:
        kind: What it brings.
        name: Name of the entry point.
        module: Module that the entry point names; of an engine, a source or a benchmark "module:function".
        package, version, summary: Metadata of the distribution that brings it.
        allowed: Whether it may be imported.
    """

    kind: Kind
    name: str
    module: str
    package: str
    version: str
    summary: str
    allowed: bool
    entry_point: EntryPoint

    def __str__(self) -> str:
        return f"{self.kind} {self.name!r} ({self.package} {self.version})"


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

    def allows(self, *names: str) -> bool:
        """Whether something may be imported that goes by these names."""
        return self.never.isdisjoint(names) and (self.only is None or not self.only.isdisjoint(names))


def installed_plugins(switch: Switch | None = None) -> tuple[Installed, ...]:
    """Every installed plugin with hooks, in order of the names. A name may occur twice (:func:`clashes`)."""
    return tuple(one for one in everything_installed(switch) if one.kind == "plugin")


def everything_installed(switch: Switch | None = None) -> tuple[Installed, ...]:
    """Everything that plugins' packages bring, by kind and name.

    A name in the switch stands for the entry point of that name. The name of a package, or of a plugin with
    hooks, also stands for the engines, sources and benchmarks of the package.
    """
    switch = switch or Switch.read(os.environ.get(SWITCH))
    entries = _entries()
    plugins: dict[str, list[str]] = {}
    for kind, entry in entries:
        if kind == "plugin":
            plugins.setdefault(_package(entry), []).append(entry.name)
    found: dict[tuple[Kind, str, str, str], Installed] = {}
    for kind, entry in entries:
        package, module = _package(entry), entry.value.partition("[")[0].strip()
        names = [entry.name, package, *(plugins.get(package, ()) if kind != "plugin" else ())]
        version = (entry.dist.version if entry.dist else None) or "of unknown version"
        summary = (entry.dist.metadata["Summary"] if entry.dist else None) or ""
        one = Installed(kind, entry.name, module, package, version, summary, switch.allows(*names), entry)
        # An editable package can lie on the path twice, and is still one.
        found.setdefault((kind, entry.name, module, package), one)
    order = list(GROUPS)
    return tuple(sorted(found.values(), key=lambda one: (order.index(one.kind), one.name, one.package)))


def clashes(plugins: Iterable[Installed]) -> dict[tuple[Kind, str], str]:
    """Names of one kind that several packages claim: (kind, name) -> message for the user."""
    by_name: dict[tuple[Kind, str], list[Installed]] = {}
    for one in plugins:
        if one.allowed:
            by_name.setdefault((one.kind, one.name), []).append(one)
    return {
        (kind, name): f"{kind} {name!r} is brought by "
        + " and by ".join(f"{one.package} {one.version}" for one in several)
        for (kind, name), several in by_name.items()
        if len(several) > 1
    }


def _entries() -> list[tuple[Kind, EntryPoint]]:
    kinds = {group: kind for kind, group in GROUPS.items()}
    try:
        every = entry_points()  # asked for each group, it would read the lists of all packages each time
        return [(kind, entry) for group, kind in kinds.items() for entry in every.select(group=group)]
    except ValueError:  # a package's list cannot be read; the others' can
        found: list[tuple[Kind, EntryPoint]] = []
        for dist in distributions():
            try:
                found += [(kinds[entry.group], entry) for entry in dist.entry_points if entry.group in kinds]
            except ValueError as error:
                log.warning("the entry points of %s cannot be read (%s); install it again", dist.name, error)
        return found


def _package(entry: EntryPoint) -> str:
    return (entry.dist.name if entry.dist else None) or "an unknown package"
