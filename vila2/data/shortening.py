"""Shortens values and names for errors and rejects: to one line, and never with the bytes of an image."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Iterable

#: Largest number of characters in the detail of a reject.
DETAIL = 300


class _Short(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 3
        self.maxstring = self.maxother = self.maxlong = 60

    def repr_str(self, x: str, level: int) -> str:
        return repr(x) if len(x) <= self.maxstring else f"{x[:40]!r}... ({len(x)} characters)"

    def repr_bytes(self, x: bytes, level: int) -> str:
        return f"<{len(x)} bytes>"

    repr_bytearray = repr_bytes

    def repr_memoryview(self, x: memoryview, level: int) -> str:
        return f"<{x.nbytes} bytes>"

    def repr_ndarray(self, x: object, level: int) -> str:
        return f"<an array of the shape {getattr(x, 'shape', '?')}>"


_SHORT = _Short()


def printable(text: str) -> str:
    """Makes every control character visible, so that text from elsewhere does not command a terminal."""
    return _CONTROLS.sub(_picture, text)


_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def _picture(found: re.Match[str]) -> str:
    code = ord(found.group())
    return chr(0x2400 + code) if code < 0x20 else "\ufffd"


def shown(value: object) -> str:
    """Writes a value for an error: as ``repr``, in about 200 characters, without the content of bytes."""
    return shortened(_SHORT.repr(value), 200)


def shortened(text: str, limit: int = DETAIL) -> str:
    """Puts a text on one line of at most ``limit`` characters; the middle of a longer one is left out."""
    # Cut first: joining the lines of ten megabytes would take long.
    if len(text) > 4 * limit:
        text = f"{text[: 2 * limit]} {text[-2 * limit :]}"
    line = " ".join(text.split())
    end = limit // 4
    return line if len(line) <= limit else f"{line[: limit - end - 5]} ... {line[-end:]}"


def listed(names: Iterable[object], limit: int = 12) -> str:
    """Lists names of fields or columns: the first ``limit``, and how many more there are."""
    every = [name if isinstance(name, str) else shown(name) for name in names]
    some = ", ".join(shortened(name, 40) for name in every[:limit])
    more = len(every) - limit
    return f"{some} and {more} more" if more > 0 else some or "(none)"
