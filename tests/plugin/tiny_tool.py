"""A whole tool in one module, as a package of its own: it finds the dark part of a picture."""

from __future__ import annotations

from pathlib import Path

from tests.plugin.packages import install

CODE = """
import urllib.request

import numpy
from vila2.plugin import BoxPart, Claimed, MergePolicy, Tool, ToolSettings, hookimpl, reply


@hookimpl
def vila2_specialists():
    return [Tool(
        name="dark", summary="Finds the dark part.", annotate="vila2_dark:open_finder",
        settings="vila2_dark:Settings",
        claims=("object",), questions=("Where is it dark?", "Which part is dark?"), backend="numpy",
        at_once=AT_ONCE, merge=MergePolicy(priority=3),
    )]


class Settings(ToolSettings):
    darkest: int = 100
    fails_on: str = ""
    service: str = ""


def open_finder(settings):
    def find(seen):
        if settings.fails_on and settings.fails_on in seen.key:
            raise ValueError(f"cannot look at {seen.key}")
        if settings.service:
            urllib.request.urlopen(settings.service, data=seen.images[0]).read()
        rows, columns = numpy.nonzero(numpy.asarray(seen.decoded()).max(axis=2) < settings.darkest)
        height, width = seen.decoded().height, seen.decoded().width
        if not len(rows):
            return reply(("Where is it dark?", ["Nowhere."]), status="empty")
        left, top, right, bottom = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
        box = (float(left / width), float(top / height), float(right / width), float(bottom / height))
        return reply(("Where is it dark?", [
            "There is ", Claimed("a dark part", kind="object", subject="dark part", boxes=(box,)), " at ",
            BoxPart(box), ".",
        ]))
    return find
"""


def install_dark(site: Path, *, at_once: int = 1, instead: tuple[str, str] = ("", "")) -> Path:
    """Puts the package ``vila2-dark`` into a folder on Python's path, with one piece of its code replaced."""
    code = CODE.replace("AT_ONCE", str(at_once))
    old, new = instead
    assert old in code
    return install(site, "vila2-dark", code.replace(old, new) if old else code, entry="dark")
