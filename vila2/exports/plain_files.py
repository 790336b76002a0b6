"""Plain files: WebDataset tars, a CSV of answers, and a text file beside each image."""

from __future__ import annotations

import csv
import io
import json
import tarfile
from pathlib import Path

from vila2.data.images import image_extension
from vila2.data.member_names import member_base
from vila2.data.tar_members import forget_members
from vila2.exports.export_rows import ExportRow
from vila2.exports.writer import CannotHold
from vila2.exports.written_images import WrittenImages

_SHARD_ROWS = 10_000
_SHARD_BYTES = 2**30


class WebDatasetWriter:
    """Tars of ``KEY.jpg``, ``KEY.txt`` (the first answer) and ``KEY.json`` (the conversation)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._tar: tarfile.TarFile | None = None
        self._shards = self._rows = 0

    def add(self, row: ExportRow) -> None:
        """Writes a row."""
        said = [{"role": turn.role, "content": row.text(turn, "<image>")} for turn in row.turns]
        base = member_base(row.key)
        single = len(row.images) == 1
        for number, data in enumerate(row.images):
            extension = image_extension(data)
            self._write(f"{base}.{extension}" if single else f"{base}.{number}.{extension}", data)
        self._write(f"{base}.txt", next(iter(row.answers), "").encode())
        about = {"key": row.key, "messages": said}
        self._write(f"{base}.json", json.dumps(about, ensure_ascii=False).encode())
        self._rows += 1
        if self._tar and (self._rows % _SHARD_ROWS == 0 or self._tar.offset > _SHARD_BYTES):
            self.close()

    def close(self) -> None:
        """Completes the tar under way."""
        if self._tar is not None:
            self._tar.close()
            self._tar = None

    def _write(self, name: str, data: bytes) -> None:
        if self._tar is None:
            path = self._folder / f"{self._shards:06d}.tar"
            self._tar = tarfile.open(path, "w", format=tarfile.PAX_FORMAT)  # noqa: SIM115
            self._shards += 1
        info = tarfile.TarInfo(name)
        info.size, info.mode = len(data), 0o644
        self._tar.addfile(info, io.BytesIO(data))
        forget_members(self._tar)


class CsvWriter:
    """Rows ``key,image,question,answer``, one for each answer; several images are separated by ``|``."""

    def __init__(self, folder: Path) -> None:
        self._file = (folder / "data.csv").open("w", encoding="utf-8", newline="")
        self._rows = csv.writer(self._file)
        self._rows.writerow(("key", "image", "question", "answer"))
        self._images = WrittenImages(folder)

    def add(self, row: ExportRow) -> None:
        """Writes a row for each answer that counts."""
        lines: list[tuple[str, str]] = []
        question = ""
        for turn in row.turns:
            if turn.role == "user":
                question = row.text(turn).strip("\n")
            elif turn.trained:
                lines.append((question, row.text(turn)))
        images = "|".join(self._images.place(row.image_key, row.images))
        self._rows.writerows((row.key, images, question, answer) for question, answer in lines)

    def close(self) -> None:
        """Completes the file."""
        self._file.close()


class TextFilesWriter:
    """``KEY.jpg`` and beside it ``KEY.txt`` with the answers, a line each, as image trainers read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._images = WrittenImages(folder, below="")

    def add(self, row: ExportRow) -> None:
        """Writes the answers beside the image; a tree's branches go into one file."""
        if len(row.images) != 1:
            raise CannotHold("not-one-image", f"{len(row.images)} images; a text file stands beside one")
        answers = "".join(f"{answer}\n" for answer in row.answers)
        image = self._folder / self._images.place(row.image_key, row.images)[0]
        with image.with_suffix(".txt").open("a", encoding="utf-8", newline="\n") as file:
            file.write(answers)

    def close(self) -> None:
        """There is nothing left to write."""
