"""Relative paths of a recipe, which are looked up beside its file first."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

#: Keys whose value is a path if it names something beside the recipe.
_PATH_KEYS = {"path", "vision", "language", "pretrained", "image_root"}
#: Keys that earlier versions looked up in the working directory only: there they are still looked up first.
_LATER_KEYS = {"path", "recipe", "made", "image_root", "images", "captioner", "tokenizer", "model", "scorer"}
_VARIABLE = re.compile(r"\$([A-Za-z_]\w*)(?=/|$)")


def resolve_paths(raw: dict[str, Any], beside: Path) -> None:
    """Makes paths that exist beside the recipe absolute, in place; resolves ``~`` and a leading ``$NAME``.

    Args:
        raw: plain values of the recipe.
        beside: folder of the recipe's file.
    """
    for holder, keys in _path_holders(raw):
        for key in keys & holder.keys():
            if isinstance(holder[key], str) and holder[key]:
                holder[key] = _resolved(holder[key], beside)
    for holder in _later_holders(raw):
        for key in _LATER_KEYS & holder.keys():
            text = holder[key]
            if isinstance(text, str) and text and not os.path.exists(text):
                holder[key] = _resolved(text, beside)


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


def _later_holders(raw: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    uses = raw.get("specialists")
    for use in uses.values() if isinstance(uses, dict) else ():
        if isinstance(use, dict):
            given = use.get("data")
            data = given if isinstance(given, dict) else {}
            yield from (
                one for one in (use, data, use.get("set"), data.get("options")) if isinstance(one, dict)
            )
    benchmarks = raw.get("evaluate")
    yield from (
        one
        for one in (
            raw.get("cycle"),
            raw.get("merge"),
            *(benchmarks if isinstance(benchmarks, list) else ()),
        )
        if isinstance(one, dict)
    )


def _resolved(text: str, beside: Path) -> str:
    if text.startswith("$"):
        text = _VARIABLE.sub(lambda match: os.environ.get(match[1]) or match[0], text)
    path = os.path.expanduser(text)
    if os.path.isabs(path):
        return str(Path(path))
    # Of os.path, since a text that cannot be a file's name is no error here.
    found = os.path.join(beside, path)
    return os.path.realpath(found) if os.path.exists(found) else text
