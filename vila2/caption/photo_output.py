"""The captions file of photos with its companions: its content, the photos it is about, its replacement."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vila2.caption.photo_files import Photo, PhotoList, readable
from vila2.data.annotations import Annotation
from vila2.data.atomic import atomic_path, write_json_atomic, write_text_atomic
from vila2.data.job_files import OutputLock, check_earlier_job
from vila2.data.journal import append_lines, cut_broken_tail
from vila2.data.parsing import MISSHAPEN, read_json
from vila2.errors import DataError

#: What reading a line raises that is no caption.
_UNSOUND: tuple[type[Exception], ...] = (*MISSHAPEN, DataError)

#: A line of the file.
Row = dict[str, Any]

_HINT = (
    "give the same settings, another --out, --redo truncated,empty to ask again for some captions only, "
    "or --restart to throw the captions away"
)


@dataclass(frozen=True, slots=True)
class KnownPhoto:
    """What a line says of its photo, without the caption.

    Attributes:
        key: key of the photo.
        file: its path, relative to the captions file.
        sha256: digest of its content; "" in a file of an earlier version.
        status: status of the caption.
    """

    key: str
    file: str
    sha256: str
    status: str


@dataclass(frozen=True, slots=True)
class PhotoOutput:
    """The captions file with its companions."""

    path: Path

    @property
    def meta(self) -> Path:
        """The settings of the job, named after the whole file: ``x.json`` and ``x.jsonl`` have one each."""
        return self.path.with_name(f"{self.path.name}.meta.json")

    @property
    def rejected(self) -> Path:
        """The images that could not be read."""
        return self.path.with_name(f"{self.path.name}.rejected.jsonl")

    @property
    def redo(self) -> Path:
        """The captions that will replace others, while a redo is under way."""
        return self.path.with_name(f"{self.path.name}.redo.jsonl")

    def clear(self) -> None:
        """Deletes all captions and the companions.

        Raises:
            DataError: the file does not hold captions.
        """
        self.check_replaceable(restart=True)
        with self.path.open("r+b") as file:  # kept as a file: it carries the lock
            file.truncate()
        for companion in (self.meta, self.rejected, self.redo):
            companion.unlink(missing_ok=True)

    def check_replaceable(self, *, restart: bool) -> None:
        """Checks that captions may be written here: into a new file, an empty one, or one with captions.

        Raises:
            DataError: a folder, a file that cannot be written, or one that holds something else.
        """
        _check_writable(self.path)
        if not self.path.exists() or not self.path.stat().st_size:
            return
        if not self._is_ours():
            raise DataError(
                f"{self.path} holds something else than captions, which will not be overwritten",
                hint="give another --out, or remove the file yourself",
            )
        if not restart and self.earlier() is None:
            raise DataError(f"{self.path} holds captions, but {self.meta.name} is missing", hint=_HINT)

    def check_begun(self) -> None:
        """Checks that there are captions to redo.

        Raises:
            DataError: there are none.
        """
        if not self.path.exists() or not self.path.stat().st_size or self.earlier() is None:
            raise DataError(
                f"{self.path} holds no captions to ask again for", hint="leave --redo out, or check --out"
            )

    def earlier(self) -> dict[str, Any] | None:
        """The settings of the job that began this file; None where there are none.

        Raises:
            DataError: they cannot be read.
        """
        path = self._meta_file()
        if path is None:
            return None
        return read_json(path, hint=_HINT)

    def claim(self, job: Mapping[str, Any], sources: Sequence[str]) -> None:
        """Writes the settings, or checks that they are those of the job that began this file."""
        self.check_replaceable(restart=False)
        self.check(job)
        earlier = self.earlier() if self.path.stat().st_size else None
        if earlier is None or self._meta_file() != self.meta:
            kept = earlier or {**job, "photos": list(sources)}
            write_json_atomic(self.meta, {"out": readable(self.path.name), **kept})
        self.rejected.unlink(missing_ok=True)

    def check(self, known: Mapping[str, Any]) -> None:
        """Compares a job with the one that began this file; see :func:`describe_settings`."""
        path = self._meta_file()
        if path is not None and self.path.exists() and self.path.stat().st_size:
            check_earlier_job(path, known, where=self.path, hint=_HINT)

    def remember(self, **changes: Any) -> None:
        """Adds entries to the file of settings."""
        write_json_atomic(self.meta, {"out": readable(self.path.name), **(self.earlier() or {}), **changes})

    def follow(self, photos: PhotoList, rows: Sequence[KnownPhoto], lock: OutputLock) -> None:
        """Checks that the photos are those that the file is about, and updates the paths of those that moved.

        Raises:
            DataError: they are others: none of a folder's photos is in the file, or one has another content.
        """
        here = {photo.key: photo for photo in photos.photos}
        known = [row for row in rows if row.key in here]
        earlier = (self.earlier() or {}).get("photos", [])
        before = [earlier] if isinstance(earlier, str) else list(earlier)
        if rows and before != list(photos.sources):
            self._check_same(photos, here, known, len(rows), before)
        if before != list(photos.sources):
            self.remember(photos=list(photos.sources))
        places = {row.key: file_name(here[row.key].path, self.path) for row in known}
        if any(places[row.key] != row.file for row in known):
            self.replace_rows(
                lambda row: {**row, "file": places[row["key"]]} if row["key"] in places else row, lock
            )

    def _check_same(
        self,
        photos: PhotoList,
        here: Mapping[str, Photo],
        known: Sequence[KnownPhoto],
        count: int,
        before: Sequence[str],
    ) -> None:
        hint = f"give another --out for {photos.sources[0]}, or --restart to throw the captions away"
        other = f"{self.path} is about the photos of {', '.join(before[:3])}"
        # Files of earlier versions tell photos by their names alone.
        named_alone = any(not row.sha256 for row in known)
        if photos.is_folder and (not known or (named_alone and len(known) < count)):
            raise DataError(f"{other}; those of {photos.sources[0]} are others", hint=hint)
        for row in known:
            if row.sha256 and _sha256(here[row.key].path) not in (row.sha256, None):
                raise DataError(f"{other}; {row.key} of {photos.sources[0]} is another photo", hint=hint)

    def rows(self) -> list[KnownPhoto]:
        """The photos that have a caption; cuts off a torn last line first."""
        return cut_broken_tail(self.path, _known, only_last=True)

    def annotations(self) -> Iterator[Annotation]:
        """The captions, one by one."""
        with self.path.open("rb") as file:
            for line in file:
                yield self.annotation(json.loads(line))

    @staticmethod
    def annotation(row: Mapping[str, Any]) -> Annotation:
        """The caption of a line."""
        return Annotation(row["key"], row["prompt"], row["text"], row["status"], row["detail"], row["tokens"])

    def add(self, rows: Sequence[Row]) -> None:
        """Appends the captions of a batch; they are on disk when this returns."""
        _append(self.path, rows)

    def reject(self, rejects: Sequence[Mapping[str, str]]) -> None:
        """Records images that could not be read."""
        _append(self.rejected, rejects)

    def rejects(self) -> list[dict[str, str]]:
        """The images that could not be read, each once."""
        if not self.rejected.exists():
            return []
        found = [json.loads(line) for line in self.rejected.read_text(encoding="utf-8").splitlines()]
        return list({reject["key"]: reject for reject in found}.values())

    def forget_rejects(self, keys: Iterable[str]) -> None:
        """Removes images from the list of those that could not be read."""
        gone, before = set(keys), self.rejects()
        left = [reject for reject in before if reject["key"] not in gone]
        if not left:
            self.rejected.unlink(missing_ok=True)
        elif len(left) < len(before):
            write_text_atomic(self.rejected, "".join(_line(reject) for reject in left))

    def replace_rows(self, change: Callable[[Row], Row], lock: OutputLock, more: Sequence[Row] = ()) -> None:
        """Rewrites the file with lines changed and added; a kill leaves the old file or the new one."""
        with atomic_path(self.path, locked=False) as temporary:  # the output's own lock takes it over
            with self.path.open("rb") as old, temporary.open("w", encoding="utf-8") as new:
                for line in old:
                    new.write(_line(change(json.loads(line))))
                new.writelines(map(_line, more))
            lock.take_over(temporary)

    def _is_ours(self) -> bool:
        """Whether the file holds captions, by its first line, or by its settings where that line is torn."""
        with self.path.open("rb") as file:
            first = file.readline()
        if first.endswith(b"\n"):
            try:
                _known(first)
            except ValueError:
                return False
            return True
        return first.lstrip().startswith(b'{"key"') and self._meta_file() is not None

    def _meta_file(self) -> Path | None:
        """The file of settings, under its present name or that of earlier versions."""
        if self.meta.exists():
            return self.meta
        earlier = self.path.with_suffix(".meta.json")
        try:
            data = json.loads(earlier.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return earlier if earlier.exists() and self.path.suffix == ".jsonl" else None
        # A file with "out" names the captions file that it belongs to, which is another one.
        return earlier if isinstance(data, dict) and "out" not in data and "prompts" in data else None


def as_json(entry: Mapping[str, Any]) -> str:
    """A line's content. Bytes of a file name that are not UTF-8 are kept, as ``\\udce9``."""
    return json.dumps(entry, ensure_ascii=False).encode("utf-8", "backslashreplace").decode()


