"""The index for search and filters: an SQLite file, made once in the background and kept.

texts    full text: a row for each sample, a column for its key and one for each layer
facts    what is so of a sample: a status, a verdict or a fate of a layer
counts   number of samples for each fact
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from vila2.browse.collection import Collection
from vila2.browse.query import Query
from vila2.data.atomic import atomic_path
from vila2.errors import DataError
from vila2.merge.fates import kinds_of_fates

_VERSION = "1"
_KEPT = 4  # files of other layers, or of an earlier content
_FOLDER = ".browse"
_TABLES = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE samples (number INTEGER PRIMARY KEY);
CREATE TABLE facts (kind TEXT, value TEXT, layer TEXT, number INTEGER,
    PRIMARY KEY (kind, value, layer, number)) WITHOUT ROWID;
CREATE TABLE counts (kind TEXT, value TEXT, layer TEXT, samples INTEGER);
"""
_COUNT = """
INSERT INTO counts SELECT kind, value, layer, count(*) FROM facts GROUP BY kind, value, layer;
INSERT INTO counts SELECT kind, value, '', count(DISTINCT number) FROM facts GROUP BY kind, value;
"""

_Fact = tuple[str, str, str, int]


@dataclass(frozen=True, slots=True)
class FactCount:
    """The number of samples with a status, a verdict or a fate; ``layer`` is "" for any layer."""

    kind: str
    value: str
    layer: str
    samples: int


