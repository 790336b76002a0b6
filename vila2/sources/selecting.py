"""Writes the best rows of metadata to a file, for example to download them with img2dataset."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from vila2.data.atomic import atomic_path
from vila2.data.rejects import Reject
from vila2.data.shortening import listed
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
        path: file of Parquet (such as COYO's) or JSON lines, or folder of such files.
        out: file to write, of the same kind: ``.parquet`` or ``.jsonl``; appears whole or not at all.
        rank_by: column of the scores; a higher one is better.
        key: column that decides between equal scores.
        top: most rows to keep; all by default.
        min_score: lowest score to keep; none by default.

    Raises:
        DataError: a column is missing, or the files and ``out`` are not all of one kind.
    """
    if top is None and min_score is None:
        raise DataError("nothing to select by", hint="give top, min_score, or both")
    if not Path(path).exists():
        raise DataError(
            f"{path}: no such file or folder", hint="give a Parquet or JSONL file, or a folder of them"
        )
    files = row_files(path)
    kinds = {".parquet" if file.suffix == ".parquet" else ".jsonl" for file in files}
    if kinds != {out.suffix}:
        held = " and ".join(sorted(kinds))
        raise DataError(
            f"{path} holds {held} rows, and {out} is to hold {out.suffix or 'no'} rows",
            hint=f"name the output {out.with_suffix(min(kinds)).name}",
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
                ranking = _write_lines(files, lines, ranking, rank_by, key)
    return ranking


def _write_lines(files: list[Path], lines: IO[str], ranking: Ranking, rank_by: str, key: str) -> Ranking:
    best, unread = ranking.one_pass(), 0
    for row in (row for file in files for row in read_rows(file)):
        if isinstance(row, Reject):
            unread += 1
        elif best.takes(row.fields.get(rank_by), row.fields.get(key)):
            lines.write(_line(row.fields) + "\n")
    return replace(ranking, unread=unread)


def _line(fields: dict[str, Any]) -> str:
    line = json.dumps(fields, ensure_ascii=False)
    try:
        line.encode()
    except UnicodeEncodeError:  # half a surrogate pair, which only an escape can hold
        return json.dumps(fields)
    return line


def _write_parquet(files: list[Path], out: Path, ranking: Ranking, rank_by: str, key: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema, best = pq.read_schema(files[0]), ranking.one_pass()
    with pq.ParquetWriter(out, schema) as writer:
        for file in files:
            for batch in parquet_batches(file):
                taken = best.taken(batch_scores(batch, rank_by, key, where=str(file)))
                try:
                    writer.write_batch(batch.filter(pa.array(taken)))
                except (ValueError, pa.ArrowException) as error:
                    differing = _difference(batch.schema, schema)
                    raise DataError(
                        f"{file}: its columns differ from those of {files[0].name}: {differing}",
                        hint="write all files with the same columns and types",
                    ) from error


def _difference(found: Any, expected: Any) -> str:
    types = [{field.name: str(field.type) for field in schema} for schema in (found, expected)]
    names = [name for name in {**types[1], **types[0]} if types[0].get(name) != types[1].get(name)]
    return listed(
        f"{name} is {types[0].get(name, 'missing')}, not {types[1].get(name, 'there')}" for name in names
    )
