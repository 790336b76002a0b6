"""Parquet files that ``datasets.load_dataset`` opens with images: for TRL, and for the hub."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vila2.data.images import image_extension
from vila2.data.member_names import member_base
from vila2.data.sample import ImagePart, Turn
from vila2.exports.export_rows import ExportRow

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_FILE_BYTES = 400 * 2**20
_GROUP_BYTES = 32 * 2**20
_TEXT = {"dtype": "string", "_type": "Value"}
_IMAGE = {"_type": "Image"}


class _ImageTable:
    """Writes ``data/train-*.parquet``, whose metadata name the columns of images.

    Args:
        folder: folder of the export.
        features: columns in the form of ``datasets.Features``; an image is ``{"_type": "Image"}``.
    """

    def __init__(self, folder: Path, features: dict[str, Any]) -> None:
        self._folder = folder / "data"
        self._folder.mkdir()
        self._schema = _schema(features)
        self._rows: list[dict[str, Any]] = []
        self._bytes = self._written = 0
        self._files: list[Path] = []
        self._open: pq.ParquetWriter | None = None

    def add(self, row: dict[str, Any], weight: int) -> None:
        """Adds a row of ``weight`` bytes of images."""
        self._rows.append(row)
        self._bytes += weight
        if self._bytes >= _GROUP_BYTES or len(self._rows) >= 1000:
            self._flush()

    def close(self) -> None:
        """Completes the files and numbers them as the hub does."""
        self._flush()
        if not self._files:
            self._start()
        self._finish()
        for number, path in enumerate(self._files):
            path.rename(path.with_name(f"train-{number:05d}-of-{len(self._files):05d}.parquet"))

    def _flush(self) -> None:
        import pyarrow as pa

        if not self._rows:
            return
        writer = self._open or self._start()
        writer.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
        self._written += self._bytes
        self._rows, self._bytes = [], 0
        if self._written >= _FILE_BYTES:
            self._finish()

    def _start(self) -> pq.ParquetWriter:
        import pyarrow.parquet as pq

        self._files.append(self._folder / f"{len(self._files)}.parquet")
        self._open = pq.ParquetWriter(self._files[-1], self._schema, compression="zstd")
        return self._open

    def _finish(self) -> None:
        if self._open is not None:
            self._open.close()
        self._open, self._written = None, 0


class TrlWriter:
    """TRL's conversational rows: ``images``, and ``messages`` whose content is a list of images and texts."""

    def __init__(self, folder: Path) -> None:
        content = [{"type": _TEXT, "text": _TEXT}]
        features = {"key": _TEXT, "images": [_IMAGE], "messages": [{"role": _TEXT, "content": content}]}
        self._table = _ImageTable(folder, features)

    def add(self, row: ExportRow) -> None:
        """Writes a row."""
        said = [{"role": turn.role, "content": _content(row, turn)} for turn in row.turns]
        self._table.add({"key": row.key, "images": _stored(row), "messages": said}, _weight(row))

    def close(self) -> None:
        """Completes the files."""
        self._table.close()


class HuggingFaceWriter:
    """One row an image: ``key``, ``image``, ``caption`` (the first answer) and the ``conversation`` in full.

    A sample with several images stands in ``images`` and has no ``image``.
    """

    def __init__(self, folder: Path) -> None:
        features = {
            "key": _TEXT,
            "image": _IMAGE,
            "images": [_IMAGE],
            "caption": _TEXT,
            "conversation": [{"role": _TEXT, "content": _TEXT}],
        }
        self._table = _ImageTable(folder, features)

    def add(self, row: ExportRow) -> None:
        """Writes a row."""
        stored = _stored(row)
        said = [{"role": turn.role, "content": row.text(turn).strip("\n")} for turn in row.turns]
        written = {
            "key": row.key,
            "image": stored[0] if len(stored) == 1 else None,
            "images": stored if len(stored) > 1 else [],
            "caption": next(iter(row.answers), ""),
            "conversation": said,
        }
        self._table.add(written, _weight(row))

    def close(self) -> None:
        """Completes the files."""
        self._table.close()


def _content(row: ExportRow, turn: Turn) -> list[dict[str, str | None]]:
    """Makes the content of a message: images, and the texts between them in one piece each."""
    content: list[dict[str, str | None]] = []
    for part, piece in zip(turn.parts, row.pieces(turn), strict=True):
        if isinstance(part, ImagePart):
            content.append({"type": "image", "text": None})
        elif content and content[-1]["type"] == "text":
            content[-1]["text"] = f"{content[-1]['text']}{piece}"
        else:
            content.append({"type": "text", "text": piece})
    return content


def _stored(row: ExportRow) -> list[dict[str, Any]]:
    return [
        {"bytes": data, "path": f"{member_base(row.image_key)}-{number}.{image_extension(data)}"}
        for number, data in enumerate(row.images)
    ]


def _weight(row: ExportRow) -> int:
    return sum(map(len, row.images)) + sum(len(turn.text) for turn in row.turns)


def _schema(features: dict[str, Any]) -> pa.Schema:
    import pyarrow as pa

    about = json.dumps({"info": {"features": features}})
    fields = [(name, _type(feature)) for name, feature in features.items()]
    return pa.schema(fields, metadata={"huggingface": about})


def _type(feature: Any) -> pa.DataType:
    """Gives the Arrow type of a feature."""
    import pyarrow as pa

    if isinstance(feature, list):
        return pa.list_(_type(feature[0]))
    if feature == _TEXT:
        return pa.string()
    if feature == _IMAGE:
        return pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    return pa.struct([(name, _type(inner)) for name, inner in feature.items()])
