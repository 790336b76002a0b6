"""References: "package.module:name" strings of a plugin. They are imported when they are used."""

from __future__ import annotations

import importlib
import importlib.resources
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from reprlib import repr as shortened
from types import UnionType
from typing import Any, get_args

from vila2.errors import PluginError
from vila2.plugin.clock import watched
from vila2.plugin.guard import guarded

#: Seconds after which an import is named to the user: of what describes a plugin, which should be light, and
#: of what it then uses, which may import torch.
LIGHT, HEAVY = 2.0, 30.0
#: Seconds after which a call that has not come back is named: it may loop without an end.
LONG = 60.0


def load_reference(reference: str, *, of: str, seconds: float = HEAVY, hint: str = "") -> Any:
    """The object that a reference names.

    Args:
        reference: Text of the form "package.module:name". Without ":name" it names the module.
        of: Origin of the reference, for errors: "plugin 'ocr' (vila2-ocr 0.1.0), parser".
        seconds: Time after which the user is told whose import it is that takes so long.
        hint: Advice where the module cannot be imported.

    Raises:
        PluginError: The module cannot be imported, or it has no such name.
    """
    module, _, name = reference.partition(":")
    told = f"{of}: {module} cannot be imported"
    slow = watched(f"{of}: the import of {module}", seconds, hint="Ctrl-C stops it")
    with slow, guarded(told, hint=hint or "install what it needs, or fix the plugin"):
        loaded = importlib.import_module(module)
    for part in filter(None, name.split(".")):
        try:
            with guarded(f"{of}, {reference}"):
                loaded = getattr(loaded, part)
        except PluginError as error:
            if not isinstance(error.__cause__, AttributeError):
                raise
            raise PluginError(
                f"{of}: {module} has no {name!r}", hint="fix the reference in the plugin"
            ) from error
    return loaded


def read_packaged(path: str, *, of: str) -> str:
    """The text of a file inside a package, named as "package/folder/file.yaml".

    Raises:
        PluginError: The package or the file does not exist.
    """
    package, *inside = PurePosixPath(path).parts
    with guarded(of):
        try:
            file = importlib.resources.files(package).joinpath(*inside)
            return file.read_text(encoding="utf-8")
        except (ModuleNotFoundError, OSError, UnicodeError) as error:
            raise PluginError(
                f"{of}: {path} cannot be read ({error})",
                hint="ship the file as package data: see the plugin's pyproject.toml",
            ) from error


def call(
    function: Callable[..., Any],
    *arguments: Any,
    of: str,
    gives: type | UnionType = object,
    seconds: float | None = None,
) -> Any:
    """Calls a plugin's function. An unexpected error becomes one that names the plugin.

    Args:
        function: Function of the plugin.
        arguments: Arguments of the function.
        of: Name of the function, for errors.
        gives: Kind of what it returns.
        seconds: Time after which the user is told whose call it is that takes so long; by default
            :data:`LONG`.

    Raises:
        PluginError: The function raised an unexpected error, or it returned something that is no ``gives``.
        Vila2Error: The function raised it on purpose. It gets a note that names the plugin.
    """
    with watched(of, seconds or LONG, hint="Ctrl-C stops it, and what is finished stays"), guarded(of):
        given = function(*arguments)
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


def each(given: Any, kind: type | UnionType, *, of: str) -> Iterator[Any]:
    """The things that a plugin's iterator gives, one after the other.

    Raises:
        PluginError: It is no iterator, it fails, or one thing is of another kind.
    """
    checked(given, Iterable, of=of)
    done = object()
    things = call(iter, given, of=of)
    while (one := call(next, things, done, of=of)) is not done:
        yield checked(one, kind, of=of)


def _called(kind: type | UnionType) -> str:
    kinds = get_args(kind) if isinstance(kind, UnionType) else (kind,)
    return " or ".join(one.__name__ for one in kinds)
