"""The best rows of metadata by a score, as COYO's 25M pairs with the highest CLIP similarity (VILA appendix D).

Exact and the same however files are named or ordered: rows at the lowest score that still counts are taken by
their keys. Memory goes with the number of rows taken, eight bytes each, not with the number there are.
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

from vila2.data.shards import Reject
from vila2.data.shortening import listed, shortened, shown
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
        tied: keys of the rows with just this score that are taken, and how many of each; None where all rows are.
        count: how many rows are taken.
        unread: lines that are no rows, and so have no score.
    """

    lowest: float
    tied: Mapping[str, int] | None
    count: int
    unread: int = 0

    def takes(self, score: Any, key: Any) -> bool:
        """Whether a row is among the best; one without a score never is. Rows of one key are taken alike."""
        score = _number(score)
        if math.isnan(score) or score < self.lowest:
            return False
        return score > self.lowest or self.tied is None or str(key) in self.tied

    def taken(self, scores: Scores) -> np.ndarray:
        """The same of many rows at once; bool [rows]."""
        taken = scores.values >= self.lowest
        if self.tied is not None:
            for number in np.flatnonzero(scores.values == self.lowest).tolist():
                taken[number] = str(scores.keys[number]) in self.tied
        return taken

    def one_pass(self) -> RankingPass:
        """The same for one reading of all rows, in which a key that repeats is taken no more often than it counts."""
        return RankingPass(self)


class RankingPass:
    """Decides row by row; of rows that share score and key the first ones are taken."""

    def __init__(self, ranking: Ranking) -> None:
        self._ranking = ranking
        self._left = dict(ranking.tied or {})

    def takes(self, score: Any, key: Any) -> bool:
        """Whether a row is among the best."""
        if not self._ranking.takes(score, key):
            return False
        if self._ranking.tied is None or _number(score) > self._ranking.lowest:
            return True
        self._left[str(key)] -= 1
        return self._left[str(key)] >= 0

    def taken(self, scores: Scores) -> np.ndarray:
        """The same of many rows at once; bool [rows]."""
        taken = self._ranking.taken(scores)
        if self._ranking.tied is not None:
            for number in np.flatnonzero(taken & (scores.values == self._ranking.lowest)).tolist():
                taken[number] = self.takes(float(scores.values[number]), scores.keys[number])
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

    Returns:
        A function that reads them from the start, which raises ``DataError`` where no row of a file has one of the
        columns, or scores are texts.
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
    """The record batches of a Parquet file.

    Raises:
        DataError: a column that it does not have, or a file that cannot be read.
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


def score_values(values: Sequence[Any]) -> np.ndarray:
    """Scores as float64; nan in the place of what is no number."""
    return np.array([_number(value) for value in values], dtype=np.float64)


def _number(value: Any) -> float:
    """A score; nan of anything that is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    try:
        return float(value)
    except OverflowError:  # an integer of more than 300 digits
        return math.inf if value > 0 else -math.inf


def batch_scores(batch: Any, column: str, key: str, *, where: str = "") -> Scores:
    """The scores and keys of a record batch; a key becomes a value of Python when it is looked at.

    Raises:
        DataError: scores that are no numbers.
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


class _Keys(Sequence[Any]):
    def __init__(self, column: Any) -> None:
        self._column = column

    def __len__(self) -> int:
        return len(self._column)

    def __getitem__(self, number: Any) -> Any:
        return self._column[int(number)].as_py()
