"""Drawn documents: receipts, tables, bar charts and signs, each with all its text as evidence.

The drawing itself gives the labels. The sheet records every text as it is drawn, word by word and as a whole,
and the corners of a text go through every change that the picture goes through.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from vila2.plugin import DataError, Evidence, ImagePart, Sample, WrittenText, python_generator, user

from vila2_ocr.documents.effects import Effects, photographed
from vila2_ocr.documents.kinds import KINDS


def read(
    path: Path | None = None,
    *,
    count: int,
    kinds: Sequence[str] = tuple(KINDS),
    start: int = 0,
    seed: int = 0,
    rotation: float = 3.0,
    perspective: float = 0.03,
    texture: float = 0.3,
    noise: float = 4.0,
    blur: float = 0.6,
    jpeg: tuple[int, int] = (50, 95),
) -> Iterator[Sample]:
    """Documents as samples with evidence; the same numbers give the same documents.

    Args:
        path: unused, because documents are made, not read.
        count, start, seed: numbers that select the documents of the stream.
        kinds: kinds of documents, drawn in turn.
        rotation: largest rotation of the page, in degrees.
        perspective: largest shift of a corner, as a share of the side.
        texture: strength of the pattern of the ground under the page, 0..1.
        noise: largest standard deviation of the noise of the pixels, of 255.
        blur: largest radius of the blur, in pixels.
        jpeg: lowest and highest quality of the file.

    Raises:
        DataError: a kind is unknown, or an effect is out of its range.
    """
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown or not kinds:
        what = repr(unknown[0]) if unknown else "no kinds"
        raise DataError(f"documents: unknown kind {what}", hint=f"use any of {', '.join(KINDS)}")
    lowest, highest = jpeg
    effects = Effects(rotation, perspective, texture, noise, blur, (lowest, highest))
    for number in range(start, start + count):
        kind = kinds[number % len(kinds)]
        yield draw_document(kind, f"{kind}-{seed}-{number:06d}", effects)


def draw_document(kind: str, key: str, effects: Effects) -> Sample:
    """One document; its key decides everything random in it."""
    random = python_generator("document", key)
    sheet, fields = KINDS[kind](random)
    data, outlines, (width, height) = photographed(sheet, effects, random)
    texts = tuple(
        WrittenText(
            text=drawn.text,
            kind=drawn.kind,
            outline=tuple((round(float(x) / width, 5), round(float(y) / height, 5)) for x, y in outline),
        )
        for drawn, outline in zip(sheet.drawn, outlines, strict=True)
    )
    evidence = Evidence(texts=texts, all_texts=True, fields=fields)
    return Sample(
        key, (data,), (user(ImagePart()),), {"document": kind, "image": f"{key}.jpg", **evidence.to_meta()}
    )
