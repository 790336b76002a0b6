"""Captions of photos, written into one JSON-lines file or to a stream."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from vila2.caption.caption_job import describe_job
from vila2.caption.chooser import NO_CHOOSER, Chooser, annotate_by, job_of
from vila2.caption.photo_files import Photo, PhotoList, find_photos, readable
from vila2.caption.photo_output import PhotoOutput, Row, as_json, row_of
from vila2.caption.photo_redo import PhotoRedo
from vila2.caption.prompts import Prompt, choose_prompt
from vila2.caption.several_samples import ChoiceCounts, count_choices
from vila2.data.annotations import Annotation, Status, summarize
from vila2.data.files import read_file
from vila2.data.job_files import only_writer
from vila2.engine.protocol import Engine, GenerationSettings, Request
from vila2.errors import DataError
from vila2.run.board import Board

if TYPE_CHECKING:
    from vila2.progress import Progress, Task

__all__ = ["PhotoOutput", "PhotoSummary", "find_images", "recaption_photos", "stream_captions"]


@dataclass(frozen=True, slots=True)
class PhotoSummary:
    """What the file holds after a job.

    Attributes:
        out: captions file; None for a stream.
        photos: number of photos found.
        count: number of captions in the file.
        new: number of captions that this call added.
        redone: number of captions that this call replaced.
        statuses: number of captions by mark.
        words_mean, words_sd: mean and standard deviation of words in the captions marked "ok".
        rejected: number of images that could not be read.
        rejected_file: file that names them; None where there are none.
        other_files: number of files in the folder that are no images by their extension.
        left: number of readable photos without a caption: those beyond a limit, or untouched by a redo.
        repeated: number of links and lines of a list that lead to photos found before.
        choices: what was chosen among several samples; None where there was one.
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
    choices: ChoiceCounts | None = None


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
    chooser: Chooser | None = None,
    progress: Progress | None = None,
) -> PhotoSummary:
    """Describes photos, one JSON line each; :func:`~vila2.caption.photo_output.row_of` names its keys.

    Called again after a kill, it resumes: a line is on disk before the next batch begins, and a torn last
    line is written again. ``OUT.meta.json`` beside the file guards the settings. Images that cannot be read
    are listed in ``OUT.rejected.jsonl`` and tried again by the next call. A folder that was moved is
    recognized by the content of its photos.

    Args:
        photos: folder, or result of :func:`find_photos`.
        engine: engine that describes the photos.
        out: JSON-lines file; ``file`` of its lines is relative to its folder.
        prompts: names of the paper's prompts, or texts; each image gets one by hash of key and seed.
        settings: settings of generation.
        seed: seed of the choice of prompts.
        batch_size: number of images described together.
        limit: number of photos to take, from the first on; those that have a caption count.
        restart: whether to delete what an earlier job wrote.
        redo: marks of the captions to replace; all others stay, and nothing else is described.
        chooser: chooser of one among several captions; by default a photo gets one.
        progress: display of the photos.

    Raises:
        DataError: no images there; ``out`` was begun with other settings or for other photos, or does not
            hold captions.
        EngineError: the engine cannot do what is asked.
        RunError: another process writes ``out``.
    """
    listed = photos if isinstance(photos, PhotoList) else find_photos([photos])
    chosen = listed.photos[:limit]
    output, work = PhotoOutput(out), _Work(engine, prompts, settings, seed, chooser)
    output.check_replaceable(restart=restart)
    if redo:
        output.check_begun()
    out.parent.mkdir(parents=True, exist_ok=True)
    out.touch()
    job, board = describe_job(engine, prompts, settings, seed) | job_of(chooser), progress or Board()
    with only_writer(out) as lock:
        if restart:
            output.clear()
        again = PhotoRedo(output, redo, job)
        if not redo:
            output.check({**NO_CHOOSER, **job})
            output.claim(job, listed.sources)
        again.adopt_other(lock)
        rows = output.rows()
        output.follow(listed, rows, lock)
        if redo:
            due = again.due(chosen, rows)
            with board.task(f"redo {listed.name}", len(due)) as task:
                for described, unread in work.batches(due, batch_size, out, task):
                    again.keep(described)
                    output.reject(unread)
            redone, new = again.finish(lock)
        else:
            done = {row.key for row in rows}
            pending = [photo for photo in chosen if photo.key not in done]
            with board.task(f"caption {listed.name}", len(chosen)) as task:
                task.advance(len(chosen) - len(pending))
                redone, new = 0, _add_rows(output, work.batches(pending, batch_size, out, task))
            output.reject([{"key": key, "file": key, "reason": reason} for key, reason in listed.unread])
        return _summarize(output, listed, new, redone)


