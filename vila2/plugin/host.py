"""The host. It finds plugins and imports the ones that are asked for.

An error in a plugin becomes an error that names the plugin. What nobody asked for is not imported, and so
stops nobody.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pluggy
from pydantic import ValidationError

from vila2.errors import PluginError
from vila2.nearest import did_you_mean, nearest
from vila2.plugin import hookspecs
from vila2.plugin.contract import API_VERSION, Specialist
from vila2.plugin.discovery import GROUPS, SWITCH, Installed, Kind, Switch, clashes, everything_installed
from vila2.plugin.guard import UPGRADE, field_hint, guarded
from vila2.plugin.newly_named import newly_named
from vila2.plugin.references import LIGHT, call, listed, load_reference
from vila2.plugin.tools import Tool
from vila2.plugin.versions import check_range

log = logging.getLogger("vila2.plugin")

HOOKS = tuple(name for name in vars(hookspecs) if name.startswith("vila2_"))


class Host:
    """The plugins of this environment. A host is cheap to make: it imports a plugin only when asked for it.

    Args:
        switch: Choice of the plugins that may be used, by default the one in ``VILA2_PLUGINS``.
    """

    def __init__(self, switch: Switch | None = None) -> None:
        self.everything = everything_installed(switch)
        self.clashes = clashes(self.everything)
        self._manager = pluggy.PluginManager("vila2")
        self._manager.add_hookspecs(hookspecs)
        self._modules: dict[str, Any] = {}
        self._broken: dict[str, PluginError] = {}

    @property
    def installed(self) -> tuple[Installed, ...]:
        """The installed plugins with hooks."""
        return tuple(one for one in self.everything if one.kind == "plugin")

    def specialist(self, name: str) -> Specialist:
        """A specialist that is trained, by its name. Only the plugin of that name is imported.

        Raises:
            PluginError: No plugin of that name is installed, it may not be used, it is broken, or it is a
                tool.
        """
        found = self.described(name)
        if isinstance(found, Tool):
            raise PluginError(
                f"{self.plugin(name)} is a tool, which nobody trains",
                hint=f"`vila2 annotate DATASET --plugin {name}` uses it as it is",
            )
        return found

    def described(self, name: str) -> Specialist | Tool:
        """A specialist or a tool by its name. Only the plugin of that name is imported.

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
            PluginError: No plugin of that name is installed, several are, or it may not be used.
        """
        plugin = self.brought("plugin", name)
        if plugin is None:
            known = [plugin.name for plugin in self.installed]
            hint = did_you_mean(name, known) if known else "none is; `pip install` the package that brings it"
            raise PluginError(f"no plugin {name!r} is installed", hint=newly_named("plugin", name) or hint)
        return plugin

    def brought(self, kind: Kind, name: str) -> Installed | None:
        """What plugins bring under a name; None where none brings it. Nothing is imported.

        Raises:
            PluginError: Several packages bring it, or it may not be used.
        """
        if (kind, name) in self.clashes:
            hint = f"uninstall one of the two, or switch its package off: {SWITCH}=-PACKAGE"
            raise PluginError(self.clashes[kind, name], hint=hint)
        named = [one for one in self.everything if (one.kind, one.name) == (kind, name)]
        allowed = [one for one in named if one.allowed]
        if named and not allowed:
            raise PluginError(f"{named[0]} is switched off", hint=f"change {SWITCH} or --plugins")
        return allowed[0] if allowed else None

    def names(self, kind: Kind) -> list[str]:
        """The names of everything of a kind that may be used. Nothing is imported."""
        return list(dict.fromkeys(one.name for one in self.everything if one.kind == kind and one.allowed))

    def load_function(self, brought: Installed) -> Callable[..., Any]:
        """Imports the function of an engine, a source or a benchmark.

        Raises:
            PluginError: The import fails, it is no function, or its package does not fit this vila2.
        """
        check_range(brought)
        hint = _switch_off(brought)
        function: Callable[..., Any] = load_reference(brought.module, of=str(brought), hint=hint)
        if not callable(function):
            raise PluginError(
                f"{brought}: {brought.module} cannot be called",
                hint='name a function in pyproject.toml: NAME = "package.module:function"',
            )
        return function

    def hooks(self, plugin: Installed) -> list[str]:
        """The hooks that a plugin implements.

        Raises:
            PluginError: It cannot be loaded.
        """
        return [hook for hook in _marked(self.load(plugin), plugin) if hook in HOOKS]

    def check_after_stage(self, name: str) -> None:
        """Checks that a plugin can be told of trained stages.

        Raises:
            PluginError: It cannot be loaded, or does not implement the hook.
        """
        plugin = self.plugin(name)
        if "vila2_after_stage" not in self.hooks(plugin):
            raise PluginError(
                f"{plugin} does not implement vila2_after_stage, so listing it under `plugins` has no effect",
                hint="leave it out; specialists and engines are named where they are used",
            )

    def after_stage(self, name: str, *, folder: Path, stage: str, results: Mapping[str, Any]) -> None:
        """Tells a plugin that a stage is trained.

        Raises:
            PluginError: It fails. The error names it.
        """
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
        check_range(plugin)
        module = load_reference(plugin.module, of=str(plugin), seconds=LIGHT, hint=_switch_off(plugin))
        marked = _marked(module, plugin)
        for hook, mark in marked.items():
            if hook not in HOOKS:
                _refuse_hook(plugin, hook, optional=bool(mark.get("optionalhook")))
        if not marked:
            raise PluginError(
                f"{plugin}: {plugin.module} implements no hook", hint=f"implement one of {', '.join(HOOKS)}"
            )
        with guarded(str(plugin)):
            try:
                if not self._manager.is_registered(module):
                    self._manager.register(module, plugin.name)
            except pluggy.PluginValidationError as error:
                raise PluginError(
                    f"{plugin}: {error}", hint=f"take only arguments that the hook is given, or {UPGRADE}"
                ) from error
        return module

    def _call(self, plugin: Installed, hook: str, **arguments: Any) -> list[Any]:
        module = self.load(plugin)
        others = [other for other in self._manager.get_plugins() if other is not module]
        caller = self._manager.subset_hook_caller(hook, remove_plugins=others)
        given: list[Any] = call(lambda: caller(**arguments), of=f"{plugin}, {hook}")
        return given

    def _specialists_of(self, plugin: Installed) -> dict[str, Specialist | Tool]:
        found: dict[str, Specialist | Tool] = {}
        for given in self._call(plugin, "vila2_specialists"):
            for one in listed(given, object, of=f"{plugin}, vila2_specialists"):
                specialist = _validated(one, plugin)
                if specialist.name in found:
                    raise PluginError(
                        f"{plugin} brings {specialist.name!r} twice", hint="rename one of the two"
                    )
                found[specialist.name] = specialist
        return found


def _marked(module: Any, plugin: Installed) -> dict[str, Mapping[str, Any]]:
    """The implementations of hooks in a plugin: their names, and what pluggy knows of each."""
    with guarded(str(plugin)):
        marks = {name: getattr(getattr(module, name, None), "vila2_impl", None) for name in dir(module)}
    return {name: mark for name, mark in marks.items() if isinstance(mark, dict)}


def _switch_off(plugin: Installed) -> str:
    return f"fix it, uninstall {plugin.package}, or switch it off: {SWITCH}=-{plugin.name}"


def _refuse_hook(plugin: Installed, hook: str, *, optional: bool) -> None:
    """Reports a hook that does not exist.

    Raises:
        PluginError: The hook is not optional.
    """
    if kind := hookspecs.REPLACED.get(hook):
        raise PluginError(
            f"{plugin} implements the hook {hook!r}, whose place entry points have taken",
            hint=f'write [project.entry-points."{GROUPS[kind]}"] and NAME = "package.module:function" in the '
            f"pyproject.toml of {plugin.package}, remove the hook, and install it again",
        )
    what = f"{plugin} implements the hook {hook!r}, which this vila2 does not have"
    if optional:
        log.warning("%s; it is not called. To use it, %s", what, UPGRADE)
        return
    near = nearest(hook, HOOKS)
    raise PluginError(what, hint=f"did you mean {near!r}? Otherwise {UPGRADE}" if near else UPGRADE)


def _validated(given: Any, plugin: Installed) -> Specialist | Tool:
    try:
        made = isinstance(given, Specialist | Tool)
        specialist: Specialist | Tool = given if made else Specialist.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "its specialist"
        unknown = [str(one["loc"][-1]) for one in error.errors() if one["type"] == "extra_forbidden"]
        raise PluginError(
            f"{plugin}: {where}: {first['msg'].lower()}", hint=field_hint(unknown, Specialist.model_fields)
        ) from error
    if specialist.api_version != API_VERSION:
        raise PluginError(
            f"{plugin} was written for version {specialist.api_version} of the contract, "
            f"this is {API_VERSION}",
            hint=f"upgrade {plugin.package}" if specialist.api_version < API_VERSION else UPGRADE,
        )
    return specialist
