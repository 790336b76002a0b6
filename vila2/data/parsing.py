"""The boundary around whatever reads a stored format: input of a wrong shape becomes an error with a name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vila2.data.files import read_file
from vila2.errors import DataError, Vila2Error, one_line

#: What code raises that meets a number for a list, a missing field, or brackets without end. Memory and
#: system errors are not among them: they say nothing about the input.
MISSHAPEN: tuple[type[Exception], ...] = (
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    IndexError,
    ArithmeticError,
    RecursionError,
)


@contextmanager
def parsing(where: object, *, hint: str, error: type[Vila2Error] = DataError) -> Iterator[None]:
    """Turns the exceptions of a block that reads a stored format into an error that names the file.

    Args:
        where: file, line or member that is read.
        hint: advice for the reader.
        error: class of the error.

    Raises:
        Vila2Error: of the class ``error``; errors that have a name pass as they are.
    """
    try:
        yield
    except MISSHAPEN as found:
        raise error(f"{where}: cannot be read ({described(found)})", hint=hint) from found


def described(found: BaseException) -> str:
    """Says in a few words what an exception of :data:`MISSHAPEN` means."""
    match found:
        case KeyError():
            return f"{found} is missing"
        case RecursionError():
            return "it is nested too deeply"
    return one_line(found)


def read_json(path: Path, *, hint: str, error: type[Vila2Error] = DataError) -> dict[str, Any]:
    """Reads a file that holds one JSON object.

    Raises:
        Vila2Error: of the class ``error``: the file holds something else.
        DataError: it is missing, no regular file, or too large.
    """
    data = read_file(path)
    with parsing(path, hint=hint, error=error):
        found = json.loads(data)
        if not isinstance(found, dict):
            raise ValueError(f"a {type(found).__name__} instead of an object")
    return found
