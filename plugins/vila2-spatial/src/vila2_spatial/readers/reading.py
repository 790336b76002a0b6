"""Files of annotations, read with a clear message about every fault.

A frame that cannot be used is a reject.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from vila2.plugin import DataError

_COMMA = re.compile(r"-?\d+,\d+")


class BadFrame(Exception):
    """A frame that cannot be used.

    Args:
        where: file and line, or place in the file.
        reason: short reason for the count.
        detail: explanation for a person.
    """

    def __init__(self, where: str, reason: str, detail: str) -> None:
        super().__init__(f"{where}: {detail}")
        self.where = where
        self.reason = reason
        self.detail = detail


def text_lines(path: Path, what: str) -> Iterator[tuple[str, str]]:
    """The lines of a text file that are not empty, each with its place, without a byte order mark.

    Args:
        path: place of the file.
        what: kind of the file, for the reject where it is missing.

    Raises:
        BadFrame: the file does not exist or is not UTF-8.
    """
    try:
        lines = path.read_bytes().removeprefix(b"\xef\xbb\xbf").splitlines()
    except FileNotFoundError as error:
        raise BadFrame(str(path), f"no-{what}", "no such file") from error
    except OSError as error:
        raise BadFrame(str(path), "unreadable-file", error.strerror or str(error)) from error
    for number, line in enumerate(lines, start=1):
        where = f"{path}:{number}"
        if not line.strip():
            continue
        try:
            yield where, line.decode()
        except UnicodeDecodeError as error:
            detail = f"byte 0x{line[error.start]:02x} is no UTF-8: save the file as UTF-8 ({line[:40]!r})"
            raise BadFrame(where, "bad-encoding", detail) from error


def numbers(texts: Sequence[str], where: str) -> list[float]:
    """Texts as finite numbers.

    Raises:
        BadFrame: one of them is no finite number.
    """
    return [_number(text, where) for text in texts]


def _number(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError as error:
        hint = "; write a point, no comma" if _COMMA.fullmatch(text) else ""
        raise BadFrame(where, "bad-number", f"{text[:40]!r} is no number{hint}") from error
    if not math.isfinite(value):
        raise BadFrame(where, "bad-number", f"{text[:40]!r} is no finite number")
    return value


def array(value: Any, shape: tuple[int, ...], where: str, name: str) -> np.ndarray:
    """A value of a JSON file as an array of finite numbers.

    Raises:
        BadFrame: the array has another shape, or holds something else.
    """
    try:
        found = np.array(value, dtype=float)
    except (TypeError, ValueError, OverflowError) as error:
        raise BadFrame(where, "bad-number", f"{name} is {repr(value)[:60]}") from error
    if found.shape != shape or not np.isfinite(found).all():
        needed = " x ".join(map(str, shape)) or "one"
        raise BadFrame(
            where, "bad-number", f"{name} is {repr(value)[:60]}; needed is {needed} of finite numbers"
        )
    return found


def intrinsics(K: np.ndarray, where: str) -> np.ndarray:
    """A camera's matrix [3, 3] after a check.

    Raises:
        BadFrame: the matrix belongs to no camera.
    """
    if min(K[0, 0], K[1, 1]) <= 0:
        raise BadFrame(
            where, "bad-camera", f"focal lengths {K[0, 0]:g} and {K[1, 1]:g}, which must be above 0"
        )
    return K


def json_of(path: Path, hint: str) -> Any:
    """The content of a JSON file.

    Raises:
        DataError: the file is unreadable or is no JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: cannot be read ({error})", hint=hint) from error


def objects_in(values: Any, where: str) -> list[tuple[str, Mapping[str, Any]]]:
    """The objects of a list, each with its place.

    Raises:
        BadFrame: the value is no list, or one of its items is no object.
    """
    if not isinstance(values, list):
        raise BadFrame(where, "bad-annotation", f"{repr(values)[:60]} instead of a list")
    for number, value in enumerate(values):
        if not isinstance(value, Mapping):
            raise BadFrame(f"{where}[{number}]", "bad-annotation", f"{repr(value)[:60]} instead of an object")
    return [(f"{where}[{number}]", value) for number, value in enumerate(values)]
