"""The fate of every sentence and exchange that entered a merge, and why; one Parquet file per shard.

Fates are many times as many as the layer's rows, and nobody trains on them. So they are in a table of their
own beside the layer, ``fates/000000.parquet``, which any tool can query.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path

from vila2.data.atomic import write_bytes_atomic
from vila2.errors import DataError
from vila2.merge.hearing import HeardExchange, Spoken


@dataclass(frozen=True, slots=True)
class Fate:
    """One sentence, or one exchange as a whole.

    Attributes:
        key: key of the sample.
        source: layer that said it; "writer" for a model's paragraph.
        exchange: number among the source's exchanges of this image.
        sentence: number in the answer; -1 for the exchange as a whole.
        text: text of the sentence; of an exchange the question.
        verdict: verdict of the evidence on a sentence; "" for an exchange.
        kept: whether it is in the merged conversation, to be learned.
        reason: why it was dropped, or "masked" for context that the loss leaves out; for a kept one "", or
            why it stays although contradicted ("outranks").
        detail: one line for a reader, such as the claim that is wrong and what is known instead.
        words: number of words in the text; of an exchange those of question and answer as they came in.
        claims, supported, contradicted: number of claims, and of those that the evidence supports or
            contradicts.
    """

    key: str
    source: str
    exchange: int
    sentence: int
    text: str
    verdict: str
    kept: bool
    reason: str = ""
    detail: str = ""
    words: int = 0
    claims: int = 0
    supported: int = 0
    contradicted: int = 0


def fates_of(key: str, arranged: Sequence[HeardExchange]) -> Iterator[Fate]:
    """The fates of one image's exchanges and their sentences."""
    for one in arranged:
        name, number = one.source.name, one.number
        asked = one.question.text if one.question else ""
        words = sum(len(spoken.sentence.text.split()) for spoken in one.spoken) + len(asked.split())
        yield Fate(key, name, number, -1, asked, "", one.kept, one.reason, one.detail, words)
        for place, spoken in enumerate(one.spoken):
            statuses = [claim.status for claim in spoken.sentence.claims]
            yield Fate(
                key,
                name,
                number,
                place,
                spoken.sentence.text,
                spoken.verdict,
                one.kept and spoken.kept,
                spoken.reason if one.kept or not spoken.kept else one.reason,
                _why(spoken),
                len(spoken.sentence.text.split()),
                len(statuses),
                statuses.count("supported"),
                statuses.count("contradicted"),
            )


def _why(spoken: Spoken) -> str:
    """The claims that are wrong, each with what is known instead."""
    text = spoken.sentence.text
    wrong = [claim for claim in spoken.sentence.claims if claim.status == "contradicted"]
    return "; ".join(f"{text[one.start : one.end]!r}: {one.detail or 'not so'}" for one in wrong)


def write_fates(path: Path, fates: Sequence[Fate]) -> None:
    """Writes fates as a table; the file appears whole or not at all."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {"str": pa.string(), "int": pa.int32(), "bool": pa.bool_()}
    columns = {
        one.name: pa.array([getattr(fate, one.name) for fate in fates], kinds[str(one.type)])
        for one in fields(Fate)
    }
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer, compression="zstd")
    write_bytes_atomic(path, buffer.getvalue())


def read_fates(folder: Path) -> Iterator[Fate]:
    """The fates of a merged layer, in the order of its shards.

    Args:
        folder: folder of the layer.

    Raises:
        DataError: a file cannot be read.
    """
    for path in sorted((folder / "fates").glob("[0-9]*.parquet")):
        yield from _read(path)


def fates_about(folder: Path, shard_no: int, key: str) -> list[Fate]:
    """The fates of one sample; none where the merge left its shard out.

    Raises:
        DataError: the file cannot be read.
    """
    path = _file(folder, shard_no)
    return list(_read(path, key)) if path.is_file() else []


def kinds_of_fates(folder: Path, shard_no: int) -> list[tuple[str, str, str, str]]:
    """Key, source, verdict and fate ("kept", or the reason) of a shard's sentences, each combination once.

    Raises:
        DataError: the file cannot be read.
    """
    path = _file(folder, shard_no)
    if not path.is_file():
        return []
    names = ["key", "source", "verdict", "kept", "reason"]
    with _reading(path):
        import pyarrow.parquet as pq

        table = pq.read_table(path, columns=names, filters=[("sentence", ">=", 0)])
        columns = table.group_by(names).aggregate([]).select(names).to_pydict().values()
    rows = zip(*columns, strict=True)
    return list({(key, source, said, "kept" if kept else why) for key, source, said, kept, why in rows})


def _file(folder: Path, shard_no: int) -> Path:
    return folder / "fates" / f"{shard_no:06d}.parquet"


def _read(path: Path, key: str | None = None) -> Iterator[Fate]:
    with _reading(path):
        import pyarrow.parquet as pq

        filters = None if key is None else [("key", "==", key)]
        fates = [Fate(**row) for row in pq.read_table(path, filters=filters).to_pylist()]
    yield from fates


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Tells of a file that cannot be read, and what to do."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, TypeError) as error:
        raise DataError(f"{path}: cannot be read ({error})", hint="merge again") from error


def count_fates(folder: Path) -> dict[str, int]:
    """Counts the sentences of a merged layer by their fate: "kept", or the reason why one was dropped.

    Args:
        folder: folder of the layer; one without fates counts nothing.

    Raises:
        DataError: a file cannot be read.
    """
    import pyarrow.parquet as pq

    counts: Counter[str] = Counter()
    for path in sorted((folder / "fates").glob("[0-9]*.parquet")):
        with _reading(path):
            table = pq.read_table(path, columns=["kept", "reason"], filters=[("sentence", ">=", 0)])
        kept, reasons = table.column("kept").to_pylist(), table.column("reason").to_pylist()
        counts.update("kept" if stays else reason for stays, reason in zip(kept, reasons, strict=True))
    return dict(counts)
