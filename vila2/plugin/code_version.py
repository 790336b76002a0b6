"""The version of a plugin's code, so that scores and annotations of changed code count as old."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from importlib.metadata import Distribution
from pathlib import Path

from vila2.data.job_files import CODE
from vila2.plugin.discovery import Installed
from vila2.plugin.guard import guarded

#: Kinds of files that a package's behavior depends on.
_CODE = {".py", ".yaml", ".yml", ".json", ".txt", ".toml"}


def code_version(plugin: Installed) -> str:
    """The version of a plugin's package. While it is under development, a digest of its code follows.

    A package that is installed with ``pip install -e`` changes and keeps its version.
    """
    digest = _code_digest(plugin)
    return f"{plugin.version}+{digest}" if digest else plugin.version


def plugin_facts(plugin: Installed) -> dict[str, str]:
    """What a layer says of the plugin that made it; a digest of its code, while it is under development."""
    facts = {"name": plugin.name, "package": plugin.package, "version": plugin.version}
    digest = _code_digest(plugin)
    return facts | ({CODE: digest} if digest else {})


def _code_digest(plugin: Installed) -> str:
    """A digest of the code of a package under development; empty for any other, whose version tells."""
    if not is_editable(plugin):
        return ""
    digest = hashlib.sha256()
    for file in _files(plugin):
        digest.update(f"{file.name}\0".encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:12]


def is_editable(plugin: Installed) -> bool:
    """Whether a package runs from its author's folder."""
    dist: Distribution | None = plugin.entry_point.dist
    if dist is None:
        return False
    try:
        origin = json.loads(dist.read_text("direct_url.json") or "{}")
    except ValueError:
        return False
    return bool(origin.get("dir_info", {}).get("editable"))


def _files(plugin: Installed) -> list[Path]:
    """The files of the package that the entry point names, in order."""
    name = plugin.module.partition(":")[0].split(".")[0]
    with guarded(str(plugin)):
        spec = importlib.util.find_spec(name)  # imports nothing, since the package is at the top
    if spec is None:
        return []
    if not spec.submodule_search_locations:
        return [Path(spec.origin)] if spec.origin else []
    found = (path for place in spec.submodule_search_locations for path in Path(place).rglob("*"))
    return sorted(path for path in found if path.suffix in _CODE and path.is_file())
