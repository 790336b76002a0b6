"""Relative paths of a recipe, taken from beside its file where they exist there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

#: Keys whose value is a path when it names something beside the recipe.
_PATH_KEYS = {"path", "vision", "language", "pretrained", "image_root"}


def resolve_paths(raw: dict[str, Any], beside: Path) -> None:
    """Makes the paths under ``data`` and ``model`` that exist beside the recipe absolute, in place.

    Args:
        raw: the recipe as plain values.
        beside: the folder of its file.
    """
    for holder, keys in _path_holders(raw):
        for key in keys & holder.keys():
            if isinstance(holder[key], str) and holder[key]:
                holder[key] = _resolved(holder[key], beside)


def _path_holders(raw: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], set[str]]]:
    data = raw.get("data")
    specs = [spec for spec in data.values() if isinstance(spec, dict)] if isinstance(data, dict) else []
    for spec in specs:
        yield spec, _PATH_KEYS
        if isinstance(spec.get("options"), dict):
            yield spec["options"], _PATH_KEYS
        if isinstance(spec.get("layers"), dict):
            yield spec["layers"], set(spec["layers"])
    if isinstance(raw.get("model"), dict):
        yield raw["model"], _PATH_KEYS


def _resolved(text: str, beside: Path) -> str:
    path = Path(text).expanduser() if text.startswith("~") else Path(text)
    if path.is_absolute():
        return str(path)
    found = beside / path
    return str(found.resolve()) if found.exists() else text
