"""Tars as img2dataset writes them, and COYO's metadata joined to them."""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args

from vila2.data.member_names import member_kind, split_member
from vila2.data.offset_index import check_tar_end
from vila2.data.packed_sample import has_text, pair_turns, unpack_sample
from vila2.data.sample import Sample
from vila2.data.shards import Reject
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
    top: int | None = None,
    rank_by: str = "clip_similarity_vitl14",
    min_score: float | None = None,
    start: int = 0,
    count: int | None = None,
) -> Iterator[Sample | Reject]:
    """Reads tars with ``{key}.jpg``, ``{key}.txt`` and ``{key}.json``, in the order of their names.

    The ``.txt`` (else ``caption`` in the ``.json``, else ``text`` of the metadata) becomes the text.

    Args:
        path: a tar, or a folder of tars.
        metadata: COYO's rows (Parquet, JSONL, or a folder of them), held in memory: ``id``, ``url``, ``text``,
            ``clip_similarity_vitb32``, ... They are added to the meta. Samples without a row are rejected, so that
            a list of the best rows also selects.
        join: what row and sample have in common: "url" or "id" (both in the sample's JSON), or "key".
        require_text: reject images without text.
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
        raise DataError(f"join={join!r}", mend=f"use one of {', '.join(get_args(JoinField))}")
    ranking = None
    if top is not None or min_score is not None:
        scores = metadata_scores(metadata, rank_by, join) if metadata else _scores_in(Path(path), rank_by)
        ranking = rank(scores, top=top, min_score=min_score)
    rows, bad = _metadata(metadata, join, ranking, rank_by) if metadata else (None, [])
    yield from bad
    for item in take(_samples(Path(path)), start, count):
        if isinstance(item, Sample) and rows is not None:
            item = _joined(item, rows, join)
        elif isinstance(item, Sample) and ranking and not ranking.takes(item.meta.get(rank_by), item.key):
            item = Reject(item.key, item.key, "not-ranked", f"{rank_by} {item.meta.get(rank_by)}")
        if isinstance(item, Sample) and require_text and not has_text(item):
            item = Reject(str(path), item.key, "missing-text", "no .txt, and no caption in the .json")
        yield item


def _tars(path: Path) -> list[Path]:
    tars = [path] if path.is_file() else sorted(path.glob("*.tar"))
    if not tars:
        raise DataError(f"{path}: no .tar file here", mend="give a tar, or the folder that img2dataset wrote")
    return tars


def _samples(path: Path) -> Iterator[Sample | Reject]:
    for tar in _tars(path):
        yield from _read_tar(tar)


def _scores_in(path: Path, field: str) -> Callable[[], Iterator[Scores]]:
    """The scores in the samples' JSON, by key."""

    def read() -> Iterator[Scores]:
        for tar in _tars(path):
            pairs = [(item.meta.get(field), item.key) for item in _read_tar(tar) if isinstance(item, Sample)]
            yield Scores(score_values([score for score, _ in pairs]), [key for _, key in pairs])

    return read


def _read_tar(path: Path) -> Iterator[Sample | Reject]:
    """The samples of one tar; a cut-off one gives what came whole before the cut, and one reject."""
    base: str | None = None
    group: list[tuple[str, bytes]] = []
    try:
        with tarfile.open(path, mode="r:") as tar:
            for info in tar:
                named = split_member(info.name) if info.isfile() else None
                if named is None or not member_kind(named[1], where=f"{path}: {info.name}"):
                    continue
                if named[0] != base:
                    if base is not None:
                        yield _unpack(path, base, group)
                    base, group = named[0], []
                file = tar.extractfile(info)
                group.append((named[1], file.read() if file else b""))
                tar.members = []  # or tarfile keeps them all
            check_tar_end(tar)
        if base is not None:
            yield _unpack(path, base, group)
    except (tarfile.TarError, OSError, EOFError) as error:
        # What stands at the cut is left out as a whole: some of its members may be missing.
        yield Reject(
            str(path), base or "", "truncated-tar", f"{error}; nothing from this sample on can be read"
        )


def _unpack(path: Path, base: str, group: list[tuple[str, bytes]]) -> Sample | Reject:
    try:
        return unpack_sample(base, group, where=str(path))
    except DataError as error:
        return Reject(str(path), base, "unreadable-member", error.what)


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
                mend=f"choose join from {', '.join(get_args(JoinField))}",
            )
        if ranking is None or ranking.takes(row.fields.get(rank_by), value):
            rows[str(value)] = row.fields
    return rows, bad


def _joined(sample: Sample, rows: Mapping[str, Mapping[str, Any]], join: JoinField) -> Sample | Reject:
    value = sample.key if join == "key" else sample.meta.get(join)
    row = rows.get(str(value)) if value is not None else None
    if row is None:
        state = f"its .json has no {join!r}" if value is None else f"no row with {join} {value!r}"
        return Reject(sample.key, sample.key, "no-metadata", state)
    turns = sample.turns
    if not has_text(sample) and isinstance(row.get("text"), str):
        turns = pair_turns(len(sample.images), row["text"])
    return Sample(sample.key, sample.images, turns, {**row, **sample.meta})