class SearchIndex:
    """Finds samples; :meth:`start` makes the index where it is missing.

    Args:
        collection: what is searched.

    Attributes:
        ready: set when the index can be asked.
        done: number of samples that are in it so far.
        problem: reason why there is no index, else "".
        counts: number of samples by status, verdict and fate; none until the index can be asked.
    """

    def __init__(self, collection: Collection) -> None:
        self.ready = threading.Event()
        self.done = 0
        self.problem = ""
        self.counts: list[FactCount] = []
        self._collection = collection
        self._columns = {name: f"layer_{number}" for number, name in enumerate(collection.layers)}
        self._file = Path()
        self._stop = threading.Event()
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._thread = threading.Thread(target=self._make, daemon=True)

    def start(self) -> None:
        """Begins in the background."""
        self._thread.start()

    def close(self) -> None:
        """Ends the work; what was not finished is made anew the next time."""
        self._stop.set()
        self._thread.join()
        if self._temporary is not None:
            self._temporary.cleanup()

    def find(
        self, query: Query, marked: Iterable[int] | None = None, *, start: int = 0, count: int = 60
    ) -> tuple[int, list[int]]:
        """Finds the samples of a query.

        Args:
            query: what to look for.
            marked: numbers of the samples among which to look; None for all.
            start: number of samples to pass over.
            count: number of samples to give.

        Returns:
            How many there are, and the numbers of those asked for, in order.
        """
        where, values = self._where(query, marked)
        with self._opened() as opened:
            [total] = opened.execute(f"SELECT count(*) FROM samples {where}", values).fetchone()
            found = opened.execute(
                f"SELECT number FROM samples {where} ORDER BY number LIMIT ? OFFSET ?",
                [*values, count, start],
            ).fetchall()
        return total, [number for (number,) in found]

    def beside(
        self, query: Query, marked: Iterable[int] | None, number: int
    ) -> tuple[int | None, int | None, int, int]:
        """Finds the samples of a query before and after one, its place among them, and how many there are."""
        where, values = self._where(query, marked)
        both = f"SELECT max(number) FROM samples {where} {'AND' if where else 'WHERE'} number < ?"
        after = both.replace("max(", "min(").replace("number < ?", "number > ?")
        place = f"SELECT count(*) FROM samples {where} {'AND' if where else 'WHERE'} number <= ?"
        with self._opened() as opened:
            [previous] = opened.execute(both, [*values, number]).fetchone()
            [following] = opened.execute(after, [*values, number]).fetchone()
            [at] = opened.execute(place, [*values, number]).fetchone()
            [total] = opened.execute(f"SELECT count(*) FROM samples {where}", values).fetchone()
        return previous, following, at, total

    def _where(self, query: Query, marked: Iterable[int] | None) -> tuple[str, list[str]]:
        clauses: list[str] = []
        values: list[str] = []
        for kind in ("status", "verdict", "fate"):
            if value := getattr(query, kind):
                of_layer = " AND layer = ?" if query.layer else ""
                clauses.append(f"number IN (SELECT number FROM facts WHERE kind = ? AND value = ?{of_layer})")
                values += [kind, value, *([query.layer] if query.layer else [])]
        column = self._columns.get(query.layer, "")
        wanted, unwanted = query.words()
        for words, inside in ((wanted, "IN"), (unwanted, "NOT IN")):
            if words:
                phrase = f"({(' AND ' if inside == 'IN' else ' OR ').join(words)})"
                clauses.append(f"number {inside} (SELECT rowid FROM texts WHERE texts MATCH ?)")
                values.append(f"{column} : {phrase}" if column else phrase)
        if marked is not None:
            clauses.append("number IN (SELECT value FROM json_each(?))")
            values.append(json.dumps(list(marked)))
        return ("WHERE " + " AND ".join(clauses) if clauses else ""), values

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        if not self.ready.is_set():
            raise DataError(
                self.problem or "the index is not ready yet", hint="without filters, all samples are shown"
            )
        try:
            with closing(sqlite3.connect(self._address, uri=True)) as opened:
                yield opened
        except sqlite3.Error as error:
            raise DataError(
                f"{self._file}: the index cannot be read ({error})", hint="delete it; it is made anew"
            ) from error

    def _make(self) -> None:
        """Opens the index that is there, or makes one."""
        collection = self._collection
        try:
            for rows in collection.rows.values():
                rows.align()
            self._file = self._place()
            self.counts = self._counted()
            if not self.counts:
                began = time.time()
                with atomic_path(self._file, durable=False) as partial:
                    with closing(sqlite3.connect(partial)) as opened:
                        self._fill(opened)
                    if self._stop.is_set():
                        raise InterruptedError
                self._tidy(began)
                self.counts = self._counted()
            self.done = len(collection.dataset)
            self.ready.set()
        except InterruptedError:
            pass
        except (DataError, OSError, sqlite3.Error) as error:
            self.problem = f"search and filters are off: {error}"

    def _counted(self) -> list[FactCount]:
        """Reads the counts; none where the file is missing or damaged."""
        try:
            with closing(sqlite3.connect(self._address, uri=True)) as opened:
                rows = opened.execute("SELECT * FROM counts ORDER BY kind, samples DESC, value").fetchall()
        except sqlite3.Error:
            return []
        return [FactCount(*row) for row in rows]

    @property
    def _address(self) -> str:
        return f"{self._file.absolute().as_uri()}?mode=ro&immutable=1"

    def _place(self) -> Path:
        """The path of the index: in the folder that is looked at, or else in a temporary one."""
        collection = self._collection
        parts = [_VERSION, collection.dataset.digest]
        parts += [f"{name} {layer.digest}" for name, layer in collection.layers.items()]
        name = f"search-{hashlib.sha256('|'.join(parts).encode()).hexdigest()[:16]}.sqlite"
        folder = collection.place / _FOLDER
        if (folder / name).exists():
            return folder / name
        try:
            folder.mkdir(exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                return folder / name
        except OSError:  # read-only, or no folder
            self._temporary = tempfile.TemporaryDirectory(prefix="vila2-browse-")
            return Path(self._temporary.name) / name

    def _tidy(self, began: float) -> None:
        """Removes all but the newest indexes."""
        files = sorted(self._file.parent.glob("search-*.sqlite"), key=lambda path: path.stat().st_mtime)
        for old in files[:-_KEPT]:
            if old.stat().st_mtime < began:
                with suppress(OSError):
                    old.unlink()

    def _fill(self, opened: sqlite3.Connection) -> None:
        columns = ", ".join(["key", *self._columns.values()])
        opened.executescript(_TABLES)
        opened.execute(
            f"CREATE VIRTUAL TABLE texts USING fts5({columns}, content='', "
            "tokenize='unicode61 remove_diacritics 2')"
        )
        dataset = self._collection.dataset
        places = ", ".join("?" * (len(self._columns) + 2))
        for shard_no in range(len(dataset.shards)):
            numbers, facts = dataset.shard_range(shard_no), self._fates(shard_no)
            opened.executemany("INSERT OR IGNORE INTO facts VALUES (?, ?, ?, ?)", facts)
            for number, key in zip(numbers, dataset.shard_keys(shard_no), strict=True):
                if self._stop.is_set():
                    return
                texts, own = self._sample(number, key)
                opened.execute(
                    f"INSERT INTO texts (rowid, {columns}) VALUES ({places})", [number, key, *texts]
                )
                opened.execute("INSERT INTO samples VALUES (?)", [number])
                opened.executemany("INSERT OR IGNORE INTO facts VALUES (?, ?, ?, ?)", own)
                self.done += 1
        opened.executescript(_COUNT)
        opened.commit()

    def _fates(self, shard_no: int) -> Iterator[_Fact]:
        dataset = self._collection.dataset
        numbers = dict(zip(dataset.shard_keys(shard_no), dataset.shard_range(shard_no), strict=True))
        for folder in self._collection.merges:
            for key, source, verdict, fate in kinds_of_fates(folder, shard_no):
                if key in numbers:
                    yield "fate", fate, source, numbers[key]
                    yield "verdict", verdict, source, numbers[key]

    def _sample(self, number: int, key: str) -> tuple[Sequence[str], set[_Fact]]:
        """The texts of a sample, a text for each layer, and what is so of it."""
        texts: list[str] = []
        facts: set[_Fact] = set()
        for name, rows in self._collection.rows.items():
            said = rows.of(number, key)
            joined = "\n".join(row.text for row in said)
            texts.append(joined.encode("utf-8", "replace").decode())  # halves of characters are no UTF-8
            facts |= {("status", row.status, name, number) for row in said}
            facts |= {("verdict", claim.status, name, number) for row in said for claim in row.claims}
        return texts, facts
