"""Entry points that an author has written and not installed yet."""

from __future__ import annotations

import json
import tomllib
from importlib.metadata import distributions
from pathlib import Path
from urllib.parse import unquote, urlparse

from vila2.plugin.discovery import GROUPS, Kind


def newly_named(kind: Kind, name: str) -> str:
    """Says which editable package names an entry point that its installation does not know; "" for none.

    ``pip install -e`` copies the entry points once, so one that is added later is not found.
    """
    for dist in distributions():
        try:
            origin = json.loads(dist.read_text("direct_url.json") or "{}")
            if not origin.get("dir_info", {}).get("editable"):
                continue
            folder = Path(unquote(urlparse(origin["url"]).path))
            project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
            named = project.get("entry-points", {}).get(GROUPS[kind], {})
        except (ValueError, KeyError, AttributeError, OSError):
            continue  # it cannot be read, and so names nothing
        if name in named:
            return f"{folder / 'pyproject.toml'} names it: `pip install -e {folder}` once more"
    return ""
