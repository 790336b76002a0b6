"""Converts metadata to JSON values: what JSON has no form for becomes text, a number, a list or null."""

from __future__ import annotations

import datetime
import decimal
import enum
import math
import pathlib
import uuid
from collections.abc import Mapping
from typing import Any

_AS_TEXT = (decimal.Decimal, uuid.UUID, pathlib.PurePath, datetime.timedelta)
_DEEPEST = 50
_LARGEST = 10_000  # values of an array; a larger one is pixels or an embedding, not metadata


def plain_meta(meta: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Converts a sample's metadata to JSON values.

    Dates and times become text (ISO 8601), NumPy's numbers and arrays become Python's, sets and tuples become
    lists, keys become text, and bytes in UTF-8 become their text. Everything else (NaN, infinity, other
    bytes, large arrays, any other object) becomes null.

    Args:
        meta: values of any kind, by name.

    Returns:
        The metadata, and the names of the fields in which a value became null, in order, each once.
    """
    plain: dict[str, Any] = {}
    nulled: list[str] = []
    for name, value in meta.items():
        lost: list[str] = []
        key = _key(name)
        plain[key] = _plain(value, lost, 0)
        if lost:
            nulled.append(key)
    return plain, nulled


def _key(name: Any) -> str:
    return _text(name) if isinstance(name, str) else str(name)


def _text(text: str) -> str:
    """Escapes half characters, which a UTF-8 file cannot hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode()
    return text


def _plain(value: Any, lost: list[str], depth: int) -> Any:
    if isinstance(value, enum.Enum):
        return _plain(value.value, lost, depth)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(str(value))
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else _null(lost)
    if depth >= _DEEPEST:
        return _null(lost)
    if isinstance(value, Mapping):
        return {_key(name): _plain(inner, lost, depth + 1) for name, inner in value.items()}
    if isinstance(value, set | frozenset):
        return sorted((_plain(inner, lost, depth + 1) for inner in value), key=str)
    if isinstance(value, list | tuple):
        return [_plain(inner, lost, depth + 1) for inner in value]
    if isinstance(value, bytes | bytearray | memoryview):
        return _decoded(bytes(value), lost)
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat() if value == value else _null(lost)  # pandas' NaT does not equal itself
    if isinstance(value, decimal.Decimal) and not value.is_finite():
        return _null(lost)
    if isinstance(value, _AS_TEXT):
        return str(value)
    if hasattr(value, "dtype") and hasattr(value, "tolist"):  # numpy's numbers and arrays, tensors
        return _of_array(value, lost, depth)
    return _null(lost)


def _of_array(value: Any, lost: list[str], depth: int) -> Any:
    if math.prod(value.shape) > _LARGEST:
        return _null(lost)
    kind = str(value.dtype)
    if kind.startswith("datetime64"):
        value = value.astype("datetime64[us]")  # `tolist` turns nanoseconds into bare numbers
    elif kind.startswith("timedelta64"):
        return [str(one) for one in value] if value.shape else str(value)
    return _plain(value.tolist(), lost, depth + 1)


def _decoded(data: bytes, lost: list[str]) -> Any:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return _null(lost)
    return _null(lost) if "\0" in text else text


def _null(lost: list[str]) -> Any:
    """Gives null for a value without a JSON form, and notes it."""
    lost.append("")
    return None
