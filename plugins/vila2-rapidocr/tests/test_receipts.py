"""Receipts are annotated, merged and scored, from the command line, with RapidOCR itself."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import pytest
from typer.testing import CliRunner
from vila2.cli.main import app
from vila2.data.layers import Annotation, Layer, write_layer
from vila2.data.sample import BoxPart
from vila2.data.shards import ShardDataset
from vila2.plugin import Seen
from vila2_ocr.parser import quoted

from vila2_rapidocr.__main__ import main
from vila2_rapidocr.reader import LineReader, ReaderSettings


def command(*arguments: object) -> dict:
    done = CliRunner().invoke(app, [*map(str, arguments), "--json", "-q"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@dataclass(frozen=True)
class Annotated:
    """Annotated receipts, and how much of them must be read.

    Attributes:
        dataset: the receipts.
        layer: what RapidOCR says about them.
        words: least share of words found, and of words right, in percent.
        wholes: the same for whole lines and fields.
    """

    dataset: ShardDataset
    layer: Layer
    words: float
    wholes: float


def told(text: str) -> dict[str, float]:
    """What ``python -m vila2_rapidocr`` printed: percents by measure."""
    return {line[:14].strip(): float(line[14:].partition("%")[0]) for line in text.splitlines()[:-1]}


#: Receipts, and the least share of words, lines and fields of them that must be read.
RECEIPTS = [
    pytest.param(("drawn", 95.0, 90.0), id="drawn"),
    pytest.param(("scanned", 92.0, 88.0), id="scanned", marks=pytest.mark.slow),
]


@pytest.fixture(scope="module", params=RECEIPTS)
def annotated(request) -> Annotated:
    """Receipts that the command line has annotated with RapidOCR."""
    name, words, wholes = request.param
    dataset = request.getfixturevalue(name)
    written = command("annotate", dataset.folder, "--plugin", "rapidocr")
    assert written["statuses"] == {"ok": len(dataset)}
    return Annotated(dataset, Layer.open(written["layer"]), words, wholes)


def test_receipts_are_scored_against_their_text(annotated, capsys):
    assert main([str(annotated.dataset.folder)]) == 0
    scores = told(capsys.readouterr().out)
    assert min(scores["words found"], scores["words right"]) > annotated.words, scores
    assert min(scores["lines found"], scores["fields found"]) > annotated.wholes, scores


def test_a_merge_verifies_what_was_read_and_drops_writing_that_is_not_there(annotated):
    """The receipts' own text is the evidence, on what RapidOCR read as on a caption."""
    dataset, layer = annotated.dataset, annotated.layer
    first = next(iter(layer.rows()))
    there = max((claim.value for claim in first.claims), key=len)
    caption = f'A receipt. It says "{there}". Its title reads "Zebra crossing ahead".'

    def said(key: str) -> list[Annotation]:
        return [Annotation(key, "", caption, "ok")] if key == first.key else []

    write_layer(dataset, said, folder=dataset.folder / "layers" / "told", name="told", info={})
    merged = command("merge", dataset.folder, "--layers", "original,told,rapidocr")
    read = merged["sources"]["rapidocr"]
    assert read["before"]["coverage"] > 0.9, "the dataset's evidence judges nearly every line"
    assert read["verdicts"]["supported"] > 0.8 * read["before"]["claims"]
    rows = Layer.open(merged["layer"]).get(first.key)
    text = " ".join(turn.text for row in rows for turn in row.turns or ())
    assert there in text and "Zebra" not in text


def test_every_line_is_a_quote_that_claims_written_text_and_its_place(annotated):
    for row in annotated.layer.rows():
        assert [row.text[claim.start : claim.end] for claim in row.claims] == row.text.split("\n")
        # The parser of the ocr plugin reads the same claims.
        assert [one.value for one in quoted(row.text)] == [claim.value for claim in row.claims]
        assert all(len(claim.boxes) == 1 for claim in row.claims)


def test_settings_change_what_is_said(drawn):
    sample = drawn[0]
    seen = Seen(sample.key, sample.images)
    plain = LineReader(ReaderSettings())(seen)
    placed = LineReader(ReaderSettings(boxes=True))(seen)
    assert sum(isinstance(part, BoxPart) for part in placed.turns[1].parts) == len(plain.claims)
    assert [replace(one, start=0, end=0) for one in placed.claims] == [
        replace(one, start=0, end=0) for one in plain.claims
    ]
    assert not LineReader(ReaderSettings(threshold=1.0))(seen).claims


def test_an_image_without_text_is_said_to_have_none():
    import io

    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (64, 48), "white").save(file, "PNG")
    parsed = LineReader(ReaderSettings())(Seen("white", (file.getvalue(),)))
    assert parsed.status == "empty" and parsed.turns[1].text == "There is no text in the image."
