"""What became of every sentence and exchange that entered a merge, and why; one Parquet file per shard, beside the layer.

They are many times as many rows as the layer has, of interest to whoever asks about a layer and to nobody who trains on
it: so they lie in a table of their own, ``fates/000000.parquet``, that any tool can query.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from vila2.data.atomic import write_bytes_atomic
from vila2.errors import DataError
from vila2.merge.hearing import HeardExchange, Spoken


@dataclass(frozen=True, slots=True)
class Fate:
    """One sentence, or one exchange as a whole.

    Attributes:
        key: of the sample.
        source: the layer that said it; "writer" for a model's paragraph.
        exchange: its number among the source's exchanges of this image.
        sentence: its number in the answer; -1 is the exchange as a whole.
        text: what is said; of an exchange the question.
        verdict: what the evidence says of a sentence; "" of an exchange.
        kept: whether it is in the merged conversation.
        reason: why it was dropped; of a kept one "" or why it stays although ("outranks", "original").
        detail: one line for a reader, such as the claim that is wrong and what is known instead.
        words: of the text; of an exchange those of question and answer as they came in.
        claims, supported, contradicted: how many it makes, and how many of them the evidence decides.
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
    """The claims that are wrong, and what is known instead."""
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
        folder: of the layer.

    Raises:
        DataError: a file that can not be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    for path in sorted((folder / "fates").glob("[0-9]*.parquet")):
        try:
            for row in pq.read_table(path).to_pylist():
                yield Fate(**row)
        except (pa.ArrowException, OSError, TypeError) as error:
            raise DataError(f"{path}: can not be read ({error})", hint="merge again") from error
