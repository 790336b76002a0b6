"""What a plugin supplies, for ``vila2 plugins show``."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from vila2.errors import PluginError
from vila2.nearest import did_you_mean
from vila2.plugin.contract import Specialist
from vila2.plugin.discovery import Installed
from vila2.plugin.host import Host
from vila2.plugin.references import call, load_reference
from vila2.plugin.tools import Tool
from vila2.plugin.versions import stated_range


@dataclass(frozen=True, slots=True)
class Setting:
    """An option of an engine or a source, or a setting of a specialist's builder (``--set NAME=VALUE``).

    Attributes:
        name: Name of the setting.
        type: Type as it is written in the code; empty where none is.
        default: Default as Python writes it; None where the setting must be given.
    """

    name: str
    type: str
    default: str | None


@dataclass(frozen=True, slots=True)
class Described:
    """A plugin, as far as a user sees it.

    Attributes:
        installed: Its entry point.
        requires: Range of vila2 that its package states; empty where it states none.
        hooks: Hooks that it implements.
        settings: Its settings.
        beside: Names of what its package brings, by kind: engines, sources and benchmarks.
        specialist: Specialist or tool that it describes, if any.
        about: First line of the function's description, for an engine, a source or a benchmark.
    """

    installed: Installed
    requires: str
    hooks: tuple[str, ...]
    settings: tuple[Setting, ...]
    beside: Mapping[str, tuple[str, ...]]
    specialist: Specialist | Tool | None = None
    about: str = ""

    def to_json(self) -> dict[str, Any]:
        """The description as JSON values."""
        one = self.installed
        found: dict[str, Any] = {
            "kind": one.kind,
            "package": one.package,
            "version": one.version,
            "requires": self.requires,
            "module": one.module,
        }
        if self.specialist is not None:
            found |= self.specialist.model_dump(mode="json")
        else:
            found |= {"name": one.name, "summary": self.about or one.summary}
        return found | {
            "settings": [asdict(setting) for setting in self.settings],
            "hooks": list(self.hooks),
            **{f"{kind}s": list(names) for kind, names in self.beside.items()},
        }


def describe_plugin(host: Host, name: str) -> Described:
    """Describes what plugins bring under a name. Of several kinds it is the plugin with hooks.

    Raises:
        PluginError: Nothing is brought under that name, or it is broken.
    """
    kinds = dict.fromkeys(one.kind for one in host.everything if one.name == name)
    brought = next((host.brought(kind, name) for kind in kinds), None)
    if brought is None:
        known = [one.name for one in host.everything]
        raise PluginError(f"no plugin {name!r} is installed", hint=did_you_mean(name, known))
    wanted = stated_range(brought)
    requires = f"vila2{wanted}" if wanted is not None else ""
    beside: dict[str, tuple[str, ...]] = {"engine": (), "source": (), "benchmark": ()}
    for one in host.everything:
        if one.package == brought.package and one.kind in beside:
            beside[one.kind] += (one.name,)
    if brought.kind != "plugin":
        function = host.load_function(brought)
        about = next(iter((inspect.getdoc(function) or "").splitlines()), "")
        signature = call(inspect.signature, function, of=str(brought))
        settings = () if brought.kind == "benchmark" else _of_signature(signature)
        return Described(brought, requires, (), settings, beside, about=about)
    hooks = tuple(host.hooks(brought))
    if "vila2_specialists" not in hooks:
        return Described(brought, requires, hooks, (), beside)
    specialist = host.described(name)
    named = specialist.settings if isinstance(specialist, Tool) else specialist.config
    config = load_reference(named, of=f"{brought}, settings") if named else None
    return Described(brought, requires, hooks, _of_config(config), beside, specialist)


def _of_signature(signature: inspect.Signature) -> tuple[Setting, ...]:
    own = [
        one for one in signature.parameters.values() if one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL)
    ]
    return tuple(
        Setting(
            one.name,
            "" if one.annotation is one.empty else inspect.formatannotation(one.annotation).strip("'"),
            None if one.default is one.empty else repr(one.default),
        )
        for one in own
        if one.name != "model"
    )


def _of_config(config: Any) -> tuple[Setting, ...]:
    fields = getattr(config, "model_fields", {})
    return tuple(
        Setting(
            name,
            inspect.formatannotation(field.annotation),
            None if field.is_required() else repr(field.get_default(call_default_factory=True)),
        )
        for name, field in fields.items()
        if name != "data"
    )
