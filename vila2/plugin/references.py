"""References: "package.module:name" strings of a plugin. They are imported when they are used."""

from __future__ import annotations

import importlib
import importlib.resources
from collections.abc import Callable, Iterable, Mapping
from pathlib import PurePosixPath
from reprlib import repr as shortened
from types import UnionType
from typing import Any, get_args

from vila2.errors import PluginError, Vila2Error


def load_reference(reference: str, *, of: str) -> Any:
    """The object that a reference names.

    Args:
        reference: Text of the form "package.module:name".
        of: Origin of the reference, for errors: "plugin 'ocr' (vila2-ocr 0.1.0), parser".

    Raises:
        PluginError: The module cannot be imported, or it has no such name.
    """
    module, _, name = reference.partition(":")
    try:
        loaded = importlib.import_module(module)
    except (Exception, SystemExit) as error:
        raise PluginError(
            f"{of}: {module} cannot be imported: {type(error).__name__}: {error}",
            hint="install what it needs, or fix the plugin",
        ) from error
    if not hasattr(loaded, name):
        raise PluginError(f"{of}: {module} has no {name!r}", hint="fix the reference in the plugin")
    return getattr(loaded, name)


def read_packaged(path: str, *, of: str) -> str:
    """The text of a file inside a package, named as "package/folder/file.yaml".

    Raises:
        PluginError: The package or the file does not exist.
    """
    package, *inside = PurePosixPath(path).parts
    try:
        file = importlib.resources.files(package).joinpath(*inside)
        return file.read_text(encoding="utf-8")
    except (ModuleNotFoundError, OSError, UnicodeError) as error:
        raise PluginError(
            f"{of}: {path} cannot be read ({error})",
            hint="ship the file as package data: see the plugin's pyproject.toml",
        ) from error


def call(function: Callable[..., Any], *arguments: Any, of: str, gives: type | UnionType = object) -> Any:
    """Calls a plugin's function. An unexpected error becomes one that names the plugin.

    Raises:
        PluginError: The function raised an unexpected error, or it returned something that is no ``gives``.
        Vila2Error: The function raised it on purpose. It gets a note that names the plugin.
    """
    try:
        given = function(*arguments)
    except Vila2Error as error:
        error.add_note(f"in {of}")
        raise
    except (Exception, SystemExit) as error:
        raise PluginError(
            f"{of}: {type(error).__name__}: {error}", hint="report it to the plugin's author, with --debug"
        ) from error
    return checked(given, gives, of=of)


def checked(given: Any, kind: type | UnionType, *, of: str) -> Any:
    """Returns what a plugin gave, if it is of the right kind.

    Raises:
        PluginError: It is of another kind.
    """
    if not isinstance(given, kind):
        raise PluginError(f"{of}: gave {shortened(given)}", hint=f"give {_called(kind)}")
    return given


def listed(given: Any, kind: type | UnionType, *, of: str) -> list[Any]:
    """What a plugin gave, as a list of things of one kind. The plugin may give a generator.

    Raises:
        PluginError: It is no list, one thing is of another kind, or the generator fails.
    """
    # A plugin never means the letters of a text or the keys of a mapping.
    if not isinstance(given, Iterable) or isinstance(given, str | bytes | Mapping):
        raise PluginError(f"{of}: gave {shortened(given)}", hint=f"give a list of {_called(kind)}")
    return [checked(one, kind, of=of) for one in call(list, given, of=of)]


def _called(kind: type | UnionType) -> str:
    kinds = get_args(kind) if isinstance(kind, UnionType) else (kind,)
    return " or ".join(one.__name__ for one in kinds)
