"""Annotations: what an annotator said about a sample, how it is stored, and statistics of many."""

from __future__ import annotations

import hashlib
import json
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from vila2.data.claims import Claim
from vila2.data.parsing import parsing
from vila2.data.sample import Turn
from vila2.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

Status = Literal["ok", "empty", "refusal", "truncated", "repetition", "contradiction", "rejected", "error"]
STATUSES: tuple[Status, ...] = get_args(Status)
_PLAIN = ("key", "prompt", "text", "status", "detail", "tokens")
_NESTED = ("turns", "claims")
_LATER = ("mark",)  # a column only where a row has a value


@dataclass(frozen=True, slots=True)
class Annotation:
    """What an annotator said about one sample.

    Attributes:
        key: key of the sample.
        prompt: question that the annotator was asked; "" where there was none.
        text: text that the annotator wrote.
        status: "ok" for a text to train on; any other status says why it is not one.
        detail: explanation of the status in one line, such as the words that were repeated.
        tokens: number of generated tokens; 0 where unknown.
        turns: the exchanges themselves, where they are more than ``prompt`` and ``text``.
        claims: statements of the text as a specialist's parser read them; spans count characters of ``text``.
        mark: status that the answer had before a parser gave it another; None where it gave none.

    Raises:
        DataError: the status is unknown, or an annotation without text is "ok".
    """

    key: str
    prompt: str
    text: str
    status: Status
    detail: str = ""
    tokens: int = 0
    turns: tuple[Turn, ...] | None = None
    claims: tuple[Claim, ...] = ()
    mark: Status | None = None

    def to_json(self) -> dict[str, Any]:
        """Gives the annotation as JSON values; turns and claims stand only where there are any."""
        data: dict[str, Any] = {
            "key": self.key,
            "prompt": self.prompt,
            "text": self.text,
            "status": self.status,
            "detail": self.detail,
            "tokens": self.tokens,
        }
        if self.turns is not None:
            data["turns"] = [turn.to_json() for turn in self.turns]
        if self.claims:
            data["claims"] = [_claim_to_json(claim) for claim in self.claims]
        if self.mark is not None:
            data["mark"] = self.mark
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Annotation:
        """Reads what :meth:`to_json` wrote.

        Raises:
            DataError: the annotation is not sound.
        """
        turns = data.get("turns")
        parsed = None if turns is None else tuple(map(Turn.from_json, turns))
        claims = tuple(map(_claim, data.get("claims") or ()))
        said = data["key"], data["prompt"], data["text"], data["status"], data["detail"], data["tokens"]
        return cls(*said, parsed, claims, data.get("mark"))

    def __post_init__(self) -> None:
        if self.status not in STATUSES or not (self.mark is None or self.mark in STATUSES):
            unknown = self.mark if self.status in STATUSES else self.status
            raise DataError(
                f"{self.key}: unknown status {unknown!r} of an annotation",
                hint=f"use one of {', '.join(STATUSES)}",
            )
        if self.status == "ok" and (not self.text or self.text.isspace()) and not self.turns:
            raise DataError(f"{self.key}: an annotation without text cannot be ok", hint="mark it as empty")


@dataclass(frozen=True, slots=True)
class LayerStatistics:
    """The statistics of a layer (the paper's Table 1).

    Attributes:
        count: number of annotations.
        words_mean: mean number of words per usable annotation, counted by ``str.split``.
        words_sd: standard deviation of the same number, of the population.
        statuses: number of annotations by status.
        commonest: the usable text that stands on the most images, word for word; "" if all differ.
        commonest_count: number of times that it stands there.
    """

    count: int
    words_mean: float
    words_sd: float
    statuses: dict[str, int] = field(default_factory=dict)
    commonest: str = ""
    commonest_count: int = 0


def text_digest(text: str) -> bytes:
    """A short digest of a text; letter case and spaces do not count."""
    plain = " ".join(text.casefold().split())
    return hashlib.blake2b(plain.encode("utf-8", "replace"), digest_size=8).digest()


def summarize(rows: Iterable[Annotation]) -> LayerStatistics:
    """Counts annotations by status, the words of the usable ones, and their commonest text."""
    statuses: Counter[str] = Counter()
    words: list[int] = []
    times: Counter[bytes] = Counter()
    repeated: dict[bytes, str] = {}
    for row in rows:
        statuses[row.status] += 1
        if row.status == "ok":
            words.append(len(row.text.split()))
            digest = text_digest(row.text)
            times[digest] += 1
            if times[digest] > 1:  # most texts stand there once, and need not be remembered
                repeated.setdefault(digest, row.text)
    commonest = max(repeated, key=times.__getitem__, default=b"")
    mean = statistics.fmean(words) if words else 0.0
    deviation = statistics.pstdev(words, mean) if words else 0.0
    counts: dict[str, int] = {status: statuses[status] for status in STATUSES if statuses[status]}
    text = repeated.get(commonest, "")
    return LayerStatistics(sum(statuses.values()), mean, deviation, counts, text, times[commonest])


