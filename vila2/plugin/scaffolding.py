"""A new plugin to start from, of any kind. It is a complete package that passes its own tests."""

from __future__ import annotations

import importlib.resources
import keyword
import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from string import Template

from vila2.errors import PluginError
from vila2.nearest import did_you_mean
from vila2.plugin.discovery import GROUPS, Kind

_TEMPLATE = ".template"
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class Scaffold:
    """What a package of one kind has of its own, besides its folder of templates.

    Attributes:
        brings: what its entry point brings.
        function: the function that the entry point names; "" where it names the module, for its hooks.
        use: a command or a key of a recipe that uses it, with ``NAME`` in it.
        summary: what it does as it stands.
    """

    brings: Kind
    function: str
    use: str
    summary: str


#: Kinds of plugins that can be begun; each has a folder of templates of this name.
SCAFFOLDS: dict[str, Scaffold] = {
    "specialist": Scaffold("plugin", "", "vila2 specialize --plugin NAME", "names the objects in an image."),
    "tool": Scaffold("plugin", "", "vila2 annotate --plugin NAME", "names the mean color of an image."),
    "engine": Scaffold(
        "engine", "open_engine", "--engine NAME", "repeats questions and tells the sizes of images."
    ),
    "source": Scaffold("source", "read", "vila2 data import NAME", "reads lines of a file and a caption."),
    "benchmark": Scaffold("benchmark", "score", "kind: NAME", "counts the words of answers."),
}


def new_plugin(name: str, parent: Path, *, kind: str = "specialist", summary: str = "") -> list[Path]:
    """Writes the package ``vila2-NAME``.

    Args:
        name: Name of the plugin on the command line and in recipes.
        parent: Folder that gets the package's folder.
        kind: What the plugin brings, one of :data:`SCAFFOLDS`.
        summary: One line about what the plugin does.

    Returns:
        The files of the package, ``pyproject.toml`` first.

    Raises:
        PluginError: The name or the kind is not valid, or the folder exists already.
    """
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        raise PluginError(
            f"{name!r} is no name for a plugin", hint="use small letters, digits and single `-`"
        )
    if kind not in SCAFFOLDS:
        raise PluginError(f"{kind!r} is no kind of plugin", hint=did_you_mean(kind, SCAFFOLDS))
    folder = parent / f"vila2-{name}"
    if folder.exists():
        raise PluginError(f"{folder} is there already", hint="choose another name, or --out elsewhere")
    values = _values(name, kind, summary)
    templates = Path(str(importlib.resources.files("vila2.plugin"))) / "scaffold"
    written = []
    for template in (templates / f"pyproject.toml{_TEMPLATE}", *_others(templates, kind)):
        file = folder / _place(template.name.removesuffix(_TEMPLATE), values)
        file.parent.mkdir(parents=True, exist_ok=True)
        text = template.read_text(encoding="utf-8")
        file.write_text(Template(text).substitute(values), encoding="utf-8")
        written.append(file)
    return written


def _others(templates: Path, kind: str) -> list[Path]:
    """All templates of a kind but the first, ``pyproject.toml``."""
    common = [one for one in sorted(templates.glob(f"*{_TEMPLATE}")) if not one.name.startswith("pyproject")]
    return [*common, *sorted((templates / kind).glob(f"*{_TEMPLATE}"))]


def _place(name: str, values: dict[str, str]) -> str:
    """The path in the package of what a template makes."""
    if name in ("pyproject.toml", "README.md", "LICENSE"):
        return name
    if name == "test.py":
        return f"tests/test_{values['stage']}.py"
    return f"src/{values['module']}/{name}"


def _values(name: str, kind: str, summary: str) -> dict[str, str]:
    """What the templates are filled with."""
    from vila2 import __version__

    scaffold, stage = SCAFFOLDS[kind], name.replace("-", "_")
    return {
        "name": name,
        "kind": kind,
        "module": f"vila2_{stage}",
        "stage": stage,
        "class_name": "".join(word.capitalize() for word in name.split("-")),
        "summary": (summary or scaffold.summary).replace('"', "'"),
        "version": __version__,
        "ceiling": _next_minor(__version__),
        "year": str(date.today().year),
        "group": GROUPS[scaffold.brings],
        "function": scaffold.function and f":{scaffold.function}",
        "use": scaffold.use.replace("NAME", name),
    }


def _next_minor(version: str) -> str:
    """The version from which a new plugin may break: "0.2" for 0.1.3."""
    major, minor, *_ = version.split(".")
    return f"{major}.{int(minor) + 1}"
