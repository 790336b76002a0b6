"""Recipes that extend others: ``extends: FILE`` or a list of files, by path from the recipe, or the name
of a shipped one, ``builtin:NAME``.

Mappings are joined key by key. Any other value, a list included, is replaced: the extending recipe wins, and
of several extended ones the later. ``null`` removes a key (``specialists: {ocr: null}``) unless null is a
valid value of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from vila2.errors import RecipeError
from vila2.nearest import nearest_path
from vila2.recipe.checks.problems import Problem, Where
from vila2.recipe.file.paths import resolve_paths
from vila2.recipe.file.shape import keys_at, takes_null
from vila2.recipe.file.shipped_recipes import located
from vila2.recipe.file.yaml import read_yaml

KEY = "extends"


class Place(NamedTuple):
    """The place where a key was written; places sort in the order of reading."""

    file: int
    line: int
    path: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}" if self.line else self.path


@dataclass(slots=True)
class Raw:
    """The plain values of a recipe and all recipes that it extends, with the place of each key."""

    value: Any = None
    places: dict[Where, Place] = field(default_factory=dict)
    problems: list[tuple[Place, Problem]] = field(default_factory=list)


def read_extended(path: Path, environment: Mapping[str, str] | None = None) -> Raw:
    """Reads a recipe's file and the files that it extends.

    Raises:
        RecipeError: a file cannot be read, is not YAML, is not a mapping, or extends itself.
    """
    return _read(located(path), environment, above=(), files=[])


def _read(
    path: Path, environment: Mapping[str, str] | None, above: tuple[Path, ...], files: list[Path]
) -> Raw:
    marked = read_yaml(recipe_text(path), where=str(path), environment=environment)
    if not isinstance(marked.value, dict):
        raise RecipeError(
            f"{path}: a recipe is a mapping of keys, and this {what_it_is(marked.value)}",
            hint=f"its keys are {', '.join(keys_at(()))}; `vila2 config recipes` lists some to start from",
        )
    line = marked.lines.get((KEY,), 1)
    extended = _extended(marked.value.pop(KEY, []), path, f"{path}:{line}: {KEY}", above)
    resolve_paths(marked.value, path.parent)
    raw = Raw({})
    for file in extended:
        _join(raw, _read(file, environment, (*above, path.resolve()), files))
    files.append(path)
    places = {
        where: Place(len(files), line, str(path)) for where, line in marked.lines.items() if where != (KEY,)
    }
    own = [(places[_written(problem.where, places)], problem) for problem in marked.problems]
    _join(raw, Raw(marked.value, places, own))
    return raw


def _extended(names: Any, path: Path, where: str, above: tuple[Path, ...]) -> list[Path]:
    """The files that a recipe extends.

    Args:
        names: value of its ``extends``.
        path: file of the recipe.
        where: place of ``extends``, for errors.
        above: files that extend this recipe.
    """
    names = [names] if isinstance(names, str) else names
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise RecipeError(f"{where}: {names!r} is no file", hint="give a file's name, or a list of them")
    files = [path.parent / located(Path(name).expanduser()) for name in names]
    for file in files:
        if file.resolve() in (*above, path.resolve()):
            chain = " -> ".join(one.name for one in (*above, path, file))
            raise RecipeError(f"{where}: {chain}: a recipe cannot extend itself", hint="leave it out")
        if not file.is_file():
            what = "this is a folder" if file.is_dir() else "no such file"
            raise RecipeError(f"{where}: {file}: {what}", hint="give the path of a recipe from this one")
    return files


def what_it_is(value: Any) -> str:
    """What a file holds instead of a mapping of keys, for errors."""
    if value is None:
        return "is empty"
    return "is a list" if isinstance(value, list) else f"is only {str(value)[:40]!r}"


_LARGEST = 4 << 20  # bytes: a larger file is no recipe, but perhaps a model or a tar


def recipe_text(path: Path) -> str:
    """The text of a recipe's file.

    Raises:
        RecipeError: the file cannot be read as text.
    """
    try:
        if path.is_dir():
            inside = sorted(one.name for one in path.glob("*.y*ml"))
            raise RecipeError(
                f"{path}: this is a folder",
                hint=f"give a recipe in it: {', '.join(inside[:8])}"
                if inside
                else "give the path of a recipe",
            )
        if path.stat().st_size > _LARGEST:
            raise RecipeError(
                f"{path}: {path.stat().st_size:,} bytes are no recipe",
                hint="give the path of a recipe, a YAML file",
            )
        raw = path.read_bytes()
    except OSError as error:
        near = nearest_path(path) or next(
            filter(Path.is_file, [Path("examples") / f"{path.name}.yaml"]), None
        )
        hint = (
            f"did you mean {near}?"
            if near
            else "give the path of a recipe; `vila2 config recipes` lists some"
        )
        raise RecipeError(f"{path}: {error.strerror or error}", hint=hint) from error
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        kind = "UTF-16 text" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "not UTF-8 text"
        raise RecipeError(
            f"{path}:{line}: this is {kind} (byte 0x{raw[error.start]:02x})",
            hint="save it as UTF-8, in the editor or with iconv -f ENCODING -t UTF-8",
        ) from error


def _written(where: Where, places: Mapping[Where, Place]) -> Where:
    """The nearest key at or above a place that a file gives."""
    return next(where[:end] for end in range(len(where), -1, -1) if where[:end] in places)


def _join(raw: Raw, over: Raw) -> None:
    """Joins the values of ``over`` into ``raw``, which they override."""
    replaced: list[Where] = []
    raw.value = _joined(raw.value, over.value, (), replaced)
    gone = {where for where in raw.places if any(where[: len(top)] == top for top in replaced)}
    raw.places = {where: place for where, place in raw.places.items() if where not in gone} | over.places
    raw.problems += over.problems


def _joined(base: Any, over: Any, where: Where, replaced: list[Where]) -> Any:
    if not (isinstance(base, dict) and isinstance(over, dict)):
        replaced.append(where)
        return over
    joined = dict(base)
    for key, value in over.items():
        if value is None and key in base and not takes_null((*where, key)):
            replaced.append((*where, key))
            del joined[key]
        else:
            joined[key] = _joined(base[key], value, (*where, key), replaced) if key in base else value
    return joined
