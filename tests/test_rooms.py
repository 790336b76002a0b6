"""The structure of the package.

A room may import only some others, files import each other in no circle, a thing has one name, and authors of
plugins import from one module.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import vila2

ROOT = Path(vila2.__file__).parent
PROJECT = ROOT.parent
#: The packages of the plugins and of the example.
PLUGINS = sorted(path.parent for path in PROJECT.glob("*/*/src/*/__init__.py"))

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
    "compute",
    "evaluate",
    "judge",
    "merge",
    "exports",
    "browse",
    "specialist",
    "testing",
    "cycle",
    "studies",
    "api",
    "cli",
)
#: Modules under all rooms.
FREE = {"errors", "nearest", "progress", "__version__"}
#: The faces resolve their names on first use, from any room, and `python -m vila2` is the command line.
FACES = {"__init__.py", "__main__.py", "plugin/__init__.py"}
#: What a plugin may import.
AUTHORS_FACE = {"vila2.plugin", "vila2.testing"}
#: Modules that are called as their command, their part of a recipe, or their part of a plugin is.
SHARED_MODULE_NAMES = {
    *("__init__", "__main__"),
    *(path.stem for path in (ROOT / "cli").glob("*.py")),
    *(path.stem for path in (ROOT / "recipe/parts").glob("*.py")),
}


def imports_of(source: str, package: str) -> Iterator[tuple[int, str]]:
    """Line and full name of everything of vila2 that a module imports, inside functions and strings too."""
    tree = ast.parse(source)
    # The name under which a step is known in digests is the place its code once had.
    former = {
        id(keyword.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg == "digested_as"
    }
    for node in ast.walk(tree):
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
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in former:
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


def modules_of(package: Path) -> dict[str, Path]:
    """The files of a package, by the full names of their modules."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = [package.name, *path.relative_to(package).with_suffix("").parts]
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = [path for path in modules_of(ROOT).values() if path.relative_to(ROOT).as_posix() not in FACES]


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
        ("sources", "TABLE = {'x': 'vila2.judge.pairs:load'}", True),
        ("train", "@step_kind('x', X, digested_as='vila2.cycle.work.x')\ndef x(): ...", False),
        ("report", "from vila2 import __version__", False),
        ("report", "from vila2 import cycle", True),
        ("train", "import vila2.kitchen", True),
    ],
)
def test_the_guard_sees(room: str, source: str, wrong: bool):
    assert bool(faults(source, room, f"vila2.{room}")) is wrong


def graph(modules: Mapping[str, Path]) -> dict[str, set[str]]:
    """Which module imports which, inside functions too; a face resolves its names later and is left out."""
    arrows: dict[str, set[str]] = {}
    for name, path in modules.items():
        if path.is_relative_to(ROOT) and path.relative_to(ROOT).as_posix() in FACES:
            continue
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        found = {one for _, one in imports_of(path.read_text(encoding="utf-8"), package)}
        found = {one if one in modules else one.rpartition(".")[0] for one in found}
        arrows[name] = {one for one in found if one in modules and one != name}
    return arrows


def test_no_two_files_import_each_other():
    modules = modules_of(ROOT)
    for package in PLUGINS:
        modules |= modules_of(package)
    try:
        TopologicalSorter(graph(modules)).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize("package", [ROOT, *PLUGINS], ids=lambda path: path.name)
def test_a_name_means_one_thing(package: Path):
    classes, stems = defaultdict(list), defaultdict(list)
    for name, path in modules_of(package).items():
        if path.stem not in SHARED_MODULE_NAMES:
            stems[path.stem].append(name)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                classes[node.name].append(name)
    twice = {name: places for names in (classes, stems) for name, places in names.items() if len(places) > 1}
    assert twice == {}


@pytest.mark.parametrize("package", PLUGINS, ids=lambda path: path.name)
def test_a_plugin_imports_only_the_authors_face(package: Path):
    wrong = []
    for name, path in modules_of(package).items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            named = [node.module] if isinstance(node, ast.ImportFrom) else []
            named += [one.name for one in node.names] if isinstance(node, ast.Import) else []
            for one in named:
                if one and one.split(".")[0] == "vila2" and one not in AUTHORS_FACE:
                    wrong.append(f"{name}: line {node.lineno}: {one}")
    assert wrong == []


def test_every_room_begins_with_a_line_that_says_what_it_holds():
    for path in MODULES:
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), f"{path} has no docstring"
