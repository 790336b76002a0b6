"""Tars as img2dataset writes them, and COYO's metadata joined to them."""

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
from vila2.data.sample import Sample
from vila2.data.shards import Reject
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

    The ``.txt`` (else ``.caption``, ``.caption.txt`` and the like, else ``caption`` in the ``.json``, else ``text`` of
    the metadata) becomes the text. The members of a sample may stand anywhere in their tar; names may hold dots (see
    :func:`vila2.data.member_names.split_members`). Of two samples with one key the first is taken, the other rejected.
    Members that belong to no sample are counted by extension, as rejects with an example.

    Args:
        path: a tar, a folder of tars, or a pattern (``tars/*.tar``); packed ones (.tar.gz, .tgz, .tar.bz2, .tar.xz, .tar.zst) are unpacked to a
            temporary file.
        metadata: COYO's rows (Parquet, JSONL, or a folder of them), held in memory: ``id``, ``url``, ``text``,
            ``clip_similarity_vitb32``, ... They are added to the meta. Samples without a row are rejected, so that
            a list of the best rows also selects.
        join: what row and sample have in common: "url" or "id" (both in the sample's JSON), or "key".
        require_text: reject images without text.
        text_only: take texts without an image, which are rejected otherwise: mostly a download failed there.
        top: take only so many, those with the highest ``rank_by``, whatever their order (VILA appendix D). The
            scores are the metadata's, read twice before the first sample; without metadata those in the samples'
            JSON. To rank all of COYO before anything is downloaded, use ``vila2 data select``.
        rank_by: the field that holds the score.
        min_score: take only samples with at least this score.
        start, count: a slice of the samples.

    Raises:
        DataError: no tar there, a member of a type that can run code, or no score to rank by.
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
    """The tars of a source, and what in them belongs to no sample.

    Args:
        path: a tar, or a folder of tars.
        text_only: whether texts without an image are samples.

    Raises:
        DataError: no tar there.
    """

    def __init__(self, path: Path, *, text_only: bool = False) -> None:
        self.paths = [path] if path.is_file() else _tars_in(path)
        self._folder = path if path.is_dir() else None
        self._text_only = text_only
        self._left: dict[str, tuple[Path, LeftAlone]] = {}

    def samples(self, *, images: bool = True) -> Iterator[Sample | Reject]:
        """The samples of all tars; without the contents of images, where ``images`` is False."""
        for path in self.paths:
            yield from self._read(path, images)

    def scores(self, field: str) -> Iterator[Scores]:
        """The scores in the samples' JSON, by key, a tar at a time."""
        for path in self.paths:
            found = [item for item in self._read(path, images=False) if isinstance(item, Sample)]
            yield Scores(score_values([item.meta.get(field) for item in found]), [item.key for item in found])

    def left_alone(self) -> Iterator[Reject]:
        """One reject for each kind of member that no sample was made of, in the tars that were read."""
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
        """The samples of one tar; a cut-off one gives what came whole before the cut, and one reject."""
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
            yield Reject(where, "", "no-tar", f"is no tar that can be read ({what})")
        elif contents.broken:
            # What stands at the cut is left out as a whole: some of its members may be missing.
            detail = f"{contents.broken}; nothing from this sample on can be read"
            yield Reject(where, readable_name(contents.broken_at), "truncated-tar", detail)


def _tars_in(path: Path) -> list[Path]:
    """The tars of a folder, else those of the folders in it; or those that a pattern names."""
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
    """The metadata's rows (the best ones) by the field that is joined on, and the lines that are no rows."""
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