def _add_rows(output: PhotoOutput, batches: Iterable[tuple[list[Row], list[Mapping[str, str]]]]) -> int:
    """Adds the lines of batches to the file; returns their number."""
    new = 0
    for described, unread in batches:
        output.add(described)
        output.reject(unread)
        new += len(described)
    return new


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
    chooser: Chooser | None = None,
    tell: Callable[[str], None] = lambda line: None,
    progress: Progress | None = None,
) -> PhotoSummary:
    """Describes photos to a stream, a batch at a time; nothing is kept, so nothing can be resumed.

    Args:
        stream: stream that gets a JSON line per caption.
        tell: function that is told of every photo that could not be read.

    The other arguments are those of :func:`recaption_photos`.
    """
    chosen, work = photos.photos[:limit], _Work(engine, prompts, settings, seed, chooser)
    annotations: list[Annotation] = []
    unread_count = len(photos.unread)
    for key, reason in photos.unread:
        tell(f"{key}: {reason}")
    with (progress or Board()).task(f"caption {photos.name}", len(chosen)) as task:
        for described, unread in work.batches(chosen, batch_size, None, task):
            for row in described:
                stream.write(as_json(row) + "\n")
            stream.flush()
            annotations += map(PhotoOutput.annotation, described)
            for reject in unread:
                tell(f"{reject['key']}: {reject['reason']}")
            unread_count += len(unread)
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
        choices=count_choices(annotations),
    )


def find_images(photos: Path) -> tuple[list[str], int]:
    """The images below a folder as sorted relative paths, and the number of other files; see `find_photos`.

    Raises:
        DataError: no images there.
    """
    found = find_photos([photos])
    return [photo.key for photo in found.photos], found.other_files


@dataclass(frozen=True, slots=True)
class _ReadPhotos:
    """A batch of photos: requests about those that could be read, annotations of the others."""

    photos: Sequence[Photo]
    requests: Sequence[Request]
    unread: Sequence[Annotation]


@dataclass(frozen=True, slots=True)
class _Work:
    """Describes batches of photos."""

    engine: Engine
    prompts: Sequence[str]
    settings: GenerationSettings
    seed: int
    chooser: Chooser | None

    def batches(
        self, photos: Sequence[Photo], size: int, out: Path | None, task: Task
    ) -> Iterator[tuple[list[Row], list[Mapping[str, str]]]]:
        """Yields the lines of each batch, and its photos that could not be read.

        A batch counts once its results are used.
        """
        cut = (self._read(photos[start : start + size]) for start in range(0, len(photos), size))
        annotated = annotate_by(self.chooser, self.engine, cut, lambda read: read.requests, self.settings)
        for batch, answers in annotated:
            yield self._lines(batch, [row for row, *_ in answers], out)
            task.advance(len(batch.photos))

    def _read(self, photos: Sequence[Photo]) -> _ReadPhotos:
        requests: list[Request] = []
        unread: list[Annotation] = []
        for photo in photos:
            prompt = self._prompt(photo).text
            try:
                requests.append(Request(photo.key, (read_file(photo.path),), prompt))
            except DataError as error:
                reason = error.what.removeprefix(f"{readable(str(photo.path))}: ")
                unread.append(Annotation(photo.key, prompt, "", "error", reason))
        return _ReadPhotos(photos, requests, unread)

    def _prompt(self, photo: Photo) -> Prompt:
        return choose_prompt(self.prompts, photo.key, self.seed)

    def _lines(
        self, batch: _ReadPhotos, answered: Sequence[Annotation], out: Path | None
    ) -> tuple[list[Row], list[Mapping[str, str]]]:
        described = {row.key: row for row in (*batch.unread, *answered)}
        digests = {one.key: hashlib.sha256(one.images[0]).hexdigest() for one in batch.requests}
        rows: list[Row] = []
        rejected: list[Mapping[str, str]] = []
        for photo in batch.photos:
            row, name = described[photo.key], self._prompt(photo).name
            line = row_of(
                photo, row, out, digest=digests.get(photo.key, ""), prompt_name=name, model=self.engine.name
            )
            if row.status == "error":
                rejected.append({"key": row.key, "file": line["file"], "reason": row.detail})
            else:
                rows.append(line)
        return rows, rejected


def _summarize(output: PhotoOutput, listed: PhotoList, new: int, redone: int) -> PhotoSummary:
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
        choices=count_choices(output.annotations()),
    )
