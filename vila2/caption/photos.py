"""Captioning photos into one JSON-lines file, or onto a stream."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from vila2.caption.asked_captions import annotate
from vila2.caption.caption_job import describe_job
from vila2.caption.photo_files import Photo, PhotoList, find_photos
from vila2.caption.photo_output import PhotoOutput, Row, as_json, row_of
from vila2.caption.photo_redo import PhotoRedo
from vila2.caption.prompts import choose_prompt
from vila2.data.annotations import Annotation, Status, summarize
from vila2.data.job_files import only_writer
from vila2.engine.protocol import Engine, GenerationSettings, Request
from vila2.run.board import Board

if TYPE_CHECKING:
    from vila2.progress import Progress

__all__ = ["PhotoOutput", "PhotoSummary", "find_images", "recaption_photos", "stream_captions"]


@dataclass(frozen=True, slots=True)
class PhotoSummary:
    """What stands in the file after a job.

    Attributes:
        out: the file; None of a stream.
        photos: that were found.
        count: captions in the file.
        new: captions that this call wrote.
        redone: captions that this call wrote in the place of others.
        statuses: captions by mark.
        words_mean, words_sd: words of the captions marked "ok".
        rejected: images that could not be read.
        rejected_file: names them; None where there are none.
        other_files: files in the folder that are no images by their extension.
        left: photos without a caption, those that can not be read apart: beyond a limit, or after a redo alone.
        repeated: links and lines of a list that lead to what was met before.
    """

    out: Path | None
    photos: int
    count: int
    new: int
    redone: int
    statuses: dict[str, int]
    words_mean: float
    words_sd: float
    rejected: int
    rejected_file: Path | None
    other_files: int
    left: int
    repeated: int


def recaption_photos(
    photos: Path | PhotoList,
    engine: Engine,
    *,
    out: Path,
    prompts: Sequence[str],
    settings: GenerationSettings,
    seed: int,
    batch_size: int,
    limit: int | None = None,
    restart: bool = False,
    redo: Collection[Status] = (),
    progress: Progress | None = None,
) -> PhotoSummary:
    """Describes photos, one JSON line each: key, file, sha256, prompt name, prompt, text, status, detail, tokens, model.

    Called again after a kill it goes on: a line is on disk before the next batch begins, a torn last line is
    written again. ``OUT.meta.json`` beside the file guards the settings; images that cannot be read stand in
    ``OUT.rejected.jsonl`` and are tried again by the next call. A folder that was moved is known by the content
    of its photos.

    Args:
        photos: a folder, or what :func:`find_photos` found.
        engine: who describes.
        out: the JSON-lines file; ``file`` of its lines is relative to its folder.
        prompts: names of the paper's prompts or texts; each image gets one by hash of (key, seed).
        settings: of generation.
        seed: of the choice of prompts.
        batch_size: images that are described together.
        limit: of all photos only the first so many, in their order; those with a caption count.
        restart: throw away what an earlier job wrote.
        redo: ask again for the captions with these marks, in this way, and for nothing else; the others stay.
        progress: shows how far it is.

    Raises:
        DataError: no images there, ``out`` was begun with other settings or for other photos, or is not ours.
        EngineError: the engine cannot do what is asked.
        RunError: another process writes ``out``.
    """
    listed = photos if isinstance(photos, PhotoList) else find_photos([photos])
    chosen = listed.photos[:limit]
    output, work = PhotoOutput(out), _Work(engine, prompts, settings, seed)
    output.check_replaceable(restart=restart)
    if redo:
        output.check_begun()
    out.parent.mkdir(parents=True, exist_ok=True)
    out.touch()
    job, board = describe_job(engine, prompts, settings, seed), progress or Board()
    with only_writer(out) as lock:
        if restart:
            output.clear()
        again = PhotoRedo(output, redo, job)
        if not redo:
            output.claim(job, listed.sources)
        again.adopt_other(lock)
        rows = output.rows()
        output.follow(listed, rows, lock)
        new = redone = 0
        if redo:
            due = again.due(chosen, rows)
            with board.task(f"redo {listed.name}", len(due)) as task:
                for batch in _batches(due, batch_size):
                    described, unread = work.describe(batch, out)
                    again.keep(described)
                    output.reject(unread)
                    task.advance(len(batch))
            redone, new = again.finish(lock)
        else:
            done = {row.key for row in rows}
            pending = [photo for photo in chosen if photo.key not in done]
            with board.task(f"caption {listed.name}", len(chosen)) as task:
                task.advance(len(chosen) - len(pending))
                for batch in _batches(pending, batch_size):
                    described, unread = work.describe(batch, out)
                    output.add(described)
                    output.reject(unread)
                    new += len(described)
                    task.advance(len(batch))
            output.reject([{"key": key, "file": key, "reason": reason} for key, reason in listed.unread])
        return _summarise(output, listed, new, redone)


def stream_captions(
    photos: PhotoList,
    engine: Engine,
    stream: TextIO,
    *,
    prompts: Sequence[str],
    settings: GenerationSettings,
    seed: int,
    batch_size: int,
    limit: int | None = None,
    tell: Callable[[str], None] = lambda line: None,
    progress: Progress | None = None,
) -> PhotoSummary:
    """Describes photos onto a stream, a batch at a time; nothing is kept, so nothing goes on later.

    Args:
        stream: gets a JSON line per caption.
        tell: hears of every photo that could not be read.

    The other arguments are those of :func:`recaption_photos`.
    """
    chosen, work = photos.photos[:limit], _Work(engine, prompts, settings, seed)
    annotations: list[Annotation] = []
    unread_count = len(photos.unread)
    for key, reason in photos.unread:
        tell(f"{key}: {reason}")
    with (progress or Board()).task(f"caption {photos.name}", len(chosen)) as task:
        for batch in _batches(chosen, batch_size):
            described, unread = work.describe(batch, None)
            for row in described:
                stream.write(as_json(row) + "\n")
            stream.flush()
            annotations += map(PhotoOutput.annotation, described)
            for reject in unread:
                tell(f"{reject['key']}: {reject['reason']}")
            unread_count += len(unread)
            task.advance(len(batch))
    found = summarize(annotations)
    return PhotoSummary(
        out=None,
        photos=len(photos.photos),
        count=found.count,
        new=found.count,
        redone=0,
        statuses=found.statuses,
        words_mean=found.words_mean,
        words_sd=found.words_sd,
        rejected=unread_count,
        rejected_file=None,
        other_files=photos.other_files,
        left=len(photos.photos) - len(chosen),
        repeated=photos.repeated,
    )


def find_images(photos: Path) -> tuple[list[str], int]:
    """The images below a folder as sorted relative paths, and how many other files are there; see :func:`find_photos`.

    Raises:
        DataError: no images there.
    """
    found = find_photos([photos])
    return [photo.key for photo in found.photos], found.other_files


@dataclass(frozen=True, slots=True)
class _Work:
    """How photos are asked about."""

    engine: Engine
    prompts: Sequence[str]
    settings: GenerationSettings
    seed: int

    def describe(
        self, photos: Sequence[Photo], out: Path | None
    ) -> tuple[list[Row], list[Mapping[str, str]]]:
        """The lines of a batch, and what could not be read."""
        requests, unread, digests = [], {}, {}
        for photo in photos:
            prompt = choose_prompt(self.prompts, photo.key, self.seed).text
            try:
                data = photo.path.read_bytes()
            except OSError as error:
                unread[photo.key] = Annotation(photo.key, prompt, "", "error", f"{error.strerror or error}")
                continue
            digests[photo.key] = hashlib.sha256(data).hexdigest()
            requests.append(Request(photo.key, (data,), prompt))
        described = unread | {row.key: row for row in annotate(self.engine, requests, self.settings)}
        rows: list[Row] = []
        rejected: list[Mapping[str, str]] = []
        for photo in photos:
            row, name = described[photo.key], choose_prompt(self.prompts, photo.key, self.seed).name
            line = row_of(
                photo, row, out, digest=digests.get(photo.key, ""), prompt_name=name, model=self.engine.name
            )
            if row.status == "error":
                rejected.append({"key": row.key, "file": line["file"], "reason": row.detail})
            else:
                rows.append(line)
        return rows, rejected


def _batches(photos: Sequence[Photo], size: int) -> Iterator[Sequence[Photo]]:
    for start in range(0, len(photos), size):
        yield photos[start : start + size]


def _summarise(output: PhotoOutput, listed: PhotoList, new: int, redone: int) -> PhotoSummary:
    statistics = summarize(output.annotations())
    rejected = output.rejects()
    settled = {row.key for row in output.rows()} | {reject["key"] for reject in rejected}
    return PhotoSummary(
        out=output.path,
        photos=len(listed.photos),
        count=statistics.count,
        new=new,
        redone=redone,
        statuses=statistics.statuses,
        words_mean=statistics.words_mean,
        words_sd=statistics.words_sd,
        rejected=len(rejected),
        rejected_file=output.rejected if rejected else None,
        other_files=listed.other_files,
        left=sum(photo.key not in settled for photo in listed.photos),
        repeated=listed.repeated,
    )
