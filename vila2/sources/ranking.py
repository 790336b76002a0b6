"""Ranks rows of metadata by a score, as for COYO's 25M pairs of highest CLIP similarity (VILA appendix D).

The result is exact and does not depend on the names or the order of files: among rows at the lowest score,
the keys decide. Memory grows with the number of rows taken, eight bytes each, not with the number of all
rows.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from vila2.data.rejects import Reject
from vila2.data.shortening import listed, shortened, shown
from vila2.errors import DataError
from vila2.sources.rows import read_rows, row_files


class Scores(NamedTuple):
    """Scores of some rows.

    Attributes:
        values: scores, float64 [rows]; nan for a row without a score.
        keys: keys of the rows.
    """

    values: NDArray[np.float64]
    keys: Sequence[object]


@dataclass(frozen=True, slots=True)
class Ranking:
    """The best rows.

    Attributes:
        lowest: lowest score of a row that is taken.
        tied: keys of the rows taken at just this score, with the number of rows of each; None if all are
            taken.
        count: number of rows taken.
        unread: number of lines that are not rows.
    """

    lowest: float
    tied: Mapping[str, int] | None
    count: int
    unread: int = 0

    def takes(self, score: object, key: object) -> bool:
        """Tells whether a row is among the best; a row without a score never is."""
        value = as_score(score)
        if math.isnan(value) or value < self.lowest:
            return False
        return value > self.lowest or self.tied is None or str(key) in self.tied

    def taken(self, scores: Scores) -> NDArray[np.bool_]:
        """Tells which of many rows are among the best; bool [rows]."""
        taken = scores.values >= self.lowest
        if self.tied is not None:
            for number in np.flatnonzero(scores.values == self.lowest).tolist():
                taken[number] = str(scores.keys[number]) in self.tied
        return taken

    def one_pass(self) -> RankingPass:
        """Starts one pass over all rows, which takes a repeated key no more often than it counts."""
        return RankingPass(self)


class RankingPass:
    """Decides row by row; among rows that share score and key, it takes the first ones.

    Args:
        ranking: best rows.
    """

    def __init__(self, ranking: Ranking) -> None:
        self._ranking = ranking
        self._left = dict(ranking.tied or {})

    def takes(self, score: object, key: object) -> bool:
        """Tells whether a row is among the best."""
        if not self._ranking.takes(score, key):
            return False
        if self._ranking.tied is None or as_score(score) > self._ranking.lowest:
            return True
        self._left[str(key)] -= 1
        return self._left[str(key)] >= 0

    def taken(self, scores: Scores) -> NDArray[np.bool_]:
        """Tells which of many rows are among the best; bool [rows]."""
        taken = self._ranking.taken(scores)
        if self._ranking.tied is not None:
            for number in np.flatnonzero(taken & (scores.values == self._ranking.lowest)).tolist():
                taken[number] = self.takes(float(scores.values[number]), scores.keys[number])
        return taken


def rank(
    scores: Callable[[], Iterable[Scores]], *, top: int | None = None, min_score: float | None = None
) -> Ranking:
    """Finds the best rows in two passes: one for the lowest score to take, one for the rows at that score.

    Args:
        scores: function that reads the scores of all rows from the start.
        top: most rows to take; all by default.
        min_score: lowest score to take; none by default.

    Raises:
        DataError: ``top`` is below 1, or no row has a score that is high enough.
    """
    if top is not None and top < 1:
        raise DataError(f"top={top}", hint="use a number >= 1")
    floor = -math.inf if min_score is None else min_score
    best, seen = _best_values(scores(), top, floor)
    if not seen:
        raise DataError("no row has a score that counts", hint="check rank_by and min_score")
    if top is None or seen <= top:
        return Ranking(floor, None, seen)
    lowest = float(best.min())
    wanted = int((best == lowest).sum())
    tied = (str(keys[n]) for values, keys in scores() for n in np.flatnonzero(values == lowest).tolist())
    return Ranking(lowest, Counter(heapq.nsmallest(wanted, tied)), top)


def _best_values(scores: Iterable[Scores], top: int | None, floor: float) -> tuple[NDArray[np.float64], int]:
    """Finds the ``top`` highest values, and counts the values from ``floor`` up."""
    waiting: list[NDArray[np.float64]] = []
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
            held, reached = top, float(waiting[0].min())  # there are enough, so lower ones are not needed
    best = np.concatenate(waiting) if waiting else np.empty(0)
    return (best if top is None or len(best) <= top else np.partition(best, -top)[-top:]), seen


def metadata_scores(path: Path | str, column: str, key: str) -> Callable[[], Iterator[Scores]]:
    """Prepares to read the scores and keys of metadata; of Parquet only these two columns are read.

    Args:
        path: file of Parquet or JSON lines, or folder of such files.
        column: column of the scores.
        key: column of the keys.

    Returns:
        A function that reads them from the start. It raises ``DataError`` if a file lacks a column, or holds
        scores as text.
    """

    def read() -> Iterator[Scores]:
        for file in row_files(path):
            if file.suffix == ".parquet":
                for batch in parquet_batches(file, [column, key]):
                    yield batch_scores(batch, column, key, where=str(file))
            else:
                yield from _line_scores(file, column, key)

    return read


def _line_scores(file: Path, column: str, key: str) -> Iterator[Scores]:
    missing = {column, key}
    fields: list[str] = []
    rows = (row for row in read_rows(file) if not isinstance(row, Reject))
    while some := list(islice(rows, 8192)):
        for row in some:
            fields = fields or list(row.fields)
            missing -= row.fields.keys()
            if isinstance(row.fields.get(column), str):
                _refuse_text(row.where, column, f"the text {shown(row.fields[column])}")
        yield Scores(
            score_values([row.fields.get(column) for row in some]), [row.fields.get(key) for row in some]
        )
    for name in missing if fields else ():
        state = "no row has a score" if name == column else "equal scores cannot be told apart"
        raise DataError(f"{file}: no column {name!r}, so {state}", hint=f"its columns are {listed(fields)}")


def _refuse_text(where: str, column: str, what: str) -> NoReturn:
    raise DataError(
        f"{where}: {column!r} holds {what} instead of a number",
        hint="write the scores as numbers, without quotes, in Parquet or JSONL",
    )


def parquet_batches(file: Path, columns: list[str] | None = None) -> Iterator[Any]:
    """Reads the record batches of a Parquet file.

    Args:
        file: path of the file.
        columns: columns to read; all by default.

    Raises:
        DataError: the file lacks a column, or cannot be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        opened = pq.ParquetFile(file)
        names = opened.schema_arrow.names
        for column in columns or ():
            if column not in names:
                raise DataError(f"{file}: no column {column!r}", hint=f"its columns are {listed(names)}")
        yield from opened.iter_batches(batch_size=65536, columns=columns)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{file}: cannot be read ({error})", hint="fetch it again") from error


