"""The rooms: each imports only itself and those above it, and nobody imports the command line."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import vila2

ROOT = Path(vila2.__file__).parent

#: From the ground up, as in docs/architecture.md.
ORDER = (
    "data",
    "recipe",
    "run",
    "claims",
    "model",
    "packing",
    "plugin",
    "engine",
    "report",
    "train",
    "sources",
    "caption",
    "testing",
    "evaluate",
    "judge",
    "merge",
    "specialist",
    "cycle",
    "studies",
    "cli",
)
FREE = {"errors", "nearest", "__version__"}
# The public face resolves its names on first use, and `python -m vila2` is the command line.
FACE = {"__init__.py", "__main__.py"}


def imports_of(source: str, package: str) -> Iterator[tuple[int, str]]:
    """Line and full name of everything of vila2 that a module imports, inside functions and strings too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield node.lineno, name.name
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base] if base else above)
            for name in node.names:
                yield node.lineno, f"{base}.{name.name}"
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            # "vila2.sources.llava:read" in a table is an import that happens later.
            name = node.value.partition(":")[0]
            parts = name.split(".")
            # A group of entry points is called "vila2.specialists" and names no room.
            if parts[0] == "vila2" and len(parts) > 1 and (ROOT / parts[1]).is_dir():
                yield node.lineno, name


def faults(source: str, room: str, package: str) -> list[str]:
    """What a module of ``room`` imports although it must not."""
    found = []
    for line, name in imports_of(source, package):
        parts = name.split(".")
        if parts[0] != "vila2" or len(parts) < 2 or parts[1] in FREE:
            continue
        if parts[1] not in ORDER:
            found.append(f"line {line}: {name} is in no room (add it to ORDER and to docs/architecture.md)")
        elif ORDER.index(parts[1]) > ORDER.index(room):
            found.append(f"line {line}: {room} imports {name}, which is below it")
    return found


MODULES = sorted(path for path in ROOT.rglob("*.py") if path.relative_to(ROOT).parts[0] not in FACE)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_imports_only_what_is_above_it(path: Path):
    parts = path.relative_to(ROOT).parts
    if len(parts) == 1:  # errors.py and nearest.py stand under all rooms
        assert parts[0].removesuffix(".py") in FREE
        assert not [name for _, name in imports_of(path.read_text(), "vila2") if name.startswith("vila2.")]
        return
    assert parts[0] in ORDER, f"{path} is in no room"
    package = ".".join(["vila2", *parts[:-1]])
    assert faults(path.read_text(encoding="utf-8"), parts[0], package) == []


@pytest.mark.parametrize(
    ("room", "source", "wrong"),
    [
        ("data", "from vila2.run import steps", True),
        ("data", "def f():\n    import vila2.train.stage", True),
        ("run", "from vila2.data.atomic import write_text_atomic", False),
        ("caption", "from ..cycle import rounds", True),
        ("caption", "from .. import cli", True),
        ("caption", "from . import marks", False),
        ("sources", "TABLE = {'x': 'vila2.model.assemble:load'}", True),
        ("report", "from vila2 import __version__", False),
        ("report", "from vila2 import cycle", True),
        ("train", "import vila2.kitchen", True),
    ],
)
def test_the_guard_sees(room: str, source: str, wrong: bool):
    assert bool(faults(source, room, f"vila2.{room}")) is wrong


def test_every_room_begins_with_a_line_that_says_what_it_holds():
    for path in MODULES:
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), f"{path} has no docstring"
