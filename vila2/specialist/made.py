"""A specialist that was made before."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vila2.errors import RunError
from vila2.nearest import nearest
from vila2.plugin.host import Host


@dataclass(frozen=True, slots=True)
class MadeSpecialist:
    """A specialist that ``vila2 specialize`` made.

    Attributes:
        plugin: its name.
        model: the checkpoint's folder.
        provenance: what ``specialist.json`` says.
    """

    plugin: str
    model: Path
    provenance: dict[str, Any]

    @classmethod
    def open(cls, folder: Path, plugin: str | None = None) -> MadeSpecialist:
        """Reads a specialist's folder, or its checkpoint's, which says as much.

        Args:
            folder: of the specialist.
            plugin: that it must be of; any by default.

        Raises:
            RunError: none is there, it is not finished, damaged, or another plugin's.
        """
        file = folder / "specialist.json"
        if not file.is_file():
            near = nearest(
                folder.name, [made.parent.name for made in folder.parent.glob("*/specialist.json")]
            )
            what = plugin if folder.exists() or plugin is None else _installed(plugin)
            raise RunError(
                f"{folder}: no finished specialist here (no specialist.json)",
                hint=f"did you mean {near!r}?"
                if near
                else f"`vila2 specialize --plugin {what or 'PLUGIN'}` makes one; --specialist FOLDER where it went elsewhere",
            )
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            if missing := {"plugin", "annotate", "dtype"} - content.keys():
                raise ValueError(f"it lacks {', '.join(sorted(missing))}")
        except (ValueError, AttributeError) as error:
            raise RunError(
                f"{file} is damaged ({error})", hint="`vila2 specialize`, as it made it, writes it again"
            ) from error
        if plugin not in (None, content["plugin"]):
            raise RunError(
                f"{folder} holds a specialist of the plugin {content['plugin']!r}, not of {plugin!r}",
                hint=f"name the plugin {content['plugin']!r}, or the folder of a specialist of {plugin!r}",
            )
        return cls(content["plugin"], folder / content.get("model", "."), content)


def _installed(plugin: str) -> str:
    """The name of a plugin that is installed.

    Raises:
        PluginError: none is of that name.
    """
    return Host().plugin(plugin).name


def specialist_folder(run: Path, plugin: str) -> Path:
    """Where ``vila2 specialize`` puts a specialist of a run's generalist."""
    return run / "specialists" / plugin
