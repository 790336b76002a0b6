"""The host. It finds plugins and imports the ones that are asked for.

An error in a plugin becomes an error that names the plugin. A broken plugin that nobody asked for is a
warning. A broken plugin that was asked for is an error.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pluggy
from pydantic import ValidationError

from vila2.errors import PluginError, Vila2Error
from vila2.nearest import did_you_mean
from vila2.plugin import hookspecs
from vila2.plugin.contract import API_VERSION, Specialist
from vila2.plugin.discovery import SWITCH, Installed, Switch, clashes, installed_plugins
from vila2.plugin.references import call, checked, listed, load_reference

log = logging.getLogger("vila2.plugin")

HOOKS = tuple(name for name in vars(hookspecs) if name.startswith("vila2_"))


@dataclass(frozen=True, slots=True)
class Provided:
    """A source, an engine or a benchmark that a plugin brings under a name."""

    name: str
    reference: str
    plugin: Installed

    def load(self) -> Any:
        """Imports the source, engine or benchmark.

        Raises:
            PluginError: The import fails.
        """
        return load_reference(self.reference, of=f"{self.plugin}, {self.name!r}")


class Host:
    """The plugins of this environment. A host is cheap to make: it imports a plugin only when asked for it.

    Args:
        switch: Choice of the plugins that may be used, by default the one in ``VILA2_PLUGINS``.
    """

    def __init__(self, switch: Switch | None = None) -> None:
        self.installed = installed_plugins(switch)
        self.clashes = clashes(self.installed)
        self._manager = pluggy.PluginManager("vila2")
        self._manager.add_hookspecs(hookspecs)
        self._modules: dict[str, Any] = {}
        self._broken: dict[str, PluginError] = {}

    def specialist(self, name: str) -> Specialist:
        """A specialist by its name. Only the plugin of that name is imported.

        Raises:
            PluginError: No plugin of that name is installed, it may not be used, or it is broken.
        """
        plugin = self.plugin(name)
        found = self._specialists_of(plugin)
        if name not in found:
            brings = ", ".join(map(repr, found)) or "none"
            raise PluginError(
                f"{plugin} brings no specialist called {name!r} but {brings}",
                hint="the entry point and the specialist must have the same name",
            )
        return found[name]

    def plugin(self, name: str) -> Installed:
        """An installed plugin that may be used.

        Raises:
            PluginError: No plugin has that name, two packages claim it, or it is switched off.
        """
        if name in self.clashes:
            raise PluginError(self.clashes[name], hint="uninstall one of the two")
        named = [plugin for plugin in self.installed if plugin.name == name]
        if not named:
            known = [plugin.name for plugin in self.installed]
            hint = did_you_mean(name, known) if known else "none is; `pip install` the package that brings it"
            raise PluginError(f"no plugin {name!r} is installed", hint=hint)
        if not named[0].allowed:
            raise PluginError(f"{named[0]} is switched off", hint=f"change {SWITCH} or --plugins")
        return named[0]

    def sources(self) -> dict[str, Provided]:
        """Every source that a plugin brings."""
        return self._provided("vila2_sources")

    def engines(self) -> dict[str, Provided]:
        """Every engine that a plugin brings."""
        return self._provided("vila2_engines")

    def benchmarks(self) -> dict[str, Provided]:
        """Every benchmark that a plugin brings."""
        return self._provided("vila2_benchmarks")

    def after_stage(
        self, names: tuple[str, ...], *, folder: Path, stage: str, results: Mapping[str, Any]
    ) -> None:
        """Tells the named plugins that a stage is trained.

        Raises:
            PluginError: One of them fails. The error names it.
        """
        for name in names:
            plugin = self.plugin(name)
            self._call(plugin, "vila2_after_stage", folder=folder, stage=stage, results=results)

    def load(self, plugin: Installed) -> Any:
        """Imports a plugin and registers its hooks, once.

        Raises:
            PluginError: The plugin cannot be imported, or it implements an unknown hook.
        """
        if plugin.name in self._broken:
            raise self._broken[plugin.name]
        if plugin.name not in self._modules:
            try:
                self._modules[plugin.name] = self._register(plugin)
            except PluginError as error:
                self._broken[plugin.name] = error
                raise
        return self._modules[plugin.name]

    def _register(self, plugin: Installed) -> Any:
        try:
            module = plugin.entry_point.load()
        except (Exception, SystemExit) as error:
            raise PluginError(
                f"{plugin} cannot be imported: {type(error).__name__}: {error}",
                hint=f"fix it, uninstall {plugin.package}, or switch it off: {SWITCH}=-{plugin.name}",
            ) from error
        hooks = [name for name in dir(module) if hasattr(getattr(module, name), "vila2_impl")]
        for hook in hooks:
            if hook not in HOOKS:
                raise PluginError(
                    f"{plugin} implements the hook {hook!r}, which does not exist",
                    hint=did_you_mean(hook, HOOKS),
                )
        if not hooks:
            raise PluginError(
                f"{plugin}: {plugin.module} implements no hook", hint=f"implement one of {', '.join(HOOKS)}"
            )
        try:
            if not self._manager.is_registered(module):
                self._manager.register(module, plugin.name)
        except pluggy.PluginValidationError as error:
            raise PluginError(
                f"{plugin}: {error}", hint="take only arguments that the hook is given"
            ) from error
        return module

    def _call(self, plugin: Installed, hook: str, **arguments: Any) -> list[Any]:
        module = self.load(plugin)
        others = [other for other in self._manager.get_plugins() if other is not module]
        caller = self._manager.subset_hook_caller(hook, remove_plugins=others)
        given: list[Any] = call(lambda: caller(**arguments), of=f"{plugin}, {hook}")
        return given

    def _specialists_of(self, plugin: Installed) -> dict[str, Specialist]:
        found: dict[str, Specialist] = {}
        for given in self._call(plugin, "vila2_specialists"):
            for one in listed(given, object, of=f"{plugin}, vila2_specialists"):
                specialist = _validated(one, plugin)
                if specialist.name in found:
                    raise PluginError(
                        f"{plugin} brings {specialist.name!r} twice", hint="rename one of the two"
                    )
                found[specialist.name] = specialist
        return found

    def _provided(self, hook: str) -> dict[str, Provided]:
        """What every plugin that may be used brings; what is wrong with one of them is a warning."""
        found: dict[str, Provided] = {}
        for plugin in self.installed:
            if plugin.name in self.clashes:
                raise PluginError(self.clashes[plugin.name], hint="uninstall one of the two")
            try:
                brought = self._brought_by(plugin, hook) if plugin.allowed else {}
            except Vila2Error as error:  # nobody asked for this plugin
                log.warning("%s", "\n".join([str(error), *getattr(error, "__notes__", ())]))
                continue
            for name, reference in brought.items():
                if name in found:
                    raise PluginError(
                        f"{name!r} is brought by {found[name].plugin} and by {plugin}",
                        hint=f"switch one of the two off with {SWITCH}",
                    )
                found[name] = Provided(name, reference, plugin)
        return found

    def _brought_by(self, plugin: Installed, hook: str) -> dict[str, str]:
        brought: dict[str, str] = {}
        for given in self._call(plugin, hook):
            brought |= checked(given, Mapping, of=f"{plugin}, {hook}")
        listed([*brought, *brought.values()], str, of=f"{plugin}, {hook}")
        return brought


def _validated(given: Any, plugin: Installed) -> Specialist:
    try:
        specialist = given if isinstance(given, Specialist) else Specialist.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "its specialist"
        raise PluginError(
            f"{plugin}: {where}: {first['msg'].lower()}", hint="see vila2.plugin.Specialist"
        ) from error
    if specialist.api_version != API_VERSION:
        raise PluginError(
            f"{plugin} was written for version {specialist.api_version} of the contract, "
            f"this is {API_VERSION}",
            hint=f"upgrade {plugin.package if specialist.api_version < API_VERSION else 'vila2'}",
        )
    return specialist