def row_of(
    photo: Photo, row: Annotation, out: Path | None, *, digest: str, prompt_name: str, model: str
) -> Row:
    """The line of a caption; ``file`` is relative to the captions file, or as given where there is none."""
    return {
        "key": row.key,
        "file": str(photo.path) if out is None else file_name(photo.path, out),
        "sha256": digest,
        "prompt_name": prompt_name,
        "prompt": row.prompt,
        "text": row.text,
        "status": row.status,
        "detail": row.detail,
        "tokens": row.tokens,
        "model": model,
    }


def file_name(photo: Path, out: Path) -> str:
    """A photo's path, seen from the folder of the captions file."""
    real = os.path.join(os.path.realpath(photo.parent), photo.name)
    return os.path.relpath(real, os.path.realpath(out.parent))


def _known(line: bytes) -> KnownPhoto:
    try:
        row = json.loads(line)
        PhotoOutput.annotation(row)
        return KnownPhoto(row["key"], row.get("file", ""), row.get("sha256", ""), row["status"])
    except _UNSOUND as error:
        raise ValueError(f"is no caption: {error}") from error


def _check_writable(path: Path) -> None:
    if path.is_dir():
        raise DataError(f"{path} is a folder", hint=f"give a file, such as --out {path / 'captions.jsonl'}")
    if path.exists() and not os.access(path, os.W_OK):
        raise DataError(f"{path} cannot be written", hint="give another --out")
    check_folder_writable(path.parent, hint="give an --out in a folder of yours")


def check_folder_writable(folder: Path, *, hint: str) -> None:
    """Checks that files can be made in a folder, or in the nearest existing one above it.

    Raises:
        DataError: they cannot.
    """
    there = folder
    while not there.exists():
        there = there.parent
    try:
        # Permissions are not enough: a file system may be read-only, or have none.
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise DataError(f"{there} cannot be written to: {error.strerror}", hint=hint) from error


def _sha256(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None  # reported when it is to be described


def _append(path: Path, entries: Sequence[Mapping[str, Any]]) -> None:
    if entries:
        with path.open("ab") as file:
            append_lines(file, map(as_json, entries))


def _line(entry: Mapping[str, Any]) -> str:
    return as_json(entry) + "\n"
