"""The best rows of metadata by a score, as COYO's 25M pairs with the highest CLIP similarity (VILA appendix D).

Exact and the same however files are named or ordered: rows at the lowest score that still counts are taken by
their keys. Memory goes with the number of rows taken, eight bytes each, not with the number there are.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vila2.data.shards import Reject
from vila2.errors import DataError
from vila2.sources.rows import read_rows, row_files


class Scores(NamedTuple):
    """Scores of some rows, float64 [rows], nan where a row has none; and the rows' keys."""

    values: np.ndarray
    keys: Sequence[Any]


@dataclass(frozen=True, slots=True)
class Ranking:
    """Which rows are the best.

    Attributes:
        lowest: the lowest score that counts.
        tied: keys of the rows with just this score that are taken; None where all of them are.
        count: how many rows are taken.
    """

    lowest: float
    tied: frozenset[str] | None
    count: int

    def takes(self, score: Any, key: Any) -> bool:
        """Whether a row is among the best; one without a score never is."""
        if not isinstance(score, int | float) or math.isnan(score) or score < self.lowest:
            return False
        return score > self.lowest or self.tied is None or str(key) in self.tied

    def taken(self, scores: Scores) -> np.ndarray:
        """The same of many rows at once; bool [rows]."""
        taken = scores.values >= self.lowest
        if self.tied is not None:
            for number in np.flatnonzero(scores.values == self.lowest):
                taken[number] = str(scores.keys[number]) in self.tied
        return taken


def rank(
    scores: Callable[[], Iterable[Scores]], *, top: int | None = None, min_score: float | None = None
) -> Ranking:
    """Finds the best rows in two passes: one for the lowest score that counts, one for the rows that have just it.

    Args:
        scores: gives all rows' scores from the start, each time it is called.
        top: how many rows to take; all of them where there are fewer.
        min_score: rows below are not taken.

    Raises:
        DataError: ``top`` below 1, or no row with a score (that is high enough).
    """
    if top is not None and top < 1:
        raise DataError(f"top={top}", mend="use a number >= 1")
    floor = -math.inf if min_score is None else min_score
    best, seen = _best_values(scores(), top, floor)
    if not seen:
        raise DataError("no row has a score that counts", mend="check rank_by and min_score")
    if top is None or seen <= top:
        return Ranking(floor, None, seen)
    lowest = float(best.min())
    wanted = int((best == lowest).sum())
    tied = (str(keys[n]) for values, keys in scores() for n in np.flatnonzero(values == lowest))
    return Ranking(lowest, frozenset(heapq.nsmallest(wanted, tied)), top)


def _best_values(scores: Iterable[Scores], top: int | None, floor: float) -> tuple[np.ndarray, int]:
    """The ``top`` highest values, and how many values there are from ``floor`` up."""
    waiting: list[np.ndarray] = []
    held, seen, reached = 0, 0, -math.inf
    for values, _ in scores:
        values = values[values >= floor]  # nan compares as false
        seen += len(values)
        if top is None:
            continue
        waiting.append(values[values > reached])
        held += len(waiting[-1])
        if held > 2 * top:
            waiting = [np.partition(np.concatenate(waiting), -top)[-top:]]
            held, reached = top, float(waiting[0].min())  # there are enough: no lower one is needed any more
    best = np.concatenate(waiting) if waiting else np.empty(0)
    return (best if top is None or len(best) <= top else np.partition(best, -top)[-top:]), seen


def metadata_scores(path: Path | str, column: str, key: str) -> Callable[[], Iterator[Scores]]:
    """Scores and keys of a metadata file's rows, or of a folder's; of Parquet only the two columns are read.

    Args:
        path: Parquet, JSON lines, or a folder of such files.
        column: of the scores.
        key: the column of the keys.
    """

    def read() -> Iterator[Scores]:
        for file in row_files(path):
            if file.suffix == ".parquet":
                for batch in parquet_batches(file, [column, key]):
                    yield batch_scores(batch, column, key)
            else:
                rows = (row.fields for row in read_rows(file) if not isinstance(row, Reject))
                while some := list(islice(rows, 8192)):
                    yield Scores(
                        score_values([row.get(column) for row in some]), [row.get(key) for row in some]
                    )

    return read


def parquet_batches(file: Path, columns: list[str] | None = None) -> Iterator[Any]:
    """The record batches of a Parquet file.

    Raises:
        DataError: a column that it does not have, or a file that can not be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        opened = pq.ParquetFile(file)
        names = opened.schema_arrow.names
        for column in columns or ():
            if column not in names:
                raise DataError(f"{file}: no column {column!r}", mend=f"its columns are {', '.join(names)}")
        yield from opened.iter_batches(batch_size=65536, columns=columns)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{file}: can not be read ({error})", mend="fetch it again") from error


def score_values(values: Sequence[Any]) -> np.ndarray:
    """Scores as float64; nan in the place of what is no number."""
    return np.array([v if isinstance(v, int | float) else math.nan for v in values], dtype=np.float64)


def batch_scores(batch: Any, column: str, key: str) -> Scores:
    """The scores and keys of a record batch; a key becomes a value of Python when it is looked at."""
    import pyarrow as pa

    values = batch.column(column).cast(pa.float64()).to_numpy(zero_copy_only=False)
    return Scores(values, _Keys(batch.column(key)))


class _Keys(Sequence):
    def __init__(self, column: Any) -> None:
        self._column = column

    def __len__(self) -> int:
        return len(self._column)

    def __getitem__(self, number: Any) -> Any:
        return self._column[int(number)].as_py()
