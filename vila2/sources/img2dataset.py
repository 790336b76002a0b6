"""Source `img2dataset`: tars as img2dataset writes them, joined with COYO's metadata."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from glob import glob
from pathlib import Path
from typing import Any, Literal, get_args
from zipfile import is_zipfile

from vila2.data.files import readable_name
from vila2.data.images import is_image_name
from vila2.data.packed_tars import is_tar_name, plain_tar
from vila2.data.rejects import Reject
from vila2.data.sample import Sample
from vila2.data.tar_members import LeftAlone, Refused, open_group, scan_tar
from vila2.data.tar_sample import has_text, pair_turns
from vila2.errors import DataError
from vila2.sources.ranking import Ranking, Scores, metadata_scores, rank, score_values
from vila2.sources.rows import read_rows, take

JoinField = Literal["url", "id", "key"]


def read(
    path: Path | str,
    *,
    metadata: Path | str | None = None,
    join: JoinField = "url",
    require_text: bool = True,
    text_only: bool = False,
    top: int | None = None,
    rank_by: str = "clip_similarity_vitl14",
    min_score: float | None = None,
    start: int = 0,
    count: int | None = None,
) -> Iterator[Sample | Reject]:
    """Reads tars with ``{key}.jpg``, ``{key}.txt`` and ``{key}.json``, in the order of their names.

    The text is that of ``.txt``, else of ``.caption`` and the like, else ``caption`` in the ``.json``, else
    ``text`` in the metadata. The members of a sample may stand anywhere in their tar, and names may contain
    dots (see :func:`vila2.data.member_names.split_members`). If two samples have the same key, the second is
    rejected. Members that belong to no sample are counted by extension, one reject for each.

    Args:
        path: tar, folder of tars, or pattern (``tars/*.tar``). Packed tars (.tar.gz, .tgz, .tar.bz2, .tar.xz,
            .tar.zst) are unpacked to a temporary file.
        metadata: file or folder of COYO's rows (Parquet or JSONL), which are held in memory and added to the
            meta. Samples without a row are rejected, so a list of the best rows selects too. None by default.
        join: field that row and sample have in common: "url" or "id" (in the sample's JSON), or "key".
        require_text: whether to reject images without text.
        text_only: whether to keep texts without an image; mostly their download failed.
        top: most samples to keep, those with the highest score (VILA appendix D); all by default. The scores
            are those of the metadata, else those in the samples' JSON; they are read twice before the first
            sample. To rank all of COYO before the download, use ``vila2 data select``.
        rank_by: field of the score.
        min_score: lowest score to keep; none by default.
        start: number of the first sample, from 0.
        count: most samples to read; all by default.

    Raises:
        DataError: there is no tar, a member has a type that can run code, or no sample has a score.
    """
    if join not in get_args(JoinField):
        raise DataError(f"join={join!r}", hint=f"use one of {', '.join(get_args(JoinField))}")
    ranking = None
    tars = _Tars(Path(path), text_only=text_only)
    if top is not None or min_score is not None:
        inside = partial(_Tars(Path(path), text_only=text_only).scores, rank_by)
        scores = metadata_scores(metadata, rank_by, join) if metadata else inside
        ranking = rank(scores, top=top, min_score=min_score)
    rows, bad = _metadata(metadata, join, ranking, rank_by) if metadata else (None, [])
    yield from bad
    for item in take(tars.samples(), start, count):
        if isinstance(item, Sample) and rows is not None:
            item = _joined(item, rows, join)
        elif isinstance(item, Sample) and ranking and not ranking.takes(item.meta.get(rank_by), item.key):
            item = Reject(item.where, item.key, "not-ranked", f"{rank_by} {item.meta.get(rank_by)}")
        if isinstance(item, Sample) and require_text and not has_text(item):
            item = Reject(item.where, item.key, "missing-text", "no .txt, and no caption in the .json")
        yield item
    yield from tars.left_alone()


class _Tars:
    """The tars of a source, and the members that belong to no sample.

    Args:
        path: tar, folder of tars, or pattern.
        text_only: whether texts without an image are samples.

    Raises:
        DataError: there is no tar.
    """

    def __init__(self, path: Path, *, text_only: bool = False) -> None:
        self.paths = [path] if path.is_file() else _tars_in(path)
        self._folder = path if path.is_dir() else None
        self._text_only = text_only
        self._left: dict[str, tuple[Path, LeftAlone]] = {}

    def samples(self, *, images: bool = True) -> Iterator[Sample | Reject]:
        """Yields the samples of all tars.

        Args:
            images: whether to read the contents of images.
        """
        for path in self.paths:
            yield from self._read(path, images)

    def scores(self, field: str) -> Iterator[Scores]:
        """Yields the scores in the samples' JSON, a tar at a time.

        Args:
            field: field of the score.
        """
        for path in self.paths:
            found = [item for item in self._read(path, images=False) if isinstance(item, Sample)]
            yield Scores(score_values([item.meta.get(field) for item in found]), [item.key for item in found])

    def left_alone(self) -> Iterator[Reject]:
        """Yields a reject for each kind of member that belongs to no sample, of the tars read so far."""
        for kind, (path, left) in sorted(self._left.items()):
            where = f"{readable_name(str(path))}: {left.example}"
            yield Reject(where, "", "left-alone", f"{left.count} members of this kind: {kind}")
        if self._folder is not None:
            loose = sorted(path.name for path in self._folder.iterdir() if is_image_name(path.name))
            if loose:
                where = readable_name(str(self._folder / loose[0]))
                yield Reject(
                    where, "", "left-alone", f"{len(loose)} images beside the tars; see source folder"
                )

    def _read(self, path: Path, images: bool) -> Iterator[Sample | Reject]:
        """Yields the samples of one tar; for a truncated one, those before the cut and a reject."""
        where = readable_name(str(path))
        with plain_tar(path) as file:
            contents = scan_tar(file, where=where)
            for kind, left in contents.left_alone.items():
                first, known = self._left.get(kind, (path, LeftAlone(0, left.example)))
                self._left[kind] = (first, known + left)
            for group in contents.groups:
                sample = open_group(
                    file.fileno(), group, where=where, images=images, text_only=self._text_only
                )
                yield Reject(*sample) if isinstance(sample, Refused) else sample
        if contents.broken and not contents.groups and not contents.broken_at:
            what = "a zip file: unpack it, and use the source folder" if is_zipfile(path) else contents.broken
            yield Reject(where, "", "no-tar", f"cannot be read as a tar ({what})")
        elif contents.broken:
            # The sample at the cut is left out as a whole, since members of it may be missing.
            detail = f"{contents.broken}; nothing from this sample on can be read"
            yield Reject(where, readable_name(contents.broken_at), "truncated-tar", detail)


def _tars_in(path: Path) -> list[Path]:
    """Finds the tars of a folder, else of the folders below it, or those that match a pattern."""
    if not path.is_dir():
        tars = sorted(map(Path, glob(str(path))))
    else:
        tars = sorted(found for found in path.glob("*") if is_tar_name(found.name))
        tars = tars or sorted(found for found in path.glob("*/**/*") if is_tar_name(found.name))
    if tars:
        return tars
    hint = "give a tar, the folder that img2dataset wrote, or a pattern such as tars/*.tar"
    if path.is_dir() and any(is_image_name(found.name) for found in path.iterdir()):
        hint = "it holds images: use the source folder"
    raise DataError(f"{readable_name(str(path))}: no .tar file here", hint=hint)


def _metadata(
    path: Path | str, join: JoinField, ranking: Ranking | None, rank_by: str
) -> tuple[dict[str, Mapping[str, Any]], list[Reject]]:
    """Reads the rows of the metadata, only the best ones if they are ranked.

    Returns:
        Rows by the value of the field that is joined on, and a reject for each line that is no row.
    """
    rows: dict[str, Mapping[str, Any]] = {}
    bad: list[Reject] = []
    for row in read_rows(path):
        if isinstance(row, Reject):
            bad.append(row)
            continue
        value = row.fields.get(join, row.fields.get("id") if join == "key" else None)
        if value is None:
            raise DataError(
                f"{row.where}: no field {join!r} to join on; fields: {', '.join(row.fields)}",
                hint=f"choose join from {', '.join(get_args(JoinField))}",
            )
        if ranking is None or ranking.takes(row.fields.get(rank_by), value):
            rows[str(value)] = row.fields
    return rows, bad


def _joined(sample: Sample, rows: Mapping[str, Mapping[str, Any]], join: JoinField) -> Sample | Reject:
    value = sample.key if join == "key" else sample.meta.get(join)
    row = rows.get(str(value)) if value is not None else None
    if row is None:
        state = f"its .json has no {join!r}" if value is None else f"no row with {join} {value!r}"
        return Reject(sample.where, sample.key, "no-metadata", state)
    turns = sample.turns
    if not has_text(sample) and isinstance(row.get("text"), str):
        turns = pair_turns(len(sample.images), row["text"])
    return replace(sample, turns=turns, meta={**row, **sample.meta})
