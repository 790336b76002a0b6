"""What a format's writer does, and the texts that a reader would take for something else."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from vila2.exports.export_rows import ExportRow


class CannotHold(Exception):
    """A row that a format cannot hold.

    Attributes:
        reason: code of the reason, for ``left_out.jsonl``.
        detail: explanation in one line.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class RowWriter(Protocol):
    """Writes the rows of one export in a format."""

    def add(self, row: ExportRow) -> None:
        """Writes a row and its images.

        Raises:
            CannotHold: the format cannot hold the row; nothing of it was written.
        """
        ...

    def close(self) -> None:
        """Completes the files."""
        ...


def check_no_marks(row: ExportRow, marks: Collection[str]) -> None:
    """Refuses a row whose text holds what the format's readers take for an image or a place.

    Raises:
        CannotHold: it holds one. A changed text would be another text, so the row is left out and counted.
    """
    for turn in row.turns:
        found = next((mark for mark in marks if mark in turn.text), None)
        if found is not None:
            raise CannotHold(
                "mark-in-text", f"the text holds {found!r}, which readers of this format replace"
            )


class JsonLines:
    """A file of rows, one JSON object in each line, or a JSON array of them.

    Args:
        path: path of the file.
        array: whether the file is an array.
    """

    def __init__(self, path: Path, *, array: bool) -> None:
        self._file = path.open("w", encoding="utf-8", newline="\n")
        self._array = array
        self._count = 0

    def add(self, row: dict[str, Any]) -> None:
        """Writes a row."""
        if self._array:
            self._file.write(",\n" if self._count else "[\n")
        self._file.write(json.dumps(row, ensure_ascii=False) + ("" if self._array else "\n"))
        self._count += 1

    def close(self) -> None:
        """Completes the file."""
        if self._array:
            self._file.write("\n]\n" if self._count else "[]\n")
        self._file.close()


@contextmanager
def unwritable_is_unfit() -> Iterator[None]:
    """Turns the error about a place or text that cannot be written into the row's own fault."""
    from vila2.errors import DataError

    try:
        yield
    except DataError as error:
        raise CannotHold("bad-place", error.what) from error
    except UnicodeError as error:
        raise CannotHold("not-unicode", str(error)) from error
