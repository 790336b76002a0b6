"""The wire format of ``tf.train.Example``: features by name, as lists of bytes, floats or whole numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from vila2.plugin import DataError

_BYTES, _FLOATS, _INTEGERS = 1, 2, 3  # kinds of lists that a feature holds


def parse_example(data: bytes, where: str) -> dict[str, list[Any]]:
    """The features of a record.

    Args:
        data: serialized ``tf.train.Example``.
        where: file and place, for the error.

    Raises:
        DataError: the bytes are no such message.
    """
    try:
        features = {}
        for _, block in _fields(data, 1):
            for _, entry in _fields(block, 1):
                name, value = (dict(_fields(entry)).get(number, b"") for number in (1, 2))
                features[name.decode()] = _values(value)
        return features
    except (IndexError, ValueError, UnicodeDecodeError) as error:
        raise DataError(f"{where}: no tf.train.Example ({error})", hint="fetch the file again") from error


def _values(feature: bytes) -> list[Any]:
    values: list[Any] = []
    for kind, content in _fields(feature):
        for _, item in _fields(content, 1):
            if kind == _BYTES:
                values.append(item)
            elif kind == _FLOATS:
                values += np.frombuffer(item, "<f4").tolist()
            elif isinstance(item, int):
                values.append(item)
            else:
                place = 0
                while place < len(item):
                    number, place = _varint(item, place)
                    values.append(number - (1 << 64) if number >> 63 else number)
    return values


def _fields(data: bytes, only: int | None = None) -> Iterator[tuple[int, Any]]:
    """Numbers and contents of a message's fields; with ``only``, those of the fields with that number."""
    place = 0
    while place < len(data):
        tag, place = _varint(data, place)
        number, wire = tag >> 3, tag & 7
        content: int | bytes
        if wire == 0:
            content, place = _varint(data, place)
        elif wire in (1, 2, 5):
            length, place = (8, place) if wire == 1 else (4, place) if wire == 5 else _varint(data, place)
            content, place = data[place : place + length], place + length
            if place > len(data):
                raise ValueError("a field ends beyond its message")
        else:
            raise ValueError(f"unknown wire type {wire}")
        if only is None or number == only:
            yield number, content


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return value, place
        if shift > 63:
            raise ValueError("a number of more than 64 bits")
