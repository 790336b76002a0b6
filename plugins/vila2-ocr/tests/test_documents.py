"""Drawn documents: the same from the same numbers, boxes where the ink is, the label what was drawn."""

import io

import numpy as np
import pytest
import shapely
from hypothesis import given, settings, strategies as st
from PIL import Image
from shapely import Polygon
from vila2 import Evidence
from vila2.errors import DataError
from vila2.plugin import python_generator

from vila2_ocr.documents import draw_document, read
from vila2_ocr.documents.effects import Effects, homography, moved, photographed
from vila2_ocr.documents.sheet import Sheet

STRONG = Effects(rotation=12, perspective=0.06, texture=0.8, noise=10, blur=1.0, jpeg=(60, 70))


@pytest.mark.parametrize("kind", ["receipt", "table", "chart", "sign"])
def test_a_document_is_the_same_whenever_it_is_drawn(kind):
    one, other = draw_document(kind, "k-0", STRONG), draw_document(kind, "k-0", STRONG)
    assert one == other
    assert draw_document(kind, "k-1", STRONG).images != one.images


def test_a_slice_of_the_stream_is_a_part_of_it():
    everything = list(read(count=6))
    assert list(read(count=2, start=3)) == everything[3:5]
    assert [sample.meta["document"] for sample in everything[:4]] == ["receipt", "table", "chart", "sign"]


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["receipt", "table", "chart", "sign"]))
def test_every_outline_lies_in_the_image_and_words_in_their_texts(seed, kind):
    evidence = Evidence.of(draw_document(kind, f"k-{seed}", STRONG))
    assert evidence.all_texts
    whole = None
    for text in evidence.texts:
        assert all(0 <= value <= 1 for point in text.outline for value in point)
        polygon = Polygon(text.outline)
        assert polygon.is_valid and polygon.area > 0
        if text.kind == "word":
            assert text.text in whole[0].split(" ")
            assert polygon.intersection(whole[1]).area > 0.9 * polygon.area
        else:
            whole = (text.text, polygon.buffer(0.002))


def test_the_ink_is_in_the_outlines_and_nowhere_else():
    sheet = Sheet(300, 200)
    sheet.write("HELLO THERE", 60, 70, 30, kind="line", ink=(0, 0, 0))
    data, outlines, (width, height) = photographed(
        sheet, Effects(rotation=8, perspective=0.04), python_generator(1)
    )
    pixels = np.asarray(Image.open(io.BytesIO(data)).convert("L"))
    assert pixels.shape == (height, width)
    dark = np.argwhere(pixels < 40)[:, ::-1] + 0.5
    assert len(dark) > 200
    frame = Polygon(outlines[0]).buffer(1.5)
    assert shapely.contains(frame, shapely.points(dark)).mean() > 0.99
    (x0, y0), (x1, y1) = dark.min(axis=0), dark.max(axis=0)
    left, top, right, bottom = Polygon(outlines[0]).bounds
    assert abs(np.array([x0 - left, y0 - top, x1 - right, y1 - bottom])).max() < 6


def test_a_homography_takes_corners_to_corners():
    start = np.array([(0, 0), (10, 0), (10, 5), (0, 5)], float)
    end = np.array([(1, 2), (12, 1), (11, 8), (0, 6)], float)
    assert moved(start, homography(start, end)) == pytest.approx(end)
    assert moved(moved(start, homography(start, end)), homography(end, start)) == pytest.approx(start)


def test_fields_are_what_is_written():
    for sample in read(count=4, kinds=("receipt",)):
        evidence = Evidence.of(sample)
        written = " ".join(text.text for text in evidence.texts)
        assert all(value in written for value in evidence.fields.values())
        assert set(evidence.fields) == {"company", "address", "date", "total"}


@pytest.mark.parametrize(
    "options", [{"kinds": ["poster"]}, {"rotation": 90}, {"jpeg": (90, 50)}, {"kinds": []}]
)
def test_what_can_not_be_drawn_is_an_error(options):
    with pytest.raises(DataError):
        list(read(count=1, **options))