def by_key(rows: Iterable[Annotation]) -> dict[str, tuple[Annotation, ...]]:
    """Groups annotations by their sample's key, keeping their order."""
    grouped: dict[str, list[Annotation]] = {}
    for row in rows:
        grouped.setdefault(row.key, []).append(row)
    return {key: tuple(annotations) for key, annotations in grouped.items()}


def to_table(rows: Sequence[Annotation]) -> pa.Table:
    """Puts annotations into an Arrow table; turns and claims become JSON.

    Raises:
        UnicodeError: a text cannot be encoded as UTF-8.
        ValueError: a number of tokens does not fit.
    """
    import pyarrow as pa

    kinds = {name: pa.int32() if name == "tokens" else pa.string() for name in _PLAIN}
    columns = {name: pa.array([getattr(row, name) for row in rows], kind) for name, kind in kinds.items()}
    turns = [None if row.turns is None else [turn.to_json() for turn in row.turns] for row in rows]
    claims = [[_claim_to_json(claim) for claim in row.claims] or None for row in rows]
    for name, values in zip(_NESTED, (turns, claims), strict=True):
        texts = [None if value is None else json.dumps(value) for value in values]
        columns[name] = pa.array(texts, pa.string())
    for name in _LATER:
        later = [getattr(row, name) for row in rows]
        if any(value is not None for value in later):
            columns[name] = pa.array(later, pa.string())
    return pa.table(columns)


def read_rows(path: Path) -> Iterator[Annotation]:
    """Reads the annotations of a Parquet file that holds a table of :func:`to_table`.

    A file of earlier versions, without the columns of turns and claims, is read as well.

    Raises:
        DataError: the file is damaged, or an annotation is not sound.
    """
    for row in read_columns(path).to_pylist():
        yield from_columns(row, where=path)


def from_columns(row: Mapping[str, Any], *, where: object) -> Annotation:
    """Reads an annotation from a row of :func:`to_table`.

    Args:
        row: the row's values, by column.
        where: the file, for errors.

    Raises:
        DataError: the annotation is not sound.
    """
    with parsing(f"{where}: {row['key']}", hint="write the layer again"):
        plain = {name: value for name, value in row.items() if name in _PLAIN}
        return Annotation.from_json(plain | _further(row))


def read_columns(path: Path) -> pa.Table:
    """Reads a Parquet file of annotations as a table; columns that it lacks are not there.

    Raises:
        DataError: the file is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        names = pq.read_schema(path).names
        further = [name for name in (*_NESTED, *_LATER) if name in names]
        table = pq.read_table(path).select([*_PLAIN, *further])
        table.validate(full=True)  # texts may hold bytes that are not UTF-8
        for column in table.schema:
            _check_kind(column)
        return table
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error})", hint="write the layer again") from error


def _check_kind(column: pa.Field) -> None:
    """Refuses a column of another type than :func:`to_table` gives it: bytes would pass for a text."""
    import pyarrow as pa

    fits = pa.types.is_integer if column.name == "tokens" else _is_text
    if not fits(column.type):
        raise ValueError(f"the column {column.name!r} holds {column.type}")


def _is_text(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def further_json(row: Mapping[str, Any]) -> str:
    """Gives a row's fields beyond the plain ones as a JSON object; "" where it has none."""
    further = _further(row)
    return json.dumps(further) if further else ""


def _further(row: Mapping[str, Any]) -> dict[str, Any]:
    nested = {name: json.loads(row[name]) for name in _NESTED if row.get(name) is not None}
    return nested | {name: row[name] for name in _LATER if row.get(name) is not None}


def _claim_to_json(claim: Claim) -> dict[str, Any]:
    """A claim as JSON values; points stand only where there are any, as in layers of earlier versions."""
    data = asdict(claim)
    return data if claim.points else {name: value for name, value in data.items() if name != "points"}


def _claim(data: Mapping[str, Any]) -> Claim:
    places = {name: tuple(map(tuple, data.get(name, ()))) for name in ("boxes", "points")}
    return Claim(**{**data, **places})
