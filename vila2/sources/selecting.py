"""Writes the best rows of metadata to a file: what is then downloaded, for example with img2dataset."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vila2.data.atomic import atomic_path
from vila2.data.shards import Reject
from vila2.errors import DataError
from vila2.sources.ranking import Ranking, batch_scores, metadata_scores, parquet_batches, rank
from vila2.sources.rows import read_rows, row_files


def select_rows(
    path: Path | str,
    out: Path,
    *,
    rank_by: str,
    key: str = "id",
    top: int | None = None,
    min_score: float | None = None,
) -> Ranking:
    """Keeps the best rows of a metadata file or folder, in their order.

    Args:
        path: Parquet files (COYO's), or JSON lines.
        out: of the same kind: ``.parquet`` or ``.jsonl``; appears whole or not at all.
        rank_by: the column of scores; a higher one is better.
        key: the column that decides between equal scores.
        top: how many.
        min_score: rows below are left out.

    Raises:
        DataError: a missing column, files of both kinds, or an ``out`` of the other kind.
    """
    if top is None and min_score is None:
        raise DataError("nothing to select by", mend="give top, min_score, or both")
    if not Path(path).exists():
        raise DataError(
            f"{path}: no such file or folder", mend="give Parquet or JSONL rows, or a folder of them"
        )
    files = row_files(path)
    kinds = {".parquet" if file.suffix == ".parquet" else ".jsonl" for file in files}
    if kinds != {out.suffix}:
        raise DataError(
            f"{path} holds {' and '.join(sorted(kinds))} rows, and {out} is to hold {out.suffix or 'no'} rows",
            mend=f"name the output {out.with_suffix(min(kinds)).name}",
        )
    try:
        ranking = rank(metadata_scores(path, rank_by, key), top=top, min_score=min_score)
    except DataError as error:
        error.add_note(f"in column {rank_by!r} of {path}")
        raise
    with atomic_path(out) as partial:
        if out.suffix == ".parquet":
            _write_parquet(files, partial, ranking, rank_by, key)
        else:
            with partial.open("w", encoding="utf-8") as lines:
                for fields in _best_rows(files, ranking, rank_by, key):
                    lines.write(json.dumps(fields, ensure_ascii=False) + "\n")
    return ranking


def _best_rows(files: list[Path], ranking: Ranking, rank_by: str, key: str) -> Iterator[dict[str, Any]]:
    for file in files:
        for row in read_rows(file):
            if not isinstance(row, Reject) and ranking.takes(row.fields.get(rank_by), row.fields.get(key)):
                yield row.fields


def _write_parquet(files: list[Path], out: Path, ranking: Ranking, rank_by: str, key: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pq.read_schema(files[0])
    with pq.ParquetWriter(out, schema) as writer:
        for file in files:
            for batch in parquet_batches(file):
                taken = ranking.taken(batch_scores(batch, rank_by, key))
                try:
                    writer.write_batch(batch.filter(pa.array(taken)))
                except (ValueError, pa.ArrowException) as error:
                    raise DataError(
                        f"{file}: its columns differ from those of {files[0].name} ({error})",
                        mend="select from files of one kind",
                    ) from error
