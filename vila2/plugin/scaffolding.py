"""A new plugin to start from. It is a complete package that passes its own tests."""

from __future__ import annotations

import importlib.resources
import keyword
import re
from pathlib import Path
from string import Template

from vila2.errors import PluginError

#: Template of each of the package's files.
FILES = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    "src/{module}/__init__.py": "__init__.py",
    "src/{module}/builder.py": "builder.py",
    "src/{module}/answers.py": "answers.py",
    "src/{module}/recipe.yaml": "recipe.yaml",
    "tests/test_{stage}.py": "test.py",
}
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def new_plugin(name: str, parent: Path, *, summary: str = "") -> list[Path]:
    """Writes the package ``vila2-NAME``.

    Args:
        name: Name of the specialist on the command line.
        parent: Folder that gets the package's folder.
        summary: One line about what the specialist does.

    Returns:
        The files of the package.

    Raises:
        PluginError: The name is not valid, or the folder exists already.
    """
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        raise PluginError(
            f"{name!r} is no name for a plugin", hint="use small letters, digits and single `-`"
        )
    folder = parent / f"vila2-{name}"
    if folder.exists():
        raise PluginError(f"{folder} is there already", hint="choose another name, or --out elsewhere")
    from vila2 import __version__

    stage = name.replace("-", "_")
    values = {
        "name": name,
        "module": f"vila2_{stage}",
        "stage": stage,
        "class_name": "".join(word.capitalize() for word in name.split("-")),
        "summary": (summary or "names the objects in an image.").replace('"', "'"),
        "version": __version__,
        "ceiling": _next_minor(__version__),
    }
    templates = importlib.resources.files("vila2.plugin") / "scaffold"
    written = []
    for path, template in FILES.items():
        file = folder / path.format(**values)
        file.parent.mkdir(parents=True, exist_ok=True)
        text = (templates / f"{template}.template").read_text(encoding="utf-8")
        file.write_text(Template(text).substitute(values), encoding="utf-8")
        written.append(file)
    return written


def _next_minor(version: str) -> str:
    """The version from which a new plugin may break: "0.2" for 0.1.3."""
    major, minor, *_ = version.split(".")
    return f"{major}.{int(minor) + 1}"
