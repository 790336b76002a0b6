"""Captioning a plain folder of images into one JSON-lines file."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vila2.caption.annotate import annotate
from vila2.caption.engine import Engine, GenerationSettings, Request
from vila2.caption.job import check_earlier_job, describe_job, keep_job, only_writer
from vila2.caption.journal import append_lines, cut_broken_tail
from vila2.caption.prompts import choose_prompt
from vila2.data.images import IMAGE_EXTENSIONS
from vila2.data.layers import Annotation, summarise
from vila2.errors import DataError
from vila2.run.progress import Board

if TYPE_CHECKING:
    from vila2.run.progress import Progress

_MEND = "give the same settings, another --out, or --restart to throw the captions away"


@dataclass(frozen=True, slots=True)
class PhotoSummary:
    """What stands in the file after a job.

    Attributes:
        out: the file.
        count: captions in it.
        new: captions that this call wrote.
        statuses: captions by mark.
        words_mean, words_sd: words of the captions marked "ok".
        rejected: images that could not be read.
        rejected_file: names them; None where there are none.
        other_files: files in the folder that are no images by their extension.
    """

    out: Path
    count: int
    new: int
    statuses: dict[str, int]
    words_mean: float
    words_sd: float
    rejected: int
    rejected_file: Path | None
    other_files: int


def recaption_photos(
    photos: Path,
    engine: Engine,
    *,
    out: Path,
    prompts: Sequence[str],
    settings: GenerationSettings,
    seed: int,
    batch_size: int,
    limit: int | None = None,
    restart: bool = False,
    progress: Progress | None = None,
) -> PhotoSummary:
    """Describes every image below a folder, one JSON line each: key, file, prompt name, prompt, text,
    status, detail, tokens, model.

    Called again after a kill it goes on: a line is on disk before the next batch begins, a torn last
    line is written again. ``NAME.meta.json`` beside the file guards the settings; images that cannot be
    read stand in ``NAME.rejected.jsonl`` and are tried again by the next call.

    Args:
        photos: a folder; images are found by extension, at any depth.
        engine: who describes.
        out: the JSON-lines file.
        prompts: names of the paper's prompts or texts; each image gets one by hash of (key, seed).
        settings: of generation.
        seed: of the choice of prompts.
        batch_size: images that are described together.
        limit: describe only the first so many, in the order of their names.
        restart: throw away what an earlier job wrote.
        progress: shows how far it is.

    Raises:
        DataError: no images there, or ``out`` was begun with other settings.
        EngineError: the engine cannot do what is asked.
        RunError: another process writes ``out``.
    """
    keys, other_files = find_images(photos)
    keys = keys[:limit]
    output = PhotoOutput(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.touch()
    with only_writer(out):
        if restart:
            output.clear()
        job = describe_job(engine, prompts, settings, seed) | {"photos": str(photos.resolve())}
        output.claim(job)
        done, count = output.keys(), 0
        pending = [key for key in keys if key not in done]
        with (progress or Board()).task(f"caption {photos.name}", len(keys)) as task:
            task.advance(len(keys) - len(pending))
            for start in range(0, len(pending), batch_size):
                batch = pending[start : start + batch_size]
                new = _describe(photos, batch, engine, prompts, settings, seed)
                count += output.add(photos, new, engine.name, prompts, seed)
                task.advance(len(batch))
        return _summarise(output, count, other_files)


def find_images(photos: Path) -> tuple[list[str], int]:
    """The images below a folder as sorted relative paths, and how many other files are there.

    Hidden files and folders count as other files; links to folders are not followed.

    Raises:
        DataError: no images there.
    """
    found, other = [], 0
    for folder, _, names in os.walk(photos):
        for name in names:
            key = (Path(folder) / name).relative_to(photos)
            hidden = any(part.startswith(".") for part in key.parts)
            if not hidden and key.suffix.lower().removeprefix(".") in IMAGE_EXTENSIONS:
                found.append(key.as_posix())
            else:
                other += 1
    if not found:
        raise DataError(
            f"{photos}: no images there ({other} other files)",
            mend=f"give a folder with files of these kinds: {', '.join(sorted(IMAGE_EXTENSIONS))}",
        )
    return sorted(found), other


@dataclass(frozen=True, slots=True)
class PhotoOutput:
    """The captions file with its two companions."""

    path: Path

    @property
    def meta(self) -> Path:
        """The settings of the job."""
        return self.path.with_suffix(".meta.json")

    @property
    def rejected(self) -> Path:
        """The images that could not be read."""
        return self.path.with_suffix(".rejected.jsonl")

    def clear(self) -> None:
        """Throws everything away."""
        with self.path.open("r+b") as file:  # kept as a file: it carries the lock
            file.truncate()
        self.meta.unlink(missing_ok=True)
        self.rejected.unlink(missing_ok=True)

    def claim(self, job: dict[str, Any]) -> None:
        """Writes the settings, or checks that they are those of the job that began this file."""
        if self.path.stat().st_size and not self.meta.exists():
            raise DataError(f"{self.path} holds something, but {self.meta.name} is missing", mend=_MEND)
        keep_job(self.meta, job, where=self.path, mend=_MEND)
        self.rejected.unlink(missing_ok=True)

    def check(self, known: Mapping[str, Any]) -> None:
        """Compares what is known of a job with the one that began this file; see :func:`describe_settings`."""
        check_earlier_job(self.meta, known, where=self.path, mend=_MEND)

    def keys(self) -> set[str]:
        """The keys that are described, after cutting off a torn last line."""
        return set(cut_broken_tail(self.path, lambda line: _annotation(line).key, only_last=True))

    def annotations(self) -> Iterator[Annotation]:
        """The captions, one by one."""
        with self.path.open("rb") as file:
            yield from map(_annotation, file)

    def add(
        self, photos: Path, annotations: Sequence[Annotation], model: str, prompts: Sequence[str], seed: int
    ) -> int:
        """Appends a batch and counts its captions; images that could not be read go to the other file."""
        rows, rejected = [], []
        for row in annotations:
            file = str(photos / row.key)
            if row.status == "error":
                rejected.append({"key": row.key, "file": file, "reason": row.detail})
                continue
            name = choose_prompt(prompts, row.key, seed).name
            rows.append(
                {"key": row.key, "file": file, "prompt_name": name, "prompt": row.prompt, "text": row.text}
                | {"status": row.status, "detail": row.detail, "tokens": row.tokens, "model": model}
            )
        for path, entries in ((self.path, rows), (self.rejected, rejected)):
            if entries:
                with path.open("ab") as lines:
                    append_lines(lines, (json.dumps(entry, ensure_ascii=False) for entry in entries))
        return len(rows)


def _describe(
    photos: Path,
    keys: Sequence[str],
    engine: Engine,
    prompts: Sequence[str],
    settings: GenerationSettings,
    seed: int,
) -> list[Annotation]:
    requests, unread = [], {}
    for key in keys:
        prompt = choose_prompt(prompts, key, seed).text
        try:
            requests.append(Request(key, ((photos / key).read_bytes(),), prompt))
        except OSError as error:
            unread[key] = Annotation(key, prompt, "", "error", f"{error.strerror or error}")
    described = {row.key: row for row in annotate(engine, requests, settings)}
    return [unread.get(key) or described[key] for key in keys]


def _annotation(line: bytes) -> Annotation:
    try:
        row = json.loads(line)
        return Annotation(row["key"], row["prompt"], row["text"], row["status"], row["detail"], row["tokens"])
    except (KeyError, TypeError, DataError) as error:
        raise ValueError(f"is no caption: {error}") from error


def _summarise(output: PhotoOutput, new: int, other_files: int) -> PhotoSummary:
    statistics = summarise(output.annotations())
    rejected = 0
    if output.rejected.exists():
        with output.rejected.open("rb") as file:
            rejected = sum(1 for _ in file)
    return PhotoSummary(
        out=output.path,
        count=statistics.count,
        new=new,
        statuses=statistics.statuses,
        words_mean=statistics.words_mean,
        words_sd=statistics.words_sd,
        rejected=rejected,
        rejected_file=output.rejected if rejected else None,
        other_files=other_files,
    )
