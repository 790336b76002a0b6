"""A specialist that was made before, and its ``specialist.json``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vila2.errors import RunError
from vila2.nearest import nearest
from vila2.plugin.host import Host
from vila2.recipe.specialist_recipe import AnnotateSpec


@dataclass(frozen=True, slots=True)
class MadeSpecialist:
    """A specialist that ``vila2 specialize`` made.

    Attributes:
        plugin: name of its plugin.
        model: folder of its checkpoint.
        provenance: content of ``specialist.json``.
    """

    plugin: str
    model: Path
    provenance: dict[str, Any]

    @property
    def annotate(self) -> AnnotateSpec:
        """How its recipe says that it is asked."""
        return AnnotateSpec.model_validate(self.provenance["annotate"])

    @classmethod
    def open(cls, folder: Path, plugin: str | None = None) -> MadeSpecialist:
        """Reads a specialist's folder, or its checkpoint's folder, which holds the same file.

        Args:
            folder: folder of the specialist.
            plugin: name of the plugin that it must be of; any by default.

        Raises:
            RunError: no specialist is there, it is unfinished or damaged, or it is another plugin's.
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
                else f"`vila2 specialize --plugin {what or 'PLUGIN'}` makes one; --specialist FOLDER names "
                "one that lies elsewhere",
            )
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            if missing := {"plugin", "annotate", "dtype"} - content.keys():
                raise ValueError(f"it lacks {', '.join(sorted(missing))}")
        except (ValueError, AttributeError) as error:
            raise RunError(
                f"{file} is damaged ({error})", hint="the same `vila2 specialize` command writes it again"
            ) from error
        if plugin not in (None, content["plugin"]):
            raise RunError(
                f"{folder} holds a specialist of the plugin {content['plugin']!r}, not of {plugin!r}",
                hint=f"name the plugin {content['plugin']!r}, or the folder of a specialist of {plugin!r}",
            )
        return cls(content["plugin"], folder / content.get("model", "."), content)


def _installed(plugin: str) -> str:
    """Returns the name of an installed plugin.

    Raises:
        PluginError: no plugin of that name is installed.
    """
    return Host().plugin(plugin).name


def specialist_folder(run: Path, plugin: str) -> Path:
    """Returns the folder in which ``vila2 specialize`` puts a specialist of a run's generalist."""
    return run / "specialists" / plugin
