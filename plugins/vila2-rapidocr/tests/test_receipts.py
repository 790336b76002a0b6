"""Receipts are annotated, merged and scored, from the command line, with RapidOCR itself."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner
from vila2.cli.main import app
from vila2.data.evidence import Evidence
from vila2.data.layers import Annotation, Layer, write_layer
from vila2.data.sample import BoxPart
from vila2.plugin import Seen
from vila2_ocr.parser import quoted

from vila2_rapidocr.__main__ import main
from vila2_rapidocr.reader import LineReader, ReaderSettings
from vila2_rapidocr.scoring import shares


def command(*arguments: object) -> dict:
    done = CliRunner().invoke(app, [*map(str, arguments), "--json", "-q"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def layer(drawn) -> Layer:
    return Layer.open(command("annotate", drawn.folder, "--plugin", "rapidocr")["layer"])


def test_nearly_all_words_are_read(drawn, layer):
    totals = None
    for number in range(len(drawn)):
        sample = drawn[number]
        (row,) = layer.get(sample.key)
        own = shares(Evidence.of(sample), [claim.value for claim in row.claims])
        totals = own if totals is None else {name: totals[name] + share for name, share in own.items()}
    assert totals["words found"].part > 0.9 * totals["words found"].whole, str(totals["words found"])
    assert totals["words right"].part > 0.9 * totals["words right"].whole, str(totals["words right"])


def test_every_line_is_a_quote_that_claims_written_text_and_its_place(drawn, layer):
    for row in layer.rows():
        assert [row.text[claim.start : claim.end] for claim in row.claims] == row.text.split("\n")
        # The parser of the ocr plugin reads the same claims.
        assert [one.value for one in quoted(row.text)] == [claim.value for claim in row.claims]
        assert all(len(claim.boxes) == 1 for claim in row.claims)


def test_a_merge_drops_a_caption_s_writing_that_is_not_there(drawn, layer):
    first = next(iter(layer.rows()))
    there = max((claim.value for claim in first.claims), key=len)
    told = f'A receipt. It says "{there}". Its title reads "Zebra crossing ahead".'

    def said(key: str) -> list[Annotation]:
        return [Annotation(key, "", told, "ok")] if key == first.key else []

    write_layer(drawn, said, folder=drawn.folder / "layers" / "told", name="told", info={})
    merged = Layer.open(command("merge", drawn.folder, "--layers", "original,told,rapidocr")["layer"])
    text = " ".join(turn.text for row in merged.get(first.key) for turn in row.turns or ())
    assert there in text and "Zebra" not in text


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


def test_real_receipts_are_read_and_scored(receipts, tmp_path, capsys):
    rows = receipts.read_text().splitlines()[:2]
    few = tmp_path / "two.jsonl"
    few.write_text("\n".join(rows))
    (tmp_path / "images").symlink_to(receipts.parent / "images")
    assert main([str(few)]) == 0
    told = {line[:14].strip(): line[14:] for line in capsys.readouterr().out.splitlines()}
    assert float(told["words found"].partition("%")[0]) > 85 and told["images"].startswith(" 2,"), told