def score_values(values: Sequence[object]) -> NDArray[np.float64]:
    """Makes float64 of scores; nan in place of anything that is no number."""
    return np.array([as_score(value) for value in values], dtype=np.float64)


def as_score(value: object) -> float:
    """Makes a float of a score; nan of anything that is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    try:
        return float(value)
    except OverflowError:  # an integer of more than 300 digits
        return math.inf if value > 0 else -math.inf


def batch_scores(batch: Any, column: str, key: str, *, where: str = "") -> Scores:
    """Reads the scores and keys of a record batch; keys become Python values on access.

    Args:
        batch: record batch.
        column: column of the scores.
        key: column of the keys.
        where: file of the batch, for the error.

    Raises:
        DataError: the scores are not numbers.
    """
    import pyarrow as pa

    scores = batch.column(column)
    if pa.types.is_dictionary(scores.type):
        scores = scores.dictionary_decode()
    kind = scores.type
    numeric = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    if not numeric and not pa.types.is_null(kind):
        _refuse_text(where or "the metadata", column, f"values of the type {shortened(str(kind), 80)}")
    try:
        values = scores.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    except pa.ArrowException as error:
        raise DataError(
            f"{where}: {column!r} cannot be read ({error})", hint="write the scores as numbers"
        ) from error
    return Scores(values, _Keys(batch.column(key)))


class _Keys(Sequence[object]):
    """The values of an Arrow column, converted one by one."""

    def __init__(self, column: Any) -> None:
        self._column = column

    def __len__(self) -> int:
        return len(self._column)

    def __getitem__(self, number: Any) -> Any:
        return self._column[int(number)].as_py()
